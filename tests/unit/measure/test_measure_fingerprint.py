"""Fingerprints: the same content has one, however it is stored; a second implementation in Python agrees."""

import hashlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.base.errors import UnreadableData
from roadworthy.measure.passport.fingerprint import Fingerprint, LogicalType, differing_columns, fingerprint
from roadworthy.measure.table import from_arrow, open_table
from roadworthy.measure.xport import open_xport

ROWS = {
    "id": pa.array(range(40), pa.int32()),
    "x": pa.array([k / 10 for k in range(39)] + [None], pa.float64()),
    "whole": pa.array([float(k) for k in range(40)], pa.float64()),
    "money": pa.array([Decimal(k) / 4 for k in range(40)], pa.decimal128(18, 2)),
    "single": pa.array([0.1] * 40, pa.float32()),
    "good": pa.array([k % 3 == 0 for k in range(40)]),
    "word": pa.array([f"w{k % 7}, ü" for k in range(40)]),
    "day": pa.array([date(2020, 1, 1 + k % 28) for k in range(40)]),
    "at": pa.array([datetime(2020, 1, 1, 10, k) for k in range(40)], pa.timestamp("ms")),
    "none": pa.array([None] * 40, pa.string()),
}


def _print(rows: dict[str, object]) -> Fingerprint:
    return fingerprint(from_arrow(pa.table(rows), "t"))


def test_storage_order_and_columns_do_not_matter(tmp_path: Path) -> None:
    """Parquet, CSV, shuffled rows, turned columns, other widths of numbers: one digest."""
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    order = np.random.default_rng(1).permutation(40)
    turned = table.take(pa.array(order)).select(list(reversed(table.column_names)))
    wide = table.set_column(0, "id", table["id"].cast(pa.float64()))
    nanos = table.set_column(8, "at", table["at"].cast(pa.timestamp("ns", tz="UTC")))
    split = [table.slice(0, 13), table.slice(13)]
    for number, part in enumerate(split):
        pq.write_table(part, tmp_path / f"part{number}.parquet")
    digests = {
        fingerprint(open_table(tmp_path / "a.parquet")).digest,
        fingerprint(open_table(tmp_path / "a.csv")).digest,
        fingerprint(open_table(tmp_path / "part*.parquet")).digest,
        *(fingerprint(from_arrow(other, "t")).digest for other in (table, turned, wide, nanos)),
    }
    assert len(digests) == 1


def test_the_figures_of_a_column() -> None:
    """Types follow from values; nulls, distinct and ends are exact; 10 is more than 9, also as text."""
    found = _print({**ROWS, "code": ["9", "10"] * 20, "flag": ["true", "false"] * 20, "when": ["2020-01-02"] * 40})
    types = {column.name: column.type for column in found.columns}
    assert [name for name, kind in types.items() if kind is LogicalType.NUMBER] == [
        "code", "id", "money", "single", "whole", "x"
    ]  # fmt: skip
    assert (types["good"], types["flag"], types["when"], types["at"], types["word"], types["none"]) == (
        LogicalType.BOOLEAN, LogicalType.BOOLEAN, LogicalType.TIME, LogicalType.TIME, LogicalType.TEXT,
        LogicalType.EMPTY,
    )  # fmt: skip
    x, code, none = found.column("x"), found.column("code"), found.column("none")
    assert x and (x.nulls, x.distinct, x.smallest, x.largest) == (1, 39, "0", "3.8")
    assert code and (code.smallest, code.largest, code.distinct) == ("9", "10", 2)
    assert none and (none.nulls, none.distinct, none.smallest, none.hash) == (40, 0, "", "0" * 32)
    assert found.column("absent") is None


@pytest.mark.parametrize("name", [name for name in ROWS if name not in {"none", "single"}])
def test_one_changed_cell_changes_it(name: str) -> None:
    """Any cell of any type, named by its column."""
    values = pa.array(ROWS[name]).to_pylist()
    values[6] = values[7]
    before, after = _print(ROWS), _print({**ROWS, name: pa.array(values, ROWS[name].type)})
    assert before.digest != after.digest
    assert differing_columns(before, after) == (name,)


def test_two_cells_that_change_places_change_the_rows_only() -> None:
    """The columns hold the same values, the rows do not; empty text is null; null beside text is not text beside null."""
    one, other = _print({"a": [1, 2], "b": ["x", "y"]}), _print({"a": [1, 2], "b": ["y", "x"]})
    assert differing_columns(one, other) == ()
    assert one.digest != other.digest
    assert _print({"a": ["", "x"]}) == _print({"a": [None, "x"]})
    assert (
        _print({"a": ["x", None], "b": [None, "x"]}).rows_hash != _print({"a": ["x", "x"], "b": [None, None]}).rows_hash
    )
    assert _print({"a": ["1:2"], "b": ["3"]}).rows_hash != _print({"a": ["1"], "b": ["2:3"]}).rows_hash


