"""The gateway as one command: ledger, workers, and who watches them. Owns starting, restarting and ending processes.

1. Read gateway.yaml; make folders and keys at the first start.
2. Bind both addresses. The sockets stay with this process, so a worker that dies takes no waiting connection with it.
3. Start the ledger's process and wait until it serves. What its recovery refuses, nobody overrides here.
4. Start the workers and wait until they listen; say so in one line.
5. Watch: a worker that ends is started again, and so is the ledger; each time after a longer pause when it did not last.
   Without a ledger the workers answer 503. A ledger that refuses to come back ends the gateway, with its own words and
   exit code; one that was killed while it started is started again.
6. SIGTERM and SIGINT: drain the workers, then end the ledger. SIGHUP goes on to the workers.

Every child ends by itself when this process is gone: it watches a pipe from here. The open intents of a worker that was
killed stay open in the ledger; its epoch there shows that it ended.
"""

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import (
    InputError,
    IntegrityError,
    MissingFile,
    RoadworthyError,
    StoreBroken,
    TargetAnswer,
    TargetUnreachable,
)
from roadworthy.gateway.compose import Generation, exporter
from roadworthy.gateway.config import GatewayConfig
from roadworthy.gateway.load_config import load_config, socket_path
from roadworthy.gateway.metrics import Meter, Pages
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.gateway.switches import Switches

START_S = 60.0
LASTED_S = 30.0
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_MARGIN_S = 10.0
_ASK_S = 10.0
_BACKLOG = 2_048
_LAST_WORDS = 2_000


class Child:
    """One process and its end.

    Args:
        name: for messages.
        command: program and arguments.
        descriptors: that it inherits.
    """

    def __init__(self, name: str, command: list[str], descriptors: tuple[int, ...] = ()) -> None:
        self.name = name
        self._command, self._descriptors = command, descriptors
        self._process: asyncio.subprocess.Process | None = None
        self._words = bytearray()
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self._process.pid if self._process else 0

    @property
    def words(self) -> str:
        """The end of what it wrote to standard error."""
        return self._words.decode("utf-8", "replace").strip()

    async def start(self) -> bytes:
        """Start it and wait for its first line; empty when it ended instead."""
        self._words.clear()
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=self._descriptors,
            # Ctrl-C in a terminal reaches a whole group: the ledger would be gone before the workers have drained.
            start_new_session=True,
        )
        self._reading = asyncio.get_running_loop().create_task(self._pass_on(process))
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                return await process.stdout.readline()
        except TimeoutError:
            await self.end(0.0)
            return b""

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        code = await self._process.wait()
        if self._reading is not None:
            await self._reading
        return code

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end(self, wait_s: float) -> None:
        """Ask it to end, and kill it when it has not after ``wait_s``."""
        if self._process is None:
            return
        self.tell(signal.SIGTERM)
        try:
            async with asyncio.timeout(wait_s):
                await self.wait()
        except TimeoutError:
            self.tell(signal.SIGKILL)
            await self.wait()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(65_536):
            sys.stderr.buffer.write(data)
            sys.stderr.flush()
            self._words += data
            del self._words[:-_LAST_WORDS]


