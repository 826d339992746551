import numpy as np

from roadworthy.demo.training import train

LABELS = np.asarray([0, 1] * 5)


def test_a_column_without_spread_is_harmless():
    """A constant column gets the scale 1 instead of 0."""
    rows = np.column_stack([np.arange(10.0), np.full(10, 3.0)])
    assert train("m", ("a", "b"), rows, LABELS).scales[1] == 1.0


def test_a_missing_value_trains_as_the_mean_of_its_column():
    """A gap and the mean in its place give the same model."""
    rows = np.column_stack([np.arange(10.0), np.arange(10.0) ** 2])
    gap = rows.copy()
    gap[3, 1] = np.nan
    filled = rows.copy()
    filled[3, 1] = np.nanmean(gap[:, 1])
    first, second = (train("m", ("a", "b"), each, LABELS) for each in (gap, filled))
    assert first.weights.tolist() == second.weights.tolist()
    assert (first.lowest[1], first.highest[1]) == (0.0, 81.0)


def test_every_number_is_rounded():
    """Twelve significant digits: what a machine's linear algebra adds beyond them is no part of the model."""
    rows = np.column_stack([np.linspace(0, 1, 10) ** 3, np.sqrt(np.arange(10.0))])
    model = train("m", ("a", "b"), rows, LABELS)
    numbers = [*model.means, *model.scales, *model.weights, model.intercept]
    assert all(value == float(f"{value:.12g}") for value in numbers)
