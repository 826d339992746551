"""Slices: what counts as one, sizes, simultaneous levels, Holm's steps, false alarms and power of the search."""

import numpy as np
import pytest
from scipy.stats import beta

from roadworthy.base.errors import ParameterError
from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.measure.probing.slices import (
    SMALLEST_N,
    Condition,
    Slice,
    Standing,
    candidate_slices,
    measure_slices,
    search_slices,
)


def _world(seed: int, n: int = 1_200, bad: float = 0.0) -> tuple[Inputs, Sample]:
    """Right decisions in 93 % of rows; at site B with scanner z, a share ``bad`` of the scores is turned round."""
    rng = np.random.default_rng(seed)
    columns = make_inputs(
        {
            "site": rng.choice(list("ABCD"), n),
            "scanner": rng.choice(list("xyz"), n),
            "age": rng.normal(60, 10, n),
            "bmi": np.where(rng.random(n) < 0.15, np.nan, rng.normal(25, 4, n)),
        }
    )
    labels = (rng.random(n) < 0.4).astype(float)
    scores = 1 / (1 + np.exp(-(3 * (labels - 0.5) + rng.normal(size=n))))
    turned = (columns.column("site") == "B") & (columns.column("scanner") == "z") & (rng.random(n) < bad)
    return columns, Sample(labels=labels, scores=np.where(turned, 1 - scores, scores))


def _one(column: str, value: str | float) -> Slice:
    return Slice(conditions=(Condition(column=column, value=value),))


def test_search_keeps_its_promise_where_nothing_is_bad() -> None:
    """Over 20 worlds of some 95 measured slices each, at most a few report any slice as worse (5 % promised)."""
    reports = [search_slices(*_world(seed), Metric.ACCURACY) for seed in range(20)]
    assert min(len(report.figures) for report in reports) > 80
    assert sum(bool(report.worse) for report in reports) <= 3


def test_search_finds_the_slice_that_is_bad() -> None:
    """Power: 100 rows right in 60 % instead of 93 % are named first in at least nine worlds of ten."""
    firsts = []
    for seed in range(10):
        report = search_slices(*_world(100 + seed, bad=0.4), Metric.ACCURACY)
        firsts.append(str(report.worse[0].slice) if report.worse else "")
    assert sum(first == "site = B and scanner = z" for first in firsts) >= 9


@pytest.mark.parametrize("metric", [Metric.AUC, Metric.BRIER, Metric.SENSITIVITY, Metric.SPECIFICITY, Metric.PPV])
def test_every_metric_points_to_the_declared_bad_slice(metric: Metric) -> None:
    """Half of the scores turned round: worse by every metric; another slice is not."""
    columns, sample = _world(1, n=3_000, bad=0.5)
    bad = Slice(conditions=(Condition(column="site", value="B"), Condition(column="scanner", value="z")))
    report = measure_slices(columns, sample, [_one("site", "A"), bad], metric, tolerance=0.05)
    assert [row.slice for row in report.worse] == [bad]
    assert report.figures[0].slice == bad
    assert report.figures[0].shortfall.lower > 0.05
    assert report.figures[1].standing is Standing.NOT_WORSE


def test_sizes_count_what_the_figure_rests_on() -> None:
    """Sensitivity rests on positives; the AUC needs ten of both classes; a slice of nearly all rows has no rest."""
    columns, sample = _world(2)
    slices = [_one("site", "A"), Slice(conditions=(Condition(column="age", low=20.0),))]
    report = measure_slices(columns, sample, slices, Metric.SENSITIVITY)
    positives = int(sample.labels[columns.column("site") == "A"].sum())
    assert report.figures[0].figure.n == positives
    assert [(str(small.slice), small.n_elsewhere) for small in report.too_small] == [("20 <= age", 0)]
    rare = Sample(labels=np.where(np.cumsum(sample.labels) <= 25, sample.labels, 0), scores=sample.scores)
    assert measure_slices(columns, rare, slices[:1], Metric.AUC).figures == ()
    assert len(measure_slices(columns, rare, slices[:1], Metric.BRIER).figures) == 1


def test_smallest_n_is_a_border() -> None:
    """59 rows are measured, 58 are listed; 59 right ones show an error below 5 %, 58 do not."""
    n = 2 * SMALLEST_N - 1
    columns = make_inputs({"part": np.where(np.arange(n) < SMALLEST_N, "a", "b")})
    sample = Sample(labels=np.ones(n), scores=np.ones(n))
    report = measure_slices(columns, sample, [_one("part", "a")], Metric.ACCURACY)
    assert [(row.n, row.n_elsewhere) for row in report.too_small] == [(59, 58)]
    assert (
        measure_slices(columns, sample, [_one("part", "a")], Metric.ACCURACY, smallest_n=58).figures[0].figure.n == 59
    )
    assert 0.95**59 < 0.05 < 0.95**58


def test_intervals_are_exact_and_simultaneous() -> None:
    """Four sites: each interval is Clopper-Pearson's at 1 - 0.05 / 4."""
    columns, sample = _world(3)
    report = measure_slices(columns, sample, [_one("site", name) for name in "ABCD"], Metric.ACCURACY)
    assert report.level == pytest.approx(0.9875)
    there = report.figures[0].figure
    right = round(there.estimate * there.n)
    assert there.lower == pytest.approx(beta.ppf(0.00625, right, there.n - right + 1))
    gaps = [row.shortfall.estimate for row in report.figures]
    assert gaps == sorted(gaps, reverse=True)


