"""Tables that people kept by hand come in whole: every row, every encoding, every odd value listed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import ContractError, MissingFile, ParameterError, RoadworthyError, UnreadableData
from roadworthy.measure.encodings import detect_encoding, write_utf_8
from roadworthy.measure.infer.intake import Intake, spellings, take_in, unread_dates
from roadworthy.measure.table import open_table

EURO = "a,b\nx,\u20ac\n"


@pytest.fixture(scope="module")
def inventory(shared_data: Path) -> Intake:
    """The federal inventory of 2024, as it was published."""
    return take_in(shared_data / "us_federal_ai_inventory" / "2024_consolidated_ai_inventory_raw_v2.csv")


def test_the_inventory_loses_no_row(inventory: Intake) -> None:
    """2,133 rows and 62 columns in Windows-1252, its typographic signs intact."""
    assert set(inventory.encodings.values()) == {"cp1252"}
    assert (inventory.table.row_count, len(inventory.table.columns)) == (2_133, 62)
    assert "Describe the AI system\u2019s outputs." in inventory.table.column_names


def test_the_inventory_s_bad_dates_are_listed_and_stay(inventory: Intake) -> None:
    """42 of them where N/A means no date; seven of these are a lonely space."""
    found = unread_dates(inventory.table, "Date Initiated", ["%m/%d/%Y"], null_texts=("", "N/A"))
    assert len(found) == 42
    assert {"Pre-2021", "10/12023", " "} <= {each.text for each in found}
    assert sum(each.text == " " for each in found) == 7
    shown = inventory.table.query('SELECT "Date Initiated" FROM data WHERE __row = ?', [found[0].row])
    assert shown == [(found[0].text,)]
    assert len(unread_dates(inventory.table, "Date Initiated", ["%m/%d/%Y", "%y-%b"], null_texts=("", "N/A"))) == 14


def test_the_inventory_s_spellings_of_yes(inventory: Intake) -> None:
    """Yes and YES are one answer, and a space is none."""
    asked = (
        "Has the Senior Agency Official for Privacy (SAOP) assessed the privacy risks associated with this AI use case?"
    )
    found = {each.meaning: dict(each.texts) for each in spellings(inventory.table, asked)}
    assert set(found["true"]) >= {"Yes", "YES"}
    assert set(found["false"]) >= {"No", "NO"}
    assert "" in found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_told_by_the_bytes(tmp_path: Path, encoding: str) -> None:
    """A mark, or the one in which every byte means something."""
    path = tmp_path / "a.csv"
    path.write_bytes(EURO.encode(encoding))
    taken = take_in(path)
    assert taken.encodings == {"a.csv": encoding}
    assert taken.table.column_names == ("a", "b")
    assert taken.table.query("SELECT b FROM data") == [("\u20ac",)]


def test_what_no_encoding_explains_is_refused(tmp_path: Path) -> None:
    """Bytes without a meaning, an encoding that lies, one that does not exist, files that differ."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\nx,\x81\n")
    with pytest.raises(UnreadableData, match="encoding"):
        detect_encoding(path)
    with pytest.raises(UnreadableData, match="is not utf-16"):
        open_table(path, encoding="utf-16")
    with pytest.raises(ParameterError):
        open_table(path, encoding="klingon")
    with pytest.raises(MissingFile):
        write_utf_8(tmp_path / "absent.csv", tmp_path / "b.csv", "cp1252")
    path.write_bytes(EURO.encode("cp1252"))
    (tmp_path / "b.csv").write_bytes(EURO.encode())
    with pytest.raises(UnreadableData, match="different encodings"):
        take_in(tmp_path / "*.csv")


def test_declared_encodings_are_believed(tmp_path: Path) -> None:
    """Where several are possible, a person says which."""
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\nx,\u010d\n".encode("cp1250"))
    assert take_in(path, encoding="cp1250").table.query("SELECT b FROM data") == [("\u010d",)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a;b\n"x;\ny";2\n3;4\n', 2),
        ("a\n1\n\n3\n", 3),
        ("a,b\n1,2\n\n3,4\n", 2),
        ('a,b\n5" pipe,2\n6" pipe,3\n', 2),
        ("a,b\n" + "x" * 200_000 + ",2\n", 1),
        ("1,2\n3,4\n", 2),
    ],
)
def test_two_readers_count_the_same_rows(tmp_path: Path, text: str, rows: int) -> None:
    """Other delimiters, line breaks in quotes, empty lines, stray quotes, long fields, no header."""
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert take_in(path).table.row_count == rows


def test_lines_before_the_header_are_not_dropped_in_silence(tmp_path: Path) -> None:
    """The engine's reader skips them; the second count does not."""
    path = tmp_path / "a.csv"
    path.write_text("Report of May\n\na,b\n1,2\n3,4\n", encoding="utf-8")
    assert open_table(path).row_count == 2
    with pytest.raises(UnreadableData, match="4 records, but 2 rows"):
        take_in(path)


def test_text_stays_text_where_it_is_asked(tmp_path: Path) -> None:
    """All columns, some of them, or those that are there; a guess elsewhere."""
    path = tmp_path / "a.csv"
    path.write_text("zip,day,n\n01234,1/2/03,5\n05678,2/3/04,6\n", encoding="utf-8")

    def types(**options: object) -> dict[str, str]:
        return {each.name: each.type for each in open_table(path, **options).columns}

    assert types() == {"zip": "VARCHAR", "day": "DATE", "n": "BIGINT"}
    assert types(as_text=True) == {"zip": "VARCHAR", "day": "VARCHAR", "n": "VARCHAR"}
    assert types(as_text=["day", "absent"]) == {"zip": "VARCHAR", "day": "VARCHAR", "n": "BIGINT"}
    assert types(as_text=["absent"]) == types()
    assert take_in(path, as_text=["day"]).table.query("SELECT day FROM data LIMIT 1") == [("1/2/03",)]


def test_a_file_that_cannot_be_asked_for_its_columns_is_refused(tmp_path: Path) -> None:
    """The engine's own error does not leave the room."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\nx,\xff\n")
    with pytest.raises(RoadworthyError):
        open_table(path, as_text=["a"])


def test_dates_need_a_format_and_a_column(tmp_path: Path) -> None:
    """Nothing is guessed."""
    path = tmp_path / "a.csv"
    path.write_text("day,n\n1/2/03,1\nsoon,2\n", encoding="utf-8")
    table = take_in(path).table
    assert [each.text for each in unread_dates(table, "day", ["%d/%m/%y"])] == ["soon"]
    with pytest.raises(ParameterError):
        unread_dates(table, "day", [])
    with pytest.raises(ContractError):
        unread_dates(table, "absent", ["%Y"])
    with pytest.raises(ContractError):
        spellings(table, "absent")


def test_typed_files_declare_their_own(tmp_path: Path) -> None:
    """Parquet has no encoding to tell."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    assert take_in(path).encodings == {}
