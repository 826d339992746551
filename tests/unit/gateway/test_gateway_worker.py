"""One worker in this process, with a real ledger's process beside it: start, answers, reload, end."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from raw_server import self_signed

from roadworthy.base.errors import DependencyError, MissingFile
from roadworthy.gateway import compose, worker
from roadworthy.gateway.compose import exporter
from roadworthy.gateway.config import Telemetry
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.gateway.protocol import WireLimits
from roadworthy.gateway.worker import ADMIN_CONNECTIONS, BACKLOG, Worker, log_to_stderr, main, most_connections

pytestmark = pytest.mark.slow

POLICY = {
    "policy": 1,
    "grants": [{"roles": ["user"], "use_cases": ["*"], "purposes": ["*"], "data_scopes": ["*"], "cohorts": ["*"]}],
}
ASKED = b'{"model": "small", "messages": []}'


class Node:
    """The files of one node whose AI system is down, so that its fallback answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "gateway.yaml"
        self.key, line = new_key("tester", roles=["user"], scopes=["*"], purposes=["*"])
        self.admin_key, admin_line = new_key("root", roles=["switch"])
        (folder / "keys.yaml").write_text(f"api_keys: 1\nkeys:\n{line}\n")
        (folder / "admins.yaml").write_text(f"api_keys: 1\nkeys:\n{admin_line}\n")
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        self.config = {
            "gateway": 1,
            "drain_s": 1,
            "ledger": {"folder": "ledger", "origin": "example.org/worker", "socket": "l.sock"},
            "identity": {"keys": "keys.yaml"},
            "admin_keys": "admins.yaml",
            "policy": "policy.yaml",
            "use_cases": {
                "triage": {
                    "tier": "R2",
                    "purposes": ["care"],
                    "routes": [{"protocol": "openai", "models": ["small"]}],
                    "upstreams": {"main": {"url": f"http://127.0.0.1:{port}", "release_from": "/release"}},
                    "retries": {"most": 0},
                    "fallback": [{"refuse": "Call the desk."}],
                    "limits": {"caller_rps": 1000},
                }
            },
        }
        self.write()
        NodeFiles(folder / "ledger").make()

    def write(self, policy: object = None) -> None:
        """The files as they are now."""
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(policy or POLICY))
        self.path.write_text(yaml.safe_dump(self.config))

    @contextlib.contextmanager
    def ledger(self):
        """Its process."""
        files = NodeFiles(self.folder / "ledger")
        settings = {"folder": str(files.folder), "origin": "example.org/worker", "key_path": str(files.log_key)}
        files.settings.write_text(json.dumps({**settings, "socket_path": str(self.folder / "l.sock")}))
        command = [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(files.settings)]
        process = subprocess.Popen([*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


@pytest.fixture
def node(tmp_path: Path):
    """One for each test; the garbage collector is as before afterwards."""
    thresholds = gc.get_threshold()
    yield Node(tmp_path)
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def call(port: int, method: str, path: str, key: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nconnection: close\r\n"
    writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


def serve(node: Node, story, *, admin: bool = True, how: signal.Signals = signal.SIGTERM) -> None:
    """Run a worker and a story beside it; the worker ends when the story does."""

    async def run() -> None:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2 if admin else 1)]
        ports = [each.getsockname()[1] for each in listeners]
        one = Worker(node.path, 0, *listeners)
        serving = asyncio.create_task(one.run(until_stdin_closes=False))
        try:
            await asyncio.wait_for(one.listening.wait(), 10)
            await story(one, *ports)
        finally:
            os.kill(os.getpid(), how)
            await asyncio.wait_for(serving, 15)
            for each in listeners:
                each.close()

    asyncio.run(run())


def test_a_worker_answers_with_a_record_and_drains(node: Node, capsys) -> None:
    """Its fallback answers, since nobody else does; the admin address sees the same."""

    async def story(_one: Worker, port: int, admin_port: int) -> None:
        status, body = await call(port, "POST", "/v1/chat/completions", node.key, ASKED)
        assert status == 503
        assert b"Call the desk." in body
        status, body = await call(admin_port, "GET", "/health/ready", "")
        assert (status, json.loads(body)["ready"]) == (200, True)
        stop = json.dumps({"use_case": "triage", "on": False, "reason": "drill"}).encode()
        assert (await call(admin_port, "POST", "/switch", node.admin_key, stop))[0] == 200
        assert (await call(admin_port, "POST", "/switch", node.key, stop))[0] == 401
        await asyncio.sleep(0.6)
        assert b"roadworthy_exchanges_total" in (await call(admin_port, "GET", "/metrics", ""))[1]

    with node.ledger():
        serve(node, story)
    assert json.loads(capsys.readouterr().out)["worker"] == 0


def test_spans_that_wait_are_sent_at_the_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter is closed once, after the last exchange."""
    done: list[object] = []

    class Exporter:
        def __call__(self, record) -> None:
            done.append(record.status)

        def close(self) -> None:
            done.append("closed")

    monkeypatch.setattr(worker, "exporter", lambda telemetry, name: Exporter())

    async def story(_one: Worker, port: int, _admin_port: int) -> None:
        await call(port, "POST", "/v1/chat/completions", node.key, ASKED)

    with node.ledger():
        serve(node, story)
    assert done == [503, "closed"]


def test_without_a_ledger_nothing_is_answered(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the admin address says why."""
    monkeypatch.setattr(worker, "_PATIENCE_S", 0.05)

    async def story(_one: Worker, port: int, admin_port: int) -> None:
        status, body = await call(port, "POST", "/v1/chat/completions", node.key, ASKED)
        assert status == 503
        assert b"ledger_unavailable" in body
        assert (await call(admin_port, "GET", "/health/ready", ""))[0] == 503

    serve(node, story, how=signal.SIGINT)


def test_a_reload_takes_a_good_file_and_keeps_the_old_one_of_a_bad(node: Node, caplog) -> None:
    """Policy and administrators change; the node's name does not."""

    async def reload() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)

    async def story(_one: Worker, port: int) -> None:
        ask = ("POST", "/v1/chat/completions", node.key, ASKED)
        assert b"Call the desk." in (await call(port, *ask))[1]
        node.write({"policy": 1, "grants": 5})
        await reload()
        assert "The old configuration stays in force" in caplog.text
        node.config["node"] = "other"
        node.write()
        await reload()
        assert "need a restart: node." in caplog.text
        node.config["node"] = "node-1"
        node.config.pop("admin_keys")
        node.write({**POLICY, "deny": [{"use_cases": ["triage"]}]})
        await reload()
        assert (await call(port, *ask))[0] == 403

    with node.ledger(), caplog.at_level("INFO"):
        serve(node, story, admin=False)
    assert "was read again" in caplog.text


