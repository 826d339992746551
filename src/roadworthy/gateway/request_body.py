"""A request as the server hands it over, and how its body is read: within a size, a time and the worker's memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from roadworthy.gateway.exchange import Headers, Reason, Refused
from roadworthy.gateway.load import Load
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.routes import Endpoint

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_S = 60.0
"""From the head to the end of the body. The wire's own deadline only asks that bytes keep coming."""


class Call(NamedTuple):
    """A request as the server hands it over."""

    endpoint: Endpoint
    argument: bytes
    scope: MutableMapping[str, Any]
    headers: Headers
    receive: Receive
    send: Send


class CallerGone(Exception):  # it ends an exchange that had not begun
    """The caller left before its request was whole. Never leaves this room."""


async def read_body(call: Call, exchange: Exchange, load: Load) -> bytes:
    """The whole body; what the path's use cases take at most is its limit.

    Raises:
        Refused: too large (413), too slow (408), or no room for it (503).
        CallerGone: it never came.
    """
    most = max(use.body_bytes for use in call.endpoint.uses)
    message = await call.receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    body: bytes = message.get("body", b"")
    load.hold(exchange, len(body))
    if message.get("more_body", False):
        body = await _timely_body(call, exchange, load, body, most)
    if len(body) > most:
        raise too_large()
    exchange.body_read = True
    return body


async def _timely_body(call: Call, exchange: Exchange, load: Load, first: bytes, most: int) -> bytes:
    # Apart from its caller, since the frame of what waits for most bodies stays small without it.
    try:
        async with asyncio.timeout(exchange.began_s + BODY_S - time.perf_counter()):
            return await _longer_body(call, exchange, load, first, most)
    except TimeoutError as error:
        raise Refused(Reason.DEADLINE, 408, "The body did not come in time.") from error


async def _longer_body(call: Call, exchange: Exchange, load: Load, first: bytes, most: int) -> bytes:
    declared = next((value for name, value in call.headers if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > most:
        raise too_large()
    body = bytearray(first)
    while True:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part = message.get("body", b"")
        load.hold(exchange, len(part))
        body += part
        if len(body) > most:
            raise too_large()
        if not message.get("more_body", False):
            return bytes(body)


def too_large() -> Refused:
    """A body beyond its limit (413)."""
    return Refused(Reason.TOO_LARGE, 413, "The body is larger than this use case takes.")
