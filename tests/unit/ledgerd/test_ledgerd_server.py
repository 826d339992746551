import asyncio
import contextlib
import errno
import json
import resource
import struct

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import InputError, LedgerBroken, MissingFile, ParameterError
from roadworthy.ledgerd import server as ledger_server
from roadworthy.ledgerd.commit import GroupCommit
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.server import LedgerServer
from roadworthy.wire.ledger_messages import (
    LedgerRecord,
    MessageType,
    Reader,
    RefusalCode,
    append_body,
    encode,
    parse_appended,
    parse_refused,
)

HELLO = encode(MessageType.HELLO, 1, b'{"node":"n","version":1,"worker":0}')


class Peer:
    """One connection, as a worker has it."""

    def __init__(self, streams):
        self._stream, self.writer = streams
        self._reader = Reader()
        self._ready = []

    async def message(self):
        while not self._ready:
            data = await asyncio.wait_for(self._stream.read(65536), 5)
            if not data:
                return None
            self._ready = self._reader.feed(data)
        return self._ready.pop(0)

    async def ask(self, kind, body, request=7):
        self.writer.write(encode(kind, request, body))
        return await self.message()

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
def storage(tmp_path):
    storage = FaultyStorage(tmp_path / "ledger")
    yield storage
    storage.release()


def told(storage, tmp_path, story, asks=(), **limits):
    """Run ``story(server, connect)`` against a server on a socket; what it returns, after a clean stop."""
    path = tmp_path / "l.sock"
    peers = []

    async def connect(hello=HELLO):
        peer = Peer(await asyncio.open_unix_connection(path))
        peers.append(peer)
        if hello:
            peer.writer.write(hello)
            assert (await peer.message()).type is MessageType.WELCOME
        return peer

    async def run():
        _, writer = begin(storage)
        commit = GroupCommit(writer, most_waiting=8)
        server = LedgerServer(commit, origin="example.org/x", vkey="the key", asks=dict(asks), **limits)
        await server.start(path)
        try:
            return await story(server, connect)
        finally:
            await server.stop()
            for peer in peers:
                await peer.close()

    return asyncio.run(run())


def test_a_worker_is_welcomed_and_its_records_are_kept(storage, tmp_path):
    """Hello, then two appends of several records each."""

    async def story(server, connect):
        peer = await connect(b"")
        welcome = await peer.ask(MessageType.HELLO, b'{"version":1}', 3)
        assert (welcome.type, welcome.request) == (MessageType.WELCOME, 3)
        assert json.loads(welcome.body) == {
            "epoch": 1,
            "origin": "example.org/x",
            "size": 0,
            "version": 1,
            "vkey": "the key",
        }
        answers = [await peer.ask(MessageType.APPEND, append_body(records(*part)), 9) for part in ((1, 2), (3,))]
        assert [(each.type, each.request) for each in answers] == [(MessageType.APPENDED, 9)] * 2
        return [parse_appended(each.body) for each in answers]

    assert told(storage, tmp_path, story) == [(0, 2), (2, 1)]
    assert recover(storage).tail.size == 3


def test_only_this_user_may_connect(storage, tmp_path):
    """The socket has mode 0600, a dead one is replaced, and it is gone after a stop."""
    (tmp_path / "l.sock").touch()

    async def story(server, connect):
        return (tmp_path / "l.sock").stat().st_mode & 0o777

    assert told(storage, tmp_path, story) == 0o600
    assert not (tmp_path / "l.sock").exists()


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        encode(MessageType.HELLO, 1, b'{"version":2}'),
        encode(MessageType.HELLO, 1, b"[]"),
        encode(MessageType.HELLO, 1, b"no json"),
        encode(MessageType.APPEND, 1, append_body(records(1))),
        encode(MessageType.ASK, 1, b'{"what":"status"}'),
        HELLO + HELLO,
        HELLO + encode(MessageType.WELCOME, 1, b"{}"),
        HELLO + encode(MessageType.APPEND, 1, b"\x00\x05short"),
        HELLO + encode(MessageType.ASK, 1, b"7"),
    ],
)
def test_whoever_sends_anything_else_loses_the_connection(storage, tmp_path, bad):
    """Nobody else notices."""

    async def story(server, connect):
        good, evil = await connect(), await connect(b"")
        evil.writer.write(bad)
        with contextlib.suppress(ConnectionError):
            while (await evil.message()) is not None:
                pass
        assert (await good.ask(MessageType.APPEND, append_body(records(1)))).type is MessageType.APPENDED

    told(storage, tmp_path, story)


