"""No test leaves this machine: parent, child, event loops, whatever the way."""

import asyncio
import socket
import subprocess
import sys
import textwrap

import pytest
import uvloop
from refuse_outbound import OutboundRefused

# Documentation addresses (RFC 5737, RFC 3849) and a name that exists: none of them may even be tried.
ELSEWHERE = ("192.0.2.1", "2001:db8::1", "example.com")


@pytest.fixture
def listener():
    """The port of a server on loopback; the kernel takes the connection, nobody needs to accept it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_the_parent_refuses(host):
    """A connection elsewhere is an error of the test, not of the network."""
    with pytest.raises(OutboundRefused, match="Only loopback"):
        socket.create_connection((host, 80), timeout=1)


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_a_bare_socket_refuses(call):
    """Both ways to connect a socket are seen."""
    with socket.socket() as bare, pytest.raises(OutboundRefused):
        getattr(bare, call)(("192.0.2.1", 80))


def test_a_datagram_refuses():
    """UDP needs no connection to leave."""
    with socket.socket(type=socket.SOCK_DGRAM) as bare, pytest.raises(OutboundRefused):
        bare.sendto(b"x", ("192.0.2.1", 53))


@pytest.mark.parametrize("call", ["gethostbyname", "getaddrinfo"])
def test_names_are_not_looked_up(call):
    """A look-up is a packet too."""
    arguments = ("example.com", 80)[: 2 if call == "getaddrinfo" else 1]
    with pytest.raises(OutboundRefused):
        getattr(socket, call)(*arguments)


def test_a_name_that_cannot_exist_is_unknown():
    """Under .invalid the true answer is known without asking anybody."""
    with pytest.raises(socket.gaierror):
        socket.create_connection(("nowhere.invalid", 80), timeout=1)


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_event_loops_refuse(new_loop, host):
    """uvloop has sockets of its own, so it is guarded by itself."""
    loop = new_loop()
    try:
        with pytest.raises(OutboundRefused):
            loop.run_until_complete(loop.create_connection(asyncio.Protocol, host, 80))
    finally:
        loop.close()


def test_loopback_is_allowed(listener):
    """The refusal does not get into the way of a server of the test's own."""
    socket.create_connection(("localhost", listener), timeout=5).close()


def test_loopback_is_allowed_on_uvloop(listener):
    """Nor in uvloop's."""

    async def connect():
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", listener)
        transport.abort()
        await asyncio.sleep(0)

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(connect())
    finally:
        loop.close()


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
        """
        import asyncio, uvloop
        loop = uvloop.new_event_loop()
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, "192.0.2.1", 80))
        """,
        """
        import subprocess, sys
        grandchild = 'import socket; socket.create_connection(("192.0.2.1", 80), timeout=1)'
        subprocess.run([sys.executable, '-c', grandchild], check=True)
        """,
    ],
)
def test_a_child_refuses(program):
    """Children, and their children, inherit the refusal."""
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=30
    )
    assert child.returncode != 0
    assert "OutboundRefused" in child.stderr
