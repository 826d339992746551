"""The supervisor in this process, its children as processes: start, kills, signals, end."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import yaml

from roadworthy.base.errors import InputError, MissingFile, StoreBroken, TargetAnswer, TargetUnreachable
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.gateway.load_config import load_config
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.wiring import runtime
from roadworthy.wiring.gateway_files import init_gateway
from roadworthy.wiring.runtime import (
    LASTED_S,
    PAUSES_S,
    Child,
    Pauses,
    Runtime,
    address_of,
    check_gateway,
    fetch_proof,
    ledger_settings,
    listen,
    run_gateway,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gateway.yaml with what it names; its AI system is down."""
    _, line = new_key("tester", roles=["user"])
    (tmp_path / "keys.yaml").write_text(f"api_keys: 1\nkeys:\n{line}\n")
    (tmp_path / "policy.yaml").write_text("policy: 1\ngrants: []\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        admin = free.getsockname()[1]
    config = {
        "gateway": 1, "listen": "127.0.0.1:0", "admin": f"127.0.0.1:{admin}", "workers": 2, "drain_s": 1,
        "ledger": {"folder": "ledger", "origin": "example.org/runtime", "socket": "l.sock"},
        "identity": {"keys": "keys.yaml"}, "policy": "policy.yaml",
        "use_cases": {"triage": {
            "tier": "R1", "purposes": ["care"], "routes": [{"protocol": "json", "path": "/score"}],
            "upstreams": {"main": {"url": "http://127.0.0.1:9"}},
        }},
    }  # fmt: skip
    found = tmp_path / "gateway.yaml"
    found.write_text(yaml.safe_dump(config))
    return found


async def until(holds) -> None:
    """Wait for something to happen."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


def _said(capfd, before: list[str]) -> str:
    before.append(capfd.readouterr().err)
    return "".join(before)


def run(path: Path, story) -> list[str]:
    """Run a supervisor with a story beside it, and end it by SIGTERM; the lines that it said when ready."""
    lines: list[str] = []
    NodeFiles(load_config(path).ledger.folder).make()

    async def both() -> None:
        one = Runtime(path, load_config(path), lines.append)
        serving = asyncio.create_task(one.run())
        await until(lambda: lines or serving.done())
        try:
            if lines:
                await story(one)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, 20)

    asyncio.run(both())
    return lines


def test_it_starts_says_so_and_gives_receipts(path: Path) -> None:
    """One line with both addresses; the admin address has the first leaf's receipt."""

    async def story(one: Runtime) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        found = await asyncio.to_thread(fetch_proof, path, 0)
        assert json.loads(found.leaf)["subject"] == "ledgerd started"
        assert found.receipt.startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
        with pytest.raises(TargetAnswer):
            await asyncio.to_thread(fetch_proof, path, 10_000)
        assert len(one._workers) == 2

    (line,) = run(path, story)
    assert line.startswith("gateway on http://127.0.0.1:")
    assert line.endswith(", 2 worker(s)")
    with pytest.raises(TargetUnreachable):
        fetch_proof(path, 0)


def test_what_dies_is_started_again(path: Path, capfd) -> None:
    """A worker and the ledger; each says so."""
    said: list[str] = []

    async def story(one: Runtime) -> None:
        assert one._ledger is not None
        for child in (one._workers[1], one._ledger):
            before = child.pid
            os.kill(before, signal.SIGKILL)
            await until(lambda child=child, before=before: child.pid != before)
        await until(lambda: "the ledger is back" in _said(capfd, said))

    run(path, story)
    assert "worker 1 ended with -9" in _said(capfd, said)


def test_a_ledger_that_does_not_come_back_ends_the_gateway(path: Path) -> None:
    """Its folder was damaged while it was down: nobody overrides what its recovery says."""

    async def story(one: Runtime) -> None:
        assert one._ledger is not None
        os.kill(one._ledger.pid, signal.SIGKILL)
        (segment,) = (path.parent / "ledger" / "segments").iterdir()
        data = bytearray(segment.read_bytes()[:4096])
        data[100] ^= 1
        with segment.open("r+b") as stream:
            stream.write(data)
        await one._stop.wait()

    async def ended() -> None:
        lines: list[str] = []
        one = Runtime(path, load_config(path), lines.append)
        serving = asyncio.create_task(one.run())
        await until(lambda: lines)
        watching = asyncio.create_task(story(one))
        try:
            await asyncio.wait_for(serving, 20)
        finally:
            watching.cancel()

    NodeFiles(load_config(path).ledger.folder).make()
    with pytest.raises(StoreBroken, match="did not start") as caught:
        asyncio.run(ended())
    assert caught.value.exit_code == 5


def test_a_worker_that_cannot_start_ends_the_start(path: Path) -> None:
    """With the words of the worker, and its exit code."""
    (path.parent / "policy.yaml").write_text("policy: 2\n")
    with pytest.raises(InputError, match="worker 0 did not start"):
        run_gateway(path, print)


def test_a_ledger_that_cannot_start_ends_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it does not say why."""
    monkeypatch.setattr(Runtime, "_ledger_child", lambda self: Child("the ledger", [sys.executable, "-c", "exit(9)"]))
    with pytest.raises(StoreBroken, match="it wrote nothing"):
        run_gateway(path, print)


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start, and at its end."""
    monkeypatch.setattr(runtime, "START_S", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "

    async def story() -> None:
        silent = Child("silent", [sys.executable, "-c", deaf + "time.sleep(60)"])
        assert await silent.start() == b""
        monkeypatch.setattr(runtime, "START_S", 10)
        stubborn = Child("stubborn", [sys.executable, "-c", deaf + "print(1, flush=True); time.sleep(60)"])
        await stubborn.end(1)
        assert await stubborn.start() == b"1\n"
        await stubborn.end(0.1)
        assert await stubborn.wait() == -signal.SIGKILL

    asyncio.run(story())


def test_pauses_grow_until_something_lasts() -> None:
    """And begin anew then."""
    pauses = Pauses()
    assert [pauses.next_s(0) for _ in range(7)] == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    assert pauses.next_s(LASTED_S) == PAUSES_S[0]


def test_addresses_of_both_families() -> None:
    """A host of IPv6 stands in brackets; one that is taken is an error of ours."""
    with listen("127.0.0.1:0") as four:
        assert address_of(four).startswith("127.0.0.1:")
        with pytest.raises(InputError, match="Nobody can listen"):
            listen(address_of(four))
    if socket.has_ipv6:
        with listen("[::1]:0") as six:
            assert address_of(six).startswith("[::1]:")


def test_the_ledger_is_told_what_the_configuration_says(path: Path) -> None:
    """As absolute paths."""
    config = load_config(path)
    told = json.loads(ledger_settings(config, NodeFiles(config.ledger.folder)))
    assert told["folder"] == str(path.parent / "ledger")
    assert told["socket_path"] == str(path.parent / "l.sock")
    assert told["most_waiting"] == 8_192


def test_check_finds_what_a_start_would(path: Path) -> None:
    """And makes nothing."""
    check_gateway(path)
    assert not (path.parent / "ledger").exists()
    (path.parent / "keys.yaml").write_text("api_keys: 1\nkeys: 7\n")
    with pytest.raises(InputError):
        check_gateway(path)


def test_an_admin_address_of_somebody_else_gives_no_receipt(path: Path) -> None:
    """What answers there is not ours."""

    async def story() -> None:
        async def other(reader, writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
            writer.close()

        port = int(load_config(path).admin.rpartition(":")[2])
        server = await asyncio.start_server(other, "127.0.0.1", port)
        async with server:
            with pytest.raises(TargetAnswer, match="gave no receipt"):
                await asyncio.to_thread(fetch_proof, path, 0)

    asyncio.run(story())


def test_starter_files_are_not_written_over_anything(tmp_path: Path) -> None:
    """Nor into what is no folder."""
    started = init_gateway(tmp_path / "new")
    assert len(started.written) == 4
    with pytest.raises(InputError, match="exists already"):
        init_gateway(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises((MissingFile, InputError)):
        init_gateway(tmp_path / "file")
