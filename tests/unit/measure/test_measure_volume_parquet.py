"""Parquet by row groups: the same bytes however files, groups, parts and threads are cut; what breaks is said."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import UnreadableData
from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Limits, Rule
from roadworthy.measure.rule import Kind as RuleKind
from roadworthy.measure.table import from_arrow, open_table
from roadworthy.measure.volume import reference as module
from roadworthy.measure.volume.accumulators import Broken, LabelledCells, Rows
from roadworthy.measure.volume.compile import parquet
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.compile.parquet import measure_parquet
from roadworthy.measure.volume.plan import ColumnKind, Kind, Plan, Split, make_plan
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import SAMPLE_ROWS, fit
from roadworthy.measure.volume.row_groups import opened, readable, runs_of
from roadworthy.measure.volume.scan import scan

ROWS = 5_003


@cache
def rows_of(seed: int, rows: int = ROWS) -> pa.Table:
    """Numbers with and without gaps, whole numbers, a text, a flag and an instant."""
    rng = np.random.default_rng(seed)
    gappy = np.where(rng.random(rows) < 0.02, np.inf, rng.normal(size=rows))
    return pa.table(
        {
            "plain": rng.normal(10, 3, rows),
            "gappy": pa.array(gappy, mask=rng.random(rows) < 0.3),
            "whole": pa.array(rng.integers(-4, 4, rows), pa.int16(), mask=rng.random(rows) < 0.1),
            "town": pa.array(rng.choice(["a", "b", "c"], rows), mask=rng.random(rows) < 0.1),
            "ill": pa.array(rng.random(rows) < 0.4, mask=rng.random(rows) < 0.1),
            "at": pa.array(rng.integers(0, 10**9, rows), pa.timestamp("s", tz="UTC")),
        }
    )


def rule(kind: RuleKind, *columns: str, **more) -> Broken:
    """A rule of a contract, as an accumulator."""
    return Broken(
        rule=Rule(
            rule_id="r", dimension=Dimension.VALIDITY, kind=kind, columns=columns, bound=NONE_ALLOWED, line=1, **more
        )
    )


@cache
def plan_of(split: Split | None = None) -> Plan:
    """A profile, a score with its label, and rules of one column and of two."""
    less = Clause(left=(Term(column="gappy"),), relation=Relation.LESS, right=(Term(column="plain"),))
    also = [
        LabelledCells(score="plain", label="ill", edges=(8.0, 10.0)),
        rule(RuleKind.NULL, "gappy"),
        rule(RuleKind.RANGE, "whole", limits=Limits(lower=-2.0, upper=2.0)),
        rule(RuleKind.COMPARISON, "gappy", "plain", comparison=Comparison(clauses=(less,), reading=Reading.NUMBER)),
    ]
    return profile_plan(fit(from_arrow(rows_of(1), "t")), also=also, split=split)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of row groups of different length, one group of them empty."""
    table = rows_of(1)
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(table.slice(0, 3_000), first, row_group_size=700)
    with pq.ParquetWriter(second, table.schema) as writer:
        writer.write_table(table.slice(3_000, 0))
        writer.write_table(table.slice(3_000))
    return [first, second]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("run_rows", [1, 1_000, 1 << 20])
def test_any_number_of_threads_and_runs_gives_the_same_bytes(files, threads, run_rows, monkeypatch) -> None:
    """Also with more threads than runs, when the columns are dealt out."""
    table = rows_of(1)
    plan = plan_of()
    whole = measure_batches(plan, table.combine_chunks().to_batches())
    monkeypatch.setattr(parquet, "_RUN_ROWS", run_rows)
    assert measure_parquet(plan, files, threads=threads).to_bytes() == whole.to_bytes()
    assert scan(plan, open_table(files[0].parent / "*.parquet"), threads=threads).to_bytes() == whole.to_bytes()


def test_groups_and_bare_row_counts_are_read_too(files) -> None:
    """A split plan is not parted, and a plan without a column still counts."""
    table = rows_of(1)
    plan = plan_of(Split(column="town", values=("a", "b")))
    whole = measure_batches(plan, table.combine_chunks().to_batches())
    assert measure_parquet(plan, files).to_bytes() == whole.to_bytes()
    assert len(whole.groups) == 3
    assert measure_parquet(make_plan([], [Rows()]), files).rows == ROWS