@pytest.mark.parametrize("body", [append_body([]), append_body([LedgerRecord(b"", b"x")])])
def test_an_append_of_nothing_is_refused(storage, tmp_path, body):
    """No records, or a leaf without bytes; the connection stays."""

    async def story(server, connect):
        peer = await connect()
        refused = await peer.ask(MessageType.APPEND, body)
        assert parse_refused(refused.body)[0] is RefusalCode.MALFORMED
        return (await peer.ask(MessageType.APPEND, append_body(records(1)))).type

    assert told(storage, tmp_path, story) is MessageType.APPENDED


def test_a_full_disk_is_told(storage, tmp_path):
    """As DISK; afterwards it goes on."""

    async def story(server, connect):
        peer = await connect()
        await peer.ask(MessageType.APPEND, append_body(records(1)))
        storage.fail = {"write": [errno.ENOSPC]}
        refused = await peer.ask(MessageType.APPEND, append_body(records(2)))
        assert parse_refused(refused.body)[0] is RefusalCode.DISK
        return parse_appended((await peer.ask(MessageType.APPEND, append_body(records(3)))).body)

    assert told(storage, tmp_path, story) == (1, 1)


def test_the_status_says_how_it_stands(storage, tmp_path):
    """Size, what waits, who is connected, and whether it refuses."""

    async def story(server, connect):
        peer = await connect()
        await peer.ask(MessageType.APPEND, append_body(records(1)))
        before = json.loads((await peer.ask(MessageType.ASK, b'{"what":"status"}')).body)
        storage.fail = {"sync": [errno.EIO, errno.EIO]}
        await peer.ask(MessageType.APPEND, append_body(records(2)))
        after = json.loads((await peer.ask(MessageType.ASK, b'{"what":"status"}')).body)
        assert (before["size"], before["waiting"], before["connections"], before["refusing"]) == (1, 0, 1, "")
        return after["refusing"]

    assert told(storage, tmp_path, story) == "BROKEN"


def test_questions_go_to_their_handlers(storage, tmp_path):
    """An answer, or the code that fits the error; the request's number comes back."""

    async def echo(question):
        return {"you": question["index"]}

    async def fails(question):
        raise {
            "file": MissingFile("gone", remedy="-"),
            "index": ParameterError("no such entry", remedy="-"),
            "ledger": LedgerBroken("bad", remedy="-"),
        }[question["how"]]

    async def story(server, connect):
        peer = await connect()
        answer = await peer.ask(MessageType.ASK, b'{"what":"echo","index":4}', 12)
        assert (answer.type, answer.request, json.loads(answer.body)) == (MessageType.ANSWER, 12, {"you": 4})
        questions = [b'{"what":"fails","how":"%s"}' % how for how in (b"file", b"index", b"ledger")]
        refused = [await peer.ask(MessageType.ASK, body) for body in [*questions, b'{"what":"none"}', b"{}"]]
        return [parse_refused(each.body)[0] for each in refused]

    absent, malformed = RefusalCode.ABSENT, RefusalCode.MALFORMED
    asks = {"echo": echo, "fails": fails}
    expected = [absent, absent, RefusalCode.BROKEN, malformed, malformed]
    assert told(storage, tmp_path, story, asks) == expected


def test_a_stop_answers_what_waits(storage, tmp_path):
    """An append and a question under way are both answered before the connection closes."""

    async def slow(question):
        await asyncio.sleep(0.05)
        return {"done": True}

    async def story(server, connect):
        peer = await connect()
        peer.writer.write(encode(MessageType.ASK, 1, b'{"what":"slow"}'))
        peer.writer.write(encode(MessageType.APPEND, 2, append_body(records(1))))
        await asyncio.sleep(0.02)
        await server.stop()
        found = [await peer.message() for _ in range(3)]
        return {each.type if each else None for each in found}

    expected = {MessageType.APPENDED, MessageType.ANSWER, None}
    assert told(storage, tmp_path, story, {"slow": slow}) == expected


