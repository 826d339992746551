"""A plan on a Spark frame, counted by the workers with numpy. Owns sending the plan there and joining what comes back.

Spark hands each worker its rows as Arrow batches; there they are counted by the same kernel as at home, and one state a
partition travels back, whatever the rows. ``ibis`` needs no Python on the workers, but Spark stops compiling its queries
to machine code when they have more than a few hundred cells, and is then many times slower.

Rules kept here:
1. The workers must have this package, in the same release as the driver.
2. States travel as their canonical bytes, and joining them needs no order.
"""

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from roadworthy.base.errors import ContractError, EngineRefused
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.plan import Plan
from roadworthy.measure.volume.state import State, join_all, read_state

_STATE = "state"
_RAISED = re.compile(r"[A-Za-z_.]*(Error|Refused): ")


def measure_spark(plan: Plan, frame: Any) -> State:
    """The state of a ``pyspark.sql.DataFrame``.

    Raises:
        ContractError: the frame lacks a column of the plan (RW-106).
        EngineRefused: a worker could not count it, for example because the package is not there (RW-117).
    """
    missing = [name for name in plan.columns if name not in frame.columns]
    if missing:
        raise ContractError(
            f"The frame has no column {', '.join(missing)}.", remedy=f"Use one of: {', '.join(frame.columns)}."
        )

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counted = measure_batches(plan, batches)
        yield pa.record_batch({_STATE: pa.array([counted.to_bytes()], pa.binary())})

    # A plan that reads no column still counts rows.
    wanted = frame.select(*(_quoted(name) for name in plan.columns or frame.columns[:1]))
    try:
        rows = wanted.mapInArrow(count, f"{_STATE} binary").collect()
    except Exception as error:
        raise EngineRefused(
            f"spark could not run the count: {_said(str(error))}.",
            remedy="Install this package on the workers, or measure through Ibis.",
        ) from error
    return join_all(plan, (read_state(bytes(row[0]), plan) for row in rows))


def _said(text: str) -> str:
    """The worker's own words, which stand below what the cluster says about them; else the first words there are."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    own = [line for line in lines if _RAISED.match(line)]
    return (own or lines)[0].rstrip(".")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
