"""Fixtures of the probes' tests."""

import socket
import subprocess
import sys

import pytest
from probe_servers import ScriptedServer


@pytest.fixture
def serve():
    """A function that starts a scripted server; all are stopped at the end."""
    servers = []

    def start(respond):
        servers.append(ScriptedServer(respond))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def closed_port():
    """A port of this machine that is taken, and on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def trivial_server(repo_root):
    """A function that starts the bench's server in a process of its own and returns its URL."""
    processes = []

    def start(*options):
        command = [sys.executable, str(repo_root / "tests" / "bench" / "trivial_server.py"), *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return f"http://127.0.0.1:{int(processes[-1].stdout.readline())}/infer"

    yield start
    for process in processes:
        process.terminate()
        process.communicate()