def test_a_worker_that_dies_takes_nothing_with_it(storage, tmp_path):
    """Its records stay, its question is given up, the others go on."""
    given_up = []

    async def slow(question):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            given_up.append(question)
            raise
        return {}

    async def story(server, connect):
        peer, other = await connect(), await connect()
        peer.writer.write(encode(MessageType.APPEND, 2, append_body(records(1))))
        peer.writer.write(encode(MessageType.ASK, 1, b'{"what":"slow"}'))
        await asyncio.sleep(0.02)
        peer.writer.transport.abort()
        await asyncio.sleep(0.02)
        return parse_appended((await other.ask(MessageType.APPEND, append_body(records(2)))).body)

    assert told(storage, tmp_path, story, {"slow": slow}) == (1, 1)
    assert len(given_up) == 1


def test_an_answer_to_nobody_is_dropped(storage, tmp_path):
    """The peer went away while its records were written."""

    async def story(server, connect):
        peer = await connect()
        for connection in server.connections:
            connection.data_received(encode(MessageType.APPEND, 2, struct.pack(">H", 0)))
            connection.data_received(encode(MessageType.APPEND, 2, append_body(records(1))))
        peer.writer.transport.abort()
        await asyncio.sleep(0.05)

    told(storage, tmp_path, story)
    assert recover(storage).tail.size == 1


def test_a_leaf_that_only_the_ledger_may_write_is_refused(storage, tmp_path):
    """The whole append with it, and nothing stands in the ledger; the connection stays."""
    leaf = b'{"erases":1,"kind":"payload.erased","reason":"r"}'

    async def story(server, connect):
        peer = await connect()
        refused = await peer.ask(MessageType.APPEND, append_body([*records(1), LedgerRecord(leaf, b"x")]))
        assert parse_refused(refused.body)[0] is RefusalCode.MALFORMED
        return parse_appended((await peer.ask(MessageType.APPEND, append_body(records(1)))).body)

    assert told(storage, tmp_path, story) == (0, 1)


def test_a_handler_that_fails_as_nobody_foresaw_is_answered(storage, tmp_path):
    """As BROKEN, with the error's name, and the connection stays."""

    async def fails(question):
        return {"text": b"\xff".decode()}

    async def story(server, connect):
        peer = await connect()
        refused = await peer.ask(MessageType.ASK, b'{"what":"fails"}', 12)
        code, text = parse_refused(refused.body)
        assert (refused.request, code) == (12, RefusalCode.BROKEN)
        assert "UnicodeDecodeError" in text
        return (await peer.ask(MessageType.APPEND, append_body(records(1)))).type

    assert told(storage, tmp_path, story, {"fails": fails}) is MessageType.APPENDED


def test_an_answer_that_no_message_can_hold_is_refused(storage, tmp_path, monkeypatch):
    """The connection stays, and so does everybody else's."""
    monkeypatch.setattr(ledger_server, "MAX_BODY_BYTES", 100)

    async def long(question):
        return {"text": "x" * 100}

    async def story(server, connect):
        peer = await connect()
        refused = await peer.ask(MessageType.ASK, b'{"what":"long"}')
        return parse_refused(refused.body)[0], len(server.connections)

    assert told(storage, tmp_path, story, {"long": long}) == (RefusalCode.MALFORMED, 1)


async def hung_up(peer):
    """Whether the server closed this connection."""
    with contextlib.suppress(ConnectionError):
        return await peer.message() is None
    return True


def test_more_connections_than_the_most_are_closed(storage, tmp_path):
    """Those that are there stay, and when one goes another may come."""

    async def story(server, connect):
        first, second = await connect(), await connect()
        assert await hung_up(await connect(b""))
        assert (await first.ask(MessageType.APPEND, append_body(records(1)))).type is MessageType.APPENDED
        await second.close()
        await asyncio.sleep(0.02)
        await connect()

    told(storage, tmp_path, story, most_connections=2)


