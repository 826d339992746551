"""The kernel's own word on sockets."""

import os
import socket
import subprocess
import sys

import pytest

from roadworthy.probes.network import Sampler, process_tree, reachable

CHILD = "import socket,sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


@pytest.fixture
def child():
    """A process that listens, and its port."""
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.communicate(b"\n")


def test_a_child_belongs_to_the_tree(child) -> None:
    """And so do its sockets."""
    pid, port = child
    assert {os.getpid(), pid} <= process_tree(os.getpid())
    with Sampler(os.getpid()) as sampler:
        pass
    assert ("tcp", f"127.0.0.1:{port}") in {(each.protocol, each.local) for each in sampler.listening}
    assert sampler.samples >= 2


def test_whoever_connects_is_told_from_whoever_is_asked(child) -> None:
    """An accepted connection is not one that was opened."""
    _, port = child
    with socket.create_server(("127.0.0.1", 0)) as here:
        own = here.getsockname()[1]
        with (
            Sampler(os.getpid()) as sampler,
            socket.create_connection(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", own)),
            here.accept()[0],
        ):
            while sampler.samples < 5:
                pass
    remotes = {each.remote for each in sampler.outbound}
    assert {f"127.0.0.1:{port}", f"127.0.0.1:{own}"} <= remotes
    assert not any(each.local in (f"127.0.0.1:{port}", f"127.0.0.1:{own}") for each in sampler.outbound)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_addresses_of_version_6_are_read() -> None:
    """In brackets, and mapped ones as what they are."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as here, Sampler(os.getpid()) as sampler:
        port = here.getsockname()[1]
    assert f"[::1]:{port}" in {each.local for each in sampler.listening}


def test_datagrams_are_seen_too() -> None:
    """A bound one listens; a connected one is outbound."""
    with socket.socket(type=socket.SOCK_DGRAM) as bound, socket.socket(type=socket.SOCK_DGRAM) as sender:
        bound.bind(("127.0.0.1", 0))
        sender.connect(bound.getsockname())
        with Sampler(os.getpid()) as sampler:
            pass
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    assert ("udp", address) in {(each.protocol, each.local) for each in sampler.listening}
    assert ("udp", address) in {(each.protocol, each.remote) for each in sampler.outbound}


def test_reach(child, closed_port: int) -> None:
    """Open and closed."""
    assert reachable(f"127.0.0.1:{child[1]}", 2.0)
    assert not reachable(f"127.0.0.1:{closed_port}", 2.0)
