"""What comes back while the ledger's process is gone or frozen. Owns the two disturbances and what is asked meanwhile.

1. *Frozen*: a question is under way, with its intent durable and the upstream busy, when the ledger's process is stopped;
   then every route is asked. Until it may go on, no answer may come.
2. *Killed*: the same, but the process is killed, and another one takes its place. An answer may come as soon as that one
   serves, so every answer of this time must have its record in the end.

Rule kept here: the ledger's process goes on again, whatever happened.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from roadworthy.base.clock import monotonic_s
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.stage import FaultStage
from roadworthy.probes.rehearsal.reply import Reply
from roadworthy.probes.rehearsal.requests import Request, tagged
from roadworthy.probes.rehearsal.rig import Rig

_REACHED_S = 5.0
_AGAIN_S = 0.02
_ON_ITS_WAY_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTrial:
    """What one disturbance brought.

    Attributes:
        name: of the disturbance.
        asked: how many questions were under way or asked meanwhile.
        during: answers that came while the ledger could take nothing.
        meanwhile: answers that came before the service was whole again, at a moment that cannot be told apart.
        recovered_s: from the end of the disturbance until the service answered again; None when it did not.
    """

    name: str
    asked: int
    during: tuple[Reply, ...]
    meanwhile: tuple[Reply, ...]
    recovered_s: float | None


def freeze_sink(
    rig: Rig, stage: FaultStage, requests: Sequence[Request], *, freeze_s: float, within_s: float
) -> SinkTrial:
    """Freeze the ledger's process for ``freeze_s`` seconds."""
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        try:
            under_way = _under_way(rig, stage, requests, pool, rig.stop_ledger)
            time.sleep(_ON_ITS_WAY_S)
            # What is here by now had its record before the ledger stopped; on a busy machine that happens.
            waiting = [] if under_way.done() else [under_way]
            waiting += [pool.submit(rig.ask, tagged(each, "frozen")) for each in requests]
            time.sleep(freeze_s)
            during = _answers(waiting)
        finally:
            rig.resume_ledger()
        recovered_s = _recovered(rig, requests[0], within_s)
    return SinkTrial(name="frozen", asked=len(waiting), during=tuple(during), meanwhile=(), recovered_s=recovered_s)


def kill_sink(rig: Rig, stage: FaultStage, requests: Sequence[Request], *, within_s: float) -> SinkTrial:
    """Kill the ledger's process, and ask every route once."""
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        waiting = [_under_way(rig, stage, requests, pool, rig.kill_ledger)]
        waiting += [pool.submit(rig.ask, tagged(each, "killed")) for each in requests]
        recovered_s = _recovered(rig, requests[0], within_s)
    return SinkTrial(
        name="killed",
        asked=len(waiting),
        during=(),
        meanwhile=tuple(_answers(waiting)),
        recovered_s=recovered_s,
    )


def _under_way(
    rig: Rig,
    stage: FaultStage,
    requests: Sequence[Request],
    pool: ThreadPoolExecutor,
    disturb: Callable[[], None],
) -> "Future[Reply]":
    """Disturb while the upstream has a question and its answer has not come."""
    asked = next(each for each in requests if each.forwarded)
    stage.upstream.switch(Fault.SLOW_HEAD)
    try:
        before, until_s = len(stage.upstream.seen), monotonic_s() + _REACHED_S
        waiting = pool.submit(rig.ask, tagged(asked, "under-way"))
        while len(stage.upstream.seen) == before and monotonic_s() < until_s:
            time.sleep(_AGAIN_S / 10)
        disturb()
    finally:
        stage.restore()
    return waiting


def _answers(waiting: "Sequence[Future[Reply]]") -> list[Reply]:
    return [each.result() for each in waiting if each.done() and each.result().answered]


def _recovered(rig: Rig, request: Request, within_s: float) -> float | None:
    began_s = monotonic_s()
    while monotonic_s() - began_s < within_s:
        if rig.ask(tagged(request, "recovery"), timeout_s=within_s).answered:
            return monotonic_s() - began_s
        time.sleep(_AGAIN_S)
    return None
