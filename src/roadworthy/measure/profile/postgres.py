"""A table of a PostgreSQL database as a source. Owns the address, the connection and the sample that cells are frozen on.

The rows stay where they are: the database counts, and what leaves it are counts and at most ``SAMPLE_ROWS`` sampled rows.

Rules kept here:
1. Each question opens a connection of its own, which reads and never writes, and closes it.
2. The same table gives the same sample: the database's generator is seeded, and it reads the rows one after the other.
3. No password stands in an address that is shown: the name of a source has none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg
import pyarrow as pa
from ibis.common.exceptions import IbisError, TableNotFound
from psycopg import sql

from roadworthy.base.errors import EmptyData, EngineRefused, ParameterError
from roadworthy.measure.profile.source import Source
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.compile.ibis import measure_ibis
from roadworthy.measure.volume.compile.postgres import PostgresTables, postgres_tables
from roadworthy.measure.volume.plan import Plan
from roadworthy.measure.volume.reference import SAMPLE_ROWS
from roadworthy.measure.volume.state import State

_SEED = 0.5
_CONNECT_S = 10


class Address:
    """Where a table is: what to connect to, the table's schema (None for the first of the search path) and name."""

    def __init__(self, url: str) -> None:
        """Read ``postgresql://user:password@host:port/database?table=schema.name``.

        Raises:
            ParameterError: no table is named (RW-114).
        """
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True)
        named = options.pop("table", [])
        if len(named) != 1 or not all(named[0].rpartition(".")[::2][-1:]) or options:
            raise ParameterError(
                "The address of the database does not name one table.",
                remedy="End it with ?table=schema.name and nothing else.",
            )
        schema, _, self.table = named[0].rpartition(".")
        self.schema = schema or None
        self.url = urlunsplit(parts._replace(query=""))
        host = parts.hostname or "local"
        self.name = f"{named[0]} of {parts.path.lstrip('/') or 'postgres'} on {host}"


def open_postgres(url: str) -> Source:
    """A table, or a view, of a database.

    Raises:
        ParameterError: the address names no table (RW-114).
        EngineRefused: the database cannot be reached, or has no such table (RW-117).
        EmptyData: it has no rows (RW-104).
    """
    address = Address(url)
    return Source(name=address.name, sample=from_arrow(_sampled(address), address.name), count=partial(_count, address))


def _count(address: Address, plan: Plan) -> State:
    with _connected(address) as tables:
        return measure_ibis(plan, tables.table(address.table, database=address.schema))


def _sampled(address: Address) -> pa.Table:
    name = sql.Identifier(*filter(None, (address.schema, address.table)))
    with _connected(address) as tables:
        columns = tables.table(address.table, database=address.schema).schema()
        with tables.con.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT COUNT(*) FROM {}").format(name))
            (rows,) = cursor.fetchone()
            cursor.execute("SELECT setseed(%s)", [_SEED])
            share = min(SAMPLE_ROWS / rows, 1.0) if rows else 1.0
            drawn = cursor.execute(sql.SQL("SELECT * FROM {} WHERE random() <= %s").format(name), [share]).fetchall()
    if not drawn:
        raise EmptyData(f"{address.name} has no rows.", remedy="Name another table.", where=address.name)
    values = zip(*drawn, strict=True)
    return pa.table({each: _array(kind, held) for (each, kind), held in zip(columns.items(), values, strict=True)})


def _array(kind: Any, values: Sequence[Any]) -> pa.Array:
    """A sampled column, stored so that it is read as the database's own is."""
    if kind.is_floating() or kind.is_decimal():
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    for fits, stored in (
        (kind.is_integer(), pa.int64()),
        (kind.is_boolean(), pa.bool_()),
        (kind.is_string(), pa.string()),
        (kind.is_date(), pa.date32()),
        (kind.is_timestamp(), pa.timestamp("us", tz="UTC" if kind.is_timestamp() and kind.timezone else None)),
    ):
        if fits:
            return pa.array(values, stored)
    # Null or not is all that is ever asked of any other type.
    return pa.array([None if value is None else b"" for value in values], pa.binary())


@contextmanager
def _connected(address: Address) -> Iterator[PostgresTables]:
    try:
        with psycopg.connect(address.url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            connection.execute("SET default_transaction_read_only = on")
            yield postgres_tables(connection)
    except (psycopg.Error, IbisError, TableNotFound) as error:
        raise _refused(address, error) from error


def _refused(address: Address, error: Exception) -> EngineRefused:
    first = (str(error).splitlines() or [""])[0].rstrip(".")
    return EngineRefused(
        f"{address.name} cannot be read ({type(error).__name__}): {first}.",
        remedy="Check the address, the password file and that the user may read the table.",
        where=address.name,
    )
