"""Label-free estimates where only inputs move, where their assumption breaks, and against plain sums over rows."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score, roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.label_free import (
    BLIND_SPOT,
    calibration_of_counts,
    cell_rows,
    estimate_performance,
    expected_figures,
    learn_calibration,
)
from roadworthy.stats.proportions import clopper_pearson


def _world(seed: int, n: int, *, inputs_by: float = 0.0, boundary_by: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and scores; the score is a badly scaled function of the inputs, the outcome logistic in them."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, 2)) + np.array([inputs_by, 0])
    signal = 1.3 * inputs[:, 0] - 0.8 * inputs[:, 1]
    return (rng.random(n) < expit(signal - boundary_by)).astype(int), np.tanh(signal / 4)


def _realised(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    decided = scores >= 0
    return {
        "accuracy": float((decided == labels).mean()),
        "sensitivity": float(decided[labels == 1].mean()),
        "specificity": float((~decided)[labels == 0].mean()),
        "ppv": float(labels[decided].mean()),
        "f1": float(f1_score(labels, decided)),
        "auc": float(roc_auc_score(labels, scores)),
    }


@pytest.mark.parametrize("seed", range(3))
def test_within_a_hundredth_where_only_inputs_move(seed: int) -> None:
    """Pilot and production of 20,000 rows, 64 cells: AUC within 0.01 of what labels show, from an uncalibrated score."""
    calibration = learn_calibration(*_world(seed, 20_000), thresholds=[0.0])
    labels, scores = _world(seed + 50, 20_000, inputs_by=0.4)
    estimate = estimate_performance(calibration, cell_rows(scores, calibration.edges), 0.0, seed=1, replicates=100)
    assert estimate.auc.estimate == pytest.approx(_realised(labels, scores)["auc"], abs=0.01)
    assert estimate.support_share > 0.99
    total = estimate.true_positives + estimate.false_positives + estimate.true_negatives + estimate.false_negatives
    assert total == pytest.approx(20_000)


def test_intervals_cover_what_labels_show() -> None:
    """60 shifted worlds of 2,000 rows: each figure is inside in 88 of 100 or more, so the pilot's noise is in."""
    hits = dict.fromkeys(_realised(*_world(0, 100)), 0)
    for seed in range(60):
        calibration = learn_calibration(*_world(seed, 2_000), thresholds=[0.0], cells=32)
        labels, scores = _world(seed + 500, 2_000, inputs_by=0.4)
        estimate = estimate_performance(
            calibration, cell_rows(scores, calibration.edges), 0.0, seed=seed, replicates=150
        )
        for name, value in _realised(labels, scores).items():
            interval = getattr(estimate, name)
            hits[name] += interval.lower <= value <= interval.upper
    assert min(hits.values()) >= 53, hits


def test_blind_spot_when_the_boundary_moves() -> None:
    """Inputs unchanged, outcome boundary moved: the estimate stays where the pilot was, labels show a clear loss."""
    calibration = learn_calibration(*_world(1, 20_000), thresholds=[0.0])
    labels, scores = _world(2, 20_000, boundary_by=1.4)
    estimate = estimate_performance(calibration, cell_rows(scores, calibration.edges), 0.0, seed=1, replicates=200)
    pilot, realised = _realised(*_world(1, 20_000)), _realised(labels, scores)
    assert estimate.accuracy.estimate == pytest.approx(pilot["accuracy"], abs=0.01)
    assert realised["accuracy"] < estimate.accuracy.lower - 0.03
    assert realised["ppv"] < estimate.ppv.lower - 0.1
    assert estimate.blind_spot == BLIND_SPOT
    assert "concept drift" in BLIND_SPOT


def test_histogram_says_what_the_rows_say() -> None:
    """A cell for each row: every figure equals the sums of probabilities over rows, the AUC that of expected pairs."""
    rng = np.random.default_rng(3)
    probability = np.sort(rng.random(200))
    figures = expected_figures(np.ones(200), probability, 120)
    above = probability[120:]
    assert figures.accuracy[0] == pytest.approx((above.sum() + (1 - probability[:120]).sum()) / 200)
    assert figures.ppv[0] == pytest.approx(above.mean())
    assert figures.sensitivity[0] == pytest.approx(above.sum() / probability.sum())
    pairs = np.outer(probability, 1 - probability)
    wins = np.tril(pairs, -1).sum() + np.trace(pairs) / 2
    assert figures.auc[0] == pytest.approx(wins / (probability.sum() * (1 - probability).sum()))
    hits = rng.integers(0, 2, 200).astype(float)
    drawn = expected_figures(np.ones(200), hits, 120)
    assert drawn.auc[0] == pytest.approx(roc_auc_score(hits, np.arange(200)))
    assert drawn.f1[0] == pytest.approx(f1_score(hits, np.arange(200) >= 120))


