"""The publisher: what is durable is soon under a checkpoint, nothing else ever is, and a restart compares everything."""

import asyncio
import threading
import time

import pytest
from publisher_rig import LEAVES, Feed, checkpoint, hold_until, nothing, run, until

from published_log import LOG, VKEY
from roadworthy.base.errors import LedgerBroken, ParameterError, SignatureBroken
from roadworthy.ledger.checkpoint import CheckpointSigner, open_checkpoint
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledger.receipt import verify_receipt
from roadworthy.ledgerd import publisher as module
from roadworthy.ledgerd.proofs import Proofs
from roadworthy.ledgerd.publisher import Publisher, published_size


def test_an_empty_log_is_published(tmp_path):
    """With its key, so that an auditor can begin."""
    run(tmp_path, nothing)
    assert (tmp_path / "log.vkey").read_text(encoding="utf-8") == VKEY + "\n"
    assert verify_log(tmp_path, VKEY).holds


def test_a_growing_log_verifies_at_every_checkpoint(tmp_path):
    """In batches of any length, across the ends of tiles."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        for count in (1, 3, 250, 2, 256, 300, 188):
            feed.give(count)
            await until(lambda: publisher.size == feed.size)
            assert checkpoint(tmp_path) == feed.size
            assert verify_log(tmp_path, VKEY).problems == ()

    assert run(tmp_path, story).fault is None
    assert verify_log(tmp_path, VKEY).checkpoint.root == root([leaf_hash(leaf) for leaf in LEAVES])


def test_many_batches_share_a_checkpoint(tmp_path):
    """What arrives during the rest is published together, and the end publishes what waits."""

    async def story(_: Publisher, feed: Feed) -> None:
        for _each in range(100):
            feed.give(10)
            await asyncio.sleep(0)

    assert run(tmp_path, story).size == 1_000
    assert len(list((tmp_path / "tile" / "0" / "003.p").iterdir())) < 20
    assert verify_log(tmp_path, VKEY).entries == 1_000


@pytest.mark.parametrize("already", [0, 1, 255, 256, 257, 700])
def test_a_restart_goes_on(tmp_path, already):
    """From wherever it stood; what was published is compared and kept."""

    async def story(_: Publisher, feed: Feed) -> None:
        feed.give(already)

    run(tmp_path, story)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*/*") if path.is_file()}

    async def more(_: Publisher, feed: Feed) -> None:
        feed.give(200)

    assert run(tmp_path, more, already=already).size == already + 200
    assert verify_log(tmp_path, VKEY).problems == ()
    kept = {path: path.stat().st_mtime_ns for path in before if path.exists()}
    assert kept.items() <= before.items()


def test_leaves_that_were_never_published_are_published_on_start(tmp_path):
    """The process may have died between the commit and the tiles."""
    run(tmp_path, nothing)
    publisher = run(tmp_path, nothing, already=600)
    assert publisher.size == checkpoint(tmp_path) == 600
    assert verify_log(tmp_path, VKEY).problems == ()


def test_missing_and_half_written_files_are_mended(tmp_path):
    """All of it can be made from the leaves."""
    run(tmp_path, nothing, already=600)
    (tmp_path / "tile/0/001").unlink()
    (tmp_path / "tile/entries/002.p/88").unlink()
    (tmp_path / "tile/0/.partial-abc").write_bytes(b"half")
    run(tmp_path, nothing, already=600)
    assert verify_log(tmp_path, VKEY).problems == ()


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001"])
def test_a_changed_file_stops_the_start(tmp_path, name):
    """It is named, and nothing is published."""
    run(tmp_path, nothing, already=600)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x00\x00")
    with pytest.raises(LedgerBroken, match=name):
        run(tmp_path, nothing, already=600)


@pytest.mark.parametrize("already", [0, 255, 599])
def test_leaves_that_are_gone_stop_the_start(tmp_path, already):
    """A checkpoint went out for them: the ledger must not go on as if they had never been."""
    run(tmp_path, nothing, already=600)
    with pytest.raises(LedgerBroken):
        run(tmp_path, nothing, already=already)
    assert checkpoint(tmp_path) == 600


def test_a_checkpoint_beyond_the_leaves_stops_the_start(tmp_path):
    """Even when no tile is left to show it."""
    run(tmp_path, nothing)
    (tmp_path / "checkpoint").write_text(LOG.sign(7, bytes(32)), encoding="utf-8")
    with pytest.raises(LedgerBroken, match="covers more than"):
        run(tmp_path, nothing, already=6)


def test_a_checkpoint_of_another_tree_stops_the_start(tmp_path):
    """The same key signed another history."""
    (tmp_path / "checkpoint").write_text(LOG.sign(7, bytes(32)), encoding="utf-8")
    with pytest.raises(LedgerBroken, match="not that of the durable entries"):
        run(tmp_path, nothing, already=10)


def test_a_checkpoint_of_another_key_stops_the_start(tmp_path):
    """The folder of one log is not given to another."""
    other = CheckpointSigner(LOG.name, key_from_seed(b"\x09" * 32))
    (tmp_path / "checkpoint").write_text(other.sign(0, bytes(32)), encoding="utf-8")
    with pytest.raises(SignatureBroken):
        run(tmp_path, nothing)


def test_leaves_left_out_are_refused(tmp_path):
    """The group commit hands them over in order."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(3)
        with pytest.raises(LedgerBroken, match="Entry 4 became durable after entry 2"):
            publisher.on_durable(4, [b"x"])

    run(tmp_path, story)


