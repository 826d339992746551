#!/usr/bin/env python3
"""Makes the heart example ready: ``python prepare.py [--data FOLDER]``. Owns reading, checking and splitting the files.

The data are the four processed files of the Heart Disease set of the UCI Machine Learning Repository. Copies in which
the question marks of missing values became numbers circulate widely, and a model trained on them learns an artefact.
So each file must have the MD5 of the original; one that has not is refused, and what differs is said.

Steps of ``prepare``:
1. Find the four files and check each.
2. Keep exact copies under ``data/original``, and write one Parquet file for each hospital.
3. Train on Cleveland alone: logistic regression on 13 standardised inputs, missing values at the training mean.
4. Say in an OpenLineage event what the pilot file was made from, as any job should that makes data.
5. See that the pilot file has the digest that the contract declares.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roadworthy.base.clock import now
from roadworthy.base.errors import MissingFile, RoadworthyError, UnreadableData
from roadworthy.demo.model import LogisticModel, save
from roadworthy.demo.training import train
from roadworthy.measure.contract import load_contract
from roadworthy.measure.passport.openlineage import (
    DatasetUse,
    EventType,
    Name,
    RunEvent,
    run_id_of,
    to_openlineage,
)
from roadworthy.measure.sentinel import find_sentinels
from roadworthy.measure.table import data_files, file_digest, from_arrow, table_digest

HERE = Path(__file__).resolve().parent
CONTRACT = "contracts/heart.odcs.yaml"
FEATURES = (
    "age",
    "sex",
    "cp",
    "trestbps",
    "chol",
    "fbs",
    "restecg",
    "thalach",
    "exang",
    "oldpeak",
    "slope",
    "ca",
    "thal",
)
LABEL = "disease"
LINEAGE = "data/lineage.jsonl"
MODEL = "heart"
NAMESPACE = "heart-four-hospitals"
_CELLS = len(FEATURES) + 1
_FOLDERS = ("", "heart_uci_4sites")
_PREFIXES = ("canonical.", "")
_ADVICE = (
    "Download heart+disease.zip from the UCI Machine Learning Repository (Heart Disease, doi 10.24432/C52P4X, CC BY 4.0), "
    "unpack it, and name its folder: --data FOLDER, or ROADWORTHY_SHARED_DATA."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """One published file.

    Attributes:
        site: the hospital.
        file: its published name.
        md5: of its bytes.
        rows: patients in it.
        missing: question marks in it.
    """

    site: str
    file: str
    md5: str
    rows: int
    missing: int


ORIGINALS = (
    Original(
        site="cleveland", file="processed.cleveland.data", md5="2d91a8ff69cfd9616aa47b59d6f843db", rows=303, missing=6
    ),
    Original(
        site="hungary", file="processed.hungarian.data", md5="22e96bee155b5973568101c93b3705f6", rows=294, missing=782
    ),
    Original(
        site="switzerland",
        file="processed.switzerland.data",
        md5="9a87f7577310b3917730d06ba9349e20",
        rows=123,
        missing=273,
    ),
    Original(
        site="long-beach", file="processed.va.data", md5="4249d03ca7711e84f4444768c9426170", rows=200, missing=698
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare everything; 0 when it is done, the error's exit code when it is not."""
    parser = argparse.ArgumentParser(description="Check the four files, write Parquet, train the model.")
    parser.add_argument("--data", type=Path, help="folder with the four files; otherwise ROADWORTHY_SHARED_DATA")
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the example; normally this one")
    given = parser.parse_args(arguments)
    try:
        lines = prepare(given.to, given.data or default_folder())
    except RoadworthyError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def default_folder() -> Path:
    """The folder that the environment names.

    Raises:
        MissingFile: it names none (RW-102).
    """
    named = os.environ.get("ROADWORTHY_SHARED_DATA")
    if not named:
        raise MissingFile("No folder with the heart data was named.", remedy=_ADVICE)
    return Path(named)


