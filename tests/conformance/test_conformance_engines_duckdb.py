"""DuckDB, in its own SQL, counts what numpy counts."""

import pyarrow as pa
import pytest
from engine_suite import Engine, EngineSuite

from roadworthy.measure.table import Table, from_arrow
from roadworthy.measure.volume.compile.duckdb import measure_duckdb
from roadworthy.measure.volume.compile.grouped import repeated_duckdb, unreferenced_duckdb
from roadworthy.measure.volume.state import State, no_rows


class DuckdbEngine(Engine):
    """Tables in memory; a table without rows is refused when it is opened, so there is nothing to measure."""

    splits = False

    def load(self, name: str, table: pa.Table) -> Table | None:
        return from_arrow(table, name) if table.num_rows else None

    def measure(self, plan, source, limit=None) -> State:
        return no_rows(plan) if source is None else measure_duckdb(plan, source)

    def repeated(self, rule, source) -> int:
        return repeated_duckdb(rule, source)

    def unreferenced(self, rule, source, other) -> int:
        return unreferenced_duckdb(rule, source)


class TestDuckdb(EngineSuite):
    """The suite on DuckDB."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls):
        return DuckdbEngine()
