"""The gateway as its operator meets it: start, answers with receipts, kills, reload, switch, drain."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gateway_process import POLICY, Gateway, Load, Upstream

from roadworthy.cli.app import execute
from roadworthy.ledger.leaf import parse_leaf
from roadworthy.ledger.tiles import split_entries

pytestmark = pytest.mark.slow

WORKER = "roadworthy.gateway.worker"
LEDGER = "roadworthy.ledgerd"


@pytest.fixture(scope="module")
def upstream():
    """The AI system."""
    with Upstream() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    """One gateway for the tests that leave it as they found it."""
    with Gateway(tmp_path_factory.mktemp("gateway"), upstream.url) as found:
        yield found


def leaves(folder: Path) -> list:
    """Every entry of the published log, read."""
    bundles = folder / "ledger" / "log" / "tile" / "entries"
    size = int((folder / "ledger" / "log" / "checkpoint").read_text().split("\n")[1])
    data = b""
    for number in range(-(-size // 256)):
        full = bundles / f"{number:03d}"
        data += full.read_bytes() if full.is_file() else (bundles / f"{number:03d}.p" / str(size % 256)).read_bytes()
    return [parse_leaf(each) for each in split_entries(data)[0][:size]]


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_answer_can_be_proven_to_anybody(gateway: Gateway, tmp_path: Path, capsys) -> None:
    """Ask, take the receipt, verify it with nothing but the key; a changed entry does not pass."""
    status, body, headers = gateway.ask()
    assert status == 200
    assert body["model"] == "policy-search"
    index = headers["x-roadworthy-index"]
    # The gateway chose its admin port by itself; its file says 0.
    named = tmp_path / "gateway.yaml"
    named.write_text(gateway.path.read_text().replace("admin: 127.0.0.1:0", f"admin: 127.0.0.1:{gateway.admin_port}"))
    for name in ("keys.yaml", "admins.yaml", "policy.yaml"):
        shutil.copy(gateway.folder / name, tmp_path / name)
    assert execute(["log", "proof", index, "-c", str(named), "--dir", str(tmp_path)]) == 0
    vkey = gateway.admin("GET", "/log/vkey")[1]["text"].strip()
    receipt = str(tmp_path / f"{index}.tlog-proof")
    assert execute(["log", "receipt", receipt, "--vkey", vkey]) == 0
    assert "exchange.outcome" in capsys.readouterr().out
    entry = tmp_path / f"{index}.json"
    leaf = parse_leaf(entry.read_bytes())
    assert leaf.facts["id"] == headers["x-roadworthy-record"]
    entry.write_bytes(entry.read_bytes().replace(b'"status":200', b'"status":201'))
    assert execute(["log", "receipt", receipt, "--vkey", vkey]) == 5
    assert execute(["log", "receipt", receipt]) == 2
    assert execute(["log", "proof", "999999", "-c", str(named), "--dir", str(tmp_path)]) != 0


def test_the_log_verifies_and_a_changed_copy_does_not(gateway: Gateway, tmp_path: Path, capsys) -> None:
    """Offline, by one command."""
    gateway.ask()
    time.sleep(0.5)
    copy = tmp_path / "log"
    shutil.copytree(gateway.folder / "ledger" / "log", copy)
    assert execute(["log", "verify", str(copy), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["holds"], report["pinned"]) == (True, False)
    newest = max(path for path in (copy / "tile" / "entries").rglob("*") if path.is_file())
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    newest.write_bytes(data)
    assert execute(["log", "verify", str(copy)]) == 5


def test_nobody_without_a_key_is_served(gateway: Gateway) -> None:
    """401, and no leaf."""
    assert gateway.ask(authorization="Bearer rw_tester_wrong")[0] == 401


def test_the_admin_address_tells_the_state(gateway: Gateway) -> None:
    """Ready, with the release that the AI system names; figures of all workers."""
    gateway.ask()
    gateway.wait_for(lambda: gateway.admin("GET", "/health/ready")[1]["certificates"]["search"]["release"] != "")
    status, report, _ = gateway.admin("GET", "/health/ready")
    assert (status, report["ready"], report["upstreams"]) == (200, True, {"search": {"main": "closed"}})
    text = gateway.admin("GET", "/metrics")[1]["text"]
    assert 'roadworthy_exchanges_total{reason="",route="chat/completions",rung="primary",status="200"' in text
    assert 'roadworthy_ledger_up{worker="0"} 1.0' in text


def test_the_switch_stops_at_once(gateway: Gateway) -> None:
    """And starts again on the record."""
    stop = {"use_case": "search", "on": False, "reason": "a drill"}
    assert gateway.admin("POST", "/switch", stop)[1] == {"use_case": "search", "on": False, "recorded": True}
    assert gateway.ask()[0] == 503
    assert gateway.admin("POST", "/switch", {**stop, "on": True})[0] == 200
    assert gateway.ask()[0] == 200


def test_an_erased_payload_keeps_its_proof(gateway: Gateway) -> None:
    """The leaf stays, the content goes."""
    index = int(gateway.ask()[2]["x-roadworthy-index"])
    before = gateway.admin("GET", f"/proof/{index}")[1]["leaf"]
    status, answer, _ = gateway.admin("POST", "/erase", {"index": index, "reason": "asked by the person"})
    assert (status, answer["index"]) == (200, index)
    assert gateway.admin("GET", f"/proof/{index}")[1]["leaf"] == before
    erased = json.loads(gateway.admin("GET", f"/proof/{answer['erased_by']}")[1]["leaf"])
    assert erased["kind"] == "payload.erased"
    assert re.fullmatch("[a-z2-7]{16}", erased["actor"]), "an administrator stands in the log under a pseudonym"


def test_a_reload_changes_the_policy_and_drops_nothing(gateway: Gateway) -> None:
    """A bad file changes nothing; a good one is in force for the next request."""
    with Load(gateway) as load:
        gateway.write({**POLICY, "grants": "everybody"})
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "The old configuration stays in force" in gateway.words())
        assert gateway.ask()[0] == 200
        gateway.write()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "was read again" in gateway.words())
    assert load.torn == 0
    assert set(load.statuses) == {200}
    gateway.write({**POLICY, "deny": [{"use_cases": ["search"]}]})
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: gateway.ask()[0] == 403)
    gateway.write()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: gateway.ask()[0] == 200)


def test_what_belongs_to_the_listener_needs_a_restart(gateway: Gateway) -> None:
    """It is refused, by name."""
    gateway.config["drain_s"], gateway.config["node"] = 6, "other"
    gateway.write()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: "need a restart: node." in gateway.words())
    gateway.config["drain_s"], gateway.config["node"] = 5, "node-1"
    gateway.write()


def test_a_killed_worker_is_replaced(gateway: Gateway) -> None:
    """The socket stays open meanwhile, so callers wait instead of being refused."""
    (first,) = gateway.children(WORKER)
    os.kill(first, signal.SIGKILL)
    assert gateway.ask()[0] == 200
    assert gateway.children(WORKER) != [first]


@pytest.mark.slow
def test_a_killed_ledger_closes_the_gateway_until_it_is_back(gateway: Gateway) -> None:
    """503 meanwhile, and everything that was answered is in the log."""
    with Load(gateway, callers=2) as load:
        time.sleep(0.5)
        (first,) = gateway.children(LEDGER)
        os.kill(first, signal.SIGKILL)
        gateway.wait_for(lambda: 503 in load.statuses)
        gateway.wait_for(lambda: gateway.ask()[0] == 200)
        time.sleep(0.5)
    assert set(load.statuses) == {200, 503}
    assert gateway.children(LEDGER) != [first]
    time.sleep(1)
    recorded = {leaf.facts["id"] for leaf in leaves(gateway.folder) if leaf.base.kind == "exchange.outcome"}
    assert set(load.records) <= recorded


@pytest.mark.slow
def test_a_stop_finishes_what_is_under_way(upstream, tmp_path: Path) -> None:
    """No answer is torn, the exit code is 0, and no intent is left open."""
    with Gateway(tmp_path, upstream.url, workers=2) as gateway:
        assert "2 worker(s)" in gateway.line
        with Load(gateway) as load:
            time.sleep(1)
            assert gateway.stop() == 0
    assert set(load.statuses) <= {200, 503}
    assert load.statuses.count(200) > 10
    read = leaves(tmp_path)
    ends = ("exchange.outcome", "exchange.abandoned")
    begun = {leaf.facts["id"] for leaf in read if leaf.base.kind == "exchange.intent"}
    ended = {leaf.facts["id"] for leaf in read if leaf.base.kind in ends}
    assert begun <= ended
    assert set(load.records) <= ended


@pytest.mark.slow
def test_nothing_outlives_its_supervisor(upstream, tmp_path: Path) -> None:
    """Killed, it cannot tell anybody; the pipes do."""
    with Gateway(tmp_path, upstream.url) as gateway:
        children = gateway.children(WORKER) + gateway.children(LEDGER)
        assert len(children) == 2
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.wait_for(lambda: not any(is_running(each) for each in children))


@pytest.mark.slow
def test_a_ledger_that_was_damaged_does_not_start(upstream, tmp_path: Path) -> None:
    """It says why, and the exit code is that of broken integrity."""
    with Gateway(tmp_path, upstream.url) as gateway:
        assert gateway.ask()[0] == 200
        assert gateway.ask()[0] == 200
        assert gateway.stop() == 0
    (segment,) = (tmp_path / "ledger" / "segments").iterdir()
    with segment.open("r+b") as stream:
        stream.seek(200)
        byte = stream.read(1)
        stream.seek(200)
        stream.write(bytes([byte[0] ^ 1]))
    command = [sys.executable, "-m", "roadworthy", "gateway", "-c", str(gateway.path)]
    result = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert result.returncode == 5
    assert b"did not start" in result.stderr


def test_check_reads_everything_and_changes_nothing(upstream, tmp_path: Path, capsys) -> None:
    """Before a start, and in a pipeline."""
    gateway = Gateway(tmp_path, upstream.url)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert execute(["gateway", "-c", str(gateway.path), "--check"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    gateway.write({"policy": 1})
    assert execute(["gateway", "-c", str(gateway.path), "--check"]) == 2
    assert "grants" in capsys.readouterr().err


def test_init_writes_what_a_start_can_read(tmp_path: Path, capsys) -> None:
    """Two keys, shown once; nothing is overwritten."""
    assert execute(["gateway", "init", "--dir", str(tmp_path), "--json"]) == 0
    started = json.loads(capsys.readouterr().out)
    assert started["key"].startswith("rw_first_")
    assert all(Path(name).stat().st_mode & 0o777 == 0o600 for name in started["written"])
    assert not any(started["key"] in Path(name).read_text() for name in started["written"])
    assert execute(["gateway", "-c", str(tmp_path / "gateway.yaml"), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["use_cases"] == ["my-use-case"]
    assert execute(["gateway", "init", "--dir", str(tmp_path)]) == 2
    assert execute(["gateway", "key", "second", "--role", "user", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["key"].startswith("rw_second_")


def test_the_example_passes_its_check(repo_root: Path, tmp_path: Path, capsys) -> None:
    """With keys that its reader makes."""
    shutil.copytree(repo_root / "examples" / "gateway-policy-search", tmp_path, dirs_exist_ok=True)
    for name, role in (("keys.yaml", "reader"), ("admin-keys.yaml", "switch")):
        arguments = ["gateway", "key", "first", "--role", role, "--purpose", "work", "--scope", "internal", "--json"]
        assert execute(arguments) == 0
        line = json.loads(capsys.readouterr().out)["line"]
        (tmp_path / name).write_text(f"api_keys: 1\nkeys:\n{line}\n")
    assert execute(["gateway", "-c", str(tmp_path / "gateway.yaml"), "--check"]) == 0