def test_holm_reaches_further_than_bonferroni() -> None:
    """Four hopeless slices free their level for a fifth that Bonferroni alone would leave undecided."""
    part = np.repeat(list("abcdefgh"), 300)
    right = np.repeat([0.2, 0.2, 0.2, 0.2, None, 0.9, 0.9, 0.9], 300)

    def report(errors: int) -> object:
        wrong = np.zeros(2_400, dtype=bool)
        for k, share in enumerate(right[::300]):
            count = errors if share is None else round(300 * (1 - share))
            wrong[300 * k : 300 * k + count] = True
        sample = Sample(labels=np.ones(2_400), scores=(~wrong).astype(float))
        return measure_slices(
            make_inputs({"part": part}), sample, [_one("part", name) for name in "abcdefgh"], Metric.ACCURACY
        )

    gained = 0
    for errors in range(120, 200):
        fifth = next(row for row in report(errors).figures if str(row.slice) == "part = e")
        if fifth.standing is Standing.WORSE:
            gained += fifth.shortfall.lower <= 0
    assert gained >= 1


def test_tolerance_is_what_must_be_exceeded() -> None:
    """A shortfall of about 0.33 is worse by 0.1, undecided at 0.33, and not worse by 0.6."""
    columns, sample = _world(4, n=3_000, bad=0.4)
    bad = Slice(conditions=(Condition(column="site", value="B"), Condition(column="scanner", value="z")))
    standings = [
        measure_slices(columns, sample, [bad], Metric.ACCURACY, tolerance=tolerance).figures[0].standing
        for tolerance in (0.1, 0.33, 0.6)
    ]
    assert standings == [Standing.WORSE, Standing.CANNOT_TELL, Standing.NOT_WORSE]


def test_what_the_model_declined_stays_as_unknown() -> None:
    """A score that is NaN makes its slice unknown, listed last, and never fine."""
    columns, sample = _world(5)
    scores = sample.scores.copy()
    scores[np.flatnonzero(columns.column("site") == "C")[0]] = np.nan
    report = measure_slices(
        columns, Sample(labels=sample.labels, scores=scores), [_one("site", "C"), _one("site", "A")], Metric.ACCURACY
    )
    assert not report.figures[-1].shortfall.known
    assert {row.standing for row in report.figures} == {Standing.CANNOT_TELL}


def test_candidates_cover_every_row_of_every_column() -> None:
    """Values, quarters and missing part the rows of a column: each row is in exactly one."""
    columns, _ = _world(6)
    few = candidate_slices(make_inputs({"n": [1.0, 2.0, 1.0, np.nan]}), depth=1)
    assert [str(part) for part in few] == ["n missing", "n = 1", "n = 2"]
    single = candidate_slices(columns, depth=1)
    for name in columns.names:
        own = [part for part in single if part.conditions[0].column == name]
        assert (np.sum([part.rows(columns) for part in own], axis=0) == 1).all()
    assert len(single) == 4 + 3 + 4 + 5
    assert len(candidate_slices(columns)) == 16 + 4 * 3 + 7 * 4 + 7 * 5 + 4 * 5
    spiked = make_inputs({"zeros": np.where(np.arange(100) < 60, 0.0, np.arange(100))})
    assert [str(part) for part in candidate_slices(spiked, depth=1)] == ["zeros < 75", "75 <= zeros"]
    with pytest.raises(ParameterError):
        candidate_slices(columns, depth=3)


def test_conditions_read_values_of_any_kind() -> None:
    """Numbers by value, texts by text, nulls by neither, ranges with an open end."""
    columns = make_inputs({"n": [1.0, 2.0, np.nan], "t": np.array(["1", None, "x"], dtype=object)})
    assert Condition(column="n", value=2.0).rows(columns).tolist() == [False, True, False]
    assert Condition(column="t", value="1").rows(columns).tolist() == [True, False, False]
    assert Condition(column="t", missing=True).rows(columns).tolist() == [False, True, False]
    assert Condition(column="n", high=2.0).rows(columns).tolist() == [True, False, False]
    told = [Condition(column="n", value=2.0), Condition(column="n", missing=True), Condition(column="n", low=1, high=2)]
    assert [str(condition) for condition in told] == ["n = 2", "n missing", "1 <= n < 2"]
    with pytest.raises(ParameterError):
        Condition(column="t", low=1.0).rows(columns)
    with pytest.raises(ParameterError):
        Slice(conditions=()).rows(columns)


def test_rows_must_fit_and_be_independent() -> None:
    """Labels of other rows are refused, and so is a patient with two rows; one row each is fine."""
    columns, sample = _world(7, n=300)
    alone = Sample(labels=sample.labels, scores=sample.scores, clusters=np.arange(300))
    assert measure_slices(columns, alone, [_one("site", "A")], Metric.ACCURACY).figures
    with pytest.raises(ParameterError):
        measure_slices(
            columns,
            Sample(labels=sample.labels, scores=sample.scores, clusters=np.arange(300) // 2),
            [],
            Metric.AUC,
        )
    with pytest.raises(ParameterError):
        measure_slices(columns, Sample(labels=sample.labels[1:], scores=sample.scores[1:]), [], Metric.AUC)