def test_connections_leave_descriptors_for_the_ledgers_own_files(storage, tmp_path, monkeypatch):
    """At most half of what the process may have open."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))

    async def story(server, connect):
        return server.most_connections

    assert told(storage, tmp_path, story) == 32


def test_whoever_does_not_say_hello_in_time_is_closed(storage, tmp_path):
    """Who did is not."""

    async def story(server, connect):
        good = await connect()
        assert await hung_up(await connect(b""))
        assert (await good.ask(MessageType.APPEND, append_body(records(1)))).type is MessageType.APPENDED

    told(storage, tmp_path, story, hello_s=0.05)


def test_little_is_read_before_hello(storage, tmp_path):
    """A long message from somebody unknown is not waited for; after HELLO it is."""
    part = struct.pack(">IBI", 1 << 20, MessageType.APPEND, 1) + bytes(100_000)

    async def story(server, connect):
        good, evil = await connect(), await connect(b"")
        good.writer.write(part)
        evil.writer.write(part)
        assert await hung_up(evil)
        await asyncio.sleep(0.02)
        assert server.unfinished_bytes == len(part)
        good.writer.transport.abort()
        await asyncio.sleep(0.02)
        return server.unfinished_bytes

    assert told(storage, tmp_path, story) == 0


def test_unfinished_messages_have_a_limit_together(storage, tmp_path, monkeypatch):
    """The connection that brings more is closed; those before it go on."""
    monkeypatch.setattr(ledger_server, "MOST_UNFINISHED_BYTES", 150_000)
    whole = encode(MessageType.APPEND, 1, append_body([LedgerRecord(b"{}", bytes(90_000))]))

    async def story(server, connect):
        first, second = await connect(), await connect()
        first.writer.write(whole[:-1])
        await asyncio.sleep(0.02)
        second.writer.write(whole[:-1])
        assert await hung_up(second)
        first.writer.write(whole[-1:])
        return (await first.message()).type

    assert told(storage, tmp_path, story) is MessageType.APPENDED


def test_questions_under_way_have_a_limit(storage, tmp_path):
    """More are refused as BUSY; those before them are answered."""

    async def slow(question):
        await asyncio.sleep(0.05)
        return {}

    async def story(server, connect):
        peer = await connect()
        asks = [encode(MessageType.ASK, number, b'{"what":"slow"}') for number in range(ledger_server.MOST_ASKS + 2)]
        peer.writer.write(b"".join(asks))
        found = [await peer.message() for _ in asks]
        refused = [message for message in found if message.type is MessageType.REFUSED]
        assert {parse_refused(message.body)[0] for message in refused} == {RefusalCode.BUSY}
        return len(refused)

    assert told(storage, tmp_path, story, {"slow": slow}) == 2


def test_nothing_is_read_from_a_peer_that_does_not_read(storage, tmp_path):
    """Its answers do not pile up here; once it reads, it gets them all."""

    async def wide(question):
        return {"text": "x" * 50_000}

    async def story(server, connect):
        peer = await connect()
        (connection,) = server.connections
        peer.writer.transport.pause_reading()
        ask = encode(MessageType.ASK, 1, b'{"what":"wide"}')
        for _ in range(400):
            peer.writer.write(ask)
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        held = connection._transport.get_write_buffer_size()
        assert not connection._transport.is_reading()
        peer.writer.transport.resume_reading()
        found = [await peer.message() for _ in range(400)]
        assert {message.type for message in found} <= {MessageType.ANSWER, MessageType.REFUSED}
        return held

    assert told(storage, tmp_path, story, {"wide": wide}) < 8_000_000


def test_answers_of_one_batch_leave_in_one_write(storage, tmp_path):
    """A write costs more than all that is done for a record."""

    async def story(server, connect):
        peer = await connect()
        (connection,) = server.connections
        written = []
        transport = connection._transport
        connection._transport = Recording(transport, written)
        peer.writer.write(
            b"".join(encode(MessageType.APPEND, number, append_body(records(number))) for number in range(6))
        )
        indices = [parse_appended((await peer.message()).body)[0] for _ in range(6)]
        connection._transport = transport
        assert indices == [0, 1, 2, 3, 4, 5]
        return len(written)

    assert told(storage, tmp_path, story) == 1


class Recording:
    """A transport that remembers what was written."""

    def __init__(self, transport, written):
        self._transport, self._written = transport, written

    def write(self, data):
        self._written.append(data)
        self._transport.write(data)


def test_a_socket_that_cannot_be_made_is_refused(storage, tmp_path):
    """No such folder, or a path that no socket can have."""

    async def story(server, connect):
        other = LedgerServer(server.commit, origin="o", vkey="v", asks={})
        with pytest.raises(MissingFile, match="socket"):
            await other.start(tmp_path / "none" / "l.sock")
        with pytest.raises(InputError, match="107"):
            await other.start(tmp_path / ("x" * 107))

    told(storage, tmp_path, story)