def test_runs_hold_every_row_group_once_and_number_the_rows(files) -> None:
    """In order, no longer than asked unless a single group is."""
    runs = runs_of(files, 1_500)
    assert [(run.path.name, list(run.groups), run.rows) for run in runs] == [
        ("a.parquet", [0, 1], 1_400),
        ("a.parquet", [2, 3], 1_400),
        ("a.parquet", [4], 200),
        ("b.parquet", [0, 1], 2_003),
    ]
    assert [run.first_row for run in runs] == [0, 1_400, 2_800, 3_000]


def test_a_file_without_the_column_is_named(files, tmp_path) -> None:
    """The second file may differ from the first, which the table was described by."""
    pq.write_table(pa.table({"other": [1.0]}), tmp_path / "c.parquet")
    plan = plan_of()
    with pytest.raises(UnreadableData, match=r"c\.parquet has no column"):
        measure_parquet(plan, [*files, tmp_path / "c.parquet"])


def test_a_broken_file_is_named(files) -> None:
    """Cut short before and behind its footer."""
    plan = plan_of()
    data = files[0].read_bytes()
    files[0].write_bytes(data[:100])
    with pytest.raises(UnreadableData, match=r"Cannot read a\.parquet"):
        measure_parquet(plan, files)
    files[0].write_bytes(b"PAR1" + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])
    with pytest.raises(UnreadableData, match=r"a\.parquet"):
        measure_parquet(plan, files)


def test_columns_out_of_folder_names_are_left_to_the_database(tmp_path) -> None:
    """A name that no file stores, and names that a file stores twice."""
    folder = tmp_path / "site=north"
    folder.mkdir()
    pq.write_table(pa.table({"x": [1.0, 2.0]}), folder / "a.parquet")
    table = open_table(folder / "a.parquet")
    assert readable(table.paths, ["x"])
    assert not readable(table.paths, ["x", "site"])
    assert not readable((), ["x"])
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    pq.write_table(twice, folder / "b.parquet")
    assert not readable((folder / "b.parquet",), ["x"])
    plan = profile_plan(fit(table))
    assert scan(plan, table).rows == 2
    with opened(folder / "a.parquet") as file:
        assert file.metadata.num_rows == 2


@pytest.mark.parametrize("rows", [ROWS, SAMPLE_ROWS + 7_000])
def test_parquet_gives_the_reference_of_any_other_format(tmp_path, rows) -> None:
    """All rows of a small table, the same drawn rows of a larger one."""
    table = rows_of(2, rows)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=900)
    of_file = fit(open_table(tmp_path / "t.parquet"))
    assert of_file == fit(from_arrow(table, "t"))
    assert of_file.digest == fit(open_table(tmp_path / "t.parquet"), threads=5).digest
    assert [item.column for item in of_file.numbers] == ["plain", "gappy", "whole", "at"]


def test_some_row_groups_of_a_large_table_stand_for_all(tmp_path, monkeypatch) -> None:
    """Evenly spread, so that a value that rises through the file keeps its quantiles."""
    monkeypatch.setattr(module, "READ_ROWS", 20_000)
    monkeypatch.setattr(module, "SAMPLE_ROWS", 5_000)
    pq.write_table(pa.table({"x": np.arange(200_000.0)}), tmp_path / "t.parquet", row_group_size=2_000)
    (item,) = fit(open_table(tmp_path / "t.parquet")).numbers
    assert len(module._spread(runs_of((tmp_path / "t.parquet",), 0), 200_000)) == 17
    assert abs(item.centre - 100_000) < 5_000
    assert abs(item.edges[15] - 50_000) < 8_000
    assert abs(item.edges[47] - 150_000) < 8_000
    assert item.edges[0] < 10_000
    assert item.edges[-1] > 190_000


def test_columns_that_hold_nothing_are_fitted_too(tmp_path) -> None:
    """Nulls, a list, and no column at all."""
    nothing = pa.table({"x": pa.nulls(3, pa.float64()), "l": [[1], [2], None], "t": pa.nulls(3, pa.string())})
    pq.write_table(nothing, tmp_path / "t.parquet")
    found = fit(open_table(tmp_path / "t.parquet"))
    assert found.numbers[0].edges == ()
    assert found.values[0].known == ()
    assert found.columns[1] == ColumnKind(name="l", kind=Kind.OTHER)
    assert fit(open_table(tmp_path / "t.parquet"), columns=["l"]).numbers == ()