def prepare(folder: Path, data: Path) -> tuple[str, ...]:
    """Write data and model of the example; see the module for the steps.

    Args:
        folder: of the example, with its contract.
        data: with the four files, or with a folder of them.

    Returns:
        What was done, for people.

    Raises:
        MissingFile: a file is not there (RW-102).
        UnreadableData: a file is not the original (RW-103).
    """
    # 1. All four are checked before anything is written.
    contents = [(original, read_original(original, data, folder / CONTRACT)) for original in ORIGINALS]
    # 2.
    for name in ("data/original", "data/feed", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tables = {}
    for original, content in contents:
        (folder / "data" / "original" / original.file).write_bytes(content)
        tables[original.site] = table_of(content, original.site)
        place = "data" if original.site == ORIGINALS[0].site else "data/feed"
        pq.write_table(tables[original.site], folder / place / f"{original.site}.parquet")
    # 3.
    save(train_on(tables["cleveland"]), folder / "models" / f"{MODEL}.json")
    rows = ", ".join(f"{site} {table.num_rows}" for site, table in tables.items())
    lines = [f"Originals by MD5; rows: {rows}.", f"Trained on cleveland: models/{MODEL}.json."]
    # 4.
    (folder / LINEAGE).write_text(json.dumps(to_openlineage(_event(folder))) + "\n", encoding="utf-8")
    lines.append(f"What the pilot was made from: {LINEAGE}.")
    # 5.
    return (*lines, *_declare_digest(folder))


def read_original(original: Original, data: Path, contract: Path) -> bytes:
    """The bytes of one published file.

    Raises:
        MissingFile: it is not there (RW-102).
        UnreadableData: what is there is not the original; the message says what differs (RW-103).
    """
    names = [prefix + original.file for prefix in _PREFIXES]
    found = [path for folder in _FOLDERS for name in names if (path := data / folder / name).is_file()]
    if not found:
        raise MissingFile(f"There is no {original.file} in {data}.", remedy=_ADVICE, where=str(data))
    for path in found:
        content = path.read_bytes()
        if md5(content) == original.md5:
            return content
    path = found[0]
    raise UnreadableData(
        f"{path.name} is not the original: {'; '.join(differences(original, path.read_bytes(), contract))}.",
        remedy=_ADVICE,
        where=str(path),
    )


def md5(content: bytes) -> str:
    """MD5 as 32 hex digits: enough to tell published bytes from altered ones, not to withstand an attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def differences(original: Original, content: bytes, contract: Path) -> list[str]:
    """How a copy differs from the original, as far as that can be told without having it."""
    told = [f"its MD5 is {md5(content)}, the original's {original.md5}"]
    lines = _lines(content)
    if any(not _is_patient(line) for line in lines):
        told.append("some lines are no patients, for example a header")
    patients = [line for line in lines if _is_patient(line)]
    if len(patients) != original.rows:
        told.append(f"{len(patients)} patients instead of {original.rows}")
    missing = sum(cell == "?" for line in patients for cell in line)
    if missing != original.missing:
        told.append(f"{missing} question marks instead of {original.missing}")
    if patients:
        told += recoded(_table(patients, original.site), contract)
    return told


def recoded(table: pa.Table, contract: Path) -> list[str]:
    """Numbers that cannot be measurements, by the contract: what a missing value became in an altered copy."""
    found = find_sentinels(from_arrow(table, "copy"), load_contract(contract))
    return [finding.what.rstrip(".") for finding in found]


def table_of(content: bytes, site: str) -> pa.Table:
    """Key, site, 13 inputs and outcome; a question mark is a null."""
    return _table(_lines(content), site)


def inputs_of(table: pa.Table) -> NDArray[np.float64]:
    """The 13 inputs, shape (rows, 13), NaN where one is missing."""
    return np.column_stack([table[name].to_numpy().astype(np.float64) for name in FEATURES])


def outcomes_of(table: pa.Table) -> NDArray[np.int64]:
    """0 or 1, shape (rows,)."""
    return np.asarray(table[LABEL].to_numpy(), dtype=np.int64)


def train_on(table: pa.Table) -> LogisticModel:
    """The model of one hospital."""
    return train(MODEL, FEATURES, inputs_of(table), outcomes_of(table))


def _lines(content: bytes) -> list[list[str]]:
    text = content.decode("latin-1")
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def _is_patient(cells: list[str]) -> bool:
    return len(cells) == _CELLS and all(cell == "?" or re.fullmatch(r"-?[0-9]*\.?[0-9]+", cell) for cell in cells)


def _table(patients: Iterable[list[str]], site: str) -> pa.Table:
    rows = [[None if cell == "?" else float(cell) for cell in line] for line in patients]
    columns = {name: pa.array([row[index] for row in rows], pa.float64()) for index, name in enumerate(FEATURES)}
    # The last cell is a grade from 0 to 4.
    outcomes = pa.array([None if row[-1] is None else int(row[-1] > 0) for row in rows], pa.int64())
    keys = [f"{site}-{index:03d}" for index in range(1, len(rows) + 1)]
    return pa.table({"patient": keys, "site": [site] * len(rows), **columns, LABEL: outcomes})


def _event(folder: Path) -> RunEvent:
    """That this script made the pilot file, from which bytes, and which bytes came out."""
    original, pilot = ORIGINALS[0], data_files(folder / "data" / "cleveland.parquet")
    version = f"sha256:{table_digest(pilot)}"
    source = DatasetUse(
        dataset=Name(namespace=NAMESPACE, name=original.file),
        version=f"sha256:{file_digest(folder / 'data' / 'original' / original.file)}",
    )
    at = now()
    return RunEvent(
        type=EventType.COMPLETE,
        at=at,
        run_id=run_id_of(f"{version} {at}".encode()),
        job=Name(namespace=NAMESPACE, name="prepare.py"),
        inputs=(source,),
        outputs=(DatasetUse(dataset=Name(namespace=NAMESPACE, name="cleveland"), version=version),),
        producer="https://roadworthy.dev",
    )


def _declare_digest(folder: Path) -> list[str]:
    """Parquet bytes depend on the writer's version; with another one than the locked, the contract must say so."""
    path = folder / CONTRACT
    text = path.read_text(encoding="utf-8")
    digest = table_digest(data_files(folder / "data" / "cleveland.parquet"))
    declared = re.sub(r'(outputSha256: ")[0-9a-f]{64}(")', rf"\g<1>{digest}\g<2>", text)
    if declared == text:
        return [f"The pilot file has the digest that the contract declares, {digest[:12]}."]
    path.write_text(declared, encoding="utf-8")
    return [f"{CONTRACT} now declares the pilot file's digest {digest[:12]}: this pyarrow writes other bytes."]


if __name__ == "__main__":
    sys.exit(main())
