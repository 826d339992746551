"""Sealed payloads: giving one out, and erasing one for good. Owns the asks ``payload`` and ``erase``.

Where a payload lies, and how its bytes are overwritten, is the segment writer's, behind ``PayloadSource``. What stands in
a payload is known here to nobody: it is sealed before it comes.

``payload`` {"index"} gives {"index", "sealed", "erased", "erased_by", "absent"}: base64, or null and why it is absent:
``erased`` (``erased_by`` is the entry that says so), ``missing`` (it was overwritten, and no entry says so), ``lost``
(its frame was damaged, and given up), ``not kept`` (the entry never had one).
``erase`` {"index", "reason", "actor", "use_case"?} gives {"index", "erased_by"}: the index of the entry that says so.

Rules kept here:
1. The entry that says what was erased, by whom and why is durable before the payload is touched.
2. What was said is done, whether or not whoever asked still listens: it is the server's work, which a stop waits for, a
   fault of the disk puts off, and the next start finishes after a crash.
3. From the moment that it was said, the payload is given to nobody.
4. The leaf stays, so every proof that was ever given out still verifies.
5. A leaf that looks like an erasure and is none is reported; it neither erases anything nor stops the start.
"""

import asyncio
import base64
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Protocol

from roadworthy.base.clock import Clock, now
from roadworthy.base.errors import InputError, LedgerBroken, ParameterError, RoadworthyError, StoreBroken
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
from roadworthy.ledgerd.frames import Payload, PayloadState
from roadworthy.ledgerd.proofs import Handler, index_of
from roadworthy.wire.ledger_messages import MAX_MESSAGE_BYTES

MAX_TEXT = 1_000
SHOWN_PROBLEMS = 20
RETRY_S = 1.0
_MARK = PAYLOAD_ERASED.encode()
_MOST_SEALED_BYTES = (MAX_MESSAGE_BYTES - 4_096) // 4 * 3
_ABSENT = {PayloadState.ZEROED: "missing", PayloadState.LOST: "lost", PayloadState.NOT_KEPT: "not kept"}


class PayloadSource(Protocol):
    """Where the sealed payloads lie. All calls block."""

    def payload(self, index: int) -> Payload:
        """The sealed bytes of an entry, and what became of them.

        Raises:
            ParameterError: there is no such entry (RW-114).
            StoreBroken: the disk does not give it (RW-505).
        """

    def erase(self, index: int) -> None:
        """Overwrite the sealed bytes with zeros and sync; does nothing when they are gone already.

        Raises:
            ParameterError: there is no such entry (RW-114).
            StoreBroken: the disk does not take it, or nobody knows where they lie (RW-505).
        """

    def zeroed(self) -> Iterator[int]:
        """Every entry whose payload is nothing but zeros."""


class Erasures:
    """What the ledger says of its payloads, kept up to date.

    Attributes:
        by: the entry that first said so, by the entry that it erased.
        pending: what was said and is not done yet.
        missing: how many payloads were overwritten though no entry says so; None until it is known.
        problem_count: how many ``problems`` there are; only the first are kept.
    """

    def __init__(self) -> None:
        self.by: dict[int, int] = {}
        self.pending: set[int] = set()
        self.missing: int | None = None
        self.problems: list[str] = []
        self.problem_count = 0

    def note(self, problem: str) -> None:
        """Something that an operator must see."""
        self.problem_count += 1
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)

    def facts(self) -> dict[str, Any]:
        """As the ask ``status`` says it."""
        return {
            "erasures": len(self.by),
            "erasures_pending": len(self.pending),
            "payloads_missing": self.missing,
            "payload_problems": list(self.problems),
            "payload_problem_count": self.problem_count,
        }


