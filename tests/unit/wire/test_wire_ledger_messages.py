import struct

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.wire.ledger_messages import (
    MAX_LEAF_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_RECORDS,
    LedgerRecord,
    Message,
    MessageType,
    Reader,
    RefusalCode,
    append_body,
    appended_body,
    encode,
    parse_append,
    parse_appended,
    parse_refused,
    refused_body,
)

RECORDS = [LedgerRecord(b'{"n":1}', b"sealed"), LedgerRecord(b"x" * MAX_LEAF_BYTES, b""), LedgerRecord(b"", b"y")]
BODY = append_body(RECORDS)
STREAM = encode(MessageType.HELLO, 1, b"{}") + encode(MessageType.APPEND, 2, BODY) + encode(MessageType.ASK, 3, b"")
MESSAGES = [
    Message(MessageType.HELLO, 1, b"{}"),
    Message(MessageType.APPEND, 2, BODY),
    Message(MessageType.ASK, 3, b""),
]


def test_records_come_back_as_they_were():
    """The longest leaf, no leaf, no payload."""
    assert parse_append(BODY) == RECORDS
    assert parse_append(append_body([])) == []


def test_an_append_that_is_cut_anywhere_is_malformed():
    """So is one with bytes left over."""
    body = append_body([LedgerRecord(b"leaf", b"sealed"), LedgerRecord(b"leaf", b"")])
    for length in range(len(body)):
        with pytest.raises(LedgerBroken):
            parse_append(body[:length])
    with pytest.raises(LedgerBroken, match="another length"):
        parse_append(body + b"x")


@pytest.mark.parametrize(
    "records", [[LedgerRecord(b"x" * (MAX_LEAF_BYTES + 1), b"")], [LedgerRecord(b"", b"")] * (MAX_RECORDS + 1)]
)
def test_what_does_not_fit_is_not_written(records):
    """A length of two bytes, a count of two bytes."""
    with pytest.raises(LedgerBroken, match="does not fit"):
        append_body(records)


def test_acknowledgements_and_refusals_come_back():
    """And what is none is malformed."""
    assert parse_appended(appended_body(2**40, 3)) == (2**40, 3)
    assert parse_refused(refused_body(RefusalCode.BUSY, "l\u00e4uft")) == (RefusalCode.BUSY, "l\u00e4uft")
    for parse, body in ((parse_appended, b"short"), (parse_refused, b""), (parse_refused, b"\xffcode")):
        with pytest.raises(LedgerBroken):
            parse(body)


@pytest.mark.parametrize("step", [1, 7, 8, 9, 10, 65_536, len(STREAM) - 1, len(STREAM)])
def test_a_stream_gives_the_same_messages_however_it_is_cut(step):
    """Byte by byte as well as all at once; what is not whole is counted, and at the end nothing is left."""
    reader, found = Reader(), []
    for start in range(0, len(STREAM), step):
        found += reader.feed(STREAM[start : start + step])
        whole = sum(len(encode(*message)) for message in found)
        assert reader.unfinished_bytes == min(start + step, len(STREAM)) - whole
    assert found == MESSAGES
    assert all(type(message.body) is bytes for message in found)


@pytest.mark.parametrize(
    "head",
    [(4, 1), (MAX_MESSAGE_BYTES + 1, 1), (5, 0), (5, max(MessageType) + 1)],
)
@pytest.mark.parametrize("before", [b"", STREAM[:4]])
def test_what_is_no_message_is_an_error(head, before):
    """A length or a type that cannot be, at once and after a part of a message."""
    reader = Reader()
    reader.feed(before)
    with pytest.raises(LedgerBroken, match="message of type"):
        reader.feed(STREAM[len(before) : 11] * bool(before) + struct.pack(">IBI", *head, 1))
