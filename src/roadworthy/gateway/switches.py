"""The kill switch, for one use case or for all. Owns the state file that workers share, and what comes first.

Rules kept here:
1. Stopping takes effect at once in this worker, within a second in the others, and does not wait for the ledger: an
   AI system that does harm is stopped even when nothing can be recorded. The leaf is owed, and tried again every second.
2. Starting again takes effect only after its leaf is durable.
3. The state survives a restart. A state file that cannot be read means that everything is off.
4. One process writes: the one that owns the admin address. The others look at the file once a second.
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
        self.refresh()

    @property
    def stops(self) -> tuple[Stop, ...]:
        """What is off, by name."""
        return tuple(self._stops[name] for name in sorted(self._stops))

    def know(self, use_cases: frozenset[str]) -> None:
        """Other use cases can be switched from now on; what is off stays off."""
        self._use_cases = use_cases

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
            self._take(_read(self._path))
            self._seen = seen

    async def stop(self, use_case: str, *, by: str, reason: str, note: Note) -> Stop:
        """Switch off, at once.

        Raises:
            ParameterError: no such use case (RW-114).
        """
        self._require(use_case)
        stop = Stop(use_case=use_case, by=by, reason=reason, at=format_instant(now()), recorded=False)
        self._take({**self._stops, use_case: stop})
        self._write()
        await self.record(note)
        return self._stops.get(use_case, stop)

    async def resume(self, use_case: str, *, by: str, reason: str, note: Note) -> int:
        """Switch on again, after the leaf is durable; its index.

        Raises:
            ParameterError: no such use case (RW-114).
            Refused: the ledger does not take the leaf; it stays off.
        """
        self._require(use_case)
        scope = "" if use_case == ALL else use_case
        index = await note(by, scope, "switched on", {"reason": reason, "switch": use_case})
        self._take({name: stop for name, stop in self._stops.items() if name != use_case})
        self._write()
        return index

    async def record(self, note: Note) -> None:
        """Append the leaves that are owed; what the ledger refuses stays owed."""
        for stop in [stop for stop in self.stops if not stop.recorded]:
            scope = "" if stop.use_case == ALL else stop.use_case
            facts: dict[str, str | int] = {"reason": stop.reason, "switch": stop.use_case, "stopped_at": stop.at}
            try:
                await note(stop.by, scope, "switched off", facts)
            except Refused as refused:
                _log.warning("the stop of %s is in force but not on record yet: %s", stop.use_case, refused.what)
                return
            if self._stops.get(stop.use_case) == stop:
                self._take({**self._stops, stop.use_case: replace(stop, recorded=True)})
                self._write()

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

    def _take(self, stops: dict[str, Stop]) -> None:
        self._stops, self._off = stops, frozenset(stops)

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


def _read(path: Path) -> dict[str, Stop]:
    try:
        stops = [Stop(**each) for each in json.loads(path.read_bytes())["stops"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.error("the switches cannot be read, so everything is off: %s", error)
        why = "The file of switches cannot be read."
        return {ALL: Stop(use_case=ALL, by="", reason=why, at=format_instant(now()), recorded=True)}
    return {stop.use_case: stop for stop in stops}
