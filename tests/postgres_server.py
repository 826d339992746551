"""A PostgreSQL server for the tests. Owns starting it in a folder of its own and stopping it, whatever happens.

1. ROADWORTHY_TEST_POSTGRES names a server: that one is used, and nothing is started.
2. Otherwise the installed binaries make a cluster in a temporary folder, on a free port of 127.0.0.1 with a password that
   nobody else knows; without a password one comes in through the Unix socket in that folder only, which is private.
3. The server refuses to run as root, so then it runs as a user without rights.
4. It is a child of the session, not a daemon, and it writes nothing through to the disk: its data ends with it.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from house_marks import NO_POSTGRES, POSTGRES_URL, in_ci, postgres_binaries

OWNER = "roadworthy"
_TRIES = 3
_START_S = 30.0
_STOP_S = 10.0
_CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "20",
    "jit": "off",
}


class PostgresNotStarted(RuntimeError):
    """The server did not come up; the message holds its last words."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server on which the tests may do what they like: ``postgresql://user:password@host:port/database``.

    Skipped where no binaries are installed; under continuous integration that is a failure.
    """
    named = os.environ.get(POSTGRES_URL)
    if named:
        yield named
        return
    binaries = postgres_binaries()
    if binaries is None:
        reason = f"{NO_POSTGRES}: install Debian's package postgresql, or set {POSTGRES_URL}"
        (pytest.fail if in_ci() else pytest.skip)(reason)
    with running_server(binaries) as url:
        yield url


@contextmanager
def running_server(binaries: Path) -> Iterator[str]:
    """A new cluster for the length of the block; its URL.

    Raises:
        PostgresNotStarted: it did not come up.
    """
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="roadworthy-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        password = secrets.token_hex(16)
        _make_cluster(binaries, folder, user, password)
        server, port = _start(binaries, folder, user)
        try:
            yield f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> str | None:
    """The user to become; None where this process has no rights to give up."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _as(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _make_cluster(binaries: Path, folder: Path, user: str | None, password: str) -> None:
    # The folder belongs to the server's user alone by now, so nobody else reads the file; it goes with the folder.
    secret = folder / "password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o644)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={folder / 'data'}",
        f"--username={OWNER}",
        f"--pwfile={secret}",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as(user))
    if made.returncode != 0:
        raise PostgresNotStarted(f"initdb ended with {made.returncode}: {made.stderr}")


def _start(binaries: Path, folder: Path, user: str | None) -> tuple[subprocess.Popen[bytes], int]:
    """Between finding a port and using it another program may take it; then the next one is tried."""
    words = ""
    for _ in range(_TRIES):
        port = _free_port()
        options = {**_CONFIGURATION, "port": str(port), "unix_socket_directories": str(folder)}
        command = [str(binaries / "postgres"), "-D", str(folder / "data")]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = folder / "server.log"
        with log.open("wb") as written:
            server = subprocess.Popen(command, cwd=folder, stdout=written, stderr=written, **_as(user))
        if _is_ready(binaries, port, server):
            return server, port
        _stop(server)
        words = log.read_text(encoding="utf-8", errors="replace")
    raise PostgresNotStarted(f"{_TRIES} tries; the last log:\n{words}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _is_ready(binaries: Path, port: int, server: subprocess.Popen[bytes]) -> bool:
    """Whether it takes connections before it ends or the patience does."""
    question = [str(binaries / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    deadline_s = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline_s:
        if subprocess.run(question, check=False).returncode == 0:
            return True
        time.sleep(0.05)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """SIGINT disconnects whoever is there and shuts down in order; a server that does not listen is killed."""
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
