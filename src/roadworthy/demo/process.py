"""The demonstration's server as a process of its own. Owns starting, waiting and stopping it.

Rules kept here:
1. nobody gets a server that is not ready;
2. the server ends with the block, and also when this process dies without leaving it: it watches a pipe from here.
"""

import http.client
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import TargetUnreachable

LOG = "server.log"
_START_S = 30.0
_STOP_S = 5.0
_PAUSE_S = 0.05
_LOG_SHOWN = 300


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """A context manager around ``python -m roadworthy.demo.server``.

    Args:
        folder: with ``serving.yaml``; the server's log is written there.
        port: of 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start, and wait until it is ready. Raises TargetUnreachable (RW-401) when it does not start."""
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def restart(self) -> None:
        """Stop and start again, so that it reads its configuration anew.

        Raises:
            TargetUnreachable: it does not start (RW-401).
        """
        self.stop()
        self._start()

    def stop(self) -> None:
        """Stop, by force when it does not listen; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _start(self) -> None:
        # Another server on this port would answer in the place of ours, which then could not start.
        if _listens(self._port):
            raise self._failure("Another program listens on this port.")
        command = [sys.executable, "-m", "roadworthy.demo.server", "--folder", str(self._folder)]
        command += ["--port", str(self._port), "--until-stdin-closes"]
        with (self._folder / LOG).open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._process = process
        deadline_s = monotonic_s() + _START_S
        while not self._ready():
            if self._ended(process) or monotonic_s() > deadline_s:
                self.stop()
                raise self._failure(f"The server did not start: {self._last_words()}")

    def _failure(self, what: str) -> TargetUnreachable:
        remedy = f"Look into {LOG}, and choose a free port."
        return TargetUnreachable(what, remedy=remedy, where=f"127.0.0.1:{self._port}")

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_START_S)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @staticmethod
    def _ended(process: subprocess.Popen[bytes]) -> bool:
        """Whether the process is gone, after giving it a moment."""
        try:
            process.wait(_PAUSE_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _last_words(self) -> str:
        text = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
        return text[-_LOG_SHOWN:].splitlines()[-1] if text else "it wrote nothing."
