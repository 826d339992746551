"""Processes that a bench starts, watches and stops: the upstream, nginx, LiteLLM and our gateway. Loopback only."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODEL = "bench"
PURPOSE, SCOPE = "benchmark", "public"
_TICKS = os.sysconf("SC_CLK_TCK")
_START_S = 90.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        name: for the table.
        port: where requests go.
        pid: root of its process tree.
        headers: that a request needs.
        admin: port of its admin interface, 0 when it has none.
        note: what it does and does not do.
    """

    name: str
    port: int
    pid: int
    headers: dict[str, str] = field(default_factory=dict)
    admin: int = 0
    note: str = ""

    def cpu_s(self) -> float:
        """Processor seconds of the whole process tree so far, ended children included."""
        return sum(_used(pid) for pid in tree(self.pid))

    def rss_bytes(self) -> int:
        """Resident memory of the whole process tree."""
        total = 0
        for pid in tree(self.pid):
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return total * os.sysconf("SC_PAGE_SIZE")


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(tick) for tick in fields[11:15]) / _TICKS


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the URL answers 200.

    Raises:
        RuntimeError: the process ended, or took too long; with the end of its log.
    """
    until_s = time.perf_counter() + _START_S
    while time.perf_counter() < until_s and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer: {log.read_text(errors='replace')[-600:]}")


@contextlib.contextmanager
def running(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own; the whole group ends with the block."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=os.environ | (env or {}), start_new_session=True
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
                break


@contextlib.contextmanager
def upstream(folder: Path) -> Iterator[Server]:
    """The AI system that costs next to nothing."""
    log = folder / "upstream.log"
    with running([sys.executable, str(HERE / "chat_upstream.py")], log) as process:
        until_s = time.perf_counter() + _START_S
        while not log.read_text() and time.perf_counter() < until_s:
            time.sleep(0.05)
        yield Server("direct", int(log.read_text()), process.pid)


@contextlib.contextmanager
def nginx(folder: Path, behind: Server) -> Iterator[Server]:
    """nginx with one worker, connections kept alive, no log."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        raise RuntimeError("nginx is not installed")
    port, place = free_port(), folder / "nginx"
    place.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    spool = "".join(f"{kind}_temp_path {place}/{kind};" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {place}/pid; error_log {place}/error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; {spool} keepalive_requests 1000000000;\n"
        f"upstream ai {{ server 127.0.0.1:{behind.port}; keepalive 256; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://ai; proxy_http_version 1.1;\n"
        'proxy_set_header Connection ""; proxy_buffering on; } } }\n',
        encoding="utf-8",
    )
    command = [binary, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    with running(command, folder / "nginx.log") as process:
        _until_it_listens(port, process)
        yield Server("nginx", port, process.pid, note="proxy_pass, one worker; no identity, no policy, no record")


@contextlib.contextmanager
def litellm(folder: Path, behind: Server, python: Path) -> Iterator[Server]:
    """LiteLLM's proxy with one worker, no database, no callbacks."""
    port = free_port()
    config = folder / "litellm.yaml"
    model = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{behind.port}/v1", "api_key": "none"}
    config.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": MODEL, "litellm_params": model}],
                "general_settings": {"master_key": "sk-bench"},
                "litellm_settings": {"telemetry": False},
            }
        ),
        encoding="utf-8",
    )
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
    command = [str(python.parent / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    command += ["--num_workers", "1"]
    log = folder / "litellm.log"
    with running(command, log, quiet) as process:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", process, log)
        yield Server(
            "LiteLLM", port, process.pid, {"authorization": "Bearer sk-bench"}, note="one worker, one key, no database"
        )


@contextlib.contextmanager
def gateway(folder: Path, behind: Server, *, record: str = "strict", payloads: bool = True) -> Iterator[Server]:
    """Our gateway with one worker and its ledger: key, policy, two leaves an exchange, sealed payloads."""
    place = folder / f"gateway-{record}{'' if payloads else '-bare'}"
    place.mkdir()
    secret = "0" * 43
    port, admin = free_port(), free_port()
    grant = {
        "roles": ["user"],
        "use_cases": [MODEL],
        "purposes": [PURPOSE],
        "data_scopes": [SCOPE],
        "cohorts": ["*"],
    }
    key = {
        "id": "bench",
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "owner": "bench",
        "expires_at": "2099-01-01T00:00:00Z",
        "roles": ["user"],
        "cohort": "pilot",
        "scopes": [SCOPE],
        "purposes": [PURPOSE],
    }
    config = {
        "gateway": 1,
        "listen": f"127.0.0.1:{port}",
        "admin": f"127.0.0.1:{admin}",
        "ledger": {"folder": "ledger", "origin": "bench.example/runtime"},
        "identity": {"keys": "keys.yaml"},
        "policy": "policy.yaml",
        "use_cases": {
            MODEL: {
                "tier": "R2" if record != "intent-only" else "R1",
                "record": record,
                "keep_payloads": payloads,
                "purposes": [PURPOSE],
                "routes": [{"protocol": "openai", "models": [MODEL]}],
                "upstreams": {"primary": {"url": f"http://127.0.0.1:{behind.port}"}},
                "limits": {"in_flight": 4096},
            }
        },
    }
    for name, content in (
        ("keys.yaml", {"api_keys": 1, "keys": [key]}),
        ("policy.yaml", {"policy": 1, "grants": [grant]}),
        ("gateway.yaml", config),
    ):
        (place / name).write_text(json.dumps(content), encoding="utf-8")
    log = folder / f"{place.name}.log"
    command = [sys.executable, "-m", "roadworthy", "gateway", "-c", str(place / "gateway.yaml")]
    with running(command, log) as process:
        wait_for(f"http://127.0.0.1:{admin}/health/ready", process, log)
        headers = {"authorization": f"Bearer rw_bench_{secret}", "x-purpose": PURPOSE, "x-data-scope": SCOPE}
        note = f"{record}: key, policy, intent and outcome durable" + (", payloads sealed" if payloads else "")
        yield Server("roadworthy", port, process.pid, headers, admin, note)


def _until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    until_s = time.perf_counter() + _START_S
    while time.perf_counter() < until_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")
