"""Ibis on DuckDB counts what numpy counts."""

import ibis
import pytest
from engine_suite import Engine, EngineSuite

from roadworthy.measure.volume.compile.grouped import repeated_ibis, unreferenced_ibis
from roadworthy.measure.volume.compile.ibis import measure_ibis


class IbisDuckdbEngine(Engine):
    """Tables in a database in memory."""

    foreign = False

    def __init__(self) -> None:
        self.connection = ibis.duckdb.connect()
        self.connection.con.execute("SET TimeZone = 'UTC'")

    def load(self, name, table):
        self.connection.con.register("arriving", table)
        self.connection.con.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM arriving')
        self.connection.con.unregister("arriving")
        return self.connection.table(name)

    def measure(self, plan, source, limit=None):
        return measure_ibis(plan, source, limit=limit)

    def repeated(self, rule, source):
        return repeated_ibis(rule, source)

    def unreferenced(self, rule, source, other):
        return unreferenced_ibis(rule, source, other)


class TestIbisOnDuckdb(EngineSuite):
    """The suite through Ibis."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls):
        return IbisDuckdbEngine()
