import contextlib
import math
import socket
import threading
import time

import pytest
from raw_http import read_to_end

from roadworthy.base.errors import InputError, ParameterError
from roadworthy.probes.fault.proxy import FaultProxy
from roadworthy.probes.fault.toxics import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
)

UP, DOWN = Direction.UP, Direction.DOWN


class Echo:
    """Sends back what comes, block by block, and notes the sizes of the blocks."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.blocks = []
        self.ends = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self.threads[-1].start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while block := connection.recv(1 << 16):
                self.blocks.append(len(block))
                connection.sendall(block)
            self.ends.append(time.perf_counter())

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.stop()


@pytest.fixture
def proxy(echo):
    with FaultProxy("127.0.0.1", echo.port, seed=1) as running:
        yield running


def exchange(proxy, data, *, timeout_s=3.0):
    """Send, end the own side, read to the end: the bytes, how it ended, how long it took."""
    from_s = time.perf_counter()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        got, ending = read_to_end(connection)
        return got, ending, time.perf_counter() - from_s


def test_without_toxics_everything_passes(proxy):
    """Both directions, and their ends."""
    data = bytes(range(256)) * 2_000
    got, ending, _ = exchange(proxy, data)
    assert (got == data, ending) == (True, "end")
    assert proxy.accepted == 1


def test_latency_delays_each_direction(proxy):
    """0.1 s up and 0.15 s down."""
    proxy.set(UP, Latency(delay_s=0.1))
    proxy.set(DOWN, Latency(delay_s=0.15))
    got, _, took_s = exchange(proxy, b"hello")
    assert got == b"hello"
    assert took_s >= 0.25


def test_latency_keeps_order_and_throughput(proxy):
    """Many blocks with jitter arrive in order, and not one delay after the other."""
    proxy.set(DOWN, Latency(delay_s=0.05, jitter_s=0.05))
    data = b"".join(b"%08d" % number for number in range(100_000))
    got, _, took_s = exchange(proxy, data)
    assert got == data
    assert took_s < 1.5


def test_bandwidth_bounds_the_rate(proxy):
    """20 kB at 50 kB/s."""
    proxy.set(DOWN, Bandwidth(bytes_per_s=50_000))
    got, _, took_s = exchange(proxy, b"a" * 20_000)
    assert len(got) == 20_000
    assert took_s >= 0.39


def test_a_slow_close_holds_the_end_only(proxy, echo):
    """The data came before."""
    proxy.set(DOWN, SlowClose(delay_s=0.2))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection:
        connection.sendall(b"now")
        assert connection.recv(10) == b"now"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
        assert time.perf_counter() - echo.ends[0] >= 0.19


def test_a_timeout_swallows_and_then_ends(proxy):
    """Nothing passes; with zero it never ends by itself, and later data passes again."""
    proxy.set(DOWN, Timeout(after_s=0.1))
    got, ending, took_s = exchange(proxy, b"lost")
    assert (got, ending) == (b"", "end")
    assert took_s >= 0.1
    proxy.set(DOWN, Timeout(after_s=0))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2) as connection:
        connection.sendall(b"lost")
        assert read_to_end(connection) == (b"", "silence")
        proxy.clear()
        connection.sendall(b"kept")
        assert connection.recv(10) == b"kept"


def test_a_reset_reaches_new_and_open_connections(proxy):
    """An open one gets it as soon as the toxic comes."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection:
        connection.sendall(b"first")
        assert connection.recv(10) == b"first"
        proxy.set(DOWN, ResetPeer(after_s=0.05))
        assert read_to_end(connection) == (b"", "reset")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection:
        connection.sendall(b"second")
        assert read_to_end(connection) == (b"second", "reset")


