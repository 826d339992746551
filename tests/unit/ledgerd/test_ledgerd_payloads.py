"""Erasing: said first, then done, also across a crash, and every proof holds afterwards."""

import asyncio
import base64
from datetime import UTC, datetime

import pytest

from published_log import LOG, VKEY
from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledger.entry import Entry, commit
from roadworthy.ledger.leaf import erased_index, parse_leaf, runtime_leaf_bytes
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.merkle import Frontier, leaf_hash
from roadworthy.ledger.receipt import verify_receipt
from roadworthy.ledgerd.payloads import Payloads, finish_erasures
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
        self.sealed: list[bytes | None] = [b"sealed %d" % index for index in range(count)]
        self.done: list[str] = []
        self.fault: StoreBroken | None = None

    def read(self, index: int) -> bytes | None:
        """The sealed bytes."""
        if index >= len(self.sealed):
            raise ParameterError(f"There is no entry {index}.", remedy="Ask for another.")
        return self.sealed[index]

    def erase(self, index: int) -> None:
        """Gone."""
        if self.fault is not None:
            raise self.fault
        self.done.append(f"erase {index}")
        self.sealed[index] = None

    async def append(self, leaf: bytes, sealed: bytes) -> int:
        """Durable."""
        self.done.append("append")
        self.leaves.append(leaf)
        self.sealed.append(sealed or None)
        return len(self.leaves) - 1


def ask(segments: Segments, what: str, **members) -> dict:
    """One ask."""
    handlers = Payloads(segments, segments.append, clock=lambda: AT).handlers()
    return asyncio.run(handlers[what]({"what": what, **members}))


def test_a_payload_is_given_out():
    """Sealed, as it came."""
    answer = ask(Segments(3), "payload", index=1)
    assert answer == {"index": 1, "sealed": base64.b64encode(b"sealed 1").decode(), "erased": False}


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
    assert ask(segments, "payload", index=1) == {"index": 1, "sealed": None, "erased": True}


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


def test_an_interrupted_erasure_is_finished_on_the_next_start():
    """It was said; now it is done."""
    segments = Segments(3)
    segments.fault = StoreBroken("The disk is gone.", remedy="Find it.")
    with pytest.raises(StoreBroken):
        ask(segments, "erase", index=1, reason="r", actor="a")
    assert segments.sealed[1] is not None
    segments.fault = None
    assert finish_erasures(segments.leaves, segments) == 1
    assert (segments.sealed[0], segments.sealed[1]) == (b"sealed 0", None)


def test_words_that_look_like_an_erasure_erase_nothing():
    """Only an entry of that kind does; a malformed one is an error."""
    segments = Segments(1)
    entry = parse_leaf(leaf_of(0)).base
    segments.leaves.append(runtime_leaf_bytes(entry, {"note": "payload.erased", "erases": 0, "reason": "r"}))
    assert finish_erasures(segments.leaves, segments) == 0
    with pytest.raises(LedgerBroken):
        finish_erasures([b'{"kind":"payload.erased"}'], segments)


def test_proofs_hold_after_an_erasure(tmp_path):
    """The receipt that was given out before, the one made after, and the whole log."""
    segments = Segments(5)

    async def story() -> None:
        publisher = Publisher(tmp_path, LOG)
        publisher.recover(segments.leaves)
        publisher.start()
        frontier = Frontier()
        for leaf in segments.leaves:
            frontier = frontier.append(leaf_hash(leaf))

        async def append(leaf: bytes, sealed: bytes) -> int:
            index = await segments.append(leaf, sealed)
            publisher.on_durable(index, [leaf], frontier.append(leaf_hash(leaf)))
            return index

        proofs = Proofs(publisher)
        before = await proofs.proof({"index": 2})
        await Payloads(segments, append).erase({"index": 2, "reason": "r", "actor": "a"})
        after = await proofs.proof({"index": 2})
        said = await proofs.proof({"index": 5})
        for answer in (before, after, said):
            verify_receipt(answer["receipt"], answer["leaf"].encode(), [LOG.verifier])
        assert before["leaf"] == after["leaf"]
        await publisher.close()

    asyncio.run(story())
    assert verify_log(tmp_path, VKEY).entries == 6
