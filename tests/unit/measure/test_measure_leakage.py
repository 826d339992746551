"""Every kind of leak, planted and found; clean data draw no finding."""

from pathlib import Path

import numpy as np
import pytest
from probing_worlds import hospitals

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.measure.probing.leakage import (
    Leak,
    find_conflicts,
    find_known_too_late,
    find_overlap,
    find_row_order,
    find_shared_groups,
    find_target_leaks,
)

LIFE = ("referral", "scan", "decision", "biopsy", "discharge")


def _clean(seed: int, n: int = 300) -> tuple[Inputs, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(float)
    columns = {
        "key": np.arange(n) + 1_000 * seed,
        "size": labels + rng.normal(size=n),
        "note": rng.choice(["Left", "right "], n).astype(object),
        "dose": rng.gamma(2.0, 10.0, n),
    }
    return make_inputs(columns), labels


def test_what_is_known_after_the_decision_is_named() -> None:
    """Before and at the decision is in time; after it, or undeclared, is a finding; a strange word is an error."""
    known_at = {"age": "referral", "lesion": "scan", "call": "decision", "pathology": "biopsy", "stay": ""}
    found = find_known_too_late(known_at, [*known_at, "room"], instants=LIFE, decision="decision")
    assert [(one.leak, one.columns) for one in found] == [
        (Leak.KNOWN_TOO_LATE, ("pathology",)),
        (Leak.UNDECLARED, ("stay",)),
        (Leak.UNDECLARED, ("room",)),
    ]
    assert "biopsy" in found[0].what
    assert all(one.remedy for one in found)
    assert find_known_too_late({"age": "scan", "idle": "autopsy"}, ["age"], instants=LIFE, decision="decision") == ()
    for instants, decision in ((LIFE[:3], "decision"), (LIFE, "verdict"), ((*LIFE, "scan"), "decision")):
        with pytest.raises(ContractError):
            find_known_too_late(known_at, ["age", "pathology"], instants=instants, decision=decision)


def test_inputs_that_give_the_label_away_are_suspect() -> None:
    """A copy with noise, a code for each outcome, a field only filled afterwards, a band in the middle."""
    inputs, labels = _clean(1, n=600)
    rng = np.random.default_rng(2)
    codes = np.where(labels == 1, rng.integers(0, 40, 600), rng.integers(40, 80, 600))
    planted = {
        "copy": labels + 0.1 * rng.normal(size=600),
        "code": np.array([f"C{code:02}" for code in codes], dtype=object),
        "stage": np.where(labels == 1, rng.normal(size=600), np.nan),
        "band": np.where(labels == 1, rng.uniform(-1, 1, 600), rng.choice([-3, 3], 600) + rng.uniform(-1, 1, 600)),
    }
    report = find_target_leaks(make_inputs({**inputs.columns, **planted}), labels, seed=1)
    assert {one.columns[0] for one in report.findings} == set(planted)
    assert all(one.leak is Leak.TARGET for one in report.findings)
    shares = {row.column: row.explained_share for row in report.tells}
    assert shares["stage"] > 0.9
    assert shares["size"] < 0.3


def test_honest_inputs_and_keys_are_not() -> None:
    """A key of its own for each row determines the label, and tells nothing; nor do texts that never repeat."""
    inputs, labels = _clean(3)
    names = np.array([f"patient {k}" for k in range(300)], dtype=object)
    report = find_target_leaks(
        make_inputs({**inputs.columns, "name": names, "empty": np.full(300, np.nan)}), labels, seed=1
    )
    assert report.findings == ()
    tells = {row.column: row for row in report.tells}
    assert tells["name"].auc.estimate == pytest.approx(0.5)
    assert tells["name"].explained_share == pytest.approx(0.0, abs=0.02)
    few = find_target_leaks(make_inputs({"copy": labels[:20]}), labels[:20], seed=1)
    assert few.findings == ()
    assert not few.tells[0].auc.known


def test_no_input_of_the_hospitals_is_suspect(shared_data: Path) -> None:
    """Real inputs: the chest pain type and the exercise tests lead, none gives the label away."""
    inputs, labels, _ = hospitals(shared_data)
    report = find_target_leaks(inputs, labels, seed=1)
    assert report.findings == ()
    assert {row.column for row in report.tells[:4]} & {"cp", "exang", "oldpeak"}


def test_files_sorted_by_outcome_are_found() -> None:
    """Sorted, and sorted in blocks, is found; shuffled is not."""
    _, labels = _clean(4, n=600)
    for order in (np.sort(labels), np.concatenate([np.sort(labels[:300]), np.sort(labels[300:])])):
        auc, found = find_row_order(order, seed=1)
        assert auc.lower > 0.8
        assert [one.leak for one in found] == [Leak.ROW_ORDER]
    auc, found = find_row_order(labels, seed=1)
    assert auc.lower < 0.6
    assert found == ()


def test_rows_on_both_sides_are_found_in_three_senses() -> None:
    """Five exact, four with a new key, three with other spelling and digits; each is counted once."""
    train, _ = _clean(5)
    test, _ = _clean(6)
    columns = {name: test.column(name).copy() for name in test.names}
    for name in train.names:
        columns[name][:12] = train.column(name)[100:112]
    columns["key"][5:12] = -np.arange(7)
    columns["note"][9:12] = [f" {text.upper()}." for text in columns["note"][9:12]]
    columns["dose"][9:12] *= 1 + 1e-9
    found = find_overlap(train, make_inputs(columns), keys=["key"])
    assert [(one.leak, one.count, one.rows) for one in found] == [
        (Leak.SAME_ROW, 5, (0, 1, 2, 3, 4)),
        (Leak.SAME_BUT_KEY, 4, (5, 6, 7, 8)),
        (Leak.NEAR_ROW, 3, (9, 10, 11)),
    ]
    assert "key" in found[0].columns
    assert "key" not in found[1].columns
    assert "0 of 300 training rows" in found[1].what
    assert find_overlap(train, test, keys=["key"]) == ()


def test_numbers_are_equal_however_they_are_stored() -> None:
    """An integer column meets one of floats; zero has one sign; null meets null; large integers keep their digits."""
    train = make_inputs({"a": np.array([1, 2, 2**53 + 1]), "b": np.array([0.0, np.nan, 1.5])})
    test = make_inputs({"a": np.array([1.0, 2.0, 2.0**53]), "b": np.array([-0.0, np.nan, 1.5])})
    (found,) = (one for one in find_overlap(train, test) if one.leak is Leak.SAME_ROW)
    assert found.rows == (0, 1)
    endless = make_inputs({"a": [np.inf, -np.inf]})
    assert find_overlap(endless, endless)[0].count == 2


def test_one_patient_on_both_sides_is_found() -> None:
    """Groups are compared as text; a null is nobody."""
    train = np.array(["p1", "p2", None, "p3"], dtype=object)
    (found,) = find_shared_groups(train, np.array(["p9", "p2", None, "p2"], dtype=object), column="patient")
    assert (found.leak, found.count, found.rows) == (Leak.GROUP, 2, (1, 3))
    assert "1 values of patient" in found.what
    assert find_shared_groups(train, np.array(["p9", None], dtype=object), column="patient") == ()


def test_equal_rows_with_different_labels_are_found() -> None:
    """Keys do not make rows different; equal rows with equal labels are no conflict; 20 rows are listed of 50."""
    inputs = make_inputs({"key": np.arange(4), "x": [1.0, 1.0, 2.0, 2.0]})
    (found,) = find_conflicts(inputs, [0, 1, 1, 1], keys=["key"])
    assert (found.count, found.rows, found.columns) == (2, (0, 1), ("x",))
    assert find_conflicts(inputs, [0, 1, 1, 1]) == ()
    (many,) = find_conflicts(make_inputs({"x": np.ones(50)}), np.arange(50) % 2)
    assert (many.count, len(many.rows)) == (50, 20)


def test_refusals_name_what_is_wrong() -> None:
    """Other columns on the other side, a key that is not there, nothing but keys."""
    train, _ = _clean(7, n=20)
    with pytest.raises(ParameterError):
        find_overlap(train, train.only(["key", "size"]))
    with pytest.raises(ParameterError):
        find_overlap(train.only(["size"]), train)
    with pytest.raises(ParameterError):
        find_overlap(train, train, keys=["patient"])
    with pytest.raises(ParameterError):
        find_overlap(train, train, keys=train.names)
