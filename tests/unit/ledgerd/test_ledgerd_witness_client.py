"""Asking witnesses: every answer that a real or a broken one can give, and a publisher that none of them can stop."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from published_log import LOG, POLICY, SECOND_WITNESS, VKEY, WITNESS, cosigned, entries
from roadworthy.base.errors import (
    LedgerBroken,
    ParameterError,
    SignatureBroken,
    StoreBroken,
    TargetAnswer,
    TargetUnreachable,
)
from roadworthy.ledger.checkpoint import NoteSignature, open_checkpoint
from roadworthy.ledger.cosignature import Cosigner, CosignerKey, WitnessPolicy, cosignatures
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.merkle import consistency_path, leaf_hash, root
from roadworthy.ledger.receipt import verify_receipt
from roadworthy.ledger.witness import Seen, parse_request
from roadworthy.ledgerd import publisher as publisher_module
from roadworthy.ledgerd.proofs import Proofs
from roadworthy.ledgerd.publisher import Publisher
from roadworthy.ledgerd.witness_client import WitnessClient, Witnesses, post
from roadworthy.ledgerd.witness_server import Memory, Witness, WitnessServer

LEAVES = entries(400)
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
KEYS = (WITNESS.key, SECOND_WITNESS.key)


def note_of(size: int) -> str:
    """The log's checkpoint."""
    return LOG.sign(size, root(HASHES[:size]))


def witnesses_at(urls: Sequence[str], keys: Sequence[CosignerKey], quorum: int) -> Witnesses:
    """Every one may answer with any of the keys."""
    return Witnesses([WitnessClient(url, keys) for url in urls], WitnessPolicy(keys=tuple(keys), quorum=quorum))


async def consistency(old: int, size: int) -> tuple[bytes, ...]:
    """What the publisher makes from tiles."""
    return tuple(consistency_path(HASHES[:size], old))


