"""Agreement against scikit-learn, published values, real annotators and simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.agreement import Scale, cohens_kappa, krippendorff_alpha

_NONE = np.nan
# Four observers, twelve units: the worked example of Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).
_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _NONE, _NONE, _NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _NONE, 3],
        [_NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _NONE],
    ]
)


@pytest.mark.parametrize(
    ("scale", "published"), [(Scale.NOMINAL, 0.743), (Scale.ORDINAL, 0.815), (Scale.INTERVAL, 0.849)]
)
def test_alpha_equals_the_published_values(scale: Scale, published: float) -> None:
    """Missing judgements and the unit that only one observer judged included."""
    interval = krippendorff_alpha(_OBSERVERS, scale=scale, replicates=200)
    assert interval.estimate == pytest.approx(published, abs=5e-4)
    assert interval.n == 11
    assert interval.lower < interval.estimate <= interval.upper


def _judges(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, n)
    return first, np.where(rng.random(n) < 0.6, first, rng.integers(0, 3, n))


@pytest.mark.parametrize(
    ("scale", "weights"), [(Scale.NOMINAL, None), (Scale.ORDINAL, "linear"), (Scale.INTERVAL, "quadratic")]
)
def test_kappa_equals_sklearn_and_its_two_intervals_agree(scale: Scale, weights: str | None) -> None:
    """The point to the last digits; the large-sample interval and the resampled one to a few hundredths."""
    first, second = _judges(1)
    closed, drawn = (cohens_kappa(first, second, scale=scale, clusters=by) for by in (None, np.arange(150)))
    assert closed.estimate == pytest.approx(cohen_kappa_score(first, second, weights=weights))
    assert drawn.estimate == pytest.approx(closed.estimate)
    assert (closed.lower, closed.upper) == pytest.approx((drawn.lower, drawn.upper), abs=0.03)


def test_kappa_interval_covers() -> None:
    """The true kappa of these judges is 0.6."""
    hits = 0
    for seed in range(400):
        interval = cohens_kappa(*_judges(seed))
        hits += interval.lower <= 0.6 <= interval.upper
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize(("prevalence", "found", "left", "n"), [(0.5, 0.95, 0.98, 100), (0.1, 0.7, 0.98, 100)])
def test_the_lower_end_is_not_too_good(prevalence: float, found: float, left: float, n: int) -> None:
    """High agreement, and a rare class: a symmetric interval starts above the truth in 7 to 10 of 100 samples."""
    rng = np.random.default_rng(7)
    first = rng.random((500, n)) < prevalence
    second = rng.random((500, n)) < np.where(first, found, 1 - left)
    marked = prevalence * found + (1 - prevalence) * (1 - left)
    chance = prevalence * marked + (1 - prevalence) * (1 - marked)
    truth = (prevalence * found + (1 - prevalence) * left - chance) / (1 - chance)
    high = sum(cohens_kappa(one, two).lower > truth for one, two in zip(first, second, strict=True))
    assert high / 500 <= 0.04


def test_few_clusters_are_not_too_good() -> None:
    """Ten documents of ten units, the judge poor on some: the percentile alone starts above the truth in 18 of 100."""
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(10), 10)
    high = 0
    for seed in range(25):
        first = rng.random(100) < 0.5
        wrong = rng.random(100) < np.where(rng.random(10) < 0.1, 0.4, 0.055)[clusters]
        # Even margins make chance agreement one half, and 1 - kappa twice the share of wrong judgements.
        truth = 1 - 2 * (0.1 * 0.4 + 0.9 * 0.055)
        high += cohens_kappa(first, first ^ wrong, clusters=clusters, seed=seed).lower > truth
    assert high / 25 <= 0.05


def test_a_constant_judge_is_unknown() -> None:
    """A judge who says the same of everything has a kappa of 0 by arithmetic, not by measurement."""
    other = np.arange(30) % 3 == 0
    for one, two in ((np.zeros(30), other), (other, np.ones(30))):
        assert not cohens_kappa(one, two).known
        assert not cohens_kappa(one, two, clusters=np.arange(30) // 2).known
    assert not cohens_kappa([1, 0, 1], [1, 0, 0], clusters=[4, 4, 4]).known


def test_full_agreement_is_not_certainty_and_one_value_says_nothing() -> None:
    """Forty units without a disagreement leave room below one; a single category is unknown."""
    values = np.arange(40) % 2
    for interval in (
        cohens_kappa(values, values),
        cohens_kappa(values, values, clusters=np.arange(40)),
        krippendorff_alpha([values, values]),
    ):
        assert interval.estimate == interval.upper == 1.0
        assert 0.75 < interval.lower < 0.9
    assert not cohens_kappa(["yes"] * 5, ["yes"] * 5).known
    assert not krippendorff_alpha([[1, 1], [1, 1]]).known
    assert not krippendorff_alpha(np.full((2, 3), np.nan)).known
    assert cohens_kappa(["a", "b"] * 20, ["b", "a"] * 20).estimate == -1.0


def test_two_judges_without_gaps_nearly_share_one_figure() -> None:
    """Alpha and kappa differ by a small-sample term only, and clusters of units widen alpha's interval."""
    first, second = _judges(4, 400)
    alpha = krippendorff_alpha([first, second], replicates=300)
    assert alpha.estimate == pytest.approx(cohens_kappa(first, second).estimate, abs=0.005)
    copies = np.repeat(np.arange(100), 4)
    repeated = krippendorff_alpha([first[copies], second[copies]], clusters=copies, replicates=300)
    assert repeated.n == 100
    assert repeated.upper - repeated.lower > 1.7 * (alpha.upper - alpha.lower)


def test_real_annotators(shared_data: Path) -> None:
    """PubMedQA: two annotators of the same 1,000 abstracts, with the figures known for them."""
    items = json.loads((shared_data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8")).values()
    free, given = ([item[key] for item in items] for key in ("reasoning_free_pred", "reasoning_required_pred"))
    interval = cohens_kappa(free, given)
    assert np.mean(np.array(free) == np.array(given)) == pytest.approx(0.701, abs=5e-4)
    assert interval.estimate == pytest.approx(0.457, abs=5e-4)
    assert interval.lower > 0.40


def test_nonsense_raises() -> None:
    """Shapes that differ, a flat list, clusters of another length."""
    for call in (
        lambda: cohens_kappa([1, 2], [1]),
        lambda: krippendorff_alpha([1, 2, 3]),
        lambda: krippendorff_alpha([[1, 2], [1, 2]], clusters=[1]),
        lambda: krippendorff_alpha([[1, 2], [1, 2]], replicates=5),
    ):
        with pytest.raises(ParameterError):
            call()
