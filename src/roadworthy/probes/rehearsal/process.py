"""The processes of a rehearsal. Owns starting the gateway, finding its children, signals to them, and their end.

Rules kept here:
1. Every wait has an end. What does not start in time is ended, and its last words are told.
2. Whatever the gateway started ends with it, also what was stopped by a signal, and whichever group it is in.
3. Children are found through /proc, so a rehearsal needs Linux.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import TargetUnreachable

LEDGER = "roadworthy.ledgerd"
WORKER = "roadworthy.gateway.worker"
_START_S = 60.0
_LAST_WORDS = 600
_REMEDY = "Run 'roadworthy gateway --check' on the operator's file, and look at its words above."


class GatewayProcess:
    """``roadworthy gateway`` on one configuration. A context manager.

    Args:
        config: path of it.
        words: file for what it writes to standard error.
    """

    def __init__(self, config: Path, words: Path) -> None:
        self._config, self._words = config, words
        self._process: subprocess.Popen[bytes] | None = None
        self.ready_line = ""

    def __enter__(self) -> Self:
        """Start it and wait until it serves.

        Raises:
            TargetUnreachable: it did not start, with its own last words (RW-401).
        """
        command = [sys.executable, "-m", "roadworthy", "gateway", "-c", str(self._config)]
        with self._words.open("ab") as words:
            self._process = subprocess.Popen(  # our own interpreter and module
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, start_new_session=True
            )
        try:
            self.ready_line = self._first_line()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self._end()

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def children(self, module: str = "") -> tuple[int, ...]:
        """Process ids of the supervisor's children that run a module; of all of them when none is named."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if parent == self.pid and (not module or module.encode() in command):
                    found.append(int(entry.name))
        return tuple(found)

    def tell(self, module: str, number: signal.Signals) -> None:
        """Send a signal to the children that run a module."""
        for pid in self.children(module):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def reload(self) -> None:
        """Let it read its files again."""
        os.kill(self.pid, signal.SIGHUP)

    def _first_line(self) -> str:
        process, line, until_s = self._process, b"", monotonic_s() + _START_S
        assert process is not None
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([descriptor], [], [], max(0.0, until_s - monotonic_s()))
            data = os.read(descriptor, 4096) if readable else b""
            if not data:
                words = self._words.read_text(errors="replace").strip()[-_LAST_WORDS:]
                what = f"The rehearsal of the gateway did not start: {words or 'it said nothing'}"
                raise TargetUnreachable(what, remedy=_REMEDY, where=str(self._config))
            line += data
        return line.decode("utf-8", "replace").strip()

    def _end(self) -> None:
        """Kill all of it. Nobody needs an orderly end: what a rehearsal acknowledged is durable, and its folder goes."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)  # so that it starts nobody while its children are counted
            self.tell("", signal.SIGKILL)
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
