"""One small JSON document from an identity provider. Owns the request; what the document means belongs to ``jwks``.

Rules kept here:
1. One deadline covers everything, from the name's look-up to the last byte, so a slow provider holds nobody.
2. An answer has status 200 or it is none: a redirect is never followed, since it could lead to another host.
3. What is longer than the cap is dropped at the cap.
"""

import asyncio
import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httptools

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import InputError, NotCanonical, TargetAnswer, TargetUnreachable

DEADLINE_S = 5.0
MOST_BYTES = 256 * 1024

_CHUNK_BYTES = 16 * 1024
_OK = 200
_PORTS = {"https": 443, "http": 80}
_REMEDY = "Check the issuer's address, and that the identity provider answers there."


class _Reply:
    """Collects what httptools finds."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.whole = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True


async def fetch_json(url: str, *, deadline_s: float = DEADLINE_S, most_bytes: int = MOST_BYTES) -> Any:
    """The JSON document at an address.

    Args:
        url: http or https.
        deadline_s: for all of it.
        most_bytes: of the whole answer, head included.

    Raises:
        InputError: not an address (RW-100).
        TargetUnreachable: no connection, or no whole answer in time (RW-401).
        TargetAnswer: another status than 200, too long, not HTTP or not JSON (RW-402).
    """
    parts = _address(url)
    try:
        async with asyncio.timeout(deadline_s):
            status, body = await _get(parts, most_bytes)
    except (OSError, TimeoutError, UnicodeError) as error:  # the last: a host that cannot be a name
        what = f"No answer from {parts.netloc} within {deadline_s:g} s: {type(error).__name__}."
        raise TargetUnreachable(what, remedy=_REMEDY, where=url) from error
    except httptools.HttpParserError as error:
        raise TargetAnswer(f"{parts.netloc} does not speak HTTP/1.1.", remedy=_REMEDY, where=url) from error
    if status != _OK:
        what = f"{parts.netloc} answered with status {status}; redirects are not followed."
        raise TargetAnswer(what, remedy=_REMEDY, where=url)
    try:
        return parse_json(body)
    except NotCanonical as error:
        raise TargetAnswer(f"The answer is not JSON: {error.what}", remedy=_REMEDY, where=url) from error


def _address(url: str) -> SplitResult:
    remedy = "Give an address such as https://id.example.org/realm."
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InputError(f"{url[:200]!r} is not an address.", remedy=remedy) from error
    # A space or a line break would end the request line early.
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or not (port_fits and plain):
        raise InputError(f"{url[:200]!r} is not an address.", remedy=remedy)
    return parts


async def _get(parts: SplitResult, most_bytes: int) -> tuple[int, bytes]:
    context = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or _PORTS[parts.scheme]
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"GET {target} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: application/json\r\nconnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        return await _read(reader, parts, most_bytes)
    finally:
        # Nothing is owed to the other end: no goodbye that could take longer than the deadline.
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, parts: SplitResult, most_bytes: int) -> tuple[int, bytes]:
    reply = _Reply()
    parser = httptools.HttpResponseParser(reply)
    taken = 0
    while not reply.whole:
        data = await reader.read(_CHUNK_BYTES)
        taken += len(data)
        if taken > most_bytes:
            raise TargetAnswer(f"{parts.netloc} answered with more than {most_bytes} bytes.", remedy=_REMEDY)
        if not data:
            # An answer without a length ends with the connection, and cannot be told from one that was cut.
            raise TargetAnswer(f"{parts.netloc} closed before its answer was whole.", remedy=_REMEDY)
        parser.feed_data(data)
    return int(parser.get_status_code()), bytes(reply.body)
