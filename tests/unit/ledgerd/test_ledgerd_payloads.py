"""Erasing: said first, then done, also across a crash, and every proof holds afterwards."""

import asyncio
import base64
import gc
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from published_log import LOG, VKEY
from roadworthy.base.errors import ParameterError, StoreBroken
from roadworthy.ledger.entry import Entry, commit
from roadworthy.ledger.leaf import erased_index, open_commitment, parse_leaf, runtime_leaf_bytes
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.receipt import verify_receipt
from roadworthy.ledgerd import payloads as module
from roadworthy.ledgerd.frames import Payload, PayloadState
from roadworthy.ledgerd.payloads import Erasures, Payloads, finish_erasures
from roadworthy.ledgerd.proofs import Proofs
from roadworthy.ledgerd.publisher import Publisher

AT = datetime(2026, 11, 21, 10, 42, tzinfo=UTC)


def leaf_of(index: int) -> bytes:
    """An exchange, of which a payload is kept."""
    commitment = commit(bytes([index]) * 32, b"secret %d" % index)
    entry = Entry(kind="exchange.intent", at=AT, actor="a", use_case="u", subject="s", commitment=commitment, size=8)
    return runtime_leaf_bytes(entry, {})


class Segments:
    """Leaves and sealed payloads in memory; what was done is noted in its order."""

    def __init__(self, count: int) -> None:
        self.leaves = [leaf_of(index) for index in range(count)]
        self.kept: list[Payload] = [Payload(PayloadState.KEPT, b"sealed %d" % index) for index in range(count)]
        self.done: list[str] = []
        self.fault: StoreBroken | None = None
        self.delay_s = 0.0

    def payload(self, index: int) -> Payload:
        """The sealed bytes."""
        if index >= len(self.kept):
            raise ParameterError(f"There is no entry {index}.", remedy="Ask for another.")
        return self.kept[index]

    def erase(self, index: int) -> None:
        """Gone."""
        time.sleep(self.delay_s)
        if self.fault is not None:
            raise self.fault
        self.payload(index)
        self.done.append(f"erase {index}")
        self.kept[index] = Payload(PayloadState.ZEROED)

    def zeroed(self) -> Iterator[int]:
        """What was overwritten."""
        if self.fault is not None:
            raise self.fault
        yield from [index for index, each in enumerate(self.kept) if each.state is PayloadState.ZEROED]

    async def append(self, leaf: bytes, sealed: bytes) -> int:
        """Durable."""
        await asyncio.sleep(self.delay_s)
        self.done.append("append")
        self.leaves.append(leaf)
        self.kept.append(Payload(PayloadState.KEPT, sealed) if sealed else Payload(PayloadState.NOT_KEPT))
        return len(self.leaves) - 1

    def finished(self) -> Erasures:
        """What a start finds out."""
        return finish_erasures(enumerate(self.leaves), self)


NO_DISK = StoreBroken("The disk is gone.", remedy="Find it.")


def payloads_of(segments: Segments) -> Payloads:
    """As after a start."""
    return Payloads(segments, segments.append, erasures=segments.finished(), clock=lambda: AT)


def ask(segments: Segments, what: str, **members) -> dict:
    """One ask to a process that has just started."""

    async def main() -> dict:
        payloads = payloads_of(segments)
        try:
            return await payloads.handlers()[what]({"what": what, **members})
        finally:
            await payloads.close()

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait a little for something."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("It did not happen within two seconds.")


def test_a_payload_is_given_out():
    """Sealed, as it came."""
    answer = ask(Segments(3), "payload", index=1)
    sealed = base64.b64encode(b"sealed 1").decode()
    assert answer == {"index": 1, "sealed": sealed, "erased": False, "erased_by": None, "absent": None}


@pytest.mark.parametrize(
    ("state", "absent"),
    [(PayloadState.ZEROED, "missing"), (PayloadState.LOST, "lost"), (PayloadState.NOT_KEPT, "not kept")],
)
def test_a_payload_that_is_not_there_says_why(state, absent):
    """Only an entry that says so makes it erased."""
    segments = Segments(3)
    segments.kept[1] = Payload(state)
    answer = ask(segments, "payload", index=1)
    assert answer == {"index": 1, "sealed": None, "erased": False, "erased_by": None, "absent": absent}


def test_a_payload_too_long_for_a_message_is_refused(monkeypatch):
    """With a sentence, not with a message that the other end must take for damage."""
    monkeypatch.setattr(module, "_MOST_SEALED_BYTES", 7)
    with pytest.raises(ParameterError, match="8 bytes: more than one message carries"):
        ask(Segments(3), "payload", index=1)


