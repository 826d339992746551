"""The ways in which an upstream can fail once it has a request, as bytes on the wire.

Owns the names of the faults and how each is played. Leaves alone: which one is due (``upstream``), faults of the address
itself (``addresses``), of the network between (``proxy``), and what a gateway should make of them (``scenarios``).

Rules kept here:
1. Every fault starts from the sound answer to the same request, so that only the fault differs.
2. A fault that holds the connection ends by itself after its declared time.
"""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from roadworthy.probes.chat import DONE
from roadworthy.probes.http_server import Reply, chunk, response

_PAUSE_BEFORE_RESET_S = 0.02  # so that what was sent is read before the reset discards it
_BLOCK_BYTES = 1 << 16
_BOMB_RATIO_BLOCK = b"\0" * (1 << 20)


class Fault(Enum):
    """What goes wrong. The value is its name in headers, paths and records."""

    RESET_BEFORE = "reset-before"
    RESET_IN_HEAD = "reset-in-head"
    RESET_IN_BODY = "reset-in-body"
    TOO_MANY = "status-429"
    ERROR_500 = "status-500"
    ERROR_502 = "status-502"
    ERROR_503 = "status-503"
    ERROR_504 = "status-504"
    SLOW_HEAD = "slow-head"
    SLOW_BODY = "slow-body"
    STALL = "stall"
    """Half of the body, then silence."""
    MALFORMED_JSON = "malformed-json"
    WRONG_TYPE = "wrong-type"
    """A page of HTML with status 200."""
    CHUNKS_CUT = "chunks-cut"
    """The connection ends in the middle of a chunk."""
    CHUNK_SIZE_BAD = "chunk-size-bad"
    LENGTH_AND_CHUNKED = "length-and-chunked"
    """Both framings at once: the mark of request smuggling (RFC 9112, section 6.3)."""
    LENGTHS_DIFFER = "lengths-differ"
    CONTINUE_FIRST = "continue-first"
    """An interim answer 100 before the sound one, which is allowed."""
    HEAD_HUGE = "head-huge"
    BODY_HUGE = "body-huge"
    GZIP_BOMB = "gzip-bomb"
    """A small compressed body that unpacks to a large one, without having been asked for compression."""
    BAD_UTF8 = "bad-utf8"
    DONE_MISSING = "done-missing"
    """The stream ends in order, but without its last event."""
    USAGE_MISSING = "usage-missing"
    ID_NULL = "id-null"
    HTTP_10_CLOSE = "http10-close"
    """HTTP/1.0, without a length: the end of the connection ends the body, which is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long and how large the faults are.

    Attributes:
        slow_s: pause before the head, and before each part of a slow body.
        stall_s: how long a stalled answer is held before the connection is reset.
        retry_after_s: whole seconds that 429 and 503 ask to wait.
        head_bytes: of a huge head.
        body_bytes: of a huge body, and of what a bomb unpacks to.
    """

    slow_s: float = 0.2
    stall_s: float = 30.0
    retry_after_s: int = 1
    head_bytes: int = 1 << 20
    body_bytes: int = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The answer that a sound upstream gives.

    Attributes:
        content_type: of the body.
        parts: the body; several when it is streamed.
        streamed: whether it goes out in chunks as server-sent events.
    """

    content_type: str
    parts: tuple[bytes, ...]
    streamed: bool

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts)

    @property
    def head(self) -> bytes:
        """The head of the answer, with the framing that fits."""
        framing = b"Transfer-Encoding: chunked" if self.streamed else b"Content-Length: %d" % len(self.body)
        return _head(self.content_type, framing)

    @property
    def framed(self) -> list[bytes]:
        """The parts as they go over the wire after the head."""
        return [*map(chunk, self.parts), chunk(b"")] if self.streamed else list(self.parts)


_Play = Callable[[Sound, Reply, Sizes], Awaitable[None]]


async def send_sound(sound: Sound, reply: Reply) -> None:
    """The sound answer; a stream goes out event by event.

    Raises:
        ConnectionResetError: the peer is gone.
    """
    if not sound.streamed:
        await reply.send(sound.head + sound.body)
        return
    await reply.send(sound.head)
    for part in sound.framed:
        await reply.send(part)


async def play(fault: Fault, sound: Sound, reply: Reply, sizes: Sizes) -> None:
    """Answer with a fault.

    Raises:
        ConnectionResetError: the peer is gone.
    """
    await _PLAYS[fault](sound, reply, sizes)


async def _reset_before(_sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    reply.reset()


async def _reset_in_head(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await _send_and_reset(reply, sound.head[: len(sound.head) // 2])


async def _reset_in_body(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await _send_and_reset(reply, sound.head + _half(sound))


def _status(status: int) -> _Play:
    async def send(_sound: Sound, reply: Reply, sizes: Sizes) -> None:
        told = status in (429, 503)
        more = b"Retry-After: %d\r\n" % sizes.retry_after_s if told else b""
        error = {"error": {"message": f"fault {status}", "type": "server_error", "param": None, "code": str(status)}}
        await reply.send(response(status, json.dumps(error).encode(), more=more))

    return send


async def _slow_head(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    await asyncio.sleep(sizes.slow_s)
    await send_sound(sound, reply)


async def _slow_body(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    await reply.send(sound.head)
    body = b"".join(sound.framed)
    third = len(body) // 3
    for part in (body[:third], body[third : 2 * third], body[2 * third :]):
        await asyncio.sleep(sizes.slow_s)
        await reply.send(part)


async def _stall(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    await reply.send(sound.head + _half(sound))
    await asyncio.sleep(sizes.stall_s)
    reply.reset()


async def _malformed_json(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    if sound.streamed:  # one event in the middle is not JSON
        middle = len(sound.parts) // 2
        broken = (*sound.parts[:middle], b'data: {"choices": [\n\n', *sound.parts[middle:])
        await send_sound(_like(sound, broken), reply)
    else:
        await send_sound(_like(sound, (sound.body[:-1] + b",,",)), reply)


async def _wrong_type(_sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await reply.send(response(200, b"<html><body>maintenance</body></html>", content_type="text/html"))


async def _chunks_cut(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    half = sound.body[: len(sound.body) // 2]
    await reply.send(_chunked_head(sound) + b"%x\r\n" % len(sound.body) + half)
    reply.close()


async def _chunk_size_bad(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await reply.send(_chunked_head(sound) + b"zz\r\n" + sound.body + b"\r\n" + chunk(b""))
    reply.close()


async def _length_and_chunked(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    framing = b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(sound.body)
    await reply.send(_head(sound.content_type, framing) + chunk(sound.body) + chunk(b""))
    reply.close()


async def _lengths_differ(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    framing = b"Content-Length: %d\r\nContent-Length: %d" % (len(sound.body), len(sound.body) // 2)
    await reply.send(_head(sound.content_type, framing) + sound.body)
    reply.close()


async def _continue_first(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await reply.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await send_sound(sound, reply)


async def _head_huge(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    line = b"X-Padding: " + b"a" * 1000 + b"\r\n"
    padding = line * -(-sizes.head_bytes // len(line))
    await reply.send(sound.head[:-2] + padding + b"\r\n" + b"".join(sound.framed))


async def _body_huge(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    # A JSON string, so that only its size is wrong.
    await reply.send(_head(sound.content_type, b"Content-Length: %d" % sizes.body_bytes) + b'"')
    left = sizes.body_bytes - 2
    while left > 0:
        part = min(left, _BLOCK_BYTES)
        await reply.send(b"a" * part)
        left -= part
    await reply.send(b'"')


async def _gzip_bomb(sound: Sound, reply: Reply, sizes: Sizes) -> None:
    blocks = -(-sizes.body_bytes // len(_BOMB_RATIO_BLOCK))
    # Members of the format may follow each other; unpacked they are one body (RFC 1952, section 2.2).
    packed = gzip.compress(_BOMB_RATIO_BLOCK, mtime=0) * blocks
    framing = b"Content-Encoding: gzip\r\nContent-Length: %d" % len(packed)
    await reply.send(_head(sound.content_type, framing) + packed)


async def _bad_utf8(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    if sound.streamed:
        middle = len(sound.parts) // 2
        broken = (*sound.parts[:middle], b'data: "\xff\xfe"\n\n', *sound.parts[middle:])
        await send_sound(_like(sound, broken), reply)
    else:
        await send_sound(_like(sound, (sound.body.replace(b'"', b'"\xff\xfe', 1),)), reply)


async def _done_missing(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await send_sound(_like(sound, tuple(part for part in sound.parts if part != DONE)), reply)


async def _usage_missing(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await send_sound(_edited(sound, lambda value: value.pop("usage", None)), reply)


async def _id_null(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    await send_sound(_edited(sound, lambda value: value.update(id=None)), reply)


async def _http_10_close(sound: Sound, reply: Reply, _sizes: Sizes) -> None:
    head = f"HTTP/1.0 200 OK\r\nContent-Type: {sound.content_type}\r\n\r\n".encode("ascii")
    await reply.send(head + sound.body)
    reply.close()


def _head(content_type: str, framing: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n" % (content_type.encode("ascii"), framing)


def _chunked_head(sound: Sound) -> bytes:
    return _head(sound.content_type, b"Transfer-Encoding: chunked")


def _half(sound: Sound) -> bytes:
    """The first half of the framed body: whole events of a stream, else half of the bytes."""
    if sound.streamed:
        return b"".join(sound.framed[: max(1, len(sound.parts) // 2)])
    return sound.body[: len(sound.body) // 2]


def _like(sound: Sound, parts: tuple[bytes, ...]) -> Sound:
    return Sound(content_type=sound.content_type, parts=parts, streamed=sound.streamed)


def _edited(sound: Sound, edit: Callable[[dict[str, object]], object]) -> Sound:
    """The sound answer with every object of it edited; what is no object stays."""
    return _like(sound, tuple(_edited_part(part, edit) for part in sound.parts))


def _edited_part(part: bytes, edit: Callable[[dict[str, object]], object]) -> bytes:
    prefix, suffix = (b"data: ", b"\n\n") if part.startswith(b"data: ") else (b"", b"")
    if part == DONE:
        return part
    value = json.loads(part.removeprefix(prefix))
    if isinstance(value, dict):
        edit(value)
    return prefix + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + suffix


async def _send_and_reset(reply: Reply, data: bytes) -> None:
    await reply.send(data)
    await asyncio.sleep(_PAUSE_BEFORE_RESET_S)
    reply.reset()


_PLAYS: dict[Fault, _Play] = {
    Fault.RESET_BEFORE: _reset_before,
    Fault.RESET_IN_HEAD: _reset_in_head,
    Fault.RESET_IN_BODY: _reset_in_body,
    Fault.TOO_MANY: _status(429),
    Fault.ERROR_500: _status(500),
    Fault.ERROR_502: _status(502),
    Fault.ERROR_503: _status(503),
    Fault.ERROR_504: _status(504),
    Fault.SLOW_HEAD: _slow_head,
    Fault.SLOW_BODY: _slow_body,
    Fault.STALL: _stall,
    Fault.MALFORMED_JSON: _malformed_json,
    Fault.WRONG_TYPE: _wrong_type,
    Fault.CHUNKS_CUT: _chunks_cut,
    Fault.CHUNK_SIZE_BAD: _chunk_size_bad,
    Fault.LENGTH_AND_CHUNKED: _length_and_chunked,
    Fault.LENGTHS_DIFFER: _lengths_differ,
    Fault.CONTINUE_FIRST: _continue_first,
    Fault.HEAD_HUGE: _head_huge,
    Fault.BODY_HUGE: _body_huge,
    Fault.GZIP_BOMB: _gzip_bomb,
    Fault.BAD_UTF8: _bad_utf8,
    Fault.DONE_MISSING: _done_missing,
    Fault.USAGE_MISSING: _usage_missing,
    Fault.ID_NULL: _id_null,
    Fault.HTTP_10_CLOSE: _http_10_close,
}
