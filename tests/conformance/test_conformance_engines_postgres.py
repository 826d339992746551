"""Ibis on PostgreSQL counts what numpy counts."""

from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from engine_suite import Engine, EngineSuite

from roadworthy.measure.volume.compile.grouped import repeated_ibis, unreferenced_ibis
from roadworthy.measure.volume.compile.ibis import measure_ibis
from roadworthy.measure.volume.compile.postgres import postgres_tables

pytestmark = pytest.mark.postgres

SCHEMA = "engine_suite"


def stored(kind: pa.DataType) -> str:
    """PostgreSQL's name of an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if pa.types.is_list(kind):
        return f"{stored(kind.value_type)}[]"
    return {
        "double": "double precision",
        "float": "real",
        "int64": "bigint",
        "int32": "integer",
        "int16": "smallint",
        "string": 'text COLLATE "und-x-icu"',
        "bool": "boolean",
        "date32[day]": "date",
    }[str(kind)]


class PostgresEngine(Engine):
    """Tables in a schema of their own; a zone with summer time and an order of people's texts must not matter."""

    foreign = False

    def __init__(self, url: str) -> None:
        self.plain = psycopg.connect(url, autocommit=True)
        self.plain.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self.plain.execute(f"CREATE SCHEMA {SCHEMA}")
        self.plain.execute(f"SET search_path = {SCHEMA}")
        self.connection = postgres_tables(psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}"))
        self.connection.con.execute("SET TIMEZONE = 'Europe/Berlin'")

    def load(self, name, table):
        columns = ", ".join(f'"{field.name}" {stored(field.type)}' for field in table.schema)
        self.plain.execute(f"DROP TABLE IF EXISTS {name}")
        self.plain.execute(f"CREATE TABLE {name} ({columns})")
        with self.plain.cursor().copy(f"COPY {name} FROM STDIN") as copy:
            for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                copy.write_row(row)
        return self.connection.table(name)

    def measure(self, plan, source, limit=None):
        return measure_ibis(plan, source, limit=limit)

    def repeated(self, rule, source):
        return repeated_ibis(rule, source)

    def unreferenced(self, rule, source, other):
        return unreferenced_ibis(rule, source, other)

    def close(self) -> None:
        self.plain.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        self.plain.close()
        self.connection.con.close()


class TestPostgres(EngineSuite):
    """The suite on a real server."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, postgres_url) -> Iterator[PostgresEngine]:
        made = PostgresEngine(postgres_url)
        yield made
        made.close()
