"""SAS transport files: every cell as in the same data's JSON, numbers as IBM wrote them, damage refused with its place."""

import json
import struct
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from roadworthy.base.errors import EmptyData, MissingFile, UnreadableData
from roadworthy.measure.xport import ibm_to_double, open_xport, read_xport


def _header(word: str, tail: str = "0" * 30) -> bytes:
    return f"HEADER RECORD*******{word:<8}HEADER RECORD!!!!!!!{tail}".ljust(80).encode()


def _member(name: str, columns: list[tuple[str, int, int, str]], rows: bytes) -> bytes:
    """columns: (name, 1 number or 2 text, width, format)."""
    head = _header("MEMBER", "000000000000000001600000000140") + _header("DSCRPTR")
    head += f"SAS     {name:<8}SASDATA 9.4".ljust(80).encode() + (" " * 32 + "A label").ljust(80).encode()
    head += _header("NAMESTR", f"000000{len(columns):04d}" + "0" * 20)
    body, offset = b"", 0
    for number, (column, kind, width, form) in enumerate(columns, start=1):
        texts = (column.ljust(8).encode(), column.ljust(40).encode(), form.ljust(8).encode())
        body += struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s", kind, 0, width, number, *texts, 0, 0, 0, b"", b" " * 8, 0, 0, offset, b""
        )
        offset += width
    body += b" " * (-len(body) % 80)
    return head + body + _header("OBS") + rows + b" " * (-len(rows) % 80)


def _file(path: Path, *members: bytes) -> Path:
    path.write_bytes(_header("LIBRARY") + b" " * 160 + b"".join(members))
    return path


def _ibm(value: int) -> bytes:
    """Whole numbers below 256, written by hand: exponent 2, fraction value/256."""
    return bytes([0x42, value, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(("name", "rows"), [("adsl", 254), ("ae", 74), ("dm", 18)])
def test_every_cell_is_that_of_the_json(shared_data: Path, name: str, rows: int) -> None:
    """XPT = JSON = NDJSON, cell for cell; dates as ISO text."""
    folder = shared_data / "dataset_json"
    (member,) = read_xport(folder / f"{name}.xpt")
    document = json.loads((folder / f"{name}.json").read_text())
    lines = [json.loads(line) for line in (folder / f"{name}.ndjson").read_text().splitlines()]
    assert member.rows.column_names == [column["name"] for column in document["columns"]]
    ours = [
        [cell.isoformat() if isinstance(cell, date) else cell for cell in row.values()]
        for row in member.rows.to_pylist()
    ]
    theirs = [[None if cell == "" else cell for cell in row] for row in document["rows"]]
    assert len(ours) == rows
    assert ours == theirs
    assert theirs == [[None if cell == "" else cell for cell in row] for row in lines[1:]]


def test_the_pilot_has_its_known_rows(shared_data: Path) -> None:
    """1,191 and 961 adverse events, 306 subjects; the label of the file is kept."""
    folder = shared_data / "sdtm_cdiscpilot"
    assert open_xport(folder / "v1_cdiscpilot01_ae.xpt").row_count == 1191
    assert open_xport(folder / "v2_updated_ae.xpt").row_count == 961
    table = open_xport(folder / "v1_cdiscpilot01_dm.xpt", member="DM")
    assert (table.row_count, table.typed, table.paths) == (306, True, (folder / "v1_cdiscpilot01_dm.xpt",))


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("0000000000000000", 0.0),
        ("4110000000000000", 1.0),
        ("C110000000000000", -1.0),
        ("C276A00000000000", -118.625),
        ("4019999999999999", float(Fraction(0x19999999999999, 1 << 56))),
        ("7FFFFFFFFFFFFFFF", 7.237005577332262e75),
        ("0010000000000000", 5.397605346934028e-79),
        ("421800", 24.0),
        ("4110", 1.0),
    ],
)
def test_ibm_numbers(digits: str, expected: float) -> None:
    """Published examples, the ends of the range, and widths of two and three bytes."""
    fields = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(1, -1)
    assert ibm_to_double(fields)[0] == expected


@pytest.mark.parametrize("code", [b".", b"_", b"A", b"Z"])
def test_missing_numbers_are_nan(code: bytes) -> None:
    """The point, the underscore and the letters, each followed by zeros only."""
    fields = np.frombuffer(code + b"\0" * 7 + code + b"\0" * 6 + b"\1", dtype=np.uint8).reshape(2, 8)
    assert np.isnan(ibm_to_double(fields)).tolist() == [True, False]


def test_dates_instants_letters_and_text(tmp_path: Path) -> None:
    """Formats decide about dates; special missings stay listed; blank text is null; two members have names."""
    columns = [("D", 1, 8, "DATE"), ("S", 1, 8, "DATETIME"), ("X", 1, 8, ""), ("T", 2, 3, "")]
    rows = _ibm(1) + _ibm(60) + b"A" + b"\0" * 7 + b"ab " + b"." + b"\0" * 7 + b"." + b"\0" * 7 + _ibm(7) + b"   "
    path = _file(tmp_path / "x.xpt", _member("ONE", columns, rows), _member("TWO", [("N", 1, 8, "")], _ibm(9)))
    one, two = read_xport(path)
    assert one.rows.to_pylist()[0]["D"] == date(1960, 1, 2)
    assert one.rows.to_pylist()[0]["S"].isoformat() == "1960-01-01T00:01:00"
    assert [row["X"] for row in one.rows.to_pylist()] == [None, 7.0]
    assert [row["T"] for row in one.rows.to_pylist()] == ["ab", None]
    assert (one.name, one.label, one.variables[2].special_missings) == ("ONE", "A label", ("A",))
    assert two.rows.to_pylist() == [{"N": 9.0}]
    assert open_xport(path, member="TWO").row_count == 1
    with pytest.raises(UnreadableData, match="Name one of ONE, TWO"):
        open_xport(path)


