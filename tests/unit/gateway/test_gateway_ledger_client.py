import asyncio
import json
import subprocess
import sys

import pytest
import uvloop
from gateway_rig import MemoryLedger

from roadworthy.base.errors import LedgerBroken
from roadworthy.gateway import ledger_client
from roadworthy.gateway.exchange import Reason
from roadworthy.gateway.ledger_client import LedgerClient, LedgerRefused
from roadworthy.wire.ledger_messages import (
    VERSION,
    MessageType,
    Reader,
    RefusalCode,
    appended_body,
    encode,
    parse_append,
    refused_body,
)


class StandIn:
    """A ledger's end of the socket that does what it is told."""

    def __init__(self, path) -> None:
        self.path = path
        self.appends: list[list] = []
        self.connections = 0
        self.size = 0
        self.version = VERSION
        self.refuse: RefusalCode | None = None
        self.silent = self.hang_up = False
        self.answer_with: bytes | None = None
        self.writers: list[asyncio.StreamWriter] = []
        self._server = None

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_error):
        self._server.close()
        for writer in self.writers:
            writer.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        messages = Reader()
        while data := await reader.read(65_536):
            for message in messages.feed(data):
                reply = self._reply(message)
                if self.hang_up and message.type is MessageType.APPEND:
                    writer.close()
                    return
                if reply:
                    writer.write(reply)
        writer.close()

    def _reply(self, message):
        kind, request, body = message
        if kind is MessageType.HELLO:
            members = {"origin": "test", "epoch": 1, "size": self.size, "vkey": "v", "version": self.version}
            return encode(MessageType.WELCOME, request, json.dumps(members).encode())
        if self.answer_with is not None:
            return self.answer_with
        if kind is MessageType.ASK:
            if self.refuse is not None:
                return encode(MessageType.REFUSED, request, refused_body(RefusalCode.ABSENT, "not yet"))
            return encode(MessageType.ANSWER, request, body) if not self.silent else b""
        self.appends.append(parse_append(body))
        if self.silent:
            return b""
        if self.refuse is not None:
            return encode(MessageType.REFUSED, request, refused_body(self.refuse, "no"))
        first, self.size = self.size, self.size + len(self.appends[-1])
        return encode(MessageType.APPENDED, request, appended_body(first, self.size - first))


def against(path, story, *, loop=asyncio, **options):
    """Run a story with a stand-in and a client that is connected."""

    async def run():
        async with StandIn(path / "l.sock") as server:
            client = LedgerClient(path / "l.sock", node="node-1", worker=0, **options)
            client.start()
            try:
                assert await client.ready(2)
                await story(server, client)
            finally:
                await client.close()

    loop.run(run())


@pytest.mark.parametrize("loop", [asyncio, uvloop])
def test_one_turn_is_one_append(tmp_path, loop):
    """All records of a turn travel together, and each gets its own index."""

    async def story(server, client):
        indices = await asyncio.gather(*(client.append(b"leaf-%d" % n, b"s%d" % n) for n in range(50)))
        assert indices == list(range(50)) and len(server.appends) == 1
        assert [tuple(record) for record in server.appends[0]][7] == (b"leaf-7", b"s7")
        assert await client.append(b"next", b"") == 50 and client.waiting == 0

    against(tmp_path, story, loop=loop)


def test_a_turn_with_much_data_is_several_appends(tmp_path):
    """A batch stays near a quarter of a mebibyte."""

    async def story(server, client):
        assert sorted(await asyncio.gather(*(client.append(b"x", bytes(100_000)) for _ in range(9)))) == list(range(9))
        assert [len(records) for records in server.appends] == [3, 3, 3]

    against(tmp_path, story)


