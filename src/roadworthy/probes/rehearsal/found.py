"""What the published log says of a canary. Owns the judgement of one canary; which ones are sent belongs to ``canaries``.

A canary is recorded when all of this holds:

1. Its answer names a record.
2. The log has exactly one outcome of that record, with the status that the caller saw.
3. Where an upstream was to be asked, exactly one intent stands before it.
4. Where payloads are kept, the intent's is the request and the outcome's, after those of the pieces of a stream, is the
   answer, byte for byte, and both are what the leaves commit to.
5. A question that a person answered has a leaf of the review, too.

Rule kept here: an instant in a leaf must lie between asking and answering by the clock of this process; by how much it
does not is the skew, whatever else holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadworthy.base.errors import LedgerBroken
from roadworthy.domain.exchange import LeafKind
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.rehearsal.canaries import Canary
from roadworthy.probes.rehearsal.payloads import PayloadReader
from roadworthy.probes.rehearsal.rig import PART

Placed = tuple[int, Leaf]
"""Index and entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The judgement of one canary.

    Attributes:
        canary: which.
        problems: in words; empty when it is recorded as it should be.
        skew_s: by how much an instant of its leaves lies outside its own; 0 when none does.
    """

    canary: Canary
    problems: tuple[str, ...]
    skew_s: float


def judge(canary: Canary, log: "Mapping[str, Sequence[Placed]]", payloads: PayloadReader | None) -> Finding:
    """Look a canary up.

    Args:
        canary: what was sent and seen.
        log: entries by the id of their exchange, and of reviews by the id of the review.
        payloads: opens what was kept; None where nothing is kept.
    """
    record = canary.reply.record_id
    if not record:  # 1
        status = canary.reply.status or canary.reply.fault
        return Finding(canary=canary, problems=(f"the answer ({status}) names no record",), skew_s=0.0)
    placed = log.get(record, ())
    intents = [each for each in placed if each[1].base.kind == LeafKind.INTENT.value]
    outcomes = [each for each in placed if each[1].base.kind == LeafKind.OUTCOME.value]
    problems = [*_outcomes(canary, outcomes), *_intents(canary, intents, outcomes)]
    if payloads is not None and len(outcomes) == 1:
        problems += _kept(canary, placed, payloads)  # 4
    if canary.review and not any(leaf.base.kind == LeafKind.REVIEW.value for _, leaf in log.get(canary.review, ())):
        problems.append("the person's decision has no leaf")  # 5
    skew_s = max((_outside_s(canary, leaf) for _, leaf in placed), default=0.0)
    return Finding(canary=canary, problems=tuple(problems), skew_s=skew_s)


def by_exchange(leaves: Sequence[Leaf]) -> dict[str, list[Placed]]:
    """Entries by the id of their exchange; those without one by their subject."""
    found: dict[str, list[Placed]] = {}
    for index, leaf in enumerate(leaves):
        found.setdefault(str(leaf.facts.get("id") or leaf.base.subject), []).append((index, leaf))
    return found


def _outcomes(canary: Canary, outcomes: Sequence[Placed]) -> list[str]:
    """Step 2."""
    if len(outcomes) != 1:
        return [f"the log has {len(outcomes)} outcomes of it"]
    said = outcomes[0][1].facts.get("status")
    return [] if said == canary.reply.status else [f"the log says {said}, the caller saw {canary.reply.status}"]


def _intents(canary: Canary, intents: Sequence[Placed], outcomes: Sequence[Placed]) -> list[str]:
    """Step 3."""
    wanted = 1 if canary.intent else 0
    if len(intents) != wanted:
        return [f"the log has {len(intents)} intents of it, not {wanted}"]
    if intents and outcomes and intents[0][0] > outcomes[0][0]:
        return ["its intent stands after its outcome"]
    return []


def _kept(canary: Canary, placed: Sequence[Placed], payloads: PayloadReader) -> list[str]:
    asked, answered = b"", b""
    try:
        for index, leaf in placed:
            payload = payloads.payload(index, leaf)
            if payload is None:
                return [f"entry {index} keeps no payload"]
            if leaf.base.kind == LeafKind.INTENT.value:
                asked += payload
            elif leaf.base.kind in {LeafKind.OUTCOME.value, PART}:
                answered += payload
    except LedgerBroken as error:
        return [error.what]
    problems = []
    if canary.intent and asked != canary.request.body:
        problems.append("what was kept of the request is not what was sent")
    if answered != canary.reply.body:
        problems.append("what was kept of the answer is not what came")
    return problems


def _outside_s(canary: Canary, leaf: Leaf) -> float:
    early_s = (canary.reply.asked_at - leaf.base.at).total_seconds()
    late_s = (leaf.base.at - canary.reply.ended_at).total_seconds()
    return max(0.0, early_s, late_s)
