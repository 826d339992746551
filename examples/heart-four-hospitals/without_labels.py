#!/usr/bin/env python3
"""Prints what scores alone lead to expect at each hospital, beside what the labels then show: ``python without_labels.py``.

Owns the table; the estimate belongs to ``roadworthy.stats``, the data and the model to ``prepare.py``, which runs first.

Steps of ``compare``:
1. Learn at Cleveland, cell by cell, how often a score goes with disease.
2. At each other hospital, expect the AUC from its scores alone, as if no patient had been to angiography yet.
3. Measure the AUC with the labels, and by how much too much was expected.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import RoadworthyError
from roadworthy.base.interval import Interval
from roadworthy.demo.model import LogisticModel, load
from roadworthy.measure.delta import Metric, performance
from roadworthy.measure.table import open_table
from roadworthy.stats.difference import difference
from roadworthy.stats.label_free import BLIND_SPOT, cell_rows, estimate_performance, learn_calibration

HERE = Path(__file__).resolve().parent
PILOT = "cleveland"
HOSPITALS = ("hungary", "switzerland", "long-beach")
_CELLS = 30
_THRESHOLD = 0.5
_SEED = 20_261_121


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One hospital.

    Attributes:
        hospital: its name in the data.
        patients: scored there.
        expected: AUC from scores alone.
        realised: AUC with the labels.
        excess: by how much more was expected than found; its interval shows whether that is chance.
    """

    hospital: str
    patients: int
    expected: Interval
    realised: Interval
    excess: Interval


def compare(folder: Path) -> Iterator[Row]:
    """The hospitals in turn; see the module for the steps.

    Args:
        folder: of the example, prepared.

    Raises:
        MissingFile: ``prepare.py`` has not run (RW-102).
    """
    model = load(folder / "models" / "heart.json")
    labels, scores = _scored(model, folder / "data" / f"{PILOT}.parquet")
    known = learn_calibration(labels, scores, thresholds=[_THRESHOLD], cells=_CELLS)  # 1
    for hospital in HOSPITALS:
        labels, scores = _scored(model, folder / "data" / "feed" / f"{hospital}.parquet")
        expected = estimate_performance(known, cell_rows(scores, known.edges), _THRESHOLD, seed=_SEED)  # 2
        realised = performance(labels, scores, Metric.AUC)  # 3
        excess = difference(realised, expected.auc)
        yield Row(hospital=hospital, patients=scores.size, expected=expected.auc, realised=realised, excess=excess)


def main() -> int:
    """Print the table; 0 when it is done, the error's exit code when it is not."""
    try:
        rows = list(compare(HERE))
    except RoadworthyError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    lines = [f"{'hospital':<13}{'patients':>8}  {'expected from scores':<22}{'realised':<22}too much"]
    for row in rows:
        figures = f"{_written(row.expected):<22}{_written(row.realised):<22}{_written(row.excess)}"
        lines.append(f"{row.hospital:<13}{row.patients:>8}  {figures}")
    sys.stdout.write("\n".join([*lines, "", BLIND_SPOT]) + "\n")
    return 0


def _scored(model: LogisticModel, path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    table = open_table(path)
    rows = np.column_stack([table.column(name).astype(np.float64) for name in model.features])
    return np.asarray(table.column("disease"), dtype=np.int64), model.score(rows)


def _written(figure: Interval) -> str:
    return f"{figure.estimate:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]" if figure.known else "cannot be told"


if __name__ == "__main__":
    sys.exit(main())
