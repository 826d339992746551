"""One scan of a table of files. Owns the choice of the fastest engine that counts the whole plan; counts nothing itself."""

from roadworthy.measure.table import Table
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.compile.parquet import measure_parquet
from roadworthy.measure.volume.plan import Plan
from roadworthy.measure.volume.row_groups import readable
from roadworthy.measure.volume.state import State


def scan(plan: Plan, table: Table, *, threads: int = 2) -> State:
    """The state of a table; Parquet is read without a database, by several threads.

    Raises:
        UnreadableData: a file is broken or changed while it was read (RW-103).
        ContractError: the plan reads a column that the table does not have (RW-106).
    """
    for name in plan.columns:
        table.type_of(name)
    if readable(table.paths, plan.columns):
        return measure_parquet(plan, table.paths, threads=threads)
    return measure_batches(plan, table.batches(plan.columns))