def test_an_erasure_is_said_before_it_is_done():
    """With who and why, in the clear and under a commitment that anybody can check."""
    segments = Segments(3)
    answer = ask(segments, "erase", index=1, reason="asked by the patient", actor="dpo", use_case="heart")
    assert answer == {"index": 1, "erased_by": 3}
    assert segments.done == ["append", "erase 1"]
    leaf = parse_leaf(segments.leaves[3])
    assert erased_index(leaf) == 1
    assert (leaf.base.actor, leaf.base.use_case, leaf.base.at) == ("dpo", "heart", AT)
    assert leaf.facts["reason"] == "asked by the patient"
    answer = ask(segments, "payload", index=1)
    assert answer == {"index": 1, "sealed": None, "erased": True, "erased_by": 3, "absent": "erased"}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"index": "1", "reason": "r", "actor": "a"},
        {"index": 9, "reason": "r", "actor": "a"},
        {"index": 1, "actor": "a"},
        {"index": 1, "reason": "", "actor": "a"},
        {"index": 1, "reason": "r"},
        {"index": 1, "reason": 5, "actor": "a"},
        {"index": 1, "reason": "r" * 1_001, "actor": "a"},
        {"index": 1, "reason": "r", "actor": "a", "use_case": 5},
    ],
)
def test_an_erasure_without_its_words_is_refused(members):
    """Nothing is said and nothing is done."""
    segments = Segments(3)
    with pytest.raises(ParameterError):
        ask(segments, "erase", **members)
    assert segments.done == []


@pytest.mark.parametrize(
    ("state", "error"), [(PayloadState.LOST, StoreBroken), (PayloadState.NOT_KEPT, ParameterError)]
)
def test_an_erasure_of_what_nobody_can_overwrite_is_refused(state, error):
    """It would claim something that is not so."""
    segments = Segments(3)
    segments.kept[1] = Payload(state)
    with pytest.raises(error):
        ask(segments, "erase", index=1, reason="r", actor="a")
    assert segments.done == []


def test_an_interrupted_erasure_is_finished_on_the_next_start():
    """It was said; now it is done."""
    segments = Segments(3)
    segments.fault = NO_DISK
    with pytest.raises(StoreBroken):
        ask(segments, "erase", index=1, reason="r", actor="a")
    assert segments.kept[1].state is PayloadState.KEPT
    segments.fault = None
    assert segments.finished().by == {1: 3}
    assert [each.state for each in segments.kept[:2]] == [PayloadState.KEPT, PayloadState.ZEROED]


def test_an_erasure_is_done_though_nobody_listens_any_more():
    """Whoever asked hangs up at any moment: said and done, or neither."""

    async def main(delay_s: float) -> list[str]:
        segments = Segments(3)
        segments.delay_s = 0.01
        payloads = payloads_of(segments)
        asked = asyncio.create_task(payloads.erase({"index": 1, "reason": "r", "actor": "a"}))
        await asyncio.sleep(delay_s)
        asked.cancel()
        await payloads.close()
        assert payloads.erasures.pending == set()
        return segments.done

    for step in range(6):
        assert asyncio.run(main(step * 0.004)) in ([], ["append", "erase 1"])
    assert asyncio.run(main(0.006)) == ["append", "erase 1"]


def test_an_error_that_nobody_fetches_is_not_printed(caplog):
    """Whoever asked hung up, and the ledger refused."""

    async def main() -> None:
        segments = Segments(3)

        async def refuse(_leaf: bytes, _sealed: bytes) -> int:
            await asyncio.sleep(0.01)
            raise NO_DISK

        payloads = Payloads(segments, refuse, erasures=Erasures(), clock=lambda: AT)
        asked = asyncio.create_task(payloads.erase({"index": 1, "reason": "r", "actor": "a"}))
        await asyncio.sleep(0.005)
        asked.cancel()
        await payloads.close()
        assert (payloads.erasures.by, segments.done) == ({}, [])

    asyncio.run(main())
    gc.collect()
    assert caplog.records == []


def test_what_was_said_is_tried_until_it_is_done(monkeypatch):
    """And given to nobody meanwhile; a stop does not wait for the disk."""
    monkeypatch.setattr(module, "RETRY_S", 0.005)

    async def main() -> None:
        segments = Segments(3)
        segments.fault = NO_DISK
        payloads = payloads_of(segments)
        with pytest.raises(StoreBroken):
            await payloads.erase({"index": 1, "reason": "r", "actor": "a"})
        assert (await payloads.payload({"index": 1}))["absent"] == "erased"
        assert payloads.erasures.facts()["erasures_pending"] == 1
        await asyncio.sleep(0.02)
        assert segments.done == ["append"]
        segments.fault = None
        await until(lambda: not payloads.erasures.pending)
        assert segments.done == ["append", "erase 1"]
        segments.fault = NO_DISK
        with pytest.raises(StoreBroken):
            await payloads.erase({"index": 2, "reason": "r", "actor": "a"})
        await payloads.close()

    asyncio.run(main())