def test_doubled_rows_are_not_lost() -> None:
    """Sums do not cancel as exclusive-or would."""
    assert len({_print({"a": [1] * n}).digest for n in range(1, 6)}) == 5


def test_awkward_values() -> None:
    """NaN, infinities, minus zero, 2**53 + 1, denormals, times of day and long decimals have their own text."""
    found = _print(
        {
            "d": [float("nan"), float("inf"), -0.0, 5e-324, 1e22, None],
            "i": [2**53, 2**53 + 1, -1, 0, 2**62, None],
            "t": [time(10, 0), None, None, None, None, None],
            "n": pa.nulls(6),
            "z": pa.array([datetime(2020, 1, 1, 23, tzinfo=UTC)] * 6, pa.timestamp("us", tz="Asia/Tokyo")),
            "w": pa.array([Decimal("123456789012345678.500")] * 5 + [Decimal("7.000")], pa.decimal128(30, 3)),
        }
    )
    columns = {column.name: column for column in found.columns}
    assert (columns["d"].distinct, columns["d"].smallest, columns["d"].largest) == (5, "0", "inf")
    assert (columns["i"].distinct, columns["i"].largest) == (5, str(2**62))
    zeros = _print({"d": [0.0, -0.0], "f": pa.array([0.0, -0.0], pa.float32())})
    assert [column.distinct for column in zeros.columns] == [1, 1]
    assert columns["t"].smallest == "10:00:00"
    assert columns["n"].type is LogicalType.EMPTY
    assert columns["z"].smallest == "2020-01-01T23:00:00"
    assert (columns["w"].smallest, columns["w"].largest) == ("7", "123456789012345678.5")


@pytest.mark.parametrize("values", [[[1]], [{"a": 1}], [b"x"]])
def test_what_has_no_text_is_refused(values: list[object]) -> None:
    """Lists, structures and blobs are named, not approximated."""
    with pytest.raises(UnreadableData, match="'a'"):
        _print({"a": values})


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e22 else repr(value)
    return str(value)


def _oracle(rows: dict[str, list[object]]) -> tuple[dict[str, str], str]:
    names = sorted(rows)

    def value(text: str) -> int:
        return int(hashlib.sha256(text.encode()).hexdigest()[:32], 16)

    columns = {}
    for name in names:
        total = sum(value(text) for cell in rows[name] if (text := _text(cell)) is not None)
        columns[name] = f"{total % 2**128:032x}"
    total = 0
    for cells in zip(*(rows[name] for name in names), strict=True):
        texts = [_text(cell) for cell in cells]
        total += value("".join("n" if text is None else f"{len(text.encode())}:{text}" for text in texts))
    return columns, f"{total % 2**128:032x}"


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6),
            st.none() | st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_second_implementation_agrees(rows: list[tuple[object, ...]]) -> None:
    """The algorithm as written, in plain Python with hashlib."""
    types = {"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "b": pa.bool_()}
    columns = {name: [row[k] for row in rows] for k, name in enumerate(types)}
    found = _print({name: pa.array(values, types[name]) for name, values in columns.items()})
    hashes, rows_hash = _oracle(columns)
    assert {column.name: column.hash for column in found.columns} == hashes
    assert found.rows_hash == rows_hash


def test_shortest_digits_are_those_of_python() -> None:
    """The engine writes doubles as ``repr`` does, over the whole range of exponents."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**63, 20_000, dtype=np.uint64).view(np.float64)
    values = bits[np.isfinite(bits)]
    rows = pa.table({"x": values})
    texts = duckdb.connect().execute("SELECT CAST(x AS VARCHAR) FROM rows").fetchall()
    assert len(rows) == len(values)
    assert [text for (text,) in texts] == [repr(float(value)) for value in values]


def test_the_pilot_in_two_formats(shared_data: Path) -> None:
    """Subjects from the transport file and from its rows as CSV: the same fingerprint, other bytes."""
    table = open_xport(shared_data / "sdtm_cdiscpilot" / "v1_cdiscpilot01_dm.xpt")
    second = open_xport(shared_data / "sdtm_cdiscpilot" / "v2_updated_dm.xpt")
    assert fingerprint(table).digest == fingerprint(second).digest
    assert table.paths != second.paths