def test_scores_that_the_pilot_never_saw_leave_it_unknown() -> None:
    """Production far to the right: support is low and nothing is estimated; an empty window neither."""
    calibration = learn_calibration(*_world(1, 2_000), thresholds=[0.0])
    beyond = cell_rows(np.full(500, 5.0), calibration.edges)
    estimate = estimate_performance(calibration, beyond, 0.0, seed=1, replicates=100)
    assert estimate.support_share == 0.0
    assert not estimate.auc.known and not estimate.accuracy.known
    assert not estimate_performance(calibration, 0 * beyond, 0.0, seed=1, replicates=100).accuracy.known


def test_empty_cells_lie_between_neighbours() -> None:
    """Shares 0.5, 0.3, none, 0.9: the empty one is half way, and none is moved to make them rise."""
    counts = ([0.1, 0.2, 0.3], [10, 10, 0, 10], [5, 3, 0, 9])
    assert calibration_of_counts(*counts).probability == pytest.approx([0.5, 0.3, 0.6, 0.9])


def test_small_pilots_are_not_too_good() -> None:
    """Of 100 worlds, pilot of 1,000 rows in cells of 20: the realised AUC is below the interval in 5 % or fewer."""
    too_good = 0
    for seed in range(100):
        calibration = learn_calibration(*_world(seed, 1_000), thresholds=[0.0], cells=50)
        labels, scores = _world(seed + 900, 2_000)
        rows = cell_rows(scores, calibration.edges)
        auc = estimate_performance(calibration, rows, 0.0, seed=seed, replicates=100).auc
        too_good += auc.lower > roc_auc_score(labels, scores)
    assert too_good <= 5


def test_a_pilot_with_hardly_an_outcome_knows_nothing() -> None:
    """No positive, or four, of 200 leave every figure unknown; a fifth makes them known, and never certain."""
    edges, rows = [0.0, 0.5, 1.0], [0, 100, 100, 0]
    for positives, known in ((0, False), (4, False), (5, True)):
        calibration = calibration_of_counts(edges, rows, [0, 0, positives, 0])
        figures = estimate_performance(calibration, rows, 0.5, seed=1, replicates=100)
        assert figures.accuracy.known is figures.auc.known is known
    assert figures.specificity.upper > figures.specificity.lower
    assert figures.sensitivity.lower == pytest.approx(clopper_pearson(5, 5).lower)
    nobody = estimate_performance(calibration, rows, 1.0, seed=1, replicates=100)
    assert (nobody.sensitivity.estimate, nobody.ppv.known) == (0.0, False)


def test_clusters_widen_as_one_row_of_each_would() -> None:
    """Ten copies of 300 rows know as much as 300 rows; one row a cluster changes nothing; four clusters know nothing."""
    labels, scores = _world(5, 300)
    copies = np.repeat(np.arange(300), 10)

    def width(clusters: np.ndarray | None, of: np.ndarray) -> float:
        calibration = learn_calibration(labels[of], scores[of], thresholds=[0.0], cells=10, clusters=clusters)
        rows = cell_rows(_world(6, 100_000)[1], calibration.edges)
        figures = estimate_performance(calibration, rows, 0.0, seed=1, replicates=400, min_support_share=0.9)
        return figures.auc.upper - figures.auc.lower

    each = np.arange(300)
    plain = width(None, each)
    assert width(copies, copies) == pytest.approx(plain, rel=0.2)
    assert width(None, copies) < 0.5 * plain
    assert width(each, each) == plain
    four = learn_calibration(labels, scores, thresholds=[0.0], cells=4, clusters=np.arange(300) % 4)
    assert four.rarer == 4
    assert not estimate_performance(four, four.rows, 0.0, seed=1, replicates=100).auc.known


def test_nonsense_raises() -> None:
    """A threshold off the edges, counts that do not fit, scores that are not finite."""
    calibration = learn_calibration(*_world(1, 200), thresholds=[0.0], cells=8)
    rows = calibration.rows
    for call in (
        lambda: estimate_performance(calibration, rows, 0.123, seed=1),
        lambda: estimate_performance(calibration, rows, 9.0, seed=1),
        lambda: estimate_performance(calibration, rows[:-1], 0.0, seed=1),
        lambda: cell_rows([np.nan], calibration.edges),
        lambda: learn_calibration([0, 1], [0.1, np.inf], thresholds=[0.5]),
        lambda: learn_calibration([0, 1], [0.1, 0.2], thresholds=[0.5], clusters=[1]),
        lambda: calibration_of_counts([0.5], [1, 1], [2, 0]),
        lambda: calibration_of_counts([0.5], [0, 0], [0, 0]),
    ):
        with pytest.raises(ParameterError):
            call()