def test_a_fault_in_the_background_ends_the_worker(node: Node, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    """Better a new worker than one with stale switches."""

    async def broken(_one: Worker) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Worker, "_tick", broken)

    async def story(one: Worker, *_ports: int) -> None:
        await asyncio.wait_for(one._stop.wait(), 5)

    with node.ledger():
        serve(node, story)
    assert "The worker ends" in caplog.text


def test_a_certificate_of_the_listener_that_is_none_keeps_the_old_one(node: Node, tmp_path: Path, caplog) -> None:
    """TLS files are read again with everything else."""
    certificate, key = self_signed()
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    node.config["tls"] = {"certificate": "c.pem", "key": "k.pem"}
    node.write()

    async def story(one: Worker, *_ports: int) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)
        assert "was read again" in caplog.text
        (tmp_path / "c.pem").write_text("no certificate")
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)
        assert "certificate of the listener cannot be used" in caplog.text

    with node.ledger(), caplog.at_level("INFO"):
        serve(node, story)


def test_a_configuration_that_cannot_be_used_ends_with_its_code(node: Node, capsys, monkeypatch) -> None:
    """One line on standard error."""
    monkeypatch.setattr(worker, "log_to_stderr", lambda: None)
    node.write({"policy": 2})
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = ["--config", str(node.path), "--index", "0", "--fd", str(os.dup(listener.fileno()))]
    with listener:
        assert main([*arguments, "--admin-fd", str(os.dup(listener.fileno()))]) == 2
    assert "RW-101" in capsys.readouterr().err


