"""Two fixes of the demonstration: the feed at its source, the server's trust in its input. Owns what each changes.

The repair never looks at the truth file. It goes by what the contract says of a measurement, as a site would:
1. lengths below what any nucleus has, but plausible in millimetres, are converted;
2. repeated rows are dropped, the first of each patient stays;
3. rows that arrived later than the contract allows go to quarantine, for a person to look at;
4. a 0 where 0 is no measurement becomes missing;
5. what the site still has of a row's missing measurements is filled in from its second delivery.

Rules kept here: no measurement is invented; a second run changes nothing more; each file is replaced as a whole.
"""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.demo.cohorts import KEY, MEASURED, RECEIVED, replaced
from roadworthy.demo.measurements import MEASUREMENTS, PER_MILLIMETRE
from roadworthy.measure.table import data_files

FEED = "data/feed"
RESEND = "data/resend/site-b.parquet"
QUARANTINE = "data/quarantine"
SERVING = "serving.yaml"
LATEST = timedelta(days=2)


def repair_feed(folder: Path) -> tuple[str, ...]:
    """Repair every file of the feed; see the module for the steps.

    Args:
        folder: of the demonstration.

    Returns:
        One line for each step that changed something, for people.

    Raises:
        MissingFile: there is no feed, or no second delivery (RW-102).
        UnreadableData: a file of the feed is broken (RW-103).
    """
    resend = _read(folder / RESEND)
    lines: list[str] = []
    for path in data_files(folder / FEED / "*.parquet"):
        table = _read(path)
        repaired, late, counts = _repair(table, resend)
        if late.num_rows:
            (folder / QUARANTINE).mkdir(parents=True, exist_ok=True)
            _write(late, folder / QUARANTINE / path.name)
        if any(counts.values()):
            _write(repaired, path)
        lines += [f"{path.stem}: {what.format(rows=rows)}" for what, rows in counts.items() if rows]
    return tuple(lines)


def harden_server(folder: Path) -> tuple[str, ...]:
    """Switch the validation of requests on; the server reads it when it starts again.

    Args:
        folder: of the demonstration.

    Returns:
        What changed, for people.

    Raises:
        MissingFile: there is no ``serving.yaml`` (RW-102).
    """
    path = folder / SERVING
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(
            "There is no serving.yaml.", remedy="Write the demonstration first.", where=str(path)
        ) from error
    hardened = text.replace('validation: "off"', 'validation: "on"')
    if hardened == text:
        return ()
    _replace(path, hardened.encode())
    return ("serving.yaml: validation is on; restart the server.",)


def _repair(table: pa.Table, resend: pa.Table) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """The repaired rows, the late ones, and how many rows each step touched."""
    table, converted = _convert(table)  # 1
    table, repeated = _drop_repeats(table)  # 2
    on_time = pc.less_equal(pc.subtract(table[RECEIVED], table[MEASURED]), pa.scalar(LATEST, pa.duration("us")))  # 3
    table, late = table.filter(on_time), table.filter(pc.invert(on_time))
    table, zeros = _null_zeros(table)  # 4
    table, filled = _fill(table, resend)  # 5
    counts = {
        "{rows} rows converted from millimetres to micrometres": converted,
        "{rows} repeated rows dropped": repeated,
        "{rows} late rows put into quarantine": late.num_rows,
        "{rows} rows in which 0 stood for a missing measurement": zeros,
        "{rows} rows completed from the site's second delivery": filled,
    }
    return table, late, counts


def _convert(table: pa.Table) -> tuple[pa.Table, int]:
    touched = np.zeros(table.num_rows, dtype=bool)
    for each in MEASUREMENTS:
        if each.unit in PER_MILLIMETRE:
            factor = PER_MILLIMETRE[each.unit]
            values = table[each.column].to_numpy().copy()
            swapped = (values >= each.lowest / factor) & (values <= each.highest / factor)
            values[swapped] *= factor
            touched |= swapped
            table = replaced(table, each.column, pa.array(values, from_pandas=True))
    return table, int(touched.sum())


def _drop_repeats(table: pa.Table) -> tuple[pa.Table, int]:
    _, first = np.unique(np.asarray(table[KEY].to_pylist()), return_index=True)
    return table.take(pa.array(np.sort(first))), table.num_rows - len(first)


def _null_zeros(table: pa.Table) -> tuple[pa.Table, int]:
    touched = np.zeros(table.num_rows, dtype=bool)
    for each in MEASUREMENTS:
        if each.zero_means_missing:
            values = table[each.column].to_numpy()
            zero = values == 0.0
            touched |= zero
            table = replaced(table, each.column, pa.array(np.where(zero, np.nan, values), from_pandas=True))
    return table, int(touched.sum())


def _fill(table: pa.Table, resend: pa.Table) -> tuple[pa.Table, int]:
    again = {key: row for row, key in enumerate(resend[KEY].to_pylist())}
    rows = [again.get(key) for key in table[KEY].to_pylist()]
    touched = np.zeros(table.num_rows, dtype=bool)
    for each in MEASUREMENTS:
        values, theirs = table[each.column].to_numpy().copy(), resend[each.column].to_numpy()
        for index, row in enumerate(rows):
            if row is not None and np.isnan(values[index]) and not np.isnan(theirs[row]):
                values[index] = theirs[row]
                touched[index] = True
        table = replaced(table, each.column, pa.array(values, from_pandas=True))
    return table, int(touched.sum())


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise MissingFile(f"There is no {path.name}.", remedy="Write the demonstration first.", where=str(path))
    try:
        return pq.read_table(path)
    except pa.ArrowException as error:
        raise UnreadableData(f"{path.name} is no Parquet file.", remedy="Write it again.", where=str(path)) from error


def _write(table: pa.Table, path: Path) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    _replace(path, buffer.getvalue().to_pybytes())


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
