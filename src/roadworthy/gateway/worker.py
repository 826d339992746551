"""``python -m roadworthy.gateway.worker --config FILE --index N --fd FD``: one process of the data plane.

Owns start, reload and end of a worker; the supervisor that starts it holds the listening sockets.

Rules kept here:
1. It is ready when it listens. While the ledger is away it answers 503, and it never answers without.
2. SIGTERM and SIGINT drain: no new connections, exchanges under way end within ``drain_s``, and what is left after that
   is abandoned with a leaf. With ``--until-stdin-closes`` the end of standard input means the same.
3. SIGHUP reads the configuration again. A bad one changes nothing but a line in the log; what belongs to the listener or
   to the ledger needs a restart, and is refused. Exchanges under way end with what they began with.
4. Worker 0 also serves the admin address, so it is the one that writes switches.
5. Callers never take the last descriptor: their connections are bounded so that administrators, upstreams and files
   have theirs, and a flood of callers cannot keep anybody from the kill switch.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from roadworthy.base.clock import now_us
from roadworthy.base.errors import InputError, RoadworthyError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.admin import Admin
from roadworthy.gateway.app import Application
from roadworthy.gateway.compose import Generation, exporter
from roadworthy.gateway.config import GatewayConfig
from roadworthy.gateway.exchange import Headers, Reason, Refused
from roadworthy.gateway.health import Health
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.ledger_client import LedgerClient
from roadworthy.gateway.load_config import load_config, socket_path
from roadworthy.gateway.metrics import Meter, Pages
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.gateway.node_log import NodeLog
from roadworthy.gateway.pinned_file import read_pinned
from roadworthy.gateway.protocol import WireLimits, hardened
from roadworthy.gateway.records import Recorder
from roadworthy.gateway.redaction import RedactingFilter, Redactor
from roadworthy.gateway.sealing import Sealer, load_key
from roadworthy.gateway.switches import Switches

KEEP_ALIVE_S = 75
ADMIN_CONNECTIONS = 256
_ADMIN_HEAD_S = 5.0
BACKLOG = 1_024
"""Connections that wait to be accepted; so many may have been accepted before the first of them is refused."""
_FILE_DESCRIPTORS = 128
"""For files, the ledger's socket, logs and what the libraries open."""
_TICK_S = 0.5
_PATIENCE_S = 5.0
_GC_FIRST = 20_000
_STANDING = ("node", "listen", "admin", "workers", "ledger", "telemetry")
"""Keys of gateway.yaml that need a restart."""
_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn's server, without its handling of signals: a worker may run two of them.

    Attributes:
        listening: set once it accepts connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the worker."""
        yield


class Worker:
    """One process of the data plane.

    Args:
        path: of gateway.yaml.
        index: number of the worker, from 0.
        listener: where callers come in.
        admin_listener: where administrators come in; only worker 0 has it.

    Attributes:
        listening: set once it serves.

    Raises:
        RoadworthyError: the configuration, or a file that it names, cannot be used.
    """

    def __init__(
        self, path: Path, index: int, listener: socket.socket, admin_listener: socket.socket | None = None
    ) -> None:
        self._path, self._index, self._listener, self._admin_listener = path, index, listener, admin_listener
        self._config, self._config_digest = read_pinned(path, load_config)
        config = self._config
        self._connections = most_connections(raise_descriptor_limit(), _upstream_connections(config))
        self._files = files = NodeFiles(config.ledger.folder)
        self._pages = Pages(files.metrics, config.workers)
        self._meter = Meter(self._pages, index)
        self._switches = Switches(files.switches, frozenset(config.use_cases))
        self._queues: dict[str, HumanQueue] = {}
        self._export = exporter(config.telemetry, config.node)
        self._generation = self._read(config)
        epoch = now_us()
        recorder = Recorder(
            node=config.node,
            epoch=epoch,
            sealer=Sealer(load_key(files.payload_key)),
            pseudonym_key=load_key(files.pseudonym_key),
        )
        waiting = config.ledger.most_waiting
        self._ledger = LedgerClient(socket_path(config), node=config.node, worker=index, most_waiting=waiting)
        self._application = Application(
            self._generation.stages, recorder=recorder, ledger=self._ledger, node=config.node
        )
        self._switches.tell(self._application.cut_off)
        self._node_log = NodeLog(node=config.node, epoch=epoch, ledger=self._ledger, pseudonym=recorder.pseudonym)
        self._health = Health(
            ledger_up=lambda: self._ledger.up,
            certificates=self._certificates,
            upstreams=self._upstreams,
            in_force=self._in_force,
        )
        self._server = self._server_config(config)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.listening = asyncio.Event()

    async def run(self, *, until_stdin_closes: bool) -> None:
        """Serve until told to stop, then drain.

        1. Listen, and tell whoever started this process.
        2. What lives now is not looked at by the garbage collector again.
        3. Wait for the end.
        4. Callers first, administrators last: a drain can be watched.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))
        if until_stdin_closes:
            loop.add_reader(sys.stdin.fileno(), self._stdin_readable)
        self._generation.begin()
        await self._application.start()
        # A worker that listens without a ledger would only refuse; the others, or the queue of the socket, can wait.
        await self._ledger.ready(_PATIENCE_S)
        callers = _Server(self._server)
        serving = loop.create_task(callers.serve([self._listener]))  # 1
        administrators, administering = self._administration()
        self._begin(self._tick())
        self._begin(self._switches.watch(self._node_log.note if self._admin_listener is not None else None))
        await _first([loop.create_task(callers.listening.wait()), serving])
        print(json.dumps({"worker": self._index, "pid": os.getpid()}), flush=True)  # noqa: T201  # whoever started it waits for this line
        self.listening.set()
        gc.collect()  # 2
        gc.freeze()
        gc.set_threshold(_GC_FIRST, 20, 20)
        await _first([loop.create_task(self._stop.wait()), serving])  # 3
        self._health.draining = callers.should_exit = True  # 4
        await serving
        await self._application.close()
        administrators.should_exit = True
        await administering
        await self._close()

    def _administration(self) -> tuple[_Server, "asyncio.Future[None]"]:
        loop = asyncio.get_running_loop()
        server = _Server(
            uvicorn.Config(
                Admin(
                    health=self._health,
                    meter=self._meter,
                    switches=self._switches,
                    queues=self._queues,
                    node_log=self._node_log,
                    ask=self._ledger.ask,
                    folder=self._files.published,
                    identify=self,
                ),
                http=hardened(WireLimits(connections=ADMIN_CONNECTIONS, head_s=_ADMIN_HEAD_S), self._meter),
                lifespan="off",
                ws="none",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        if self._admin_listener is None:
            nothing: asyncio.Future[None] = loop.create_future()
            nothing.set_result(None)
            return server, nothing
        return server, loop.create_task(server.serve([self._admin_listener]))

    def _server_config(self, config: GatewayConfig) -> uvicorn.Config:
        return uvicorn.Config(
            self._application,
            http=hardened(WireLimits(connections=self._connections), self._meter),
            backlog=BACKLOG,
            lifespan="off",
            ws="none",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(config.drain_s),
            ssl_certfile=str(config.tls.certificate) if config.tls else None,
            ssl_keyfile=str(config.tls.key) if config.tls else None,
        )

    def _certificates(self) -> dict[str, dict[str, object]]:
        return self._generation.certificates()

    def _upstreams(self) -> dict[str, dict[str, str]]:
        return self._generation.upstreams()

    def _in_force(self) -> dict[str, str]:
        policy = self._generation.stages.authorise.version
        return {"config": self._config_digest, "policy": self._generation.policy_digest, "policy_version": policy}

    async def caller(self, headers: Headers) -> Caller:
        """Who administers, by the key file of the configuration in force.

        Raises:
            Refused: no admin key that counts (401), or there is no file of them (403).
        """
        administrators = self._generation.administrators
        if administrators is None:
            raise Refused(Reason.FORBIDDEN, 403, "No admin keys are configured; name a file in admin_keys.")
        return await administrators.caller(headers)

    def _read(self, config: GatewayConfig) -> Generation:
        return Generation(config, meter=self._meter, switches=self._switches, export=self._export, queues=self._queues)

    async def _reload(self) -> None:
        """Read the configuration again, and serve by it, or keep the old one and say why."""
        try:
            config, config_digest = read_pinned(self._path, load_config)
            changed = [key for key in (*_STANDING, "tls") if getattr(config, key) != getattr(self._config, key)]
            if changed:
                what = f"These keys changed and need a restart: {', '.join(changed)}."
                raise InputError(what, remedy="Restart the gateway, or change them back.", where=self._path.name)
            generation = self._read(config)
            self._reload_tls(config)
        except RoadworthyError as error:
            _log.error("The old configuration stays in force: %s", error)
            return
        old, self._generation, self._config = self._generation, generation, config
        self._config_digest = config_digest
        generation.begin()
        self._application.replace(generation.stages)
        self._switches.know(frozenset(config.use_cases))
        self._begin(self._retire(old))
        policy = generation.stages.authorise.version
        _log.info("The configuration was read again; policy %s.", policy)
        with contextlib.suppress(Refused):
            # Without a ledger nothing is served anyway; the next worker's leaf names the policy.
            facts: dict[str, str | int] = {"policy": policy, "worker": self._index}
            await self._node_log.note("", "", "configuration reloaded", facts)

    def _reload_tls(self, config: GatewayConfig) -> None:
        """New connections get the certificate that the files hold now."""
        if config.tls is None or self._server.ssl is None:
            return
        try:
            self._server.ssl.load_cert_chain(config.tls.certificate, config.tls.key)
        except OSError as error:
            what = f"The certificate of the listener cannot be used: {error}."
            raise InputError(what, remedy="Put a certificate and its key there.", where="tls") from error

    @staticmethod
    async def _retire(old: Generation) -> None:
        try:
            await asyncio.sleep(old.longest_s)
        finally:
            await old.close()

    async def _tick(self) -> None:
        while True:
            self._meter.ledger_up(self._ledger.up)
            for name, status in self._generation.certificates().items():
                until_s = status["valid_until_s"] if status["state"] == "valid" else 0.0
                assert isinstance(until_s, float)
                self._meter.certificate_until(name, until_s)
            self._meter.publish()
            await asyncio.sleep(_TICK_S)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._generation.close()
        if self._export is not None:
            await asyncio.to_thread(self._export.close)
        self._meter.ledger_up(up=False)
        self._meter.publish()
        self._pages.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A worker whose background work died would serve with stale switches: better a new one.
            _log.error("The worker ends: %r", task.exception())
            self._stop.set()

    def _stdin_readable(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop.set()


def raise_descriptor_limit() -> int:
    """Allow this process as many descriptors as it may allow itself; how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections(descriptors: int, upstream_connections: int) -> int:
    """Connections of callers at the same time: what is left when all others have their descriptors.

    Where that is less than a quarter, it is a quarter: upstreams are then what runs short first.

    Args:
        descriptors: that the process may have.
        upstream_connections: that the pools may hold.
    """
    reserve = upstream_connections + ADMIN_CONNECTIONS + BACKLOG + _FILE_DESCRIPTORS
    return min(WireLimits().connections, max(descriptors - reserve, descriptors // 4))


def _upstream_connections(config: GatewayConfig) -> int:
    return sum(each.most_connections for use_case in config.use_cases.values() for each in use_case.upstreams.values())


async def _first(tasks: "list[asyncio.Task[Any]]") -> None:
    """Wait until one has ended; the first is then of no more use."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()


def log_to_stderr() -> None:
    """Log lines without personal data, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter(Redactor()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roadworthy.gateway.worker", description="One worker.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="gateway.yaml")
    parser.add_argument("--index", type=int, required=True, help="number of the worker, from 0")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--admin-fd", type=int, help="descriptor of the admin address's socket; worker 0 only")
    parser.add_argument("--until-stdin-closes", action="store_true", help="drain when standard input ends")
    options = parser.parse_args(arguments)
    log_to_stderr()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=options.fd))
        admin_listener = None
        if options.admin_fd is not None:
            admin_listener = stack.enter_context(socket.socket(fileno=options.admin_fd))
        try:
            worker = Worker(options.config, options.index, listener, admin_listener)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(worker.run(until_stdin_closes=options.until_stdin_closes))
        except RoadworthyError as error:
            print(error, file=sys.stderr)  # noqa: T201  # the one line that says why
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