class Payloads:
    """Answers about the payloads of one log.

    Args:
        source: where they lie.
        append: the group commit: a leaf and its sealed payload in, the index out once it is durable.
        erasures: what ``finish_erasures`` found.
        clock: for the instant of an erasure.
    """

    def __init__(
        self,
        source: PayloadSource,
        append: Callable[[bytes, bytes], Awaitable[int]],
        *,
        erasures: Erasures,
        clock: Clock = now,
    ) -> None:
        self.erasures = erasures
        self._source = source
        self._append = append
        self._clock = clock
        self._under_way: set[asyncio.Task[int]] = set()
        self._retrying: asyncio.Task[None] | None = None

    def handlers(self) -> dict[str, Handler]:
        """The asks by name."""
        return {"payload": self.payload, "erase": self.erase}

    def start(self) -> None:
        """Begin to look for payloads that are gone without a word, and to finish what is pending. On the event loop."""
        loop = asyncio.get_running_loop()
        # A daemon: it only reads, it may take as long as the history is, and no stop shall wait for it.
        threading.Thread(target=self._look_for_missing, args=(loop,), name="payload-audit", daemon=True).start()
        self._retry_soon()

    async def close(self) -> None:
        """Finish the erasures under way; what the disk does not take now is left to the next start."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])

    async def payload(self, ask: dict[str, Any]) -> dict[str, Any]:
        """The sealed payload of an entry.

        Raises:
            ParameterError: no index, no such entry, or more than a message carries (RW-114).
            StoreBroken: the disk does not give it (RW-505).
        """
        index = index_of(ask)
        found = await asyncio.to_thread(self._source.payload, index)
        answer = {"index": index, "sealed": None, "erased": False, "erased_by": None, "absent": None}
        # Looked up after the bytes: an erasure may have been said while they were read.
        erased_by = self.erasures.by.get(index)
        if erased_by is not None:
            return answer | {"erased": True, "erased_by": erased_by, "absent": "erased"}
        if found.state is not PayloadState.KEPT:
            return answer | {"absent": _ABSENT[found.state]}
        if len(found.sealed) > _MOST_SEALED_BYTES:
            what = f"The payload of entry {index} has {len(found.sealed)} bytes: more than one message carries."
            raise ParameterError(what, remedy="Read it from a copy of the segments.")
        return answer | {"sealed": base64.b64encode(found.sealed).decode("ascii")}

    async def erase(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Erase the payload of an entry, after an entry that says so.

        Raises:
            ParameterError: no index, no such entry, no payload that was ever kept, no reason or no actor (RW-114).
            StoreBroken: nobody knows where it lies; or the disk does not take it: then what was said is done later
                (RW-505).
        """
        index = index_of(ask)
        facts: dict[str, str | int] = {ERASES: index, REASON: _text(ask, REASON)}
        actor = _text(ask, "actor")
        use_case = _text(ask, "use_case") if "use_case" in ask else ""
        # 1. There must be something to erase; an erasure of nothing would stand in the ledger for ever.
        found = await asyncio.to_thread(self._source.payload, index)
        if found.state is PayloadState.NOT_KEPT:
            what = f"Entry {index} never had a payload."
            raise ParameterError(what, remedy="Name the entry whose payload is to be erased.")
        if found.state is PayloadState.LOST:
            what = f"The frame of entry {index} is damaged: where its payload lies, if anywhere, is not known."
            raise StoreBroken(what, remedy="Erase the damaged bytes of that segment, and every copy of it, by hand.")
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
        # 2. and 3. belong to the server: whoever asked may hang up in between.
        task = asyncio.create_task(self._say_and_do(index, runtime_leaf_bytes(base, facts)))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return {"index": index, "erased_by": await asyncio.shield(task)}

    async def _say_and_do(self, index: int, leaf: bytes) -> int:
        # 2. Say it, durably; from now on nobody gets the payload.
        erased_by = await self._append(leaf, b"")
        self.erasures.by.setdefault(index, erased_by)
        self.erasures.pending.add(index)
        # 3. Do it.
        try:
            await asyncio.to_thread(self._source.erase, index)
        except StoreBroken:
            self._retry_soon()
            raise
        self.erasures.pending.discard(index)
        return erased_by

    def _done(self, task: asyncio.Task[int]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Whoever asked may be gone; an error that nobody fetches would be printed as a fault of this program.
            task.exception()

    def _retry_soon(self) -> None:
        if self.erasures.pending and (self._retrying is None or self._retrying.done()):
            self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        while self.erasures.pending:
            await asyncio.sleep(RETRY_S)
            for index in sorted(self.erasures.pending):
                try:
                    await asyncio.to_thread(self._source.erase, index)
                except StoreBroken:
                    continue
                self.erasures.pending.discard(index)

    def _look_for_missing(self, loop: asyncio.AbstractEventLoop) -> None:
        found: list[int] | RoadworthyError
        try:
            found = list(self._source.zeroed())
        except RoadworthyError as error:
            found = error
        try:
            loop.call_soon_threadsafe(self._looked, found)
        except RuntimeError:
            # The process stopped before the end of the history was reached: the next start looks again.
            return

    def _looked(self, found: list[int] | RoadworthyError) -> None:
        if isinstance(found, RoadworthyError):
            self.erasures.note(f"Not all payloads could be looked at: {found}")
            return
        # An erasure that was said meanwhile is known here by now: it is noted before a byte is overwritten.
        missing = [index for index in found if index not in self.erasures.by]
        self.erasures.missing = len(missing)
        for index in missing:
            self.erasures.note(f"The payload of entry {index} was overwritten, and no entry says so.")


def finish_erasures(leaves: Iterable[tuple[int, bytes]], source: PayloadSource) -> Erasures:
    """Do again what every erasure among the leaves of a log says. On start, before serving.

    What the disk does not take is ``pending`` then.

    Args:
        leaves: with their indices; those that are no erasures are passed by.
        source: where the payloads lie.
    """
    erasures = Erasures()
    for own, leaf in leaves:
        # Only what may be an erasure is read: a log has millions of leaves and some erasures.
        if _MARK not in leaf:
            continue
        try:
            index = erased_index(parse_leaf(leaf))
        except LedgerBroken as error:
            erasures.note(f"Entry {own} looks like an erasure: {error.what}")
            continue
        if index is None:
            continue
        if index >= own:
            erasures.note(f"Entry {own} says that it erased entry {index}, which is not before it.")
            continue
        erasures.by.setdefault(index, own)
        _finish(index, own, source, erasures)
    return erasures


def _finish(index: int, own: int, source: PayloadSource, erasures: Erasures) -> None:
    try:
        if source.payload(index).state is PayloadState.LOST:
            erasures.note(f"Entry {own} erased the payload of entry {index}, whose frame is damaged now.")
            return
        source.erase(index)
    except StoreBroken:
        erasures.pending.add(index)
    except InputError as error:
        erasures.note(f"Entry {own} erased the payload of entry {index}: {error.what}")


def _text(ask: dict[str, Any], name: str) -> str:
    text = ask.get(name)
    if not isinstance(text, str) or not text or len(text) > MAX_TEXT:
        raise ParameterError(f"The {name} is missing.", remedy=f"Give a text of 1 to {MAX_TEXT} characters.")
    return text
