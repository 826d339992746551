"""Canaries: requests whose records must be found afterwards, in every situation in which an answer can leave.

Owns which situations there are and how each is brought about. Leaves alone finding the records (``found``).

The situations::

    plain         every route, streams included
    failing       every forwarded route while the primary answers 500: the ladder answers, or refuses
    refused       every forwarded route, for a purpose that nobody was granted
    quarantined   where the use case filters its input: a body without any record
    override      where the ladder has a person: every upstream fails, and the person answers
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from roadworthy.base.clock import monotonic_s
from roadworthy.domain.exchange import RungKind
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.stage import FaultStage
from roadworthy.probes.fault.upstream import FaultUpstream
from roadworthy.probes.rehearsal.reply import Reply
from roadworthy.probes.rehearsal.requests import Request, tagged
from roadworthy.probes.rehearsal.rig import Rig

PLAIN, FAILING, REFUSED, QUARANTINED, OVERRIDE = "plain", "failing", "refused", "quarantined", "override"
NOBODYS_PURPOSE = "nobodys-purpose"
_REVIEW_S = 10.0
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One request and what came back.

    Attributes:
        situation: one of the five.
        request: as it was sent.
        reply: as it came.
        intent: whether an upstream was to be asked, so that an intent must stand before the outcome.
        review: id of the question that a person answered; "" when none did.
    """

    situation: str
    request: Request
    reply: Reply
    intent: bool
    review: str = ""


def send_canaries(
    rig: Rig,
    stage: FaultStage,
    others: Mapping[str, FaultUpstream],
    requests: Sequence[Request],
    *,
    least: int,
    cancelled: Callable[[], bool],
) -> list[Canary]:
    """Rounds over all situations until there are at least ``least`` canaries; the override once, at the end.

    Args:
        rig: the rehearsal.
        stage: in place of its primary.
        others: in place of its other upstreams.
        requests: one for every declared route.
        least: how many at least.
        cancelled: ends the rounds.
    """
    sent: list[Canary] = []
    while len(sent) < least and not cancelled():
        sent += _round(rig, stage, requests, len(sent))
    if RungKind.HUMAN in rig.declared.ladder and not cancelled():
        sent += _override(rig, stage, others, requests)
    return sent


def _round(rig: Rig, stage: FaultStage, requests: Sequence[Request], number: int) -> list[Canary]:
    forwarded = [each for each in requests if each.forwarded]
    nobody = rig.caller.asking(NOBODYS_PURPOSE, rig.caller.asks[1])
    sent = [_plain(rig, tagged(each, f"{number}-plain")) for each in requests]
    for each in forwarded:
        asked = tagged(each, f"{number}-refused")
        sent.append(Canary(situation=REFUSED, request=asked, reply=rig.ask(asked, nobody), intent=False))
    if rig.declared.use_case.get("filter"):
        for each in forwarded:
            if each.body:
                asked = replace(each, body=_without_records(each.body))
                # Where the ladder has a person the question goes there, after its intent.
                person = RungKind.HUMAN in rig.declared.ladder
                sent.append(Canary(situation=QUARANTINED, request=asked, reply=rig.ask(asked), intent=person))
    stage.upstream.switch(Fault.ERROR_500)
    try:
        for each in forwarded:
            asked = tagged(each, f"{number}-failing")
            sent.append(Canary(situation=FAILING, request=asked, reply=rig.ask(asked), intent=True))
    finally:
        stage.restore()
    return sent


def _plain(rig: Rig, asked: Request) -> Canary:
    return Canary(situation=PLAIN, request=asked, reply=rig.ask(asked), intent=asked.forwarded)


def _override(
    rig: Rig, stage: FaultStage, others: Mapping[str, FaultUpstream], requests: Sequence[Request]
) -> list[Canary]:
    asked = next((tagged(each, "override") for each in requests if each.forwarded and each.body), None)
    if asked is None:
        return []
    stage.upstream.switch(Fault.ERROR_500)
    for other in others.values():
        other.switch(Fault.ERROR_500)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(rig.ask, asked, timeout_s=_REVIEW_S * 2)
            review = _decide(rig, waiting.done)
            return [Canary(situation=OVERRIDE, request=asked, reply=waiting.result(), intent=True, review=review)]
    finally:
        stage.restore()
        for other in others.values():
            other.switch(None)


def _decide(rig: Rig, ended: Callable[[], bool]) -> str:
    """Answer the first question that waits for a person; its id, or "" when none came to wait."""
    until_s, answer = monotonic_s() + _REVIEW_S, {"answer": {"decided": "by a person"}, "reason": "rehearsal"}
    while monotonic_s() < until_s:
        over = ended()  # before looking: a question may be put down just as its caller is told so
        reviews = json.loads(rig.administer("GET", "/reviews").body or b"{}").get("reviews") or []
        if reviews:
            review = str(reviews[0]["id"])
            return review if rig.administer("POST", f"/reviews/{review}", answer).answered else ""
        if over:
            return ""
        time.sleep(_AGAIN_S)
    return ""


def _without_records(body: bytes) -> bytes:
    members = json.loads(body)
    return json.dumps({key: value for key, value in members.items() if key == "model"}).encode()