def test_the_ledger_introduces_itself(tmp_path):
    """What it said stays readable while the connection stands."""

    async def story(_server, client):
        assert client.welcome["origin"] == "test" and client.up

    against(tmp_path, story)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(RefusalCode.BUSY, Reason.OVERLOADED), (RefusalCode.DISK, Reason.LEDGER_UNAVAILABLE)],
)
def test_a_refusal_refuses_every_record_of_the_batch(tmp_path, code, reason, caplog):
    """503 with a time to come back; the connection stays."""

    async def story(server, client):
        server.refuse = code
        for error in await asyncio.gather(client.append(b"a", b""), client.append(b"b", b""), return_exceptions=True):
            assert isinstance(error, LedgerRefused)
            assert (error.reason, error.status, error.retry_after_s) == (reason, 503, 1)
        with pytest.raises(LedgerRefused):
            await client.append(b"a", b"")
        server.refuse = None
        assert await client.append(b"c", b"") == 0 and server.connections == 1
        assert caplog.text.count("refuses: DISK") == (code is RefusalCode.DISK)

    against(tmp_path, story)


def test_what_was_not_acknowledged_is_refused_and_never_sent_again(tmp_path):
    """The connection breaks after the append: refused, reconnected, and the record does not come a second time."""

    async def story(server, client):
        server.hang_up = True
        with pytest.raises(LedgerRefused):
            await client.append(b"lost", b"")
        with pytest.raises(LedgerRefused):
            client.put(b"while down", b"")
        server.hang_up = False
        assert await client.ready(2)
        assert await client.append(b"new", b"") >= 0 and server.connections == 2
        sent = [record.leaf for records in server.appends for record in records]
        assert sent == [b"lost", b"new"]

    against(tmp_path, story)


def test_waiting_is_bounded_in_records(tmp_path):
    """One more than allowed is refused at once, as overload."""

    async def story(server, client):
        server.silent = True
        waiting = [client.put(b"x", b"") for _ in range(3)]
        with pytest.raises(LedgerRefused) as caught:
            client.put(b"x", b"")
        assert caught.value.reason is Reason.OVERLOADED
        await client.close()
        assert all(isinstance(each.exception(), LedgerRefused) for each in waiting) and client.waiting == 0

    against(tmp_path, story, most_waiting=3)


def test_waiting_is_bounded_in_bytes(tmp_path, monkeypatch):
    """A large record alone is taken, a second one beside it is not; one beyond all bounds never."""
    monkeypatch.setattr(ledger_client, "MOST_WAITING_BYTES", 1_000)
    monkeypatch.setattr(ledger_client, "MAX_RECORD_BYTES", 5_000)

    async def story(_server, client):
        with pytest.raises(LedgerRefused):
            client.put(bytes(65_536), b"")
        first = client.put(b"x", bytes(2_000))
        for size, reason in ((1, Reason.OVERLOADED), (6_000, Reason.TOO_LARGE)):
            with pytest.raises(LedgerRefused) as caught:
                client.put(b"x", bytes(size))
            assert caught.value.reason is reason
        assert await first == 0

    against(tmp_path, story)


def test_a_ledger_that_never_acknowledges_is_given_up(tmp_path, caplog):
    """A hanging disk must not hold every caller for ever."""

    async def story(server, client):
        server.silent = True
        with pytest.raises(LedgerRefused):
            await asyncio.wait_for(client.append(b"x", b""), 2)
        server.silent = False
        assert await client.ready(2) and await client.append(b"y", b"") == 0
        assert "did not acknowledge" in caplog.text
        # A ledger that is on time again is left alone by the same watch.
        await asyncio.sleep(0.06)
        assert client.up

    against(tmp_path, story, late_s=0.08)


def test_a_cancelled_caller_does_not_disturb_the_batch(tmp_path):
    """Its record is durable, only nobody waits for it."""

    async def story(server, client):
        first, second = client.put(b"a", b""), client.put(b"b", b"")
        first.cancel()
        assert await second == 1 and len(server.appends[0]) == 2

    against(tmp_path, story)


