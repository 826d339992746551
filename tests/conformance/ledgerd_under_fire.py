"""The real process under strace: one system call of it fails or kills it, while a client appends; then a clean start."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from roadworthy.ledger.log import verify_log
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import segment_name
from roadworthy.ledgerd.storage import PosixStorage
from roadworthy.wire.ledger_messages import (
    LedgerRecord,
    MessageType,
    Reader,
    append_body,
    encode,
    parse_appended,
)

STRACE = shutil.which("strace")
# Calls that Python itself makes by the thousand are counted only where they touch the ledger.
CALLS = {
    "fdatasync": "fdatasync",
    "fsync": "fsync",
    "pwrite64": "pwrite64",
    "fallocate": "fallocate",
    "ftruncate": "ftruncate",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "mkdir": "mkdir,mkdirat",
    "openat": "openat",
    "close": "close",
}
ONLY_THE_LEDGERS = frozenset({"openat", "close", "unlink"})
ACTIONS = ("error=EIO", "error=ENOSPC", "signal=KILL")
APPENDS, RECORDS, OUTSTANDING = 36, 3, 4
SEGMENT_BYTES = 32 * 1024


class Outcome(NamedTuple):
    """What one run showed: whether the fault was met, what was acknowledged, and what was found afterwards."""

    met: bool
    acknowledged: int
    kept: int


class Client:
    """Appends as a worker does, a few at a time, and remembers what was acknowledged."""

    def __init__(self, path, process):
        self.acknowledged = {}
        self._reader = Reader()
        self._socket = self._connect(path, process)
        self._waiting = {}

    @staticmethod
    def _connect(path, process):
        until_s = time.perf_counter() + 20
        while process.poll() is None and time.perf_counter() < until_s:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            try:
                connection.connect(str(path))
            except OSError:
                connection.close()
                time.sleep(0.01)
            else:
                return connection
        return None

    def run(self):
        """Append everything, or as much as there is anybody to take it."""
        if self._socket is None:
            return
        with self._socket, contextlib.suppress(OSError, EOFError):
            self._socket.sendall(encode(MessageType.HELLO, 0, b'{"version":1}'))
            self._answers(1)
            for number in range(1, APPENDS + 1):
                self._append(number)
                if len(self._waiting) >= OUTSTANDING:
                    self._answers(1)
            self._answers(len(self._waiting))

    def status(self):
        """What the ledger says of itself."""
        with self._socket:
            self._socket.sendall(
                encode(MessageType.HELLO, 0, b'{"version":1}') + encode(MessageType.ASK, 1, b'{"what":"status"}')
            )
            return json.loads(self._answers(2)[-1].body)

    def _append(self, number):
        leaf = b'{"append":%d,"record":%d,"text":"%s"}'
        records = [LedgerRecord(leaf % (number, record, b"x" * 500), b"sealed" * 20) for record in range(RECORDS)]
        self._waiting[number] = records
        self._socket.sendall(encode(MessageType.APPEND, number, append_body(records)))

    def _answers(self, count):
        found = []
        while len(found) < count:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            for message in self._reader.feed(data):
                found.append(message)
                records = self._waiting.pop(message.request, ())
                if message.type is MessageType.APPENDED:
                    first, _ = parse_appended(message.body)
                    self.acknowledged |= {first + place: record.leaf for place, record in enumerate(records)}
        return found


def settings_in(folder):
    """A folder's settings file, written."""
    path = folder / "settings.json"
    settings = {
        "folder": "ledger",
        "origin": "example.org/fire",
        "key_path": "key.pem",
        "socket_path": "l.sock",
        "segment_bytes": SEGMENT_BYTES,
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def started(folder, *before):
    """The process, in a group of its own, so that it can be ended together with what traces it."""
    command = [*before, sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(settings_in(folder))]
    return subprocess.Popen(
        [*command, "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,
    )


def ended(process):
    """Its exit code and what it complained about; whoever does not end by itself is ended."""
    try:
        _, complaint = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, complaint = process.communicate()
        raise AssertionError("the process did not end") from None
    return process.returncode, complaint.decode()


def strace(folder, call, action, number):
    """The command that lets the ``number``-th such call of a thread go wrong."""
    command = [STRACE, "-f", "-qq", "-o", str(folder / "strace.log"), "-e", f"trace={CALLS[call]}"]
    if call in ONLY_THE_LEDGERS:
        ledger = folder / "ledger"
        names = [segment_name(index) for index in range(APPENDS * RECORDS + 2)]
        names += ["", "segments", "segments/spare", "log", "log/tile/entries/000.p", "log/tile/0/000.p", "ledgerd.lock"]
        for name in names:
            command += ["-P", str(ledger / name).rstrip("/")]
    return [*command, "-e", f"inject={CALLS[call]}:{action}:when={number}"]


def under_fire(folder, call, action, number):
    """One run with one fault, then a clean start: every promise is checked."""
    process = started(folder, *strace(folder, call, action, number))
    client = Client(folder / "l.sock", process)
    client.run()
    ended(process)
    log = (folder / "strace.log").read_text(encoding="utf-8", errors="replace")
    kept = check_clean_start(folder, client.acknowledged)
    return Outcome("INJECTED" in log or "killed by SIGKILL" in log, len(client.acknowledged), kept)


def check_clean_start(folder, acknowledged):
    """Start without faults, stop, and look: the tree, the published log, and every leaf that was acknowledged."""
    process = started(folder)
    client = Client(folder / "l.sock", process)
    status = client.status() if client._socket else None
    code, complaint = ended(process)
    assert (code, complaint) == (0, ""), complaint
    storage = PosixStorage(folder / "ledger")
    try:
        state = recover(storage)
        leaves = [leaf for _, part in FrameReader(storage, state.frames).leaves() for leaf in part]
    finally:
        storage.release()
    lost = [index for index, leaf in acknowledged.items() if index >= len(leaves) or leaves[index] != leaf]
    assert not lost, f"acknowledged and missing: {lost}"
    assert len(leaves) == status["size"]
    report = verify_log(folder / "ledger" / "log", status["vkey"])
    assert report.problems == (), report.problems
    return len(leaves)
