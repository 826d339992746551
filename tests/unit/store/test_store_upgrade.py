"""Bringing a database to the shape of this version."""

import re
import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from roadworthy.base.errors import StoreBroken
from roadworthy.store import tables
from roadworthy.store.upgrade import is_behind, upgrade, upgrade_sql


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def shape(connection):
    """Columns, keys, checks and indexes of every table but Alembic's own."""
    look = inspect(connection)
    return {
        name: {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"], each["primary_key"])
                for each in look.get_columns(name)
            ],
            "foreign": [(each["constrained_columns"], each["referred_table"]) for each in look.get_foreign_keys(name)],
            "checks": sorted((each["name"], each["sqltext"]) for each in look.get_check_constraints(name)),
            "indexes": sorted((each["name"], each["column_names"], each["unique"]) for each in look.get_indexes(name)),
        }
        for name in sorted(look.get_table_names())
        if name != "alembic_version"
    }


def test_the_migrated_shape_is_that_of_the_tables(connection):
    """Drift between migrations and tables is found by Alembic, and by a comparison of our own that sees checks too."""
    upgrade(connection)
    assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables.metadata) == []
    migrated = shape(connection)
    engine = create_engine("sqlite://")
    with engine.connect() as other:
        tables.metadata.create_all(other)
        assert migrated == shape(other)
    engine.dispose()
    assert migrated["head"]["checks"] == [("head_is_one_row", "id = 1")]


def test_drift_would_be_found(connection):
    """The comparison itself can fail."""
    upgrade(connection)
    connection.exec_driver_sql("ALTER TABLE blob ADD COLUMN surprise TEXT")
    assert compare_metadata(MigrationContext.configure(connection), tables.metadata) != []


def test_upgrading_twice_does_nothing(connection):
    """Opening a store is not a migration each time."""
    assert is_behind(connection)
    upgrade(connection)
    assert not is_behind(connection)
    before = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    upgrade(connection)
    assert connection.exec_driver_sql("PRAGMA schema_version").scalar_one() == before


def test_a_newer_store_is_refused(connection):
    """Its shape is named, and nothing is changed."""
    upgrade(connection)
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreBroken, match=r"newer version.*9999"):
        upgrade(connection)
    assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


def test_a_foreign_database_is_refused(connection):
    """Our tables are not put beside somebody else's."""
    connection.exec_driver_sql("CREATE TABLE invoices (id INTEGER)")
    with pytest.raises(StoreBroken, match="not a store"):
        upgrade(connection)
    assert inspect(connection).get_table_names() == ["invoices"]


def test_an_upgrade_that_is_rolled_back_leaves_nothing(tmp_path):
    """The whole stream runs in the caller's transaction."""
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as raw:
        engine = create_engine("sqlite://", creator=lambda: raw)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            assert raw.in_transaction
            raw.rollback()
            assert inspect(connection).get_table_names() == []


def test_a_server_is_migrated_within_limits():
    """On PostgreSQL the lock is waited for briefly, taken by one, and before the first table."""
    sql = upgrade_sql("postgresql")
    limits = ["lock_timeout = '4s'", "statement_timeout = '5s'", "pg_advisory_xact_lock", "CREATE TABLE entry"]
    places = [sql.index(limit) for limit in limits]
    assert places == sorted(places)
    assert "lock_timeout" not in upgrade_sql("sqlite")


def test_both_dialects_say_the_same():
    """One stream: the tables of a server are those of the file, and those that are used."""
    sql = {dialect: upgrade_sql(dialect) for dialect in ("sqlite", "postgresql")}
    names = {dialect: re.findall(r"CREATE TABLE (\w+)", text) for dialect, text in sql.items()}
    assert names["sqlite"] == names["postgresql"]
    assert set(names["sqlite"]) == {*tables.metadata.tables, "alembic_version"}
    for table in tables.metadata.tables.values():
        wanted = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for column in re.findall(r"^\t(\w+ \w+)", wanted, re.MULTILINE):
            assert column.startswith(("PRIMARY", "FOREIGN", "CONSTRAINT")) or column in sql["postgresql"]