@pytest.mark.parametrize(
    "answer",
    [
        encode(MessageType.APPENDED, 99, appended_body(0, 1)),
        encode(MessageType.APPENDED, 1, appended_body(0, 7)),
        encode(MessageType.HELLO, 1, b"{}"),
        encode(MessageType.WELCOME, 1, b"[]"),
        encode(MessageType.WELCOME, 1, b"{"),
        b"\xff" * 9,
    ],
)
def test_what_is_no_answer_ends_the_connection(tmp_path, answer, caplog):
    """Nothing after it can be trusted: whoever waits is refused, and a new connection is made."""

    async def story(server, client):
        server.answer_with = answer
        with pytest.raises(LedgerRefused):
            await client.append(b"x", b"")
        server.answer_with = None
        await asyncio.sleep(0)
        assert await client.ready(2) and await client.append(b"y", b"") >= 0
        assert "RW-503" in caplog.text and server.connections == 2

    against(tmp_path, story)


def test_questions_are_answered_refused_or_late(tmp_path):
    """Status, proofs and erasures take the same connection."""

    async def story(server, client):
        assert await client.ask({"what": "status"}) == {"what": "status"}
        server.refuse = RefusalCode.ABSENT
        with pytest.raises(LedgerRefused, match="not yet"):
            await client.ask({"what": "proof"})
        server.refuse, server.silent = None, True
        with pytest.raises(LedgerRefused):
            await client.ask({"what": "status"})
        asking = asyncio.create_task(client.ask({"what": "status"}))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(LedgerRefused):
            await asking
        with pytest.raises(LedgerRefused):
            await client.ask({"what": "status"})

    against(tmp_path, story, late_s=0.1)


def test_another_version_is_never_up(tmp_path, caplog):
    """A ledger of another version is not spoken to."""

    async def run():
        async with StandIn(tmp_path / "l.sock") as server:
            server.version = VERSION + 1
            client = LedgerClient(tmp_path / "l.sock", node="n", worker=0)
            client.start()
            assert not await client.ready(0.1) and client.welcome == {}
            await client.close()

    asyncio.run(run())
    assert "another version" in caplog.text


def test_a_ledger_that_comes_later_is_found(tmp_path):
    """Without a socket the client tries again; before it was started it refuses."""

    async def run():
        client = LedgerClient(tmp_path / "l.sock", node="n", worker=0)
        with pytest.raises(LedgerRefused):
            client.put(b"x", b"")
        await client.close()
        client.start()
        assert not await client.ready(0.03)
        async with StandIn(tmp_path / "l.sock"):
            assert await client.ready(2) and await client.append(b"x", b"") == 0
            await client.close()

    asyncio.run(run())


def test_an_answer_of_another_shape_is_broken():
    """JSON, but no object."""
    with pytest.raises(LedgerBroken):
        ledger_client._members(b"[]")


def test_the_double_of_the_other_tests_refuses_like_the_client():
    """Down means the same exception."""
    ledger = MemoryLedger()
    ledger.down = True
    with pytest.raises(LedgerRefused):
        ledger.put(b"", b"")


def test_against_the_real_ledger(tmp_path):
    """The process of ledgerd takes our records and gives them consecutive indices."""
    folder = tmp_path / "log"
    settings = {
        "folder": str(folder),
        "origin": "example.org/test",
        "key_path": str(tmp_path / "log.key"),
        "socket_path": str(tmp_path / "l.sock"),
        "segment_bytes": 1_048_576,
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(tmp_path / "settings.json")]
    with subprocess.Popen(
        [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:

        async def story():
            client = LedgerClient(tmp_path / "l.sock", node="node-1", worker=0)
            client.start()
            try:
                assert await client.ready(8)
                indices = await asyncio.gather(*(client.append(b'{"n":%d}' % n, b"sealed") for n in range(200)))
                status = await client.ask({"what": "status"})
            finally:
                await client.close()
            return indices, status

        try:
            indices, status = asyncio.run(story())
        finally:
            process.stdin.close()
            process.wait(10)
            print(process.stderr.read().decode())
    assert indices == list(range(indices[0], indices[0] + 200)) and status["size"] == indices[-1] + 1
