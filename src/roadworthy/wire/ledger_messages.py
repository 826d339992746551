"""What a gateway's worker and the ledger's process say to each other. Owns the bytes; sockets belong to both ends.

A message is ``length (u32) | type (u8) | request id (u32) | body``, numbers big-endian; the length counts what follows it.
A body is one of::

    HELLO      JSON {"node", "worker", "version"}
    WELCOME    JSON {"origin", "epoch", "size", "vkey", "version"}
    APPEND     count (u16), then for each record: leaf length (u16), leaf, sealed length (u32), sealed payload
    APPENDED   first index (u64), count (u16)
    ASK        JSON {"what": "status" | "proof" | "erase" | "payload", ...}
    ANSWER     JSON
    REFUSED    code (u8), text in UTF-8

Rules kept here:
1. One APPEND is acknowledged as a whole, after every record of it is durable, or refused as a whole.
2. A reader takes bytes as they come, in any cut, and never waits for more than ``MAX_MESSAGE_BYTES``.
3. What is not a message is an error: the connection is then closed, since nothing after it can be trusted.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from roadworthy.base.errors import LedgerBroken

VERSION = 1
MAX_MESSAGE_BYTES = 96 * 1024 * 1024
MAX_LEAF_BYTES = 0xFFFF
MAX_RECORDS = 0xFFFF

_HEAD = struct.Struct(">IBI")
_COUNT = struct.Struct(">H")
_LEAF = struct.Struct(">H")
_SEALED = struct.Struct(">I")
_APPENDED = struct.Struct(">QH")
_TAIL_OF_HEAD = 5
MAX_BODY_BYTES = MAX_MESSAGE_BYTES - _TAIL_OF_HEAD
_REMEDY = "Let both ends be of one version; the connection was closed and nothing was acknowledged."


class MessageType(IntEnum):
    """What a message is."""

    HELLO = 1
    WELCOME = 2
    APPEND = 3
    APPENDED = 4
    ASK = 5
    ANSWER = 6
    REFUSED = 7


class RefusalCode(IntEnum):
    """Why the ledger did not do what it was asked."""

    BUSY = 1
    """Too much is waiting; ask again later."""
    DISK = 2
    """The disk does not take it: full, read-only, or a sync that failed."""
    BROKEN = 3
    """The ledger stopped because it no longer trusts its own files."""
    CLOSING = 4
    """The process is about to end."""
    MALFORMED = 5
    """The message was understood, its content is not allowed."""
    ABSENT = 6
    """No such entry, or it is not in a published checkpoint yet."""


# In Python 3.11 making a member of an enumeration is a call; every message has one.
_TYPES = {int(kind): kind for kind in MessageType}


class LedgerRecord(NamedTuple):
    """One leaf with its sealed payload: nonce and ciphertext, or nothing when no payload is kept."""

    leaf: bytes
    sealed: bytes


class Message(NamedTuple):
    """One message."""

    type: MessageType
    request: int
    body: bytes


def encode(kind: MessageType, request: int, body: bytes) -> bytes:
    """The bytes of one message."""
    return _HEAD.pack(_TAIL_OF_HEAD + len(body), kind, request) + body


def append_body(records: Sequence[LedgerRecord]) -> bytes:
    """The body of an APPEND.

    Raises:
        LedgerBroken: a leaf is longer than 65,535 bytes, or there are more than 65,535 records (RW-503).
    """
    if len(records) > MAX_RECORDS or any(len(record.leaf) > MAX_LEAF_BYTES for record in records):
        raise LedgerBroken("A record does not fit a message.", remedy="Put long texts into the payload.")
    parts = [_COUNT.pack(len(records))]
    for leaf, sealed in records:
        parts += (_LEAF.pack(len(leaf)), leaf, _SEALED.pack(len(sealed)), sealed)
    return b"".join(parts)


def parse_append(body: bytes) -> list[LedgerRecord]:
    """Read the body of an APPEND.

    Raises:
        LedgerBroken: it is cut short or holds more than it says (RW-503).
    """
    try:
        (count,) = _COUNT.unpack_from(body)
        offset = _COUNT.size
        records = []
        for _ in range(count):
            # Leaf from ``start`` to ``middle``, sealed bytes from ``after`` to the next record.
            start = offset + 2
            middle = start + (body[offset] << 8 | body[offset + 1])
            after = middle + 4
            (length,) = _SEALED.unpack_from(body, middle)
            offset = after + length
            records.append(LedgerRecord(body[start:middle], body[after:offset]))
    except (struct.error, IndexError) as error:
        raise _malformed("an append is cut short") from error
    if offset != len(body):
        raise _malformed("an append has another length than its records")
    return records


def appended_body(first_index: int, count: int) -> bytes:
    """The body of an APPENDED."""
    return _APPENDED.pack(first_index, count)


def parse_appended(body: bytes) -> tuple[int, int]:
    """First index and count of an APPENDED.

    Raises:
        LedgerBroken: another length (RW-503).
    """
    if len(body) != _APPENDED.size:
        raise _malformed("an acknowledgement has another length")
    first, count = _APPENDED.unpack(body)
    return int(first), int(count)


def refused_body(code: RefusalCode, text: str) -> bytes:
    """The body of a REFUSED."""
    return bytes([code]) + text.encode()


def parse_refused(body: bytes) -> tuple[RefusalCode, str]:
    """Code and text of a REFUSED.

    Raises:
        LedgerBroken: an unknown code (RW-503).
    """
    try:
        return RefusalCode(body[0]), body[1:].decode("utf-8", "replace")
    except (IndexError, ValueError) as error:
        raise _malformed("a refusal has no known code") from error


class Reader:
    """Cuts a stream of bytes into messages. Feed it and take what is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def unfinished_bytes(self) -> int:
        """How much of a message is here that is not whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now.

        Raises:
            LedgerBroken: a length or a type that cannot be (RW-503).
        """
        buffer = self._buffer
        source: bytes | bytearray = data
        if buffer:
            buffer += data
            source = buffer
        # Nearly always a message comes whole, and is then cut from the bytes as they came.
        messages: list[Message] = []
        offset, size = 0, len(source)
        while size - offset >= _HEAD.size:
            length, number, request = _HEAD.unpack_from(source, offset)
            kind = _TYPES.get(number)
            if not _TAIL_OF_HEAD <= length <= MAX_MESSAGE_BYTES or kind is None:
                raise _malformed(f"a message of type {number} and {length} bytes")
            end = offset + 4 + length
            if end > size:
                break
            messages.append(Message(kind, request, bytes(source[offset + _HEAD.size : end])))
            offset = end
        if source is buffer:
            del buffer[:offset]
        else:
            buffer += data[offset:]
        return messages


def _malformed(what: str) -> LedgerBroken:
    return LedgerBroken(f"The other end of the ledger's socket sent {what}.", remedy=_REMEDY)
