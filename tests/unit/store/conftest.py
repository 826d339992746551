"""A store with three entries, and hands to spoil it with."""

import sqlite3
from contextlib import closing

import pytest

from roadworthy.domain.record import RecordKind
from roadworthy.kit.testing.store_suite import draft, write
from roadworthy.ledger.keys import key_from_seed
from roadworthy.store.engine import StoreKeys, open_store


@pytest.fixture
def keys():
    return StoreKeys(log=key_from_seed(b"L" * 32), payload=b"P" * 32, origin="roadworthy/unit")


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(place, keys):
    opened = open_store(place, keys=keys, busy_timeout_s=0.2)
    yield opened
    opened.close()


@pytest.fixture
def filled(store):
    """Entries 0, 1, 2, of which 1 may be erased; the attachment ``attached`` came with entry 0."""
    write(store, draft(0), b"attached")
    write(store, draft(1, kind=RecordKind.EVIDENCE_RECORDED))
    write(store, draft(2))
    return store


@pytest.fixture
def spoil(place):
    """Runs statements on the file behind the store's back, foreign keys unchecked."""

    def run(*statements):
        with closing(sqlite3.connect(place)) as connection, connection:
            for statement in statements:
                connection.execute(*([statement] if isinstance(statement, str) else statement))

    return run