def test_a_reset_that_was_called_off_does_not_come(proxy):
    """The alarm looks whether the toxic is still there."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as connection:
        connection.sendall(b"a")
        assert connection.recv(10) == b"a"
        proxy.set(UP, ResetPeer(after_s=0.1))
        proxy.set(UP)
        assert read_to_end(connection) == (b"", "silence")


def test_slices_are_small_and_seeded(echo):
    """The server sees blocks of 1 to 12 bytes; the same seed cuts the same way."""
    sizes = []
    for _ in range(2):
        with FaultProxy("127.0.0.1", echo.port, seed=5) as proxy:
            proxy.set(UP, Slicer(average_bytes=8, variation_bytes=4, delay_s=0.003))
            assert exchange(proxy, b"a" * 200)[0] == b"a" * 200
            pump = proxy.generator(1, UP)
            sizes.append([int(pump.integers(4, 12, endpoint=True)) for _ in range(5)])
    assert len(echo.blocks) > 20
    assert sizes[0] == sizes[1]
    assert sum(echo.blocks) == 400


def test_a_limit_ends_after_its_bytes(proxy):
    """Exactly as many arrive."""
    proxy.set(DOWN, LimitData(most_bytes=7))
    got, ending, _ = exchange(proxy, b"0123456789")
    assert (got, ending) == (b"0123456", "end")
    proxy.set(DOWN, LimitData(most_bytes=0))
    assert exchange(proxy, b"0123456789")[0] == b""


def test_down_refuses_and_resets_and_comes_back(proxy):
    """On the same port."""
    port = proxy.port
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(b"a")
        assert connection.recv(10) == b"a"
        proxy.go_down()
        assert read_to_end(connection)[1] == "reset"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=3)
    proxy.come_back()
    assert exchange(proxy, b"again")[0] == b"again"
    assert proxy.url == f"http://127.0.0.1:{port}"


def test_a_dead_server_looks_dead_through_the_proxy(closed_port):
    """The client gets a reset, not silence."""
    # The reset may come so soon that connecting sees it already.
    with (
        FaultProxy("127.0.0.1", closed_port) as proxy,
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection,
    ):
        connection.recv(1)


def test_going_down_waits_for_nothing(proxy):
    """A connection whose end is held for a minute is reset at once."""
    proxy.set(DOWN, SlowClose(delay_s=60))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection:
        connection.sendall(b"a")
        assert connection.recv(10) == b"a"
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
        proxy.go_down()
        assert read_to_end(connection) == (b"", "reset")


def test_a_client_that_vanishes_leaves_nothing_behind(proxy, echo):
    """The connection behind ends too."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=3) as connection:
        connection.sendall(b"a")
        assert connection.recv(10) == b"a"
    deadline_s = time.perf_counter() + 3
    while not echo.ends and time.perf_counter() < deadline_s:
        time.sleep(0.01)
    assert echo.ends


def test_another_machine_must_be_meant():
    """RW-100 unless allowed; allowing it does not connect yet."""
    with pytest.raises(InputError, match="not this machine"):
        FaultProxy("192.0.2.1", 80)
    assert FaultProxy("192.0.2.1", 80, allow_remote=True).upstream == ("192.0.2.1", 80)


def test_a_proxy_that_does_not_run_says_so():
    """RW-114, instead of hanging."""
    with pytest.raises(ParameterError, match="does not run"):
        FaultProxy("127.0.0.1", 80).clear()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Latency(delay_s=-1),
        lambda: Latency(delay_s=1, jitter_s=math.nan),
        lambda: Bandwidth(bytes_per_s=0),
        lambda: Bandwidth(bytes_per_s=math.inf),
        lambda: SlowClose(delay_s=math.inf),
        lambda: Timeout(after_s=-0.1),
        lambda: ResetPeer(after_s=4000),
        lambda: Slicer(average_bytes=0),
        lambda: Slicer(average_bytes=2, variation_bytes=3),
        lambda: Slicer(average_bytes=2, delay_s=-1),
        lambda: LimitData(most_bytes=-1),
    ],
)
def test_a_toxic_out_of_range_is_refused(make):
    """RW-114."""
    with pytest.raises(ParameterError):
        make()
