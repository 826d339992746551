"""A table of a PostgreSQL database as a source. Owns the address, the connection and the sample that cells are frozen on.

The rows stay where they are: the database counts, and what leaves it are counts and at most ``SAMPLE_ROWS`` sampled rows.

Rules kept here:
1. Each question opens a connection of its own, which reads and never writes, and closes it.
2. The same table gives the same sample: the database's generator is seeded, and it reads the rows one after the other.
3. No password stands in what is shown: the name of a source has none, an address that could be split in the wrong place
   is refused without a word of it, and what the driver says is searched for it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

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
_SCHEME = re.compile(r"postgres(ql)?(\+[a-z0-9_]+)?")
"""PostgreSQL's two, also with the driver that other libraries write behind them."""
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_HIDDEN = "***"


class Address:
    """Where a table is: what to connect to, the table's schema (None for the first of the search path) and name."""

    def __init__(self, url: str) -> None:
        """Read ``postgresql://user:password@host:port/database?table=schema.name``.

        Raises:
            ParameterError: no table is named, or it cannot be told where its parts end (RW-114).
        """
        parts = _parts(url)
        options = parse_qs(parts.query, keep_blank_values=True)
        named = options.pop("table", [])
        if len(named) != 1 or not all(named[0].rpartition(".")[::2][-1:]) or options:
            raise ParameterError(
                "The address of the database does not name one table.",
                remedy="End it with ?table=schema.name and nothing else.",
            )
        schema, _, self.table = named[0].rpartition(".")
        self.schema = schema or None
        self.url = urlunsplit(parts._replace(scheme="postgresql", query=""))
        said = {parts.password or "", unquote(parts.password or "")} - {""}
        self.secrets = tuple(sorted(said, key=len, reverse=True))
        host = parts.hostname or "local"
        self.name = f"{named[0]} of {parts.path.lstrip('/') or 'postgres'} on {host}"


def _parts(url: str) -> SplitResult:
    """The parts of an address, when every reader splits it in the same places."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # The message of the library quotes the address, and a chained one is printed with it.
        raise _unclear() from None
    torn = parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment or "#" in url
    if torn or _STRAY_PERCENT.search(url) or not url.isprintable() or not _SCHEME.fullmatch(parts.scheme):
        raise _unclear()
    return parts


def _unclear() -> ParameterError:
    return ParameterError(
        "The address of the database cannot be read, or can be read in two ways.",
        remedy="Write postgresql://user:password@host:port/database?table=schema.name, with @ / # ? and % of a password "
        "as %40 %2F %23 %3F and %25; or leave the password to the password file.",
    )


def open_postgres(url: str) -> Source:
    """A table, or a view, of a database.

    Raises:
        ParameterError: the address names no table, or cannot be read (RW-114).
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
    for secret in address.secrets:
        first = first.replace(secret, _HIDDEN)
    return EngineRefused(
        f"{address.name} cannot be read ({type(error).__name__}): {first}.",
        remedy="Check the address, the password file and that the user may read the table.",
        where=address.name,
    )
