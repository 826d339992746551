"""The kill switch, for one use case or for all. Owns the state file that workers share, and what comes first.

Rules kept here:
1. Stopping takes effect at once in this worker, within a second in the others, and does not wait for the ledger: an
   AI system that does harm is stopped even when nothing can be recorded. The leaf is owed, and tried again every second.
2. Starting again takes effect only after its leaf is durable, and ends only the stop that stood when it was asked for:
   a stop that comes while it waits stays.
3. Leaves are written one after the other, so the last leaf about a use case says how it stands. When nobody knows
   whether the leaf of a start became durable, the stop that stays is written once more.
4. The state survives a restart. A state file that cannot be read means that everything is off.
5. One process writes: the one that owns the admin address. The others look at the file once a second.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from roadworthy.base.clock import format_instant, now
from roadworthy.base.errors import ParameterError
from roadworthy.base.ids import new_id
from roadworthy.gateway.exchange import Reason, Refused

ALL = "*"
"""In place of a use case: every one."""
POLL_S = 0.5
ANSWER_S = 2.0
"""How long who stops something waits for its leaf before being told that it is owed."""
_RETRY_AFTER_S = 30
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One use case that is off.

    Attributes:
        use_case: its id, or ``ALL``.
        by: who stopped it.
        reason: why, in a sentence.
        at: when, RFC 3339.
        recorded: whether its leaf is durable.
    """

    use_case: str
    by: str
    reason: str
    at: str
    recorded: bool


Note = Callable[[str, str, str, dict[str, str | int]], Awaitable[int]]
"""Appends a leaf of kind gateway.node: actor, use case, subject, facts; gives its index, or raises ``Refused``."""


