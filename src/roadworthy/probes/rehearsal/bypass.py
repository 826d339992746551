"""A way around the gateway: a forwarder that hands one route to the upstream itself. The defect that checks must see.

Owns the forwarding of whole requests and answers. Leaves alone everything else of HTTP: it stands in front of specimens.
"""

import asyncio
import http.client
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from roadworthy.probes.http_server import Asked, HttpServer, Reply
from roadworthy.probes.loop_thread import LoopThread

_TIMEOUT_S = 15.0
_OWN = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "host"})


class Bypass:
    """A context manager around the forwarder.

    Args:
        gateway: its address.
        upstream: address of the AI system.
        path: of the route that goes straight to it.
    """

    def __init__(self, gateway: str, upstream: str, path: str) -> None:
        self._gateway, self._upstream, self._path = gateway, upstream, path
        self._server = HttpServer(self._handle)
        self._loop: LoopThread | None = None

    def __enter__(self) -> Self:
        """Start on a free loopback port."""
        self._loop = LoopThread("bypass")
        self._loop.call(self._server.listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        assert self._loop is not None
        self._loop.call(self._server.vanish())
        self._loop.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.port}"

    async def _handle(self, asked: Asked, reply: Reply) -> None:
        to = self._upstream if asked.path == self._path else self._gateway
        await reply.send(await asyncio.to_thread(_forward, to, asked))


def _forward(to: str, asked: Asked) -> bytes:
    parts = urlsplit(to)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        headers = {name: value for name, value in asked.headers.items() if name not in _OWN}
        connection.request(asked.method, asked.target, asked.body or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in _OWN]
    except (OSError, http.client.HTTPException):
        body, lines = b"", ["HTTP/1.1 502 Bad Gateway"]
    finally:
        connection.close()
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("latin-1") + body
