"""Drift of inputs opens investigations and fails nothing; the alarm on it is fired on purpose."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.drift.alarm import LABEL, SCORE, AlarmCheck, _scales
from roadworthy.checks.drift.inputs import InputsCheck
from roadworthy.measure.probing.inputs import make_inputs
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.accumulators import Cells, Special, Values
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import fit
from roadworthy.measure.volume.scan import scan

RNG = np.random.default_rng(4)


def test_what_moved_is_a_finding_and_decides_nothing(case, figure):
    """Another law of one input, and all inputs compared: the deciding figure is nil."""
    case.add("pilot", {"a": RNG.normal(size=600), "b": RNG.normal(size=600)}, features=("a", "b"))
    case.add("production", {"a": RNG.normal(2.0, 1.0, 600), "b": RNG.normal(size=600)}, features=("a", "b"))
    seen, findings = case.observe(InputsCheck())
    assert figure(seen, "inputs_not_compared").upper == 0
    assert figure(seen, "inputs_drifted").estimate == 1
    assert figure(seen, "worst_severity").lower > 0.2
    assert figure(seen, "two_sample_auc").lower > 0.8
    (finding,) = findings
    assert finding.startswith("a moved: PSI")
    assert "proves no harm" in finding


def test_too_few_rows_leave_it_open(case, figure):
    """Nobody can tell, so the bound is neither met nor missed, and the rows that would tell are named."""
    case.add("pilot", {"a": RNG.normal(size=60)}, features=("a",))
    case.add("production", {"a": RNG.normal(size=60)}, features=("a",))
    seen, findings = case.observe(InputsCheck())
    interval = figure(seen, "inputs_not_compared")
    assert (interval.lower, interval.upper) == (0, 1)
    assert findings == ["Whether a moved by more than 0.2 cannot be told from these rows."]
    (finding,) = InputsCheck().explain(seen)
    assert "rows of" in finding.remedy
    seen.facts["inputs"][0]["rows needed"] = None
    assert InputsCheck().explain(seen)[0].remedy == "Gather more rows of both sets."


def test_inputs_that_move_only_together_are_seen(case):
    """Each input alone keeps its law, and their product gives production away."""
    first, second = RNG.normal(size=900), RNG.normal(size=900)
    case.add("pilot", {"a": RNG.normal(size=900), "b": RNG.normal(size=900)}, features=("a", "b"))
    case.add("production", {"a": first, "b": 0.95 * first + 0.3 * second}, features=("a", "b"))
    _, findings = case.observe(InputsCheck())
    assert len(findings) == 1
    assert "together they tell production from the pilot" in findings[0]


@pytest.mark.parametrize("both", [True, False])
def test_rows_of_one_patient_do_not_tell_production_from_the_pilot(case, figure, both):
    """Thirty patients of twenty rows on each side, all of one law: a row recognises its patient, a patient nothing."""

    def patients():
        usual = RNG.normal(size=(30, 2)).repeat(20, axis=0) + RNG.normal(size=(600, 2)) / 4
        return {"a": usual[:, 0], "b": usual[:, 1]}

    who = [row // 20 for row in range(600)]
    case.add("pilot", patients() | {"who": who}, features=("a", "b"), cluster="who")
    after = {"who": [30 + each for each in who]} if both else {}
    case.add("production", patients() | after, features=("a", "b"), **({"cluster": "who"} if both else {}))
    seen, _ = case.observe(InputsCheck())
    assert seen.facts["told apart"]["rows"] == (60 if both else 630)
    assert figure(seen, "two_sample_auc").lower < 0.6


def test_a_set_that_is_not_declared_is_asked_for(case):
    """Without production there is nothing to compare."""
    case.add("pilot", {"a": RNG.normal(size=60)}, features=("a",))
    with pytest.raises(ManifestError, match="production"):
        case.observe(InputsCheck())


def test_cells_are_those_of_the_measuring_engine():
    """Rows are counted as a monitor counts them: nulls, unseen values and edges alike."""
    age = np.concatenate([RNG.normal(size=200), [np.nan] * 7])
    site = np.asarray(["x"] * 120 + ["y"] * 80 + [None] * 7, dtype=object)
    columns = make_inputs({"age": age, "site": site})
    table = from_arrow(pa.table({"age": pa.array(age, from_pandas=True), "site": pa.array(site)}), "rows")
    reference, scales = fit(table), _scales(columns)
    state = scan(profile_plan(reference), table)
    edges = next(item.edges for item in reference.numbers)
    cells = np.bincount(scales["age"].codes(age), minlength=scales["age"].cells)
    assert tuple(cells[:-1]) == state.result(Cells(column="age", edges=edges))
    assert cells[-1] == state.result(Special(column="age"))[0] == 7
    known = next(item.known for item in reference.values)
    told = np.bincount(scales["site"].codes(site), minlength=scales["site"].cells)
    assert tuple(told[:-1]) == state.result(Values(column="site", known=known))
    assert told[-1] == 7
    assert scales["site"].codes(np.asarray(["z"], dtype=object))[0] == scales["site"].cells - 2


def labelled(rows):
    """Inputs of three kinds and an outcome."""
    return {
        "age": RNG.normal(size=rows),
        "grade": RNG.integers(1, 4, rows).astype(np.float64),
        "site": ["x" if row % 3 else "y" for row in range(rows)],
        "ill": [row % 2 for row in range(rows)],
    }


def test_planted_shifts_are_found_in_every_column(case, figure):
    """A pilot of 500 rows shows a shift of one standard deviation, lost values, other outcomes and other scores."""
    case.add("pilot", labelled(500), features=("age", "grade", "site"), label="ill")
    case.answer(lambda row: 1 / (1 + np.exp(-row["age"])))
    seen, findings = case.observe(AlarmCheck())
    assert figure(seen, "detected_share").estimate == 1.0
    assert figure(seen, "false_alarm_share").upper < 0.05
    assert findings == []
    assert {row["column"] for row in seen.facts["planted"]} == {"age", "grade", "site", LABEL, SCORE}


def test_rows_that_hang_together_raise_false_alarms(case):
    """The finding that says so; one false alarm in 20 windows is within the promise."""
    case.add("pilot", labelled(120), features=("age",), label="ill")
    case.answer(lambda row: 1 / (1 + np.exp(-row["age"])))
    seen, _ = case.observe(AlarmCheck(), quiet_windows=20, planted=5)
    alarming = replace(seen, facts={**seen.facts, "planted": [], "false alarms": 9})
    assert AlarmCheck().explain(alarming)[0].what.startswith("9 of 20 windows without a shift")
    assert AlarmCheck().explain(replace(alarming, facts={**alarming.facts, "false alarms": 1})) == ()


def test_it_stops_when_it_is_asked_to(case, figure):
    """After one window of each kind."""
    case.add("pilot", labelled(200), features=("age",), label="ill")
    case.answer(lambda row: 1 / (1 + np.exp(-row["age"])))
    seen, _ = case.observe(AlarmCheck(), cancelled=True)
    assert figure(seen, "detected_share").n == 1
