"""The server that the tests start is a PostgreSQL like any other, and it is gone afterwards."""

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from house_marks import ONLY_THERE, POSTGRES_URL, postgres_binaries
from postgres_server import PostgresNotStarted, running_server

pytestmark = pytest.mark.postgres


def test_what_is_written_is_read_by_the_next_connection(postgres_url):
    """A round trip through a real server: rows, a null, a figure beyond any float, and text beyond ASCII."""
    rows = [(1, "Zürich ✓", 2**60 + 1), (2, None, -1)]
    with psycopg.connect(postgres_url, autocommit=True) as writer:
        writer.execute("CREATE SCHEMA round_trip")
        writer.execute("CREATE TABLE round_trip.t (id int PRIMARY KEY, name text, figure bigint)")
        writer.cursor().executemany("INSERT INTO round_trip.t VALUES (%s, %s, %s)", rows)
    try:
        with psycopg.connect(postgres_url) as reader:
            assert reader.execute("SELECT * FROM round_trip.t ORDER BY id").fetchall() == rows
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as cleaner:
            cleaner.execute("DROP SCHEMA round_trip CASCADE")


@pytest.fixture
def own():
    """A server that was started here; skipped where one is named instead."""
    if os.environ.get(POSTGRES_URL):
        pytest.skip(f"{ONLY_THERE}machines where no server is named")


def test_nobody_comes_in_without_the_password(own, postgres_url):
    """Other users of this machine can reach the port."""
    parts = urlsplit(postgres_url)
    wrong = postgres_url.replace(f":{parts.password}@", ":guess@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_it_ends_with_the_block_even_after_a_failure(own, postgres_url):
    """Neither the process nor its folder is left when a test fails with a connection open."""
    seen = []

    def story():
        with running_server(postgres_binaries()) as url, psycopg.connect(url) as connection:
            seen.extend([url, connection.execute("SHOW unix_socket_directories").fetchone()[0]])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        story()
    url, folder = seen
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


def test_a_server_that_does_not_start_says_why(own):
    """initdb's own words come through; another user must be able to read the folder, hence not tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "initdb"
        program.write_text("#!/bin/sh\necho no room left >&2\nexit 1\n", encoding="utf-8")
        for path in (program.parent, program):
            path.chmod(0o755)
        with (
            pytest.raises(PostgresNotStarted, match="initdb ended with 1: no room left"),
            running_server(program.parent),
        ):
            pass