def test_log_lines_hold_no_personal_data(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library says."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    log_to_stderr()
    logging.getLogger("some.library").error("mail of %s", "ada@example.org")
    said = capsys.readouterr().err
    assert "mail of" in said
    assert "ada@example.org" not in said


def test_a_worker_ends_when_its_supervisor_is_gone(node: Node) -> None:
    """The pipe closes, the worker drains by itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "roadworthy.gateway.worker", "--config", str(node.path), "--index", "0"]
    with node.ledger(), listener:
        process = subprocess.Popen(
            [*command, "--fd", str(listener.fileno()), "--until-stdin-closes"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[listener.fileno()],
        )  # fmt: skip
        assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


def test_a_collector_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """RW-600; without a collector nothing is needed."""
    assert exporter(Telemetry(), "node-1") is None
    monkeypatch.setattr(compose, "_OTEL", "roadworthy.gateway.no_such_module")
    with pytest.raises(DependencyError, match="not installed"):
        exporter(Telemetry(otlp_url="http://127.0.0.1:4318/v1/traces"), "node-1")


def test_keys_are_made_once_and_their_loss_is_noticed(tmp_path: Path) -> None:
    """A new key in place of a lost one would open nothing."""
    files = NodeFiles(tmp_path / "ledger")
    files.make()
    first = files.payload_key.read_bytes()
    files.make()
    assert files.payload_key.read_bytes() == first
    assert files.payload_key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ledger" / "keys").stat().st_mode & 0o777 == 0o700
    (tmp_path / "ledger" / "segments").mkdir()
    files.pseudonym_key.unlink()
    with pytest.raises(MissingFile, match="key of this ledger is gone"):
        files.make()
    (tmp_path / "file").touch()
    with pytest.raises(MissingFile, match="cannot be made"):
        NodeFiles(tmp_path / "file" / "ledger").make()


def test_callers_get_what_descriptors_are_left() -> None:
    """Never more than the front door's own bound, and a quarter where there are few."""
    reserve = ADMIN_CONNECTIONS + BACKLOG + 128
    assert most_connections(sys.maxsize, 128) == most_connections(1_000_000, 128) == WireLimits().connections
    assert most_connections(reserve + 1_000 + 600, 600) == 1_000
    assert most_connections(1_024, 128) == 256


def test_a_flood_of_callers_does_not_reach_the_kill_switch(node: Node) -> None:
    """The worker takes all descriptors that it may have, and keeps some from callers."""
    limited = ["/bin/sh", "-c", 'ulimit -Sn 150 && ulimit -Hn 900 && exec "$@"', "sh"]
    command = [*limited, sys.executable, "-m", "roadworthy.gateway.worker", "--config", str(node.path), "--index", "0"]
    stop = json.dumps({"use_case": "triage", "on": False, "reason": "flood"}).encode()
    with contextlib.ExitStack() as stack:
        stack.enter_context(node.ledger())
        data, admin = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        process = subprocess.Popen(
            [*command, "--fd", str(data.fileno()), "--admin-fd", str(admin.fileno()), "--until-stdin-closes"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[data.fileno(), admin.fileno()],
        )  # fmt: skip
        stack.enter_context(process)
        assert process.stdout.readline()
        for _ in range(400):
            stack.enter_context(socket.create_connection(data.getsockname()))
        descriptors, until_s = Path(f"/proc/{process.pid}/fd"), time.monotonic() + 5
        # A quarter of 900 are callers'; those who are too many are refused, which shows that all were accepted.
        while sum(1 for _ in descriptors.iterdir()) <= 225 and time.monotonic() < until_s:
            time.sleep(0.05)
        assert 225 < sum(1 for _ in descriptors.iterdir()) < 300
        status, _ = asyncio.run(call(admin.getsockname()[1], "POST", "/switch", node.admin_key, stop))
        assert status == 200
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_stop_ends_the_streams_that_run(node: Node) -> None:
    """With an error event, within a second."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    async def story(_one: Worker, port: int, admin_port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = b'{"model": "small", "messages": [], "stream": true}'
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {node.key}\r\nconnection: close\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(asked) + asked)
        await asyncio.wait_for(reader.readuntil(b"delta"), 5)
        stop = json.dumps({"use_case": "triage", "on": False, "reason": "harm"}).encode()
        assert (await call(admin_port, "POST", "/switch", node.admin_key, stop))[0] == 200
        rest = await asyncio.wait_for(reader.read(), 1)
        assert b"switched_off" in rest
        assert b"[DONE]" not in rest
        writer.close()
        await writer.wait_closed()

    async def run(listener: socket.socket) -> None:
        async with await asyncio.start_server(upstream, sock=listener):
            await asyncio.Event().wait()

    listener = socket.create_server(("127.0.0.1", 0))
    main_upstream = node.config["use_cases"]["triage"]["upstreams"]["main"]
    main_upstream["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    del main_upstream["release_from"]
    node.write()

    async def beside(one: Worker, *ports: int) -> None:
        serving = asyncio.create_task(run(listener))
        try:
            await story(one, *ports)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    with node.ledger():
        serve(node, beside)


def test_strangers_do_not_take_the_places_of_administrators(node: Node) -> None:
    """Whoever has no key is answered before the body that never comes."""

    async def story(_one: Worker, _port: int, admin_port: int) -> None:
        strangers = [await asyncio.open_connection("127.0.0.1", admin_port) for _ in range(ADMIN_CONNECTIONS - 1)]
        for _, writer in strangers:
            writer.write(b"POST /switch HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        for reader, writer in strangers:
            assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 401 ")
            assert b"connection: close" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
            writer.close()
        stop = json.dumps({"use_case": "triage", "on": False, "reason": "harm"}).encode()
        assert (await call(admin_port, "POST", "/switch", node.admin_key, stop))[0] == 200

    with node.ledger():
        serve(node, story)
