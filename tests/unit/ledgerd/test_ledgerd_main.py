import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from roadworthy.ledgerd import __main__ as program
from roadworthy.ledgerd.storage import PosixStorage
from roadworthy.wire.ledger_messages import (
    LedgerRecord,
    MessageType,
    Reader,
    RefusalCode,
    append_body,
    encode,
    parse_refused,
)


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.json"
    members = {"folder": "ledger", "origin": "example.org/x", "key_path": "key.pem", "socket_path": "l.sock"}
    path.write_text(json.dumps({**members, "segment_bytes": 65536}), encoding="utf-8")
    return path


@pytest.fixture
def process(settings):
    command = [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(settings), "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_process_serves_until_its_starter_is_gone(process, tmp_path):
    """One line when it serves, an answer on the socket, and a clean end."""
    welcome = json.loads(process.stdout.readline())
    assert (welcome["size"], welcome["epoch"]) == (1, 1)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(tmp_path / "l.sock"))
        connection.sendall(encode(MessageType.HELLO, 5, b'{"version":1}'))
        (message,) = Reader().feed(connection.recv(4096))
    assert json.loads(message.body) == welcome
    _, complaint = process.communicate(timeout=10)
    assert (process.returncode, complaint) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(process, tmp_path, number):
    """What was acknowledged is there at the next start, and the socket is gone."""
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert not (tmp_path / "l.sock").exists()


def test_here_it_serves_until_standard_input_ends(settings, capsys, monkeypatch):
    """The same in this process: what was written before its end does not matter."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as standard_input:
        os.write(writing, b"words")
        os.close(writing)
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert program.main(["--settings", str(settings), "--until-stdin-closes"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 1


def _connected(path):
    """A connection, as soon as somebody listens."""
    for _ in range(500):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            time.sleep(0.01)
        else:
            return connection
    raise TimeoutError


def test_it_ends_when_its_disk_no_longer_works(settings, tmp_path, capsys, monkeypatch):
    """Whoever appends is told; then the process ends with the reason, so that a new start decides what is there."""
    refused = []
    good = iter([None] * 3)
    sync = PosixStorage.sync

    def fails_later(storage, handle):
        if next(good, 1):
            raise OSError(errno.EIO, "injected")
        sync(storage, handle)

    def append():
        reader = Reader()
        with _connected(tmp_path / "l.sock") as connection:
            connection.sendall(encode(MessageType.HELLO, 0, b'{"version":1}'))
            reader.feed(connection.recv(4096))
            for number in range(9):
                connection.sendall(encode(MessageType.APPEND, number, append_body([LedgerRecord(b"{}", b"")])))
                (answer,) = reader.feed(connection.recv(4096))
                if answer.type is MessageType.REFUSED:
                    refused.append(parse_refused(answer.body)[0])
                    return

    monkeypatch.setattr(PosixStorage, "sync", fails_later)
    client = threading.Thread(target=append)
    client.start()
    assert program.main(["--settings", str(settings)]) == 5
    client.join()
    assert refused == [RefusalCode.BROKEN]
    assert capsys.readouterr().err.startswith("RW-505 ")


def test_an_error_is_one_line_and_an_exit_code(tmp_path, capsys):
    """For whoever reads the log, and for whoever started it."""
    assert program.main(["--settings", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.startswith("RW-102 ")
