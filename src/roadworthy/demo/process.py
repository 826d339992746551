"""The demonstration's servers as processes of their own. Owns starting, waiting, killing and stopping them.

Rules kept here:
1. nobody gets a server that is not ready;
2. a server ends with the block, and also when this process dies without leaving it: it watches a pipe from here.
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
GATEWAY_LOG = "gateway.log"
_START_S = 30.0
_STOP_S = 5.0
# The gateway drains its workers first, then its ledger publishes what it has.
_GATEWAY_STOP_S = 30.0
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


class LocalProcess:
    """A context manager around a server of this package, ``python -m MODULE ... --until-stdin-closes``.

    Args:
        words: the module and its arguments.
        log: file to which its output is added.
        port: of 127.0.0.1, where it tells that it is ready.
        ready: path that answers 200 then.
        stop_s: how long it may take to end when it is asked to.
    """

    def __init__(self, words: tuple[str, ...], log: Path, port: int, ready: str, *, stop_s: float) -> None:
        self._words, self._log, self._port, self._path, self._stop_s = words, log, port, ready, stop_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start, and wait until it is ready. Raises TargetUnreachable (RW-401) when it does not start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Stop, by force when it does not listen; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def kill(self) -> int | None:
        """End it at once, as a fault would: nothing is finished, nobody is told. Its process id, None when none ran."""
        process = self._process
        if process is None:
            return None
        process.kill()
        process.wait()
        self.stop()
        return process.pid

    def start(self) -> None:
        """Start, and wait until it is ready.

        Raises:
            TargetUnreachable: it does not start (RW-401).
        """
        # Another server on this port would answer in the place of ours, which then could not start.
        if _listens(self._port):
            raise self._failure("Another program listens on this port.")
        command = [sys.executable, "-m", *self._words, "--until-stdin-closes"]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self._process = process
        deadline_s = monotonic_s() + _START_S
        while not self._ready():
            if self._ended(process) or monotonic_s() > deadline_s:
                self.stop()
                raise self._failure(f"The server did not start: {self._last_words()}")

    def _failure(self, what: str) -> TargetUnreachable:
        remedy = f"Look into {self._log.name}, and choose a free port."
        return TargetUnreachable(what, remedy=remedy, where=f"127.0.0.1:{self._port}")

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_START_S)
        try:
            connection.request("GET", self._path)
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
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-_LOG_SHOWN:].splitlines()[-1] if text else "it wrote nothing."


class ServerProcess(LocalProcess):
    """The model server, ``python -m roadworthy.demo.server``.

    Args:
        folder: with ``serving.yaml``; the server's log is written there.
        port: of 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        words = ("roadworthy.demo.server", "--folder", str(folder), "--port", str(port))
        super().__init__(words, folder / LOG, port, "/v2/health/ready", stop_s=_STOP_S)


class AnswersProcess(LocalProcess):
    """The policy search, ``python -m roadworthy.demo.answers.server``.

    Args:
        folder: where its log is written.
        port: of 127.0.0.1.
        mode: what is searched, ``texts`` or ``titles``.
    """

    def __init__(self, folder: Path, port: int, mode: str) -> None:
        words = ("roadworthy.demo.answers.server", "--port", str(port), "--mode", mode)
        super().__init__(words, folder / f"{mode}.log", port, "/health", stop_s=_STOP_S)


class GatewayProcess(LocalProcess):
    """The gateway with its ledger and workers: what ``roadworthy gateway -c FILE`` runs.

    Args:
        config: gateway.yaml; the gateway's log is written beside it.
        admin_port: of 127.0.0.1, as the file says.
    """

    def __init__(self, config: Path, admin_port: int) -> None:
        words = ("roadworthy.demo.gateway_server", "--config", str(config))
        super().__init__(words, config.with_name(GATEWAY_LOG), admin_port, "/health/ready", stop_s=_GATEWAY_STOP_S)
