"""The scorecard: everything that the report, the terminal and ``--json`` show of one decision. Owns its assembly.

A read model: pure, computed from what is on record at one instant, never stored. It decides nothing and verifies nothing;
every state in it is the decision's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.criterion import Gate, Profile, ReadinessDomain
from roadworthy.domain.decision import Decision, Outcome, Refused, State
from roadworthy.domain.gap import Gap
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import UseCase
from roadworthy.gates.evaluate import decision_digest
from roadworthy.gates.explain import headline
from roadworthy.gates.plan import Plan
from roadworthy.reports.changes import Since, since_last
from roadworthy.reports.drilldown import EvidenceEntry, evidence_entries
from roadworthy.reports.register import GapRow, PlanSummary, gap_rows, plan_summary
from roadworthy.reports.rows import DomainCard, OnRecord, Row, domain_cards
from roadworthy.reports.signing import SeatView, SignatureView, WaiverView, seats, signatures, waivers
from roadworthy.reports.words import (
    counted,
    enum_words,
    instant_words,
    listed,
    number,
    sentence,
    short_digest,
)

_STANDING = (Outcome.OPEN, Outcome.CONDITIONAL)
_HUNDREDTHS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What it takes to check all of this without trusting whoever shows it.

    Attributes:
        ledger_size: entries of the ledger that were seen.
        root: base64 of the tree's root over them.
        note: the signed checkpoint, whole.
        decision_digest: of the decision record.
        basis_digest: what people sign.
        release_digest, subject_digest, profile_digest: what was decided on, and by which rules.
        gate_command: computes the decision again.
        export_command, verify_command: write the bundle, and verify it offline.
        offline_command: verifies it with the stand-alone program.
    """

    ledger_size: int
    root: str
    note: str
    decision_digest: str
    basis_digest: str
    release_digest: str
    subject_digest: str
    profile_digest: str
    gate_command: str
    export_command: str
    verify_command: str
    offline_command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """One decision, ready to be read.

    Attributes:
        use_case_id: whose.
        title: of the use case.
        question: what the gate answers, for example "Can breast-mass triage go live?".
        intended_use, decision_supported: as registered.
        gate_id, gate_title: which gate.
        release: short form of the release digest; never to be relied on.
        tier: at which tier.
        packs: as ``id@version``.
        decided_at: the instant of the decision.
        at: the instant of this view; time left counts from it.
        outcome: open, conditional, closed or lapsed.
        headline: the verdict in one or two short sentences.
        sub: what follows from it: effort and dates, or how long it holds.
        valid_until: earliest expiry of anything that the decision rests on.
        max_wave_share: largest share of the population that may be served, in [0, 1].
        obligations: what the waivers in force demand.
        tally: number of criteria by state; states without any are left out.
        score: the least of the four areas' readiness, in [0, 1]; for display only.
        domains: the criteria, by area.
        gaps: the register.
        plan: when the gaps can be closed; None when there are none.
        since: what changed since the gate last said something else; None the first time.
        seats, signatures, waivers: who must sign, who did, and what is waived.
        waiting_for: roles whose signature is missing, in words.
        refused: what could not count, and why.
        evidence: envelopes, those that decide first.
        proof: how to check all of it.
    """

    use_case_id: str
    title: str
    question: str
    intended_use: str
    decision_supported: str
    gate_id: str
    gate_title: str
    release: str
    tier: Tier
    packs: tuple[str, ...]
    decided_at: datetime
    at: datetime
    outcome: Outcome
    headline: str
    sub: str
    valid_until: datetime | None
    max_wave_share: float
    obligations: tuple[str, ...]
    tally: Mapping[State, int]
    score: float
    domains: tuple[DomainCard, ...]
    gaps: tuple[GapRow, ...]
    plan: PlanSummary | None
    since: Since | None
    seats: tuple[SeatView, ...]
    signatures: tuple[SignatureView, ...]
    waivers: tuple[WaiverView, ...]
    waiting_for: tuple[str, ...]
    refused: tuple[Refused, ...]
    evidence: tuple[EvidenceEntry, ...]
    proof: Proof

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, area by area."""
        return tuple(row for card in self.domains for row in card.rows)


def build_scorecard(  # noqa: PLR0917 - the six parts of one view, in the order in which they come about
    case: CaseFile, decision: Decision, gaps: Sequence[Gap], plan: Plan, evidence: OnRecord, at: datetime
) -> Scorecard:
    """Assemble the scorecard of a decision.

    Args:
        case: everything on record; its profile is the one that was decided by.
        decision: what the gate says.
        gaps: open gaps of this decision.
        plan: made of these gaps.
        evidence: opened envelopes with their ledger index, by digest; entries that the decision had not seen yet are
            left out.
        at: the instant of the view.

    Raises:
        NoWorkspace: no use case or no policy is on record (RW-115).
    """
    use_case, profile = _required(case)
    seen = {digest: each for digest, each in evidence.items() if each[1] < decision.head.size}
    cards = domain_cards(profile, decision, seen, at)
    rows = gap_rows(gaps, plan, decision)
    summary = plan_summary(rows, plan, decision)
    waiting = tuple(enum_words(role) for role in decision.waiting_for)
    return Scorecard(
        use_case_id=use_case.id,
        title=use_case.title,
        question=question(use_case.title, profile.gate),
        intended_use=use_case.intended_use,
        decision_supported=use_case.decision,
        gate_id=decision.gate_id,
        gate_title=profile.gate.title,
        release=short_digest(decision.release_digest),
        tier=decision.tier,
        packs=tuple(f"{pack.id}@{pack.version}" for pack in profile.packs),
        decided_at=decision.at,
        at=at,
        outcome=decision.outcome,
        headline=headline(decision),
        sub=_sub(decision, summary, len(rows), waiting),
        valid_until=decision.valid_until,
        max_wave_share=decision.max_wave_share,
        obligations=decision.obligations,
        tally=_tally(decision),
        score=_score(decision.score),
        domains=cards,
        gaps=rows,
        plan=summary,
        since=since_last(case, decision),
        seats=seats(case, decision),
        signatures=signatures(case, decision),
        waivers=waivers(case, decision),
        waiting_for=waiting,
        refused=decision.refused,
        evidence=evidence_entries(profile, [d for card in cards for row in card.rows for d in row.evidence], seen),
        proof=_proof(decision),
    )


def question(title: str, gate: Gate) -> str:
    """The one question that the page answers. A title in sentence case loses its capital; a name or acronym keeps it."""
    first, _, rest = title.partition(" ")
    name = f"{first.lower()} {rest}".rstrip() if _capitalised(first) else title
    return f"Can {name} go live?" if gate.id == "go-live" else f"Can {name} pass the gate “{gate.title}”?"


def _capitalised(word: str) -> bool:
    """Whether only its place at the start makes the word large: ``Breast-mass``, but not ``X-ray`` or ``GPT-4``."""
    head, *tail = word.split("-")
    return len(head) > 1 and head[0].isupper() and all(part.islower() for part in (head[1:], *tail))


def _required(case: CaseFile) -> tuple[UseCase, Profile]:
    if case.use_case is None or case.profile is None:
        raise NoWorkspace("No use case with a policy is on record yet.", remedy="Run roadworthy inspect first.")
    return case.use_case, case.profile


def _sub(decision: Decision, plan: PlanSummary | None, gaps: int, waiting: tuple[str, ...]) -> str:
    """What follows from the verdict."""
    told: list[str] = []
    if decision.blocking and plan is not None:
        told.append(
            f"Closing {counted(gaps, 'gap')} takes an estimated {plan.person_days_words}; "
            f"the gate can open by {_dates(plan)}."
        )
        if plan.deferred:
            told.append(f"{sentence(counted(len(plan.deferred), 'gap'))} {_is_are(plan.deferred)} deferred.")
    if waiting and not decision.blocking:
        told.append(f"It waits for the signature of {listed(waiting)}.")
    if decision.outcome is Outcome.CONDITIONAL:
        told.append(f"At most {number(decision.max_wave_share * _HUNDREDTHS)} % of the population may be served.")
    if decision.outcome in _STANDING and decision.valid_until is not None:
        told.append(
            f"This holds until {instant_words(decision.valid_until)}, unless something that it rests on changes."
        )
    return " ".join(told)


def _dates(plan: PlanSummary) -> str:
    likely = f"{plan.p90_words} (nine in ten)"
    return likely if plan.p50_on == plan.p90_on else f"{plan.p50_words} (even odds), by {likely}"


def _is_are(items: Sequence[str]) -> str:
    return "is" if len(items) == 1 else "are"


def _tally(decision: Decision) -> dict[State, int]:
    counts = {state: sum(reading.state is state for reading in decision.readings) for state in State}
    return {state: count for state, count in counts.items() if count}


def _score(score: Mapping[ReadinessDomain, float]) -> float:
    return min(score.values(), default=0.0)


def _proof(decision: Decision) -> Proof:
    return Proof(
        ledger_size=decision.head.size,
        root=decision.head.root,
        note=decision.head.note,
        decision_digest=decision_digest(decision),
        basis_digest=decision.basis_digest,
        release_digest=decision.release_digest,
        subject_digest=decision.subject_digest,
        profile_digest=decision.profile_digest,
        gate_command="roadworthy gate --json",
        export_command="roadworthy export bundle.zip",
        verify_command="roadworthy verify bundle.zip",
        offline_command="python -m roadworthy.ledger.verify bundle.zip",
    )