def test_a_contradiction_ends_publishing_for_good(tmp_path):
    """Somebody else wrote into the folder: it is said, whoever commits is told once, and nothing piles up."""
    told: list[str] = []

    async def story(publisher: Publisher, feed: Feed) -> None:
        publisher.when_broken(told.append)
        feed.give(3)
        await until(lambda: publisher.size == 3)
        (tmp_path / "tile/0/000.p/4").write_bytes(b"another tile")
        feed.give(1)
        await until(lambda: publisher.fault is not None)
        answer = await Proofs(publisher).checkpoint({})
        assert "other bytes than the entries make" in answer["fault"]
        feed.give(1)
        feed.give(1)
        with pytest.raises(ParameterError):
            await publisher.covering(4, 0)

    publisher = run(tmp_path, story)
    assert isinstance(publisher.fault, LedgerBroken)
    assert told == [str(publisher.fault)]
    assert checkpoint(tmp_path) == 3


def test_a_checkpoint_and_its_size_are_never_seen_apart(tmp_path, monkeypatch):
    """Also while the publisher's thread is done already, and the event loop has not heard of it."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(3)
        await until(lambda: publisher.size == 3)
        write, begun, go = publisher.store.write, threading.Event(), threading.Event()

        def held(tiles, *, checkpoint=None):
            begun.set()
            go.wait(5)
            write(tiles, checkpoint=checkpoint)

        monkeypatch.setattr(publisher.store, "write", held)
        feed.give(300)
        await until(begun.is_set)
        go.set()
        hold_until(lambda: checkpoint(tmp_path) == 303)
        size, note, _ = await publisher.covering(0, 0)
        assert size == open_checkpoint(note, [LOG.verifier]).size == 3
        answer = await Proofs(publisher).proof({"index": 1})
        verify_receipt(answer["receipt"], answer["leaf"].encode(), [LOG.verifier])

    run(tmp_path, story)


def test_the_key_is_written_only_once(tmp_path, monkeypatch):
    """A start changes nothing that says what it should say."""
    run(tmp_path, nothing)
    before = (tmp_path / "log.vkey").stat().st_ino
    run(tmp_path, nothing)
    assert (tmp_path / "log.vkey").stat().st_ino == before


def test_the_published_size_is_the_larger_of_both_checkpoints(tmp_path):
    """A power cut may take back the newer name of one; neither may be another log's."""
    assert published_size(tmp_path, LOG.verifier) == 0
    (tmp_path / "checkpoint").write_text(LOG.sign(7, bytes(32)), encoding="utf-8")
    assert published_size(tmp_path, LOG.verifier) == 7
    (tmp_path / "checkpoint.cosigned").write_text(LOG.sign(9, bytes(32)), encoding="utf-8")
    assert published_size(tmp_path, LOG.verifier) == 9
    other = CheckpointSigner(LOG.name, key_from_seed(b"\x09" * 32))
    (tmp_path / "checkpoint.cosigned").write_text(other.sign(9, bytes(32)), encoding="utf-8")
    with pytest.raises(SignatureBroken):
        published_size(tmp_path, LOG.verifier)


