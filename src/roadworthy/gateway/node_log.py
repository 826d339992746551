"""Leaves about the node itself and about its people. Owns writing the rare ones; an exchange's are ``records``'.

Rules kept here:
1. Each says openly, in its facts, what was done and why: there is no payload, so nothing of it can be erased.
2. So persons stand in it under their pseudonym, as in every leaf; only the node goes by its name.
"""

from collections.abc import Callable, Mapping

from roadworthy.base.clock import Clock, now
from roadworthy.domain.exchange import LeafKind
from roadworthy.gateway.stages import Ledger
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.leaf import open_commitment, runtime_leaf_bytes

MOST_CHARACTERS = 1_000


class NodeLog:
    """Appends leaves about this node.

    Args:
        node: its name.
        epoch: instant at which this worker began, in microseconds since 1970.
        ledger: the door to the ledger.
        pseudonym: of a person, by the key of this installation.
        clock: for the instant of each leaf.
    """

    def __init__(
        self, *, node: str, epoch: int, ledger: Ledger, pseudonym: Callable[[str], str], clock: Clock = now
    ) -> None:
        self._node, self._epoch, self._ledger, self._clock = node, epoch, ledger, clock
        self._pseudonym = pseudonym

    def actor(self, person: str) -> str:
        """How a person stands in leaves; nobody is the node itself."""
        return self._pseudonym(person) if person else self._node

    async def note(self, person: str, use_case: str, subject: str, facts: Mapping[str, str | int]) -> int:
        """A leaf of kind gateway.node; its index once it is durable. Without a person the node did it.

        Raises:
            Refused: the ledger did not take it.
        """
        return await self._append(LeafKind.NODE, person, use_case, subject, facts)

    async def review(self, reviewer: str, use_case: str, review_id: str, facts: Mapping[str, str | int]) -> int:
        """A leaf of kind exchange.review; its index once it is durable.

        Raises:
            Refused: the ledger did not take it.
        """
        return await self._append(LeafKind.REVIEW, reviewer, use_case, review_id, facts)

    async def _append(
        self, kind: LeafKind, person: str, use_case: str, subject: str, facts: Mapping[str, str | int]
    ) -> int:
        said: dict[str, str | int] = {
            name: value[:MOST_CHARACTERS] if isinstance(value, str) else value for name, value in facts.items()
        }
        said |= {"node": self._node, "epoch": self._epoch}
        commitment, size = open_commitment(said)
        base = Entry(
            kind=kind.value,
            at=self._clock(),
            actor=self.actor(person),
            use_case=use_case,
            subject=subject,
            commitment=commitment,
            size=size,
        )
        return await self._ledger.put(runtime_leaf_bytes(base, said), b"")