def test_a_date_with_a_part_of_a_day_stays_a_number(tmp_path: Path) -> None:
    """Half a day has no date."""
    half = bytes([0x40, 0x80, 0, 0, 0, 0, 0, 0])
    (member,) = read_xport(_file(tmp_path / "x.xpt", _member("ONE", [("D", 1, 8, "DATE")], half)))
    assert member.rows.to_pylist() == [{"D": 0.5}]


def test_blanks_that_fill_the_last_record_are_no_rows(tmp_path: Path) -> None:
    """Three rows of four bytes, and 68 blanks that could be seventeen more; no rows at all is empty data."""
    path = _file(tmp_path / "x.xpt", _member("ONE", [("T", 2, 4, "")], b"a   b   c   "))
    assert open_xport(path).row_count == 3
    # Padding is at most 79 bytes: blank rows up to the start of the last record were written.
    blank = _file(tmp_path / "b.xpt", _member("ONE", [("T", 2, 4, "")], b"a   " * 10 + b"    " * 30))
    assert open_xport(blank).row_count == 21
    empty = _file(tmp_path / "e.xpt", _member("ONE", [("T", 2, 4, "")], b""))
    with pytest.raises(EmptyData):
        open_xport(empty)


def test_the_encoding_is_named_not_guessed(tmp_path: Path) -> None:
    """A byte that is no UTF-8 is refused, and read with the right name."""
    path = _file(tmp_path / "x.xpt", _member("ONE", [("T", 2, 4, "")], "für ".encode("cp1252")))
    with pytest.raises(UnreadableData, match="cp1252"):
        read_xport(path)
    assert read_xport(path, encoding="cp1252")[0].rows.to_pylist() == [{"T": "für"}]


def test_damage_is_refused(tmp_path: Path) -> None:
    """Each break names what is wrong."""
    good = _file(tmp_path / "g.xpt", _member("ONE", [("T", 2, 90, "")], b"x" * 90)).read_bytes()
    breaks = {
        "version 8": b"HEADER RECORD*******LIBV8   HEADER RECORD",
        "library header": b"something else",
        "no data set": good[:240],
        "descriptor header": good.replace(b"HEADER RECORD*******NAMESTR", b"HEADER RECORD*******NAMESTX"),
        "within a descriptor": good[: 240 + 400 + 40],
        "do not begin": good.replace(b"HEADER RECORD*******OBS", b"HEADER RECORD*******OBX"),
        "within a row": good.rstrip(b" ")[:-5].ljust(len(good) - 80, b"x"),
        "descriptor of": good.replace(struct.pack(">hhh", 2, 0, 90), struct.pack(">hhh", 3, 0, 90)),
        "no columns": _file(tmp_path / "n.xpt", _member("ONE", [], b"")).read_bytes(),
    }
    for words, data in breaks.items():
        (tmp_path / "b.xpt").write_bytes(data)
        with pytest.raises(UnreadableData, match=words) as caught:
            read_xport(tmp_path / "b.xpt")
        assert caught.value.where.endswith("b.xpt")
    with pytest.raises(MissingFile):
        read_xport(tmp_path / "none.xpt")


def test_columns_that_share_bytes_or_a_name_are_refused(tmp_path: Path) -> None:
    """A small file of overlapping columns would become a large table."""
    member = _member("AE", [("A", 2, 8, ""), ("B", 2, 8, "")], b"x" * 16)
    second = 400 + 140 + 84
    overlapping = member[: second + 3] + b"\x07" + member[second + 4 :]
    with pytest.raises(UnreadableData, match="overlap"):
        read_xport(_file(tmp_path / "a.xpt", overlapping))
    with pytest.raises(UnreadableData, match="one name"):
        read_xport(_file(tmp_path / "b.xpt", _member("AE", [("A", 2, 8, ""), ("A", 2, 8, "")], b"x" * 16)))


@pytest.mark.parametrize("form", ["DATE", "DATETIME"])
def test_a_date_that_no_calendar_has_is_refused(tmp_path: Path, form: str) -> None:
    """It would wrap around into another."""
    with pytest.raises(UnreadableData, match="years 1 to 9999"):
        read_xport(_file(tmp_path / "a.xpt", _member("AE", [("D", 1, 8, form)], b"\x4f" + b"\xff" * 7)))


@pytest.mark.parametrize("encoding", ["klingon", "base64"])
def test_an_unknown_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    """Also one that is not for text."""
    with pytest.raises(UnreadableData, match=encoding):
        read_xport(_file(tmp_path / "a.xpt", _member("AE", [("A", 2, 8, "")], b"x" * 8)), encoding=encoding)
