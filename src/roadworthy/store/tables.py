"""The tables. Owns their present shape; how an older database gets there belongs to ``migrations``.

Kept to what SQLite and PostgreSQL share. The columns beside ``entry.leaf`` are an index for looking up: what an entry
says is always read from its leaf, whose hash is in the tree. ``blob`` holds attachments as they are; only payloads are
encrypted and can be erased.

SQLite keeps any kind of value in any column. A cell of another kind than its column's was not written by a store, and
reading it says so, before anything above takes it for what it is not.
"""

from typing import Any, TypeVar

from sqlalchemy import CheckConstraint, Column, Dialect, ForeignKey, Index, MetaData, Table
from sqlalchemy import types as sql

from roadworthy.base.errors import StoreBroken

_T = TypeVar("_T")


class LargeBinary(sql.TypeDecorator[bytes]):
    """Bytes and nothing else."""

    impl = sql.LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Pass bytes on, refuse the rest."""
        return _exactly(bytes, value)


class Integer(sql.TypeDecorator[int]):
    """Whole numbers and nothing else."""

    impl = sql.Integer
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Pass whole numbers on, refuse the rest."""
        return _exactly(int, value)


class Text(sql.TypeDecorator[str]):
    """Text and nothing else."""

    impl = sql.Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Pass text on, refuse the rest."""
        return _exactly(str, value)


def _exactly(kind: type[_T], value: Any) -> _T | None:
    if value is None or isinstance(value, kind):
        return value
    what = f"The store holds a {type(value).__name__} where only {kind.__name__} is ever written."
    raise StoreBroken(what, remedy="Restore the store from a backup, and verify that.")


metadata = MetaData()

entry = Table(
    "entry",
    metadata,
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("use_case_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Index("entry_use_case_id_kind", "use_case_id", "kind"),
    Index("entry_subject", "subject"),
)

payload = Table(
    "payload",
    metadata,
    Column("entry_index", Integer, ForeignKey("entry.index"), primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
)

payload_key = Table(
    "payload_key",
    metadata,
    Column("entry_index", Integer, ForeignKey("entry.index"), primary_key=True, autoincrement=False),
    Column("wrapped_key", LargeBinary, nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="head_is_one_row"), primary_key=True, autoincrement=False),
    Column("size", Integer, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("newest_at", Text, nullable=True),
)
