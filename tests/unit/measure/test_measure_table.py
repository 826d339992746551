"""Opening data: formats, row numbers, nulls, digests, and the refusals of bad input."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import ContractError, EmptyData, MissingFile, UnreadableData
from roadworthy.measure.table import data_files, file_digest, from_arrow, open_table, quote, table_digest


def _parquet(path: Path, values: list[object], name: str = "x") -> Path:
    pq.write_table(pa.table({name: values}), path)
    return path


def test_parquet_pattern_is_read_in_order_of_names(tmp_path: Path) -> None:
    """Files written in another order still give row numbers by name."""
    for index in (2, 0, 1):
        _parquet(tmp_path / f"part{index}.parquet", list(range(index * 10, index * 10 + 10)))
    table = open_table(tmp_path / "part*.parquet")
    assert table.row_count == 30
    assert table.typed
    assert [path.name for path in table.paths] == ["part0.parquet", "part1.parquet", "part2.parquet"]
    assert table.query("SELECT x, __row FROM data WHERE x <> __row") == []
    assert table.column("x").tolist() == list(range(30))


def test_text_with_names_nulls_and_header(tmp_path: Path) -> None:
    """A question mark is null, given names replace the header, and types are guessed from all rows."""
    file = tmp_path / "a.data"
    file.write_text("A,B\n1,?\n2,3.5\n,4\n")
    table = open_table(file, names=["one", 'it\'s "two"'], header=True, null_texts=("", "?"))
    assert not table.typed
    assert table.column_names == ("one", 'it\'s "two"')
    assert np.isnan(table.column("one")[2])
    assert table.column('it\'s "two"')[1:].tolist() == [3.5, 4.0]
    assert table.to_arrow(["one"]).column_names == ["one"]
    assert table.to_arrow().num_rows == 3


def test_a_late_bad_value_turns_the_whole_column_to_text(tmp_path: Path) -> None:
    """The last of 30,000 rows is seen when types are guessed."""
    file = tmp_path / "late.csv"
    file.write_text("x\n" + "1\n" * 30_000 + "oops\n")
    assert open_table(file).type_of("x") == "VARCHAR"


@pytest.mark.parametrize("name", ["none.csv", "none*.parquet", "folder"])
def test_missing_files_are_refused(tmp_path: Path, name: str) -> None:
    """A path, a pattern and a folder that are no files: RW-102."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(MissingFile):
        open_table(tmp_path / name)


def test_broken_unknown_and_mixed_formats_are_refused(tmp_path: Path) -> None:
    """Bytes that are no Parquet, a PDF, and CSV beside Parquet: RW-103 with the path."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really PAR1")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF")
    _parquet(tmp_path / "mix.parquet", [1])
    (tmp_path / "mix.csv").write_text("x\n1\n")
    for name in ("broken.parquet", "paper.pdf", "mix.*"):
        with pytest.raises(UnreadableData) as caught:
            open_table(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_parquet_damaged_after_its_footer_was_read(tmp_path: Path) -> None:
    """A file whose pages are zeroed fails as RW-103 when it is opened or when its values are read."""
    file = _parquet(tmp_path / "pages.parquet", [f"value {k}" for k in range(5_000)])
    content = bytearray(file.read_bytes())
    content[4:2_000] = bytes(1_996)
    file.write_bytes(content)
    with pytest.raises(UnreadableData):
        open_table(file).query("SELECT MAX(x) FROM data")
    with pytest.raises(UnreadableData):
        open_table(file).to_arrow()


def test_no_rows_is_refused(tmp_path: Path) -> None:
    """An empty Parquet file and an empty Arrow table: RW-104."""
    with pytest.raises(EmptyData):
        open_table(_parquet(tmp_path / "empty.parquet", []))
    with pytest.raises(EmptyData):
        from_arrow(pa.table({"x": pa.array([], type=pa.int64())}), "empty")


def test_repeated_column_names_are_refused() -> None:
    """Two columns of one name cannot be addressed: RW-103."""
    with pytest.raises(UnreadableData):
        from_arrow(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), "t")


def test_all_null_columns_are_named() -> None:
    """Only the hollow column is refused, and only if it is needed."""
    table = from_arrow(pa.table({"a": [1, None], "b": pa.array([None, None], type=pa.float64())}), "t")
    assert table.empty_columns() == ("b",)
    table.require_filled(["a"])
    with pytest.raises(EmptyData, match="b"):
        table.require_filled(["a", "b"])


def test_wrong_columns_and_queries_are_the_contracts_fault() -> None:
    """RW-106 with the known columns as the remedy."""
    table = from_arrow(pa.table({"a": [1]}), "t")
    with pytest.raises(ContractError) as caught:
        table.column("b")
    assert "a" in caught.value.remedy
    with pytest.raises(ContractError):
        table.query("SELECT nothing FROM data")


def test_sql_of_a_contract_reaches_no_other_file(tmp_path: Path) -> None:
    """Reading another file, writing one, and lifting the lock all fail; so does changing rows of a file."""
    other = tmp_path / "secret.csv"
    other.write_text("s\n1\n")
    table = open_table(_parquet(tmp_path / "a.parquet", [1]))
    for sql in (
        f"SELECT * FROM read_csv('{other}')",
        f"COPY data TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
        "INSERT INTO data VALUES (1, 2)",
    ):
        with pytest.raises(ContractError):
            table.query(sql)
    assert not (tmp_path / "out.csv").exists()


def test_digest_is_the_documented_one(tmp_path: Path) -> None:
    """Sorted lines of file digest and name; order and folder do not matter, content and name do."""
    one, two = tmp_path / "b.csv", tmp_path / "a.csv"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    lines = sorted(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in (one, two))
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert table_digest([one, two]) == table_digest([two, one]) == expected
    two.rename(tmp_path / "c.csv")
    assert table_digest([one, tmp_path / "c.csv"]) != expected
    with pytest.raises(MissingFile):
        file_digest(two)
    assert data_files(one) == (one,)


def test_identifiers_are_quoted() -> None:
    """A quote inside a name is doubled."""
    assert quote('a"; DROP') == '"a""; DROP"'