@contextmanager
def serving(path: Path, *cosigners: Cosigner, port: int = 0) -> Iterator[WitnessServer]:
    """A real witness in a thread."""
    server = WitnessServer(("127.0.0.1", port), Witness([LOG.verifier], cosigners, Memory(path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def saying(*answers: bytes, delay_s: float = 0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A witness that says these things, one for each call, whatever it is asked."""
    asked: list[bytes] = []
    left = list(answers)

    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            asked.append(await reader.readexactly(length))
            await asyncio.sleep(delay_s)
            writer.write(left.pop(0) if len(left) > 1 else left[0])

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        await asyncio.gather(*talks)


def http_answer(status: int, body: str = "", kind: str = "text/plain") -> bytes:
    """A well-formed answer."""
    data = body.encode()
    return (
        b"HTTP/1.0 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind.encode(), len(data)) + data
    )


def ask(
    *answers: bytes, size: int = 9, times: int = 1, keys=KEYS, **how
) -> tuple[tuple[NoteSignature, ...], list[bytes]]:
    """Ask such a witness, and give what it was asked."""

    async def story():
        async with saying(*answers, **how) as (url, asked):
            client = WitnessClient(url, keys, deadline_s=0.3)
            for _ in range(times):
                found = await client.cosign(note_of(size), size, consistency)
            return found, asked

    return asyncio.run(story())


def line_of(size: int, cosigner: Cosigner = WITNESS) -> str:
    """What an honest witness answers."""
    return cosigner.cosign(note_of(size).partition("\n\n")[0] + "\n", 1_700_000_000).line()


def test_a_real_witness(tmp_path):
    """From nothing, then larger, then the same again, each time with the right proof."""
    with serving(tmp_path / "state", WITNESS, SECOND_WITNESS) as server:

        async def story() -> None:
            client = WitnessClient(server.url, KEYS)
            for size in (3, 300, 300, 400):
                lines = await client.cosign(note_of(size), size, consistency)
                assert len(cosignatures(note_of(size) + "".join(each.line() for each in lines), KEYS)) == 2

        asyncio.run(story())
    assert Memory(tmp_path / "state").seen[LOG.name] == Seen(size=400, root=root(HASHES))


def test_a_new_client_learns_what_the_witness_saw(tmp_path):
    """It asks from zero, is told, and asks again."""
    with serving(tmp_path / "state", WITNESS) as server:
        for size in (30, 40):
            client = WitnessClient(server.url, KEYS)
            assert len(asyncio.run(client.cosign(note_of(size), size, consistency))) == 1


def test_a_witness_that_forgot_is_told_everything():
    """Its memory may be smaller than was thought."""
    first, second = http_answer(200, line_of(9)), http_answer(409, "0\n", "text/x.tlog.size")
    _, asked = ask(first, second, first, times=2)
    assert [parse_request(body).old_size for body in asked] == [0, 9, 0]


def test_unknown_signatures_are_left_out():
    """Only those that were verified go under the note."""
    stranger = Cosigner("stranger.example", key_from_seed(b"\x09" * 32))
    found, _ = ask(http_answer(200, line_of(9, stranger) + line_of(9)))
    assert [each.name for each in found] == [WITNESS.name]


SIZE = "text/x.tlog.size"
WRONG = {
    "refused": (http_answer(403, "no"), TargetAnswer),
    "seen more": (http_answer(409, "10\n", SIZE), LedgerBroken),
    "seen nonsense": (http_answer(409, "-1\n", SIZE), TargetAnswer),
    "seen far too much": (http_answer(409, "9" * 5_000 + "\n", SIZE), TargetAnswer),
    "other digits": (http_answer(409, "٣\n", SIZE), TargetAnswer),
    "changes its mind": (http_answer(409, "3\n", SIZE), TargetAnswer),
    "forked": (http_answer(409, "another tree"), LedgerBroken),
    "other tree of nothing": (http_answer(422, "no proof"), TargetAnswer),
    "no line": (http_answer(200, "thanks\n"), TargetAnswer),
    "nothing": (http_answer(200, ""), TargetAnswer),
    "another tree signed": (http_answer(200, line_of(8)), SignatureBroken),
    "unknown key": (http_answer(200, line_of(9, Cosigner("x", key_from_seed(b"\x09" * 32)))), SignatureBroken),
    "closed": (b"", TargetUnreachable),
    "cut head": (b"HTTP/1.0 200", TargetUnreachable),
    "cut body": (http_answer(200, line_of(9))[:-1], TargetUnreachable),
    "endless head": (b"HTTP/1.0 200 OK\r\n" + b"a: b\r\n" * 20_000, TargetUnreachable),
    "not http": (b"SSH-2.0-x\r\n\r\n", TargetAnswer),
    "no status": (b"HTTP/1.0 abc\r\n\r\n", TargetAnswer),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", TargetAnswer),
    "odd length": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", TargetAnswer),
    "endless length": (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", TargetAnswer),
    "long": (b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", TargetAnswer),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, TargetAnswer),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer(kind):
    """Each is the error that says whose fault it is."""
    answer, error = WRONG[kind]
    with pytest.raises(error):
        ask(answer)


def test_an_answer_without_a_length():
    """It ends with the connection."""
    found, _ = ask(b"HTTP/1.1 200 OK\r\n\r\n" + line_of(9).encode())
    assert len(found) == 1


def test_a_slow_witness_is_given_up():
    """One deadline for all of it."""
    began_s = time.perf_counter()
    with pytest.raises(TargetUnreachable):
        ask(http_answer(200, line_of(9)), delay_s=0.6)
    assert time.perf_counter() - began_s < 0.9


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://w.example",
        "w.example",
        "http://",
        "http://w:x",
        "http://w..example",
        "http://u:p@w",
        "http://w/?q",
        "http://w/#f",
        "http://w/ä",
        "http://w/a b",
    ],
)
def test_what_is_no_url_is_refused(url):
    """When the settings are read, not when a checkpoint is due."""
    with pytest.raises(ParameterError):
        WitnessClient(url, KEYS)


def test_tls_is_spoken_to_https():
    """A server that cannot answers nothing that counts."""

    async def story() -> None:
        async with saying(http_answer(200)) as (url, _):
            client = WitnessClient(url.replace("http", "https"), KEYS, deadline_s=0.3)
            await client.cosign(note_of(9), 9, consistency)

    with pytest.raises(TargetUnreachable):
        asyncio.run(story())


def test_the_request_is_plain():
    """HTTP/1.0, with host, type and length."""
    seen: list[bytes] = []

    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(http_answer(200, "ok"))
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await post(f"http://127.0.0.1:{port}", b"body")
            assert (answer.status, answer.body) == (200, b"ok")
            seen.append(b"Host: 127.0.0.1:%d" % port)

    asyncio.run(story())
    head, host = seen
    assert head.startswith(b"POST / HTTP/1.0\r\n" + host)
    assert b"Content-Length: 4\r\n" in head


def test_enough_of_the_witnesses(tmp_path):
    """One of three is down; the policy of two is met, and the one is noted until it answers again."""
    down = WitnessServer(("127.0.0.1", 0), Witness([], [], Memory(tmp_path / "none")))
    port = down.server_address[1]
    down.server_close()
    with serving(tmp_path / "one", WITNESS) as one, serving(tmp_path / "two", SECOND_WITNESS) as two:
        third = Cosigner("witness.example/w3", key_from_seed(b"\x06" * 32))
        keys = (*KEYS, third.key)
        urls = [one.url, two.url, f"http://127.0.0.1:{port}"]
        witnesses = witnesses_at(urls, keys, 2)

        async def gather() -> str | None:
            return await witnesses.gather(note_of(9), 9, consistency)

        note = asyncio.run(gather())
        assert len(WitnessPolicy(keys=keys, quorum=2).require(note)) == 2
        assert open_checkpoint(note, [LOG.verifier]).size == 9
        assert list(witnesses.faults) == [urls[2]]
        with serving(tmp_path / "three", third, port=port):
            assert len(WitnessPolicy(keys=keys, quorum=3).require(asyncio.run(gather()))) == 3
        assert witnesses.faults == {}


def test_too_few_witnesses_cosign_nothing(tmp_path):
    """The note is not passed on half signed."""
    with serving(tmp_path / "one", WITNESS) as one:
        witnesses = Witnesses([WitnessClient(one.url, KEYS)], POLICY)
        assert asyncio.run(witnesses.gather(note_of(9), 9, consistency)) is None


def test_a_published_log_is_cosigned(tmp_path, monkeypatch):
    """While one witness is down everything but the cosigned checkpoint goes on; once it is there, the log is vouched for."""
    monkeypatch.setattr(publisher_module, "RETRY_S", 0.02)
    monkeypatch.setattr(publisher_module, "COSIGN_REST_S", 0.01)
    free = WitnessServer(("127.0.0.1", 0), Witness([], [], Memory(tmp_path / "none")))
    port = free.server_address[1]
    free.server_close()

    async def story(one: WitnessServer) -> None:
        urls = [one.url, f"http://127.0.0.1:{port}"]
        publisher = Publisher(tmp_path / "log", LOG, witnesses=witnesses_at(urls, KEYS, 2))
        publisher.recover(LEAVES[:5])
        publisher.start()
        publisher.on_durable(5, LEAVES[5:])
        proofs = Proofs(publisher)
        answer = await proofs.proof({"index": 399})
        assert not answer["cosigned"]
        assert (await proofs.checkpoint({}))["cosigned"] is None
        with serving(tmp_path / "two", SECOND_WITNESS, port=port):
            async with asyncio.timeout(10):
                while not answer["cosigned"]:
                    await asyncio.sleep(0.01)
                    answer = await proofs.proof({"index": 399})
        verify_receipt(answer["receipt"], LEAVES[399], [LOG.verifier], POLICY)
        await publisher.close()

    with serving(tmp_path / "one", WITNESS) as one:
        asyncio.run(story(one))
    report = verify_log(tmp_path / "log", VKEY, policy=POLICY)
    assert (report.problems, report.cosigned.size) == ((), 400)


def test_a_cosigned_checkpoint_that_cannot_be_kept_is_asked_for_again(tmp_path, monkeypatch):
    """A full disk here, too, delays and loses nothing."""
    monkeypatch.setattr(publisher_module, "COSIGN_REST_S", 0.01)

    async def story(one: WitnessServer) -> None:
        publisher = Publisher(tmp_path / "log", LOG, witnesses=witnesses_at([one.url], [WITNESS.key], 1))
        publisher.recover(LEAVES[:5])
        put, faults = publisher.store.put, [StoreBroken("No space.", remedy="Make some.")]

        def failing(name: str, text: str) -> None:
            if name == "checkpoint.cosigned" and faults:
                raise faults.pop()
            put(name, text)

        monkeypatch.setattr(publisher.store, "put", failing)
        publisher.start()
        for _ in range(1_000):
            if publisher.notes()[1] is not None:
                break
            await asyncio.sleep(0.01)
        await publisher.close()
        assert open_checkpoint(publisher.notes()[1], [LOG.verifier]).size == 5

    with serving(tmp_path / "one", WITNESS) as one:
        asyncio.run(story(one))


def test_a_restart_keeps_what_was_cosigned(tmp_path):
    """The cosigned checkpoint of before is still the one that vouches."""

    async def story(count: int) -> dict:
        publisher = Publisher(tmp_path / "log", LOG)
        publisher.recover(LEAVES[:count])
        publisher.start()
        answer = await Proofs(publisher).proof({"index": 3})
        await publisher.close()
        return answer

    assert not asyncio.run(story(9))["cosigned"]
    (tmp_path / "log" / "checkpoint.cosigned").write_text(cosigned(note_of(9), WITNESS), encoding="utf-8")
    answer = asyncio.run(story(300))
    assert answer["cosigned"]
    assert verify_receipt(answer["receipt"], LEAVES[3], [LOG.verifier]).checkpoint.size == 9


def other_tree(size: int) -> str:
    """A checkpoint of the same log over another history."""
    return LOG.sign(size, root([leaf_hash(b"other %d" % index) for index in range(size)]))


async def other_consistency(old: int, size: int) -> tuple[bytes, ...]:
    """The proof within that history."""
    return tuple(consistency_path([leaf_hash(b"other %d" % index) for index in range(size)], old))


@pytest.mark.parametrize(("size", "why"), [(8, "saw 9 entries"), (9, "another tree of 9"), (12, "does not begin with")])
def test_a_real_witness_finds_a_fork(tmp_path, size, why):
    """A shorter tree, another one of the same size, and a longer one that does not continue what was seen."""
    with serving(tmp_path / "state", WITNESS) as server:
        asyncio.run(WitnessClient(server.url, KEYS).cosign(note_of(9), 9, consistency))
        witnesses = witnesses_at([server.url], [WITNESS.key], 1)
        assert witnesses.contradiction() is None
        assert asyncio.run(witnesses.gather(other_tree(size), size, other_consistency)) is None
    assert why in witnesses.contradiction().what


def restored(tmp_path: Path, server: WitnessServer, leaves: Sequence[bytes]) -> Publisher:
    """A publisher that begins with these leaves, and knows this witness."""
    publisher = Publisher(tmp_path / "log", LOG, witnesses=witnesses_at([server.url], [WITNESS.key], 1))
    publisher.recover(leaves)
    return publisher


@pytest.mark.parametrize("leaves", [[], LEAVES[:8], [b"other"] * 9, [b"other"] * 12])
def test_a_start_that_a_witness_contradicts_is_refused(tmp_path, leaves):
    """An old backup, or another history, would use the same indices once more."""

    async def story(server: WitnessServer) -> None:
        publisher = restored(tmp_path, server, leaves)
        with pytest.raises(LedgerBroken, match="witness"):
            await publisher.ask_witnesses()
        await publisher.close()

    with serving(tmp_path / "state", WITNESS) as server:
        asyncio.run(WitnessClient(server.url, KEYS).cosign(note_of(9), 9, consistency))
        asyncio.run(story(server))


def test_a_start_that_witnesses_confirm_or_cannot_judge(tmp_path):
    """The same tree, a longer one, no witness, one that is down, and a disk that was full."""

    async def story(server: WitnessServer) -> None:
        for count in (9, 20):
            publisher = restored(tmp_path, server, LEAVES[:count])
            await publisher.ask_witnesses()
            await publisher.close()
        alone = Publisher(tmp_path / "log", LOG)
        alone.recover(LEAVES[:20])
        await alone.ask_witnesses()
        await alone.close()
        behind = restored(tmp_path, server, LEAVES[:20])
        behind.fault = StoreBroken("No space.", remedy="Make some.")
        await behind.ask_witnesses()
        assert behind.witnesses.faults == {}
        await behind.close()

    with serving(tmp_path / "state", WITNESS) as server:
        asyncio.run(story(server))

    async def down() -> None:
        publisher = restored(tmp_path, server, LEAVES[:20])
        await publisher.ask_witnesses()
        assert list((await Proofs(publisher).checkpoint({}))["witness_faults"]) == [server.url]
        await publisher.close()

    asyncio.run(down())


def test_a_fork_that_a_witness_finds_ends_publishing(tmp_path):
    """It was not reached at the start; as soon as it speaks, whoever commits is told, and nothing more is published."""
    told: list[str] = []

    async def story(server: WitnessServer) -> None:
        publisher = restored(tmp_path, server, [b"other"] * 12)
        broken = asyncio.Event()
        publisher.when_broken(lambda text: (told.append(text), broken.set()))
        publisher.start()
        await asyncio.wait_for(broken.wait(), 5)
        publisher.on_durable(12, [b"more"])
        await asyncio.sleep(0.05)
        answer = await Proofs(publisher).checkpoint({})
        assert "does not begin with the 9" in answer["fault"]
        assert publisher.size == 12
        await publisher.close()

    with serving(tmp_path / "state", WITNESS) as server:
        asyncio.run(WitnessClient(server.url, KEYS).cosign(note_of(9), 9, consistency))
        asyncio.run(story(server))
    assert len(told) == 1


def test_a_tile_that_is_missing_here_is_no_word_of_the_witness(tmp_path):
    """It is noted; the ledger is not stopped for it."""

    async def story(server: WitnessServer) -> None:
        publisher = restored(tmp_path, server, LEAVES[:300])
        (tmp_path / "log/tile/0/000").unlink()
        await publisher.ask_witnesses()
        assert isinstance(publisher.witnesses.faults[server.url], StoreBroken)
        await publisher.close()

    with serving(tmp_path / "state", WITNESS) as server:
        asyncio.run(WitnessClient(server.url, KEYS).cosign(note_of(9), 9, consistency))
        asyncio.run(story(server))