class Switches:
    """The state of the switches as this process knows it.

    Args:
        path: of the state file; its folder must be there.
        use_cases: ids that can be switched.
    """

    def __init__(self, path: Path, use_cases: frozenset[str]) -> None:
        self._path, self._use_cases = path, use_cases
        self._seen: tuple[int, int, int] | None = None
        self._stops: dict[str, Stop] = {}
        self._off: frozenset[str] = frozenset()
        self._told: list[Callable[[], None]] = []
        self._leaves = asyncio.Lock()
        self._recording: set[asyncio.Task[None]] = set()
        self.refresh()

    @property
    def stops(self) -> tuple[Stop, ...]:
        """What is off, by name."""
        return tuple(self._stops[name] for name in sorted(self._stops))

    def know(self, use_cases: frozenset[str]) -> None:
        """Other use cases can be switched from now on; what is off stays off."""
        self._use_cases = use_cases

    def tell(self, told: Callable[[], None]) -> None:
        """Call ``told`` whenever something is off that was not before; what is under way can be cut off then."""
        self._told.append(told)

    def refuse_if_off(self, use_case: str) -> None:
        """Say no when the use case, or everything, is off.

        Raises:
            Refused: it is off (503).
        """
        if self._off and (use_case in self._off or ALL in self._off):
            what = "This use case is switched off at the moment."
            raise Refused(Reason.SWITCHED_OFF, 503, what, retry_after_s=_RETRY_AFTER_S)

    def refresh(self) -> None:
        """Read the state file if it has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            if self._seen is not None:
                # Somebody took the file away: that must not start what was stopped.
                self._write()
            return
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen != self._seen:
            before = self._off
            self._take(_read(self._path))
            self._seen = seen
            self._tell_since(before)

    async def stop(self, use_case: str, *, by: str, reason: str, note: Note) -> Stop:
        """Switch off, at once. It waits ``ANSWER_S`` for the leaf; after that the leaf is still being written, or owed.

        Raises:
            ParameterError: no such use case (RW-114).
        """
        self._require(use_case)
        stop = Stop(use_case=use_case, by=by, reason=reason, at=format_instant(now()), recorded=False)
        self._put(stop)
        # A task of its own: a leaf that is given up half-way would be written twice.
        recording = asyncio.get_running_loop().create_task(self.record(note))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        done, _ = await asyncio.wait([recording], timeout=ANSWER_S)
        for each in done:
            each.result()
        return self._stops.get(use_case, stop)

    async def resume(self, use_case: str, *, by: str, reason: str, note: Note) -> int:
        """Switch on again, after the leaf is durable; its index.

        1. Remember which stop is to end. Nothing was awaited yet, so it is the one that stands when this is asked.
        2. Leaves that are owed come first: nothing is started whose stop is not on record.
        3. If another stop has come meanwhile, that one was not meant.
        4. Write the leaf.
        5. End the stop, if it still is that one.
        6. Otherwise, or when the leaf may be durable or not, the log must end with a stop.

        Raises:
            ParameterError: no such use case (RW-114).
            Refused: the ledger does not take the leaf, or it was stopped again meanwhile (409); it stays off.
        """
        self._require(use_case)
        meant = self._stops.get(use_case)  # 1
        durable = False
        async with self._leaves:
            await self._pay(note)  # 2
            if not _same(self._stops.get(use_case), meant):  # 3
                raise _stopped_again()
            try:
                scope = "" if use_case == ALL else use_case
                index = await note(by, scope, "switched on", {"reason": reason, "switch": use_case})  # 4
                durable = True
            finally:
                stands = self._stops.get(use_case)
                ended = durable and _same(stands, meant)
                if stands is not None and ended:  # 5
                    self._drop(use_case)
                elif stands is not None and stands.recorded:  # 6
                    self._put(replace(stands, recorded=False))
            if not ended:
                raise _stopped_again()
        return index

    async def record(self, note: Note) -> None:
        """Append the leaves that are owed; what the ledger refuses stays owed."""
        async with self._leaves:
            try:
                await self._pay(note)
            except Refused as refused:
                _log.warning("a stop is in force but not on record yet: %s", refused.what)

    async def _pay(self, note: Note) -> None:
        """Write what is owed. Only who holds the lock of the leaves may, so that no leaf is written twice.

        Raises:
            Refused: the ledger does not take one.
        """
        for stop in [stop for stop in self.stops if not stop.recorded]:
            scope = "" if stop.use_case == ALL else stop.use_case
            facts: dict[str, str | int] = {"reason": stop.reason, "switch": stop.use_case, "stopped_at": stop.at}
            await note(stop.by, scope, "switched off", facts)
            if self._stops.get(stop.use_case) == stop:
                self._put(replace(stop, recorded=True))

    async def watch(self, note: Note | None) -> None:
        """Follow the file until cancelled; with ``note``, also pay what is owed."""
        while True:
            await asyncio.sleep(POLL_S)
            self.refresh()
            if note is not None:
                await self.record(note)

    def _require(self, use_case: str) -> None:
        if use_case != ALL and use_case not in self._use_cases:
            known = ", ".join(sorted(self._use_cases))
            raise ParameterError(f"There is no use case {use_case!r}.", remedy=f"Known: {known}; {ALL} is all of them.")

    def _put(self, stop: Stop) -> None:
        before = self._off
        self._take({**self._stops, stop.use_case: stop})
        try:
            self._write()
        finally:
            self._tell_since(before)

    def _drop(self, use_case: str) -> None:
        self._take({name: stop for name, stop in self._stops.items() if name != use_case})
        self._write()

    def _take(self, stops: dict[str, Stop]) -> None:
        self._stops, self._off = stops, frozenset(stops)

    def _tell_since(self, before: frozenset[str]) -> None:
        if self._off - before:
            for told in self._told:
                told()

    def _write(self) -> None:
        """Replace the file whole, and make that last: a stop survives a power cut."""
        data = json.dumps({"stops": [asdict(stop) for stop in self.stops]}, indent=1).encode()
        part = self._path.with_name(new_id(f".{self._path.name}"))
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        part.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        found = self._path.stat()
        self._seen = (found.st_mtime_ns, found.st_size, found.st_ino)


def _same(one: Stop | None, other: Stop | None) -> bool:
    """Whether both are one act of stopping, on record or not."""
    if one is None or other is None:
        return one is other
    return (one.by, one.at, one.reason) == (other.by, other.at, other.reason)


def _stopped_again() -> Refused:
    return Refused(Reason.SWITCHED_OFF, 409, "It was stopped again meanwhile, so it stays off.")


def _read(path: Path) -> dict[str, Stop]:
    try:
        stops = [Stop(**each) for each in json.loads(path.read_bytes())["stops"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.error("the switches cannot be read, so everything is off: %s", error)
        why = "The file of switches cannot be read."
        return {ALL: Stop(use_case=ALL, by="", reason=why, at=format_instant(now()), recorded=True)}
    return {stop.use_case: stop for stop in stops}
