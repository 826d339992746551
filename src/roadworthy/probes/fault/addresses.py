"""Addresses of this machine that fail before any request can be read.

Owns three kinds, each for as long as its context lasts: nobody listens (connections are refused), somebody listens but
never takes a connection (connecting hangs), and TLS is turned down.

Rule kept here: every address is one of the loopback interface, and its port belongs to this process meanwhile, so no other
program can take it and answer. A port may be given, to put the fault where a server was until now.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_HOST = "127.0.0.1"
_MOST_FILLERS = 8
_ALERT_HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
"""A TLS record: alert, TLS 1.2, two bytes, fatal, handshake_failure (RFC 8446, sections 5.1 and 6)."""
_HELLO_BYTES = 4096


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port on which connections are refused: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind((_HOST, 0))
        yield int(taken.getsockname()[1])


@contextmanager
def silent_port(port: int = 0) -> Iterator[int]:
    """A port on which connecting hangs: its queue of connections is full, and nobody empties it.

    Linux drops the first packet of a connection that no longer fits into the queue, and the caller tries again until its
    own deadline.
    """
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server((_HOST, port), backlog=0))
        for _ in range(_MOST_FILLERS):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # it is on its way, or waits: both fill the queue
                filler.connect(listener.getsockname())
        yield int(listener.getsockname()[1])


@contextmanager
def tls_refusing_port(port: int = 0) -> Iterator[int]:
    """A port that turns every TLS handshake down with an alert."""
    with socket.create_server((_HOST, port)) as listener:
        thread = threading.Thread(target=_refuse_tls, args=(listener,), name="refuses-tls", daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
            thread.join()


def _refuse_tls(listener: socket.socket) -> None:
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:  # the context has ended
            return
        with connected:
            connected.settimeout(1.0)
            with contextlib.suppress(OSError):  # a caller that leaves first is refused as well
                connected.recv(_HELLO_BYTES)
                connected.sendall(_ALERT_HANDSHAKE_FAILURE)
