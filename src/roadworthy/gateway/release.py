"""The last step: an answer onto the wire. Owns the gateway's own headers; whether the answer may leave was decided before."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from roadworthy.domain.exchange import RungKind
from roadworthy.gateway.exchange import Answer, Headers, Refused
from roadworthy.gateway.routes import released_headers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# In Python 3.11 reading a member of an enumeration is a call; this one is read with every answer.
_PRIMARY = RungKind.PRIMARY
_BODILESS = frozenset({204, 304})
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def answer_headers(answer: Answer, record: str, index: int) -> Headers:
    """An upstream's headers and ours: the record, its index where known, and who answered if not the primary."""
    headers = released_headers(answer.headers)
    headers.append((b"x-roadworthy-record", record.encode()))
    if index >= 0:
        headers.append((b"x-roadworthy-index", b"%d" % index))
    if answer.rung is not _PRIMARY:
        headers.append((b"x-roadworthy-rung", header_text(answer.rung_name)))
        headers.append((b"x-roadworthy-notice", header_text(answer.notice)))
    if answer.review:
        headers.append((b"x-roadworthy-review", header_text(answer.review)))
    return headers


def own_headers(content_type: bytes, record: str, index: int) -> Headers:
    """Headers of what the gateway itself answers."""
    headers = [(b"content-type", content_type), (b"x-roadworthy-record", record.encode())]
    if index >= 0:
        headers.append((b"x-roadworthy-index", b"%d" % index))
    return headers


def refusal_headers(
    refused: Refused, content_type: bytes, record: str, index: int, *, rung: str, close: bool
) -> Headers:
    """Headers of a refusal. ``close`` when the body was not read: its rest must not be taken for a request."""
    headers = own_headers(content_type, record, index)
    if rung == RungKind.REFUSE.value:
        headers.append((b"x-roadworthy-rung", rung.encode()))
        headers.append((b"x-roadworthy-notice", header_text(refused.what)))
    if refused.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % refused.retry_after_s))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if close:
        headers.append((b"connection", b"close"))
    return headers


def header_text(text: str) -> bytes:
    """A header's value in ASCII. Anything else is percent-encoded as UTF-8, and so are line breaks."""
    return text.encode() if text.isascii() and text.isprintable() else quote(text, safe=_PLAIN).encode()


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Head and body."""
    if status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