def test_a_disk_that_fails_at_the_start_is_tried_again(monkeypatch):
    """The start is not refused for it."""
    monkeypatch.setattr(module, "RETRY_S", 0.005)

    async def main() -> None:
        segments = Segments(3)
        await payloads_of(segments).erase({"index": 1, "reason": "r", "actor": "a"})
        segments.kept[1] = Payload(PayloadState.KEPT, b"written back")
        segments.fault = NO_DISK
        payloads = payloads_of(segments)
        assert payloads.erasures.pending == {1}
        payloads.start()
        await until(lambda: payloads.erasures.problem_count == 1)
        segments.fault = None
        await until(lambda: not payloads.erasures.pending)
        assert segments.kept[1].state is PayloadState.ZEROED
        assert payloads.erasures.facts()["payloads_missing"] is None
        await payloads.close()

    asyncio.run(main())


def test_a_payload_that_is_gone_without_a_word_is_reported():
    """Somebody wrote zeros into the segment; an erasure that is said is none of these."""

    async def main() -> dict:
        segments = Segments(4)
        segments.kept[2] = Payload(PayloadState.ZEROED)
        await payloads_of(segments).erase({"index": 1, "reason": "r", "actor": "a"})
        payloads = payloads_of(segments)
        payloads.start()
        await until(lambda: payloads.erasures.missing is not None)
        await payloads.close()
        return payloads.erasures.facts()

    facts = asyncio.run(main())
    assert (facts["payloads_missing"], facts["erasures"], facts["erasures_pending"]) == (1, 1, 0)
    assert facts["payload_problems"] == ["The payload of entry 2 was overwritten, and no entry says so."]


def test_the_look_at_all_payloads_outlives_no_loop():
    """A stop does not wait for it."""

    async def main() -> Payloads:
        return payloads_of(Segments(1))

    payloads = asyncio.run(main())
    loop = asyncio.new_event_loop()
    loop.close()
    payloads._look_for_missing(loop)
    assert payloads.erasures.missing is None


def erasure(index: int) -> bytes:
    """A leaf that says so."""
    facts = {"erases": index, "reason": "r"}
    commitment, size = open_commitment(facts)
    base = Entry(kind="payload.erased", at=AT, actor="a", use_case="", subject="", commitment=commitment, size=size)
    return runtime_leaf_bytes(base, facts)


def test_words_that_look_like_an_erasure_erase_nothing():
    """Only an entry of that kind does; one that is malformed, or names itself or a later one, is reported."""
    segments = Segments(1)
    entry = parse_leaf(leaf_of(0)).base
    segments.leaves.append(runtime_leaf_bytes(entry, {"note": "payload.erased", "erases": 0, "reason": "r"}))
    assert (segments.finished().by, segments.finished().problems) == ({}, [])
    segments.leaves += [b'{"kind":"payload.erased"}', b"payload.erased\xff", erasure(4), erasure(99)]
    found = segments.finished()
    assert (found.by, found.problem_count, segments.done) == ({}, 4, [])
    assert [each.split()[1] for each in found.problems] == ["2", "3", "4", "5"]
    segments.leaves += [b"payload.erased"] * 100
    assert (segments.finished().problem_count, len(segments.finished().problems)) == (104, module.SHOWN_PROBLEMS)


def test_an_erasure_that_cannot_be_done_is_reported():
    """Its frame was damaged and given up, or it is not one that may be overwritten."""
    segments = Segments(2)
    segments.leaves += [erasure(0), erasure(1)]
    segments.kept[0] = Payload(PayloadState.LOST)
    segments.kept.pop()
    found = segments.finished()
    assert (found.by, found.pending, segments.done) == ({0: 2, 1: 3}, set(), [])
    assert ["frame is damaged" in found.problems[0], "no entry 1" in found.problems[1]] == [True, True]


def test_proofs_hold_after_an_erasure(tmp_path):
    """The receipt that was given out before, the one made after, and the whole log."""
    segments = Segments(5)

    async def story() -> None:
        publisher = Publisher(tmp_path, LOG)
        publisher.recover(segments.leaves)
        publisher.start()

        async def append(leaf: bytes, sealed: bytes) -> int:
            index = await segments.append(leaf, sealed)
            publisher.on_durable(index, [leaf])
            return index

        proofs = Proofs(publisher)
        before = await proofs.proof({"index": 2})
        await Payloads(segments, append, erasures=Erasures()).erase({"index": 2, "reason": "r", "actor": "a"})
        after = await proofs.proof({"index": 2})
        said = await proofs.proof({"index": 5})
        for answer in (before, after, said):
            verify_receipt(answer["receipt"], answer["leaf"].encode(), [LOG.verifier])
        assert before["leaf"] == after["leaf"]
        await publisher.close()

    asyncio.run(story())
    assert verify_log(tmp_path, VKEY).entries == 6
