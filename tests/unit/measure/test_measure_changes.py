"""Two versions of a data set: rows, columns, cells, codes, units and filled gaps are named, on real data too."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.passport.change_signs import Pair, signs_of_counts, signs_of_pairs
from roadworthy.measure.passport.changes import ChangeReport, CodeCount, compare_versions
from roadworthy.measure.table import ROW, Table, from_arrow, open_table
from roadworthy.measure.xport import open_xport

HEART = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach",
    "exang", "oldpeak", "slope", "ca", "thal", "num",
)  # fmt: skip


def _table(**columns: object) -> Table:
    return from_arrow(pa.table(columns), "t")


def _heart(folder: Path, which: str, site: str, *, header: bool = False) -> Table:
    path = folder / "heart_uci_4sites" / f"{which}.processed.{site}.data"
    return open_table(path, names=HEART, header=header, null_texts=("", "?"))


def test_the_same_content_is_the_same() -> None:
    """Other storage, other order, nothing to say."""
    report = compare_versions(_table(a=[1, 2], b=["x", "y"]), _table(b=["y", "x"], a=[2.0, 1.0]))
    assert report.same
    assert report.lines() == ("The same 2 rows in 2 columns.",)
    assert (report.rows_added, report.rows_removed, report.columns) == (0, 0, ())


def test_rows_and_cells_by_key() -> None:
    """Added, removed and changed rows; which cells, from what to what; null keys pair; groups are counted."""
    before = _table(k=["a", "b", "c", None], v=[1, 2, 3, 4], g=["x", "x", "y", "y"])
    after = _table(k=["b", "c", None, "d"], v=[2, 30, 4, 5], g=["x", "y", "y", None])
    report = compare_versions(before, after, key=["k"], groups=["g"])
    assert (report.rows_removed, report.rows_added, report.rows_changed) == (1, 1, 1)
    (change,) = [item for item in report.columns if item.cells]
    assert (change.name, change.cells, change.pairs) == ("v", 1, (Pair(before="3", after="30", count=1),))
    assert change.codes_new == (CodeCount(code="30", count=1), CodeCount(code="5", count=1))
    assert [(item.group, item.before, item.after) for item in report.groups] == [(("x",), 2, 1), (("null",), 0, 1)]
    text = "\n".join(report.lines())
    assert "4 rows became 4 (by k): 1 removed, 1 added, 1 changed." in text
    assert "v: 1 cells changed: 3 became 30 (1). New: 30 (1), 5 (1). Gone: 1 (1), 3 (1)." in text
    assert "g null: 0 rows became 1." in text


def test_rows_as_multisets() -> None:
    """A row that occurs twice counts twice."""
    report = compare_versions(_table(a=[1, 1, 1, 2]), _table(a=[1, 2, 2, 3]))
    assert (report.rows_removed, report.rows_added, report.rows_changed) == (2, 2, None)
    assert "as multisets" in report.lines()[0]


def test_columns_added_removed_renamed_and_retyped() -> None:
    """A renamed column is recognised by its values; numbers that became text are named."""
    before = _table(k=[1, 2, 3], sex=["M", "F", "M"], old=[7, 8, 9], v=[1, 2, 3])
    after = _table(k=[1, 2, 3], gender=["M", "F", "M"], new=[0, 0, 1], v=["1", "2", "three"])
    report = compare_versions(before, after, key=["k"])
    assert report.columns_renamed == (("sex", "gender"),)
    assert (report.columns_removed, report.columns_added) == (("old", "sex"), ("gender", "new"))
    change = report.column("v")
    assert change and (change.type_before, change.type_after) == ("number", "text")
    assert report.column("k") is None
    text = "\n".join(report.lines())
    assert "Column sex is now called gender." in text
    assert "Columns removed: old." in text
    assert "Columns added: new." in text
    assert "v: number became text." in text


@pytest.mark.parametrize(
    ("old", "new", "sign"),
    [
        (["a ", "B", "c"], ["A", "b", "C"], "3 texts differ only by case or blanks."),
        (["M", "F", "M"], ["1", "2", "1"], "Codes were renamed one to one: M to 1, F to 2."),
        ([170, 180, 165], [66.929, 70.866, 64.961], "as between two units (factor 0.393701)"),
        ([10, 20, 30], [30, 60, 90], "3 numbers became about 3 times as large."),
        ([1, 2, 3], [6, 7, 8], "3 numbers moved by +5."),
        ([None, None, None], [0, 0, 0], "3 nulls became 0: it may stand for a missing value."),
        ([9, 9, 9], [None, None, None], "3 cells that held 9 became null."),
        ([1, 2, 3], [2, 9, 4], ""),
        (["a", "b", "c"], ["x", "x", "y"], ""),
        ([None, None, None], [1, 2, 3], ""),
    ],
)
def test_signs_by_key(old: list[object], new: list[object], sign: str) -> None:
    """Each pattern is named; without a pattern nothing is."""
    keys = list(range(3))
    report = compare_versions(_table(k=keys, v=old), _table(k=keys, v=new), key=["k"])
    change = report.column("v")
    assert change is not None
    if sign:
        assert sign in change.signs[0]
    else:
        assert change.signs == ()


def test_many_codes_are_cut_in_the_sentence() -> None:
    """The first five pairs, and that there are more."""
    pairs = [Pair(before=f"o{k}", after=f"n{k}", count=2) for k in range(7)]
    assert signs_of_pairs(pairs)[0].endswith("o4 to n4 and more.")


def test_signs_without_a_key() -> None:
    """Nulls that one value replaced, and quartiles that moved together; noise is not named."""
    assert signs_of_counts({None: 10, "1": 5}, {"0": 10, "1": 5}) == (
        "10 nulls became 0: it may stand for a missing value.",
    )
    assert signs_of_counts({"-9": 10, "1": 5}, {None: 10, "1": 5}) == ("10 cells that held -9 became null.",)
    heights = np.random.default_rng(5).normal(170, 10, 400)
    inches = {str(value): 1 for value in heights / 2.54}
    signs = signs_of_counts({str(value): 1 for value in heights}, inches)
    assert "factor 0.393701" in signs[0]
    assert signs_of_counts({str(value): 1 for value in heights}, {str(value + 1): 1 for value in heights}) == ()
    assert signs_of_counts({"a": 1}, {"b": 1}) == ()
    assert signs_of_counts({"1": 2}, {"1": 2, "2": 1}) == ()


def test_what_cannot_be_paired_is_refused() -> None:
    """Repeated keys, unknown columns, and positions in versions of different length."""
    one, two = _table(k=[1, 1], v=[1, 2]), _table(k=[1, 2, 3], v=[1, 2, 3])
    with pytest.raises(ParameterError, match="repeats 1 times in the version before"):
        compare_versions(one, two, key=["k"])
    with pytest.raises(ParameterError, match="different numbers of rows"):
        compare_versions(one, two, key=[ROW])
    with pytest.raises(ContractError, match="'site'"):
        compare_versions(one, two, groups=["site"])


def test_a_key_alone_and_nothing_shared() -> None:
    """No other column can differ; without a shared column every row is only here or there."""
    report = compare_versions(_table(k=[1, 2, 3, 4, 5]), _table(k=[1]), key=["k"])
    assert (report.rows_removed, report.rows_changed, report.removed_rows) == (4, 0, ())
    nothing = compare_versions(_table(a=[1]), _table(b=[2]))
    assert (nothing.columns_removed, nothing.columns_added) == (("a",), ("b",))


@pytest.fixture(scope="module")
def events(shared_data: Path) -> ChangeReport:
    folder = shared_data / "sdtm_cdiscpilot"
    before, after = open_xport(folder / "v1_cdiscpilot01_ae.xpt"), open_xport(folder / "v2_updated_ae.xpt")
    return compare_versions(before, after, key=("USUBJID", "AESEQ"), groups=("AESER",))


def test_the_pilots_adverse_events(events: ChangeReport) -> None:
    """1,191 rows became 961: each of the 230 that went is an unresolved record of an event that was kept."""
    assert (events.before.rows, events.after.rows) == (1191, 961)
    assert (events.rows_removed, events.rows_added, events.rows_changed) == (230, 0, 1)
    assert (events.columns_added, events.columns_removed) == (("AEDY", "EPOCH"), ())
    assert [change.name for change in events.columns] == ["AESTDY"]
    assert events.columns[0].pairs == (Pair(before="366", after="1", count=1),)
    code, twins = events.removed_rows
    assert code == "230 of 230 removed rows have AEOUT NOT RECOVERED/NOT RESOLVED, as 723 of 1,191 rows had."
    assert twins.startswith("230 of 230 removed rows have a twin that was kept: the same USUBJID, ")
    assert twins.endswith("other only in some of AEDTC, AEOUT, AESEQ, AESEV, AESPID.")
    assert [(item.group, item.before, item.after) for item in events.groups] == [(("N",), 1188, 958)]


def test_the_altered_copies_of_the_heart_data(shared_data: Path) -> None:
    """Hungary's gaps became 0, by position and as multisets; in Long Beach they became -9 and a header became a row."""
    before, after = (_heart(shared_data, which, "hungarian") for which in ("canonical", "altered_copy"))
    reports = [compare_versions(before, after, key=key) for key in ((ROW,), ())]
    for report in reports:
        signs = {change.name: change.signs[0].split(":")[0] for change in report.columns if change.signs}
        assert signs == {
            "ca": "291 nulls became 0",
            "chol": "23 nulls became 0",
            "fbs": "8 nulls became 0",
            "slope": "190 nulls became 0",
            "thal": "266 nulls became 0",
        }
    assert sum(change.cells or 0 for change in reports[0].columns) == 782
    va = compare_versions(
        _heart(shared_data, "canonical", "va"), _heart(shared_data, "altered_copy", "va", header=True)
    )
    assert va.column("ca") is not None
    assert {change.signs[0].split(" ", 1)[1].split(":")[0] for change in va.columns} == {"nulls became -9"}
