"""Sealed payloads: giving one out, and erasing one for good. Owns the asks ``payload`` and ``erase``.

Where a payload lies, and how its bytes are overwritten, is the segment writer's, behind ``PayloadSource``. What stands in
a payload is known here to nobody: it is sealed before it comes.

``payload`` {"index"} gives {"index", "sealed", "erased"}: base64, or null when there is none (any more).
``erase`` {"index", "reason", "actor", "use_case"?} gives {"index", "erased_by"}: the index of the entry that says so.

Rules kept here:
1. The entry that says what was erased, by whom and why is durable before the payload is touched.
2. What was said is done: an erasure that a crash interrupted is finished on the next start.
3. The leaf stays, so every proof that was ever given out still verifies.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from roadworthy.base.clock import Clock, now
from roadworthy.base.errors import ParameterError
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.leaf import (
    ERASES,
    PAYLOAD_ERASED,
    REASON,
    erased_index,
    open_commitment,
    parse_leaf,
    runtime_leaf_bytes,
)
from roadworthy.ledgerd.proofs import Handler, index_of

MAX_TEXT = 1_000
_MARK = PAYLOAD_ERASED.encode()


class PayloadSource(Protocol):
    """Where the sealed payloads lie. Both calls block."""

    def read(self, index: int) -> bytes | None:
        """The sealed bytes of an entry; None when it was erased, or never had any.

        Raises:
            ParameterError: there is no such entry (RW-114).
        """

    def erase(self, index: int) -> None:
        """Overwrite the sealed bytes with zeros and sync; does nothing when they are gone already.

        Raises:
            ParameterError: there is no such entry (RW-114).
            StoreBroken: the disk does not take it (RW-505).
        """


class Payloads:
    """Answers about the payloads of one log.

    Args:
        source: where they lie.
        append: the group commit: a leaf and its sealed payload in, the index out once it is durable.
        clock: for the instant of an erasure.
    """

    def __init__(
        self, source: PayloadSource, append: Callable[[bytes, bytes], Awaitable[int]], *, clock: Clock = now
    ) -> None:
        self._source = source
        self._append = append
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """The asks by name."""
        return {"payload": self.payload, "erase": self.erase}

    async def payload(self, ask: dict[str, Any]) -> dict[str, Any]:
        """The sealed payload of an entry.

        Raises:
            ParameterError: no index, or no such entry (RW-114).
        """
        index = index_of(ask)
        sealed = await asyncio.to_thread(self._source.read, index)
        text = None if sealed is None else base64.b64encode(sealed).decode("ascii")
        return {"index": index, "sealed": text, "erased": sealed is None}

    async def erase(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Erase the payload of an entry, after an entry that says so.

        Raises:
            ParameterError: no index, no such entry, no reason or no actor (RW-114).
            StoreBroken: the disk does not take it; what was said is done on the next start (RW-505).
        """
        index = index_of(ask)
        facts: dict[str, str | int] = {ERASES: index, REASON: _text(ask, REASON)}
        actor = _text(ask, "actor")
        use_case = _text(ask, "use_case") if "use_case" in ask else ""
        # 1. There must be such an entry; an erasure of nothing would stand in the ledger for ever.
        await asyncio.to_thread(self._source.read, index)
        # 2. Say it, durably.
        commitment, size = open_commitment(facts)
        base = Entry(
            kind=PAYLOAD_ERASED,
            at=self._clock(),
            actor=actor,
            use_case=use_case,
            subject=str(index),
            commitment=commitment,
            size=size,
        )
        erased_by = await self._append(runtime_leaf_bytes(base, facts), b"")
        # 3. Do it.
        await asyncio.to_thread(self._source.erase, index)
        return {"index": index, "erased_by": erased_by}


def finish_erasures(leaves: Iterable[bytes], source: PayloadSource) -> int:
    """Do again what every erasure among the leaves of a log says; how many there are. On start, before serving.

    Raises:
        LedgerBroken: an erasure is malformed (RW-503).
        StoreBroken: the disk does not take it (RW-505).
    """
    count = 0
    for leaf in leaves:
        # Only what may be an erasure is read: a log has millions of leaves and some erasures.
        if _MARK in leaf and (index := erased_index(parse_leaf(leaf))) is not None:
            source.erase(index)
            count += 1
    return count


def _text(ask: dict[str, Any], name: str) -> str:
    text = ask.get(name)
    if not isinstance(text, str) or not text or len(text) > MAX_TEXT:
        raise ParameterError(f"The {name} is missing.", remedy=f"Give a text of 1 to {MAX_TEXT} characters.")
    return text
