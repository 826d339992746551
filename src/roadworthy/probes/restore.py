"""A restore, carried out: traffic, a backup in the midst of it, a second gateway on the copy, and what it still knows.

Owns the drill. Leaves alone how a ledger is copied (``ledger_copy`` or the caller's own way) and what is good enough (the
check).

1. Callers ask without a pause; what each was told is kept.
2. When the backup begins, everything acknowledged until then is what must survive.
3. The callers go on until it has ended, and a little longer.
4. A second gateway starts on the copy and answers a question; the time from its start is the time to restore.
5. Its log is verified, and every entry that must have survived is looked for at its own index, with its payload.

Rule kept here: the second gateway writes on in a copy of the same log, so two logs of one name exist. That is right for a
drill with a rehearsal's ledger, and a fork anywhere else: a real restore begins by making sure that the first never writes
again.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import RoadworthyError, TargetAnswer, TargetUnreachable
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.rehearsal.process import GatewayProcess
from roadworthy.probes.rehearsal.published import read_log, vkey_of
from roadworthy.probes.rehearsal.reply import Reply
from roadworthy.probes.rehearsal.requests import Request, tagged
from roadworthy.probes.rehearsal.rig import Rig

Backup = Callable[[Path, Path], None]
CALLERS = 3
PAYLOADS = 20
_PUBLISH_S = 5.0
_PATIENCE_S = 60.0
_AGAIN_S = 0.05
_AFTER_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What came of it.

    Attributes:
        acknowledged: records that callers were told of before the backup began.
        lost: those that the copy does not have at their index.
        lost_payloads: of the records that were looked into, those whose content is not the same.
        payloads: how many were looked into.
        changed: entries below the common size that are not the same in both logs.
        fault: why there is no sound log, or no second gateway; "" when there is.
        backup_s: how long the copying took.
        restore_s: from the start of the second gateway to its first answer; -1 without one.
    """

    acknowledged: int
    lost: int
    lost_payloads: int
    payloads: int
    changed: int
    fault: str
    backup_s: float
    restore_s: float


def drill(rig: Rig, requests: Sequence[Request], *, backup: Backup, folder: Path, before_s: float, least: int) -> Drill:
    """Carry it out.

    Args:
        rig: the rehearsal whose ledger is backed up.
        requests: that callers send.
        backup: copies a ledger's folder, the first argument, to the second.
        folder: for the copy; it must not exist.
        before_s: how long callers ask at least before the backup begins, in seconds.
        least: records that there must be by then; waited for a minute at most.
    """
    with _Traffic(rig, requests) as traffic:  # 1
        time.sleep(before_s)
        rig.wait_for(lambda: len(traffic.acknowledged()) >= least, _PATIENCE_S)
        acknowledged = traffic.acknowledged()  # 2
        began_s = monotonic_s()
        backup(rig.ledger, folder)
        backup_s = monotonic_s() - began_s
        time.sleep(_AFTER_S)  # 3
    lost = Drill(
        acknowledged=len(acknowledged),
        lost=len(acknowledged),
        lost_payloads=0,
        payloads=0,
        changed=0,
        fault="",
        backup_s=backup_s,
        restore_s=-1.0,
    )
    try:
        began_s = monotonic_s()
        with restored(rig, folder) as second:  # 4
            newest = _first_answer(second, requests[0])
            restore_s = monotonic_s() - began_s
            return _compared(rig, second, acknowledged, newest, replace(lost, restore_s=restore_s))  # 5
    except RoadworthyError as error:
        return replace(lost, fault=error.what)


@contextmanager
def restored(rig: Rig, folder: Path) -> Iterator[Rig]:
    """A second gateway like the rehearsal's, on another ledger's folder.

    Raises:
        TargetUnreachable: it does not start (RW-401).
    """
    config = json.loads((rig.ledger.parent / "gateway.json").read_text(encoding="utf-8"))
    socket = rig.socket.with_name("r.sock")
    config["ledger"] |= {"folder": str(folder), "socket": str(socket)}
    path = folder.with_name(f"{folder.name}.json")
    path.write_text(json.dumps(config), encoding="utf-8")
    with GatewayProcess(path, folder.with_name(f"{folder.name}.log")) as process:
        words = [word.strip(",") for word in process.ready_line.split()]
        url, admin_url = (word for word in words if word.startswith(("http://", "https://")))
        yield replace(rig, url=url, admin_url=admin_url, ledger=folder, process=process, socket=socket)


class _Traffic:
    """Callers that ask until the block ends."""

    def __init__(self, rig: Rig, requests: Sequence[Request]) -> None:
        self._rig, self._requests = rig, requests
        self._replies: list[Reply] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CALLERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> dict[int, str]:
        """Record by index, of every exchange whose caller has its answer by now."""
        return {reply.index: reply.record_id for reply in list(self._replies) if reply.index >= 0 and not reply.fault}

    def _ask(self, number: int) -> None:
        count = 0
        while not self._over.is_set():
            request = self._requests[count % len(self._requests)]
            self._replies.append(self._rig.ask(tagged(request, f"drill-{number}-{count}")))
            count += 1


def _first_answer(second: Rig, request: Request) -> int:
    """Ask the second gateway; the index of its record, before which everything that was restored must stand."""
    reply = second.ask(tagged(request, "restored"))
    if reply.index < 0:
        what = f"The restored gateway did not answer: {reply.status} {reply.fault}".rstrip()
        raise TargetAnswer(what, remedy="Look at its log.", where=second.url)
    return reply.index


def _compared(rig: Rig, second: Rig, acknowledged: Mapping[int, str], newest: int, so_far: Drill) -> Drill:
    leaves = _published(second, newest)
    before = read_log(rig.log)
    if vkey_of(second.log) != vkey_of(rig.log):
        raise TargetUnreachable("The copy signs with another key.", remedy="Back up the folder keys as well.")
    kept = {index: record for index, record in acknowledged.items() if _holds(leaves, index, record)}
    # After the backup each log goes its own way, beginning with the restored one's note that it started.
    common = max(kept, default=-1) + 1
    changed = sum(1 for one, other in zip(before[:common], leaves[:common], strict=False) if one != other)
    looked = sorted(kept)[:: max(1, len(kept) // PAYLOADS)][:PAYLOADS]
    with rig.payloads() as first, second.payloads() as copied:
        lost_payloads = sum(
            1 for index in looked if first.payload(index, before[index]) != copied.payload(index, leaves[index])
        )
    return replace(
        so_far,
        lost=len(acknowledged) - len(kept),
        lost_payloads=lost_payloads,
        payloads=len(looked),
        changed=changed,
    )


def _published(second: Rig, last_index: int) -> list[Leaf]:
    """The log of the second gateway, once it covers an index or has had its time."""
    until_s = monotonic_s() + _PUBLISH_S
    leaves = read_log(second.log)
    while len(leaves) <= last_index and monotonic_s() < until_s:
        time.sleep(_AGAIN_S)
        leaves = read_log(second.log)
    return leaves


def _holds(leaves: Sequence[Leaf], index: int, record: str) -> bool:
    return index < len(leaves) and leaves[index].facts.get("id") == record