def test_an_entry_that_is_no_text_makes_no_answer(tmp_path):
    """An error of ours, not of the codec."""

    async def main() -> None:
        publisher = Publisher(tmp_path, LOG)
        publisher.recover([b"\xff"])
        with pytest.raises(LedgerBroken, match="no text"):
            await Proofs(publisher).proof({"index": 0})
        await publisher.close()

    asyncio.run(main())


def test_the_rest_follows_the_work(tmp_path, monkeypatch):
    """A slow disk is left alone four times as long, but never for more than a tenth of a second."""
    rests: list[float] = []
    sleep = asyncio.sleep

    async def noted(delay_s: float) -> None:
        rests.append(delay_s)
        await sleep(0)

    async def story(publisher: Publisher, feed: Feed) -> None:
        write = publisher.store.write

        def slow(tiles, *, checkpoint):
            time.sleep(0.01 if feed.size == 1 else 0.04)
            write(tiles, checkpoint=checkpoint)

        monkeypatch.setattr(publisher.store, "write", slow)
        monkeypatch.setattr(module.asyncio, "sleep", noted)
        for count in (1, 1):
            feed.give(count)
            while publisher.size != feed.size:
                await sleep(0.001)
        monkeypatch.undo()

    run(tmp_path, story)
    assert 0.04 <= rests[0] <= module.MAX_REST_S
    assert rests[1] == module.MAX_REST_S


def test_a_receipt_for_every_kind_of_entry(tmp_path):
    """The leaf comes with it, and both verify offline."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(700)
        handlers = Proofs(publisher).handlers()
        for index in (0, 1, 255, 256, 511, 699):
            answer = await handlers["proof"]({"what": "proof", "index": index})
            verified = verify_receipt(answer["receipt"], answer["leaf"].encode(), [LOG.verifier])
            assert (answer["index"], answer["cosigned"], verified.checkpoint.size) == (index, False, 700)
            assert answer["leaf"].encode() == LEAVES[index]
        answer = await handlers["checkpoint"]({"what": "checkpoint"})
        expected = {"checkpoint": publisher.notes()[0], "cosigned": None, "fault": None, "witness_faults": {}}
        assert answer == expected

    run(tmp_path, story)


@pytest.mark.parametrize(
    "ask",
    [
        {},
        {"index": "1"},
        {"index": True},
        {"index": -1},
        {"index": 3},
        {"index": 0, "wait_s": -1},
        {"index": 0, "wait_s": "1"},
        {"index": 0, "wait_s": True},
        {"index": 0, "wait_s": 1e9},
    ],
)
def test_what_cannot_be_proven_is_refused(tmp_path, ask):
    """No index, no such entry, or no wait."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(3)
        await until(lambda: publisher.size == 3)
        with pytest.raises(ParameterError):
            await Proofs(publisher).proof(ask)

    run(tmp_path, story)


def test_a_proof_waits_for_its_checkpoint_but_not_for_ever(tmp_path):
    """Durable is not yet published."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(3)
        with pytest.raises(ParameterError, match="not under a published checkpoint yet"):
            await Proofs(publisher).proof({"index": 2, "wait_s": 0})
        assert (await Proofs(publisher).proof({"index": 2}))["index"] == 2

    run(tmp_path, story)


def test_a_cut_bundle_makes_no_receipt(tmp_path):
    """The leaf is not guessed."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        feed.give(3)
        await until(lambda: publisher.size == 3)
        (tmp_path / "tile/entries/000.p/3").write_bytes(b"")
        with pytest.raises(LedgerBroken, match="cut short"):
            await Proofs(publisher).proof({"index": 2})

    run(tmp_path, story)
