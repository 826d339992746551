"""The chapter in which the model dies under traffic. Owns its telling; callers and counts belong to ``demo.outage``.

Two parts: ``tell_outage`` while the gateway runs, ``prove_outage`` when it has been stopped and only its files are left.
"""

import json
from pathlib import Path

from roadworthy.base.errors import TargetAnswer
from roadworthy.cli.transcript import Transcript
from roadworthy.demo.gateway import SITE_A, WORKLIST, GatewayPaths
from roadworthy.demo.outage import Answered, Callers, Phase, bodies_of, count_phases, reconcile
from roadworthy.demo.process import ServerProcess
from roadworthy.ledger.log import LOG_VKEY
from roadworthy.probes.http import Endpoint, read_headers
from roadworthy.probes.rehearsal.published import read_log

_BEFORE, _WITHOUT, _AFTER = 60, 120, 30
_TIMEOUT_S = 10.0
_SHOWN = ("kind", "at", "rung", "attempts", "admission", "policy", "intent", "commitment")


def tell_outage(
    transcript: Transcript, paths: GatewayPaths, *, server: ServerProcess, url: str, pilot: Path
) -> tuple[Answered, ...]:
    """Ask without a pause, kill the model, start it again; then show one fallback answer with its two records.

    Args:
        transcript: to tell it in.
        paths: of the gateway, which runs.
        server: the model, which runs.
        url: of the model at the gateway.
        pilot: patients to ask about.

    Returns:
        Everything that callers got.

    Raises:
        TargetUnreachable: callers get no answers, or the model does not start again (RW-401).
        TargetAnswer: no fallback answered, or a site without a certificate was served (RW-402).
    """
    transcript.chapter("The model dies under traffic")
    transcript.say(_STORY)
    with Callers(url, paths.folder / WORKLIST, pilot) as callers:
        callers.wait_for(Phase.BEFORE, _BEFORE)
        killed = server.kill()
        callers.phase = Phase.WITHOUT
        transcript.show(f"kill -9 {killed}")
        callers.wait_for(Phase.WITHOUT, _WITHOUT)
        server.start()
        callers.phase = Phase.AFTER
        callers.wait_for(Phase.AFTER, _AFTER, rung="")
    answers = callers.answers
    transcript.table(
        ("while", "asked", "by the model", "by the fallback", "refused", "no answer", "slowest"),
        [
            (
                each.phase.value,
                *map(str, (each.asked, each.by_model, each.by_fallback, each.refused, each.unanswered)),
                f"{each.slowest_ms:.0f} ms",
            )
            for each in count_phases(answers)
        ],
    )
    transcript.say(_BREAKER)
    fallback = next((each for each in answers if each.rung and each.index >= 0), None)
    if fallback is None:
        raise TargetAnswer("No fallback answered for the model.", remedy="Look into gateway.log.", where=url)
    transcript.say(f"\nWhat a caller saw then:\n  {fallback.notice}\n  {fallback.body.decode()}")
    _show_records(transcript, paths, fallback)
    _ask_from_elsewhere(transcript, paths, url, pilot)
    return answers


def _show_records(transcript: Transcript, paths: GatewayPaths, answer: Answered) -> None:
    """The two leaves of an answer, each with a receipt that needs no gateway."""
    transcript.say("\nIts end was on disk before the answer left. The receipt of that entry, and the entry:")
    vkey = (paths.log / LOG_VKEY).read_text(encoding="ascii").strip()
    outcome = _proven(transcript, paths, answer.index, vkey)
    transcript.say("\nIts beginning was on disk before anybody asked the model:")
    _proven(transcript, paths, int(outcome["intent"]), vkey)


def _proven(transcript: Transcript, paths: GatewayPaths, index: int, vkey: str) -> dict[str, str | int]:
    where = ("--config", str(paths.config), "--dir", str(paths.folder))
    transcript.type("log", "proof", str(index), *where)
    transcript.type("log", "receipt", str(paths.folder / f"{index}.tlog-proof"), "--vkey", vkey)
    entry: dict[str, str | int] = json.loads((paths.folder / f"{index}.json").read_bytes())
    for name in _SHOWN:
        if entry.get(name) not in (None, ""):
            transcript.say(f"  {name:<11}{entry[name]}")
    return entry


def _ask_from_elsewhere(transcript: Transcript, paths: GatewayPaths, url: str, pilot: Path) -> None:
    """A site asks that the policy allows and no certificate admits."""
    endpoint = Endpoint(url, read_headers(paths.folder / SITE_A))
    found = endpoint.exchange("POST", "/infer", bodies_of(pilot)[0], _TIMEOUT_S)
    said = found.content.decode("utf-8", "replace")
    if found.status == 200:  # HTTP's OK
        raise TargetAnswer(f"A site without a certificate was served: {said}", remedy="Look into gateway.yaml.")
    transcript.say(
        f"\nSite A asks too. Its key and the policy are in order, but the gate is closed, so there is no certificate:\n"
        f"  {found.status} {said}\n  record {found.headers.get('x-roadworthy-record')}"
    )


def prove_outage(transcript: Transcript, paths: GatewayPaths, answers: tuple[Answered, ...]) -> None:
    """Verify what the stopped gateway left, and compare it with what callers got."""
    transcript.chapter("The gateway's ledger, by itself: the gateway is stopped")
    vkey = (paths.log / LOG_VKEY).read_text(encoding="ascii").strip()
    transcript.type("log", "verify", str(paths.log), "--vkey", vkey)
    found = reconcile(answers, read_log(paths.log))
    transcript.say(
        f"\nOf {found.answers} answers that callers got around the outage, {found.recorded} have their two entries, which "
        "say the same as the caller saw."
    )


_STORY = """\
Three callers ask for patients of the pilot clinic, one after another. The model's process is killed, and comes back.
The fallback was armed by an evaluation on the pilot's patients (gateway/evaluation.json)."""

_BREAKER = """\
A question that was on its way when the model died got the fallback as well. It goes on for a moment after the model is
back, while the circuit breaker is still open."""
