"""Slices of production: named ones must show that they are not behind, searched ones can only accuse."""

import numpy as np
import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.slices.worst import WorstSliceCheck, _search
from roadworthy.kit.check import Run
from roadworthy.measure.delta import Metric

RNG = np.random.default_rng(6)


def prepare(case, *, rows=800, sites=("x", "y"), blind=lambda columns: np.zeros(len(columns["age"]), bool), **declared):
    """Scores that know the outcome, and are wrong for the rows that are named blind."""
    columns = {
        "age": RNG.uniform(20, 80, rows),
        "ill": [float(row % 2) for row in range(rows)],
        "site": [sites[row // 2 % len(sites)] for row in range(rows)],
    }
    wrong = blind({name: np.asarray(values) for name, values in columns.items()})
    outcome = np.asarray(columns["ill"])
    columns["told"] = np.where(wrong, 1 - outcome, outcome) * 0.8 + RNG.uniform(0, 0.2, rows)
    columns |= declared.pop("more", {})
    case.add("production", columns, **({"cohort": "site", "features": ("told", "age"), "label": "ill"} | declared))
    case.answer(lambda row: row["told"])


def test_sites_that_do_alike_meet_the_bound(case, figure):
    """Upper end within the margin, nothing found."""
    prepare(case)
    seen, findings = case.observe(WorstSliceCheck())
    assert figure(seen, "worst_slice_gap").upper < 0.05
    assert figure(seen, "searched_slices_behind").upper == 0
    assert findings == []


def test_a_site_that_is_behind_is_named(case, figure):
    """Scores on the wrong side for a third of one site."""
    prepare(case, blind=lambda c: (c["site"] == "y") & (c["age"] < 40))
    seen, findings = case.observe(WorstSliceCheck())
    assert figure(seen, "worst_slice_gap").lower > 0.05
    assert findings[0].startswith("site = y is behind the rest in AUC")
    assert any(finding.startswith("The search found") for finding in findings)


def test_a_site_with_few_rows_keeps_the_bound_from_being_met(case, figure):
    """One that nobody labelled does so too, and both are named."""
    labels = [float(row % 2) for row in range(800)]
    for row in range(0, 800, 4):
        labels[row] = labels[row + 1] = None
    sites = [("unlabelled" if labels[row] is None else "small" if row < 60 else "x") for row in range(800)]
    prepare(case, more={"site": sites, "ill": labels})
    seen, findings = case.observe(WorstSliceCheck())
    assert figure(seen, "worst_slice_gap").upper == 1.0
    assert any(each.startswith("site = small cannot be measured with") for each in findings)
    assert any(each.startswith("cohort unlabelled cannot be measured with 0 rows") for each in findings)


def test_one_row_of_each_patient_counts(case):
    """The others would only seem to add knowledge."""
    more = {"patient": [f"p{row % 400}" for row in range(1_600)]}
    prepare(case, rows=1_600, cluster="patient", more=more)
    seen, _ = case.observe(WorstSliceCheck())
    assert (seen.facts["rows"], seen.facts["rows of clusters already seen"]) == (400, 1_200)


def test_a_search_without_a_slice_large_enough_clears_nothing(case, figure):
    """A hundred rows hold no slice of 59 with as many elsewhere: how many are behind is unknown."""
    prepare(case, rows=100)
    seen, findings = case.observe(WorstSliceCheck())
    assert seen.facts["searched"] == 0
    assert not figure(seen, "searched_slices_behind").known
    assert any(finding.startswith("The search measured no slice: none of") for finding in findings)


@pytest.mark.parametrize("declared", [{"cohort": None}, {}])
def test_without_slices_there_is_nothing_to_compare(case, declared):
    """No column is named, or it holds one value."""
    prepare(case, sites=("x",), **declared)
    with pytest.raises(ManifestError, match="No column tells the slices"):
        case.observe(WorstSliceCheck())


def test_a_wide_search_looks_at_one_column_at_a_time_and_at_some_rows(case):
    """So that its cost is bounded whatever the table."""
    names = tuple(f"c{number}" for number in range(20))
    more = {name: RNG.normal(size=6_000) for name in names}
    prepare(case, rows=6_000, more=more, features=("told", "age", *names), acquisition=("age",))
    check = WorstSliceCheck()
    with check.subject(case.context()) as subject:
        run = Run(at=case.context().at, seed=1, cancelled=bool)
        report, depth = _search(subject, Metric.AUC, check.params(), run)
    assert depth == 1
    assert report.whole.n == 5_000
    assert set(subject.named.names) == {"site", "age"}


@pytest.mark.parametrize("answer", [0.5, None])
def test_scores_that_are_all_alike_or_missing_tell_no_slice(case, figure, answer):
    """Every slice is as good as the rest, which is no news."""
    prepare(case)
    case.answer(lambda row: answer)
    seen, findings = case.observe(WorstSliceCheck())
    assert not figure(seen, "worst_slice_gap").known
    assert not figure(seen, "searched_slices_behind").known
    assert findings[0].startswith("All scores are alike or missing")


def test_declined_rows_of_the_rest_leave_room(case, figure):
    """As many on both sides look alike, and may hide a gap; one in a hundred leaves room for little."""
    prepare(case, rows=1_600)
    case.answer(lambda row: None if row["age"] > 60 else row["told"])
    seen, findings = case.observe(WorstSliceCheck())
    gap = figure(seen, "worst_slice_gap")
    assert gap.estimate < 0.1
    assert gap.upper > 0.5
    assert any("declines" in each for each in findings)
    case.answer(lambda row: None if row["age"] > 79.9 else row["told"])
    assert figure(case.observe(WorstSliceCheck())[0], "worst_slice_gap").upper < 0.1
