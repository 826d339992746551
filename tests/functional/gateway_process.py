"""A whole gateway as processes, in front of a small real AI system; everything ends with the block."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import yaml

from roadworthy.gateway.identity.api_keys import new_key

QUESTION = {"model": "policy-search", "messages": [{"role": "user", "content": "How many days may I work from home?"}]}
POLICY = {
    "policy": 1,
    "grants": [
        {"roles": ["user"], "use_cases": ["*"], "purposes": ["*"], "data_scopes": ["*"], "cohorts": ["*"]},
    ],
}


def config(upstream: str, *, workers: int = 1) -> dict:
    """A gateway.yaml in front of the policy search."""
    return {
        "gateway": 1,
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "workers": workers,
        "drain_s": 5,
        "ledger": {"folder": "ledger", "origin": "example.org/functional", "socket": "l.sock"},
        "identity": {"keys": "keys.yaml"},
        "admin_keys": "admins.yaml",
        "policy": "policy.yaml",
        "use_cases": {
            "search": {
                "tier": "R2",
                "purposes": ["work"],
                "routes": [{"protocol": "openai", "models": ["policy-search"]}],
                "upstreams": {"main": {"url": upstream, "release_from": "/release"}},
                "fallback": [{"refuse": "Ask the desk."}],
            }
        },
    }


class Upstream:
    """The policy search of the demonstration."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "roadworthy.demo.answers.server", "--port", "0", "--until-stdin-closes"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        digits = "".join(c if c.isdigit() else " " for c in self.process.stdout.readline().decode()).split()
        self.url = f"http://127.0.0.1:{digits[-1]}"
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)


class Gateway:
    """``roadworthy gateway`` with its ledger and workers.

    Args:
        folder: of its files.
        upstream: address of the AI system.
        workers: processes.
    """

    def __init__(self, folder: Path, upstream: str, *, workers: int = 1) -> None:
        self.folder, self.path = folder, folder / "gateway.yaml"
        self.config = config(upstream, workers=workers)
        self.key, line = new_key("tester", owner="ada", roles=["user"], scopes=["*"], purposes=["*"])
        self.admin_key, admin_line = new_key("root", owner="grace", roles=["switch", "erase", "review"])
        (folder / "keys.yaml").write_text(f"api_keys: 1\nkeys:\n{line}\n")
        (folder / "admins.yaml").write_text(f"api_keys: 1\nkeys:\n{admin_line}\n")
        self.write()

    def write(self, policy: dict | None = None) -> None:
        """The files as they are now."""
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(policy or POLICY))
        self.path.write_text(yaml.safe_dump(self.config))

    def __enter__(self) -> Self:
        self.log = (self.folder / "gateway.log").open("wb")
        command = [sys.executable, "-m", "roadworthy", "gateway", "-c", str(self.path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        self.line = self.process.stdout.readline().decode()
        assert self.line, self.words()
        words = [word.strip(",") for word in self.line.split() if word.startswith("http://")]
        self.port, self.admin_port = (int(word.rpartition(":")[2]) for word in words)
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)
        self.log.close()

    def words(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / "gateway.log").read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def ask(self, **headers: str) -> tuple[int, dict, dict[str, str]]:
        """One question: status, body, headers."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **headers}
        return request(self.port, "POST", "/v1/chat/completions", QUESTION, headers)

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, dict, dict[str, str]]:
        """One request to the admin address."""
        return request(self.admin_port, method, path, body, {"x-api-key": self.admin_key})

    def children(self, module: str) -> list[int]:
        """Process ids of this gateway's children that run a module."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and module.encode() in command:
                found.append(int(entry.name))
        return found

    def wait_for(self, holds, timeout_s: float = 15.0) -> None:
        """Until something holds."""
        deadline_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline_s, self.words()
            time.sleep(0.05)


class Load:
    """Callers who ask again and again in the background; every answer is kept."""

    def __init__(self, gateway: Gateway, callers: int = 4) -> None:
        self.statuses: list[int] = []
        self.records: list[str] = []
        self.torn = 0
        self._gateway = gateway
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(callers)]

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                status, _, headers = self._gateway.ask()
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                self.torn += 1
                continue
            self.statuses.append(status)
            if status == 200:
                self.records.append(headers["x-roadworthy-record"])

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def request(port: int, method: str, path: str, body: object, headers: dict[str, str]):
    """One request over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        try:
            return answer.status, json.loads(data), found
        except ValueError:
            return answer.status, {"text": data.decode(errors="replace")}, found
    finally:
        connection.close()


def end(process: subprocess.Popen) -> None:
    """Stop it, by force when it must be."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