@dataclass(slots=True)
class Runtime:
    """The processes of one node.

    Attributes:
        path: of gateway.yaml.
        config: its content at the start.
        ready: is told the addresses once everything serves.
        listeners: sockets of callers and of administrators.
    """

    path: Path
    config: GatewayConfig
    ready: Callable[[str], None]
    listeners: list[socket.socket] = field(default_factory=list)
    _ledger: Child | None = None
    _workers: list[Child] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serve until told to stop.

        Raises:
            RoadworthyError: it cannot start, or the ledger does not come back.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self.listeners = [listen(self.config.listen), listen(self.config.admin)]  # 2
        watches: list[asyncio.Task[None]] = []
        try:
            ledger = self._ledger = self._ledger_child()
            await self._start_ledger(ledger)  # 3
            self._workers = [self._worker_child(index) for index in range(self.config.workers)]
            for worker in self._workers:  # 4
                if not await worker.start():
                    raise _failed(worker, await worker.wait())
            callers, administrators = (address_of(each) for each in self.listeners)
            scheme = "https" if self.config.tls else "http"
            self.ready(
                f"gateway on {scheme}://{callers}, admin on http://{administrators}, {len(self._workers)} worker(s)"
            )
            stopping = loop.create_task(self._stop.wait())
            watches = [loop.create_task(self._watch_ledger(ledger))]
            watches += [loop.create_task(self._watch_worker(worker)) for worker in self._workers]  # 5
            await asyncio.wait([stopping, *watches], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for watch in watches:
                if watch.done():
                    watch.result()
        finally:
            await self._end(watches)  # 6

    async def _end(self, watches: "list[asyncio.Task[None]]") -> None:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        wait_s = self.config.drain_s + _MARGIN_S
        await asyncio.gather(*(worker.end(wait_s) for worker in self._workers))
        if self._ledger is not None:
            await self._ledger.end(_MARGIN_S)
        for listener in self.listeners:
            listener.close()

    def _reload(self) -> None:
        for worker in self._workers:
            worker.tell(signal.SIGHUP)

    async def _start_ledger(self, ledger: Child) -> None:
        if not await ledger.start():
            raise _failed(ledger, await ledger.wait())

    async def _watch_ledger(self, ledger: Child) -> None:
        pauses = Pauses()
        while True:
            began_s = monotonic_s()
            code = await ledger.wait()
            _say(f"the ledger ended with {code}; nothing is answered until it is back")
            await asyncio.sleep(pauses.next_s(monotonic_s() - began_s))
            while not await ledger.start():
                code = await ledger.wait()
                if code >= 0:
                    raise _failed(ledger, code)
                # A signal is nothing that the ledger says: whoever killed it once may kill it while it starts.
                _say(f"the ledger ended with {code} while it started")
                await asyncio.sleep(pauses.next_s(0.0))
            _say("the ledger is back")

    async def _watch_worker(self, worker: Child) -> None:
        pauses = Pauses()
        while True:
            began_s = monotonic_s()
            code = await worker.wait()
            _say(f"{worker.name} ended with {code}; it is started again")
            await asyncio.sleep(pauses.next_s(monotonic_s() - began_s))
            await worker.start()

    def _ledger_child(self) -> Child:
        files = NodeFiles(self.config.ledger.folder)
        files.settings.write_bytes(ledger_settings(self.config, files))
        command = [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(files.settings)]
        return Child("the ledger", [*command, "--until-stdin-closes"])

    def _worker_child(self, index: int) -> Child:
        callers, administrators = (each.fileno() for each in self.listeners)
        command = [sys.executable, "-m", "roadworthy.gateway.worker", "--config", str(self.path)]
        command += ["--index", str(index), "--fd", str(callers), "--until-stdin-closes"]
        if index:
            return Child(f"worker {index}", command, (callers,))
        return Child("worker 0", [*command, "--admin-fd", str(administrators)], (callers, administrators))


class Pauses:
    """How long to wait before a process is started again."""

    def __init__(self) -> None:
        self._step = 0

    def next_s(self, lasted_s: float) -> float:
        """Longer each time, from the beginning after one that lasted ``LASTED_S``."""
        if lasted_s >= LASTED_S:
            self._step = 0
        pause_s = PAUSES_S[min(self._step, len(PAUSES_S) - 1)]
        self._step += 1
        return pause_s


def run_gateway(path: Path, ready: Callable[[str], None]) -> None:
    """Run the gateway of a configuration until SIGTERM or SIGINT.

    Args:
        path: of gateway.yaml.
        ready: is told in one line, once, when everything serves.

    Raises:
        RoadworthyError: it cannot start, or the ledger does not come back; with the exit code of what failed.
    """
    config = load_config(path)  # 1
    NodeFiles(config.ledger.folder).make()
    asyncio.run(Runtime(path.resolve(), config, ready).run())


def check_gateway(path: Path) -> None:
    """Read everything that a start would read, and change nothing.

    Raises:
        RoadworthyError: a start would fail.
    """
    config = load_config(path)
    export = exporter(config.telemetry, config.node)
    if export is not None:
        export.close()
    with TemporaryDirectory() as folder:
        pages = Pages(Path(folder) / "metrics", 1)
        try:
            switches = Switches(Path(folder) / "switches.json", frozenset(config.use_cases))
            Generation(config, meter=Meter(pages, 0), switches=switches, export=None, queues={})
        finally:
            pages.close()


class Proof(NamedTuple):
    """An entry and its receipt, as a running gateway gives them."""

    receipt: str
    leaf: str
    cosigned: bool


def fetch_proof(path: Path, index: int) -> Proof:
    """Ask the admin address of a running gateway for the receipt of an entry.

    Raises:
        TargetUnreachable: nobody answers there (RW-401).
        TargetAnswer: there is no such entry, or something else answers (RW-402).
    """
    host, _, port = load_config(path).admin.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_ASK_S)
    try:
        connection.request("GET", f"/proof/{index}")
        answer = connection.getresponse()
        status, members = answer.status, json.loads(answer.read())
        if status != http.client.OK:
            raise TargetAnswer(str(members.get("detail")), remedy="Give the index of an entry.", where=f"entry {index}")
        return Proof(members["receipt"], members["leaf"], members["cosigned"])
    except (OSError, http.client.HTTPException) as error:
        remedy = "Start the gateway, or look at admin in its gateway.yaml."
        raise TargetUnreachable("The admin address does not answer.", remedy=remedy, where=f"{host}:{port}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetAnswer("The admin address gave no receipt.", remedy="Look at what listens there.") from error
    finally:
        connection.close()


def ledger_settings(config: GatewayConfig, files: NodeFiles) -> bytes:
    """What the ledger's process is told, as JSON."""
    ledger = config.ledger
    return canonical_bytes(
        {
            "folder": str(files.folder),
            "origin": ledger.origin,
            "key_path": str(files.log_key),
            "socket_path": str(socket_path(config)),
            "node": config.node,
            "most_waiting": ledger.most_waiting * config.workers,
            "witnesses": list(ledger.witnesses),
            "witness_keys": list(ledger.witness_keys),
            "quorum": ledger.witness_quorum,
            "operator_keys": list(ledger.operator_keys),
        }
    )


def listen(address: str) -> socket.socket:
    """A listening socket that children may inherit.

    Args:
        address: ``host:port``; a host of IPv6 stands in brackets.

    Raises:
        InputError: it cannot be bound (RW-100).
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        what = f"Nobody can listen on {address}: {error.strerror}."
        raise InputError(what, remedy="Choose another address, or stop who has it.", where=address) from error


def address_of(listener: socket.socket) -> str:
    """``host:port`` of a socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _failed(child: Child, code: int) -> RoadworthyError:
    """The error of a child that did not start: by its own words, under its own exit code."""
    words = child.words.splitlines()[-1] if child.words else "it wrote nothing."
    what, where = f"{child.name} did not start: {words}", child.name
    if code == IntegrityError.exit_code:
        return StoreBroken(what, remedy="Nothing was changed. Do what it says, then start again.", where=where)
    if code == MissingFile.exit_code:
        return InputError(what, remedy="Correct it, then start again.", where=where)
    return StoreBroken(what, remedy="Look at its words above.", where=where)


def _say(what: str) -> None:
    print(json.dumps({"gateway": what}), file=sys.stderr, flush=True)  # noqa: T201  # a supervisor's log is its standard error
