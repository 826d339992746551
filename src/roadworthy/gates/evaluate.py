"""The decision. Owns the seven steps from evidence, waivers and signatures to what a gate says at one instant.

Pure: equal inputs give equal bytes, in any order of the inputs, on any machine. It reads no clock, asks no service and
never raises for what an envelope says. Each step's conditions live in a file of their own.

Rules kept here:
1. Absence never passes: a profile without criteria, and a gate that asks nobody to sign, stay closed.
2. No signature and no waiver opens a gate over a criterion that may not be waived.
3. A profile that was made for another use case or tier decides nothing.
4. Whatever could not count stands in ``refused`` with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.domain.criterion import Criterion, Profile, ReadinessDomain
from roadworthy.domain.decision import Decision, LedgerHead, Outcome, Reading, Refused, State
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.people import Person, Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Subject, UseCase
from roadworthy.domain.waiver import Invalidation
from roadworthy.gates import reason
from roadworthy.gates.admit import Admission, Admitted, admit
from roadworthy.gates.envelope import refuse, stamp
from roadworthy.gates.esign import barred_builders
from roadworthy.gates.gaps import gap_effort, gap_kind
from roadworthy.gates.order import cheapest_order
from roadworthy.gates.quorum import MOST_SEATS, Quorum, fill_seats, overfull
from roadworthy.gates.state import Assessment, Circumstances, Seen, assess, misfit, proven_until
from roadworthy.gates.waiver import InForce, waivers_in_force
from roadworthy.ports.trust import Trust

VERSION = 1
"""Of the decision record's shape."""

NOT_AN_ENTRY = -1
"""Index of what is refused although it is no envelope: the profile itself."""

_GOOD = (State.SATISFIED, State.NOT_APPLICABLE)
_STANDING = (Outcome.OPEN, Outcome.CONDITIONAL)


def decide(  # noqa: PLR0917  # the order of the normative signature
    profile: Profile,
    evidence: Iterable[Sealed],
    waivers: Iterable[Sealed],
    signatures: Iterable[Sealed],
    ledger_head: LedgerHead,
    at: datetime,
    *,
    use_case: UseCase,
    subject: Subject,
    people: Mapping[str, Person],
    trust: Trust,
    invalidations: Iterable[Invalidation] = (),
    waiver_approvals: Iterable[Sealed] = (),
    previous: Decision | None = None,
) -> Decision:
    """Decide one gate at one instant.

    1. verify every envelope and signature; 2. match evidence to criteria by the id inside the signed statement;
    3. compute the states, and lay the waivers in force over them; 4. OPEN iff every criterion is SATISFIED or
    NOT_APPLICABLE and the quorum signed *this* basis digest; 5. CONDITIONAL if the rest are validly WAIVED, with the
    obligations and the cap on the wave; 6. otherwise CLOSED, with what blocks and the cheapest order to unblock;
    7. ``valid_until`` is the earliest expiry of anything that it rests on, and a gate that was open before and is not
    now has LAPSED. A prohibited use (R0) is CLOSED whatever else holds.

    Args:
        profile: policy in force.
        evidence, waivers, signatures, waiver_approvals: envelopes, each of its kind, in any order.
        ledger_head, at: the checkpoint to embed, and the one instant, aware.
        use_case: whose builders and tier bind the gate.
        subject: the release at hand and everything that evidence may depend on.
        people, trust: who is registered, by id, and what verifies signatures.
        invalidations: events on record.
        previous: the last decision on this gate that was OPEN or CONDITIONAL.
    """
    # 1
    admission = admit(evidence, trust, at=at, use_case_id=use_case.id)
    # 2, 3
    circumstances = Circumstances(
        subject=subject,
        tier=profile.tier,
        at=at,
        people=people,
        barred=barred_builders(profile, use_case),
        invalidations=tuple(invalidations),
    )
    weighed = _weigh(profile, admission, circumstances, waivers, waiver_approvals, trust=trust)
    # 4 to 6
    basis = _basis(profile, use_case, subject, weighed.readings)
    quorum = fill_seats(
        signatures, profile=profile, use_case=use_case, basis_digest=basis.digest, people=people, trust=trust, at=at
    )
    unfit = _unfit(profile, basis.profile_digest, use_case, subject)
    outcome = Outcome.CLOSED if unfit else _outcome(profile.tier, weighed.readings, quorum)
    # 7
    lapsed_from = _lapsed_from(previous, profile, use_case) if outcome is Outcome.CLOSED else None
    return Decision(
        version=VERSION,
        gate_id=profile.gate.id,
        use_case_id=use_case.id,
        release_digest=subject.release_digest,
        subject_digest=basis.subject_digest,
        profile_digest=basis.profile_digest,
        tier=profile.tier,
        at=at,
        head=ledger_head,
        outcome=Outcome.LAPSED if lapsed_from else outcome,
        basis_digest=basis.digest,
        readings=weighed.readings,
        blocking=weighed.blocking,
        unblock_order=_unblock_order(profile.criteria, weighed),
        waiting_for=quorum.waiting_for,
        quorum=quorum.seats,
        refused=tuple(sorted((*unfit, *weighed.refused, *quorum.refused), key=_by_place)),
        obligations=weighed.obligations,
        max_wave_share=_SHARE_WHEN.get(outcome, profile.gate.conditional_wave_share),
        valid_until=min((r.expires_at for r in weighed.readings if r.expires_at and r.expires_at > at), default=None),
        lapsed_from=lapsed_from,
        score=_score(profile.criteria, weighed),
    )


def decision_digest(decision: Decision) -> str:
    """The digest by which a decision is known: over everything in it."""
    return digest_of(to_json(decision))


class _Weighed(NamedTuple):
    """Steps 2 and 3: readings in the profile's order, and what could not count."""

    assessments: tuple[Assessment, ...]
    readings: tuple[Reading, ...]
    obligations: tuple[str, ...]
    refused: tuple[Refused, ...]

    @property
    def blocking(self) -> tuple[str, ...]:
        return tuple(r.criterion_id for r in self.readings if r.state not in (*_GOOD, State.WAIVED))


def _weigh(
    profile: Profile,
    admission: Admission,
    circumstances: Circumstances,
    waivers: Iterable[Sealed],
    approvals: Iterable[Sealed],
    *,
    trust: Trust,
) -> _Weighed:
    # 2
    matched = _match(profile, admission.admitted, circumstances)
    # 3
    assessments = tuple(assess(each, circumstances) for each in matched.seen)
    in_force = waivers_in_force(
        waivers,
        approvals,
        profile=profile,
        subject=circumstances.subject,
        people=circumstances.people,
        barred=circumstances.barred,
        trust=trust,
        proven_by=lambda digest: _proven_by(digest, admission, matched, circumstances),
        at=circumstances.at,
    )
    readings = tuple(_waive(each.reading, in_force) for each in assessments)
    return _Weighed(
        assessments,
        readings,
        tuple(in_force.waivers[r.criterion_id].obligation for r in readings if r.waiver_id is not None),
        (*admission.refused, *matched.refused, *in_force.refused),
    )


class _Matched(NamedTuple):
    seen: list[Seen]
    refused: list[Refused]


def _proven_by(digest: str, admission: Admission, matched: _Matched, c: Circumstances) -> dict[str, datetime] | None:
    if all(each.sealed.digest != digest for each in admission.admitted):
        return None
    ends = {seen.criterion.id: proven_until(seen, digest, c) for seen in matched.seen}
    return {id_: end for id_, end in ends.items() if end is not None}


def _match(profile: Profile, admitted: Sequence[Admitted], c: Circumstances) -> _Matched:
    """Evidence by criterion and leg. Evidence that nothing can use is refused, with every reason."""
    criteria = {criterion.id: criterion for criterion in profile.criteria}
    runs: dict[str, list[Admitted]] = {id_: [] for id_ in criteria}
    words: dict[str, dict[Role, list[Admitted]]] = {id_: {} for id_ in criteria}
    refused: list[Refused] = []
    for each in admitted:
        named = [criteria[id_] for id_ in dict.fromkeys(ref.id for ref in each.evidence.criteria) if id_ in criteria]
        faults = [misfit(each.evidence, criterion, c) for criterion in named]
        for criterion, fault in zip(named, faults, strict=True):
            if fault is not None:
                continue
            if each.evidence.attestation is None:
                runs[criterion.id].append(each)
            else:
                words[criterion.id].setdefault(each.evidence.attestation.role, []).append(each)
        if None not in faults:
            refused.append(
                refuse(each.sealed, "; ".join(dict.fromkeys(filter(None, faults))) or "matches no criterion")
            )
    seen = [
        Seen(rule, tuple(runs[rule.id]), {role: tuple(said) for role, said in words[rule.id].items()})
        for rule in profile.criteria
    ]
    return _Matched(seen, refused)


def _waive(reading: Reading, in_force: InForce) -> Reading:
    waiver = in_force.waivers.get(reading.criterion_id)
    if waiver is None or reading.state in _GOOD:
        return reading
    # What was measured ends too, and with it the basis that people signed; what is missing or stale has no end to come.
    ends_too = reading.state in (State.NOT_SATISFIED, State.INDETERMINATE)
    end = in_force.ends[reading.criterion_id]
    return replace(
        reading,
        state=State.WAIVED,
        underlying=reading.state,
        reason=reason.sentence((reading.reason.rstrip("."), reason.waived(waiver.id, stamp(waiver.expires_at)))),
        expires_at=min(reading.expires_at, end) if ends_too and reading.expires_at else end,
        waiver_id=waiver.id,
    )


class _Basis(NamedTuple):
    digest: str
    profile_digest: str
    subject_digest: str


def _basis(profile: Profile, use_case: UseCase, subject: Subject, readings: Sequence[Reading]) -> _Basis:
    """What people sign: the rules, the subject, and what was found; neither the words, nor the instant, nor who signed."""
    profile_digest, subject_digest = profile.digest, digest_of(to_json(subject))
    found = [
        {
            "criterion_id": reading.criterion_id,
            "state": reading.state.value,
            "underlying": reading.underlying.value if reading.underlying else None,
            "evidence": list(reading.evidence),
            "waiver_id": reading.waiver_id,
        }
        for reading in readings
    ]
    signed = {
        "gate_id": profile.gate.id,
        "use_case_id": use_case.id,
        "subject_digest": subject_digest,
        "profile_digest": profile_digest,
        "tier": profile.tier.value,
        "readings": found,
    }
    return _Basis(digest_of(signed), profile_digest, subject_digest)


_SHARE_WHEN = {Outcome.OPEN: 1.0, Outcome.CLOSED: 0.0}


def _unfit(profile: Profile, profile_digest: str, use_case: UseCase, subject: Subject) -> tuple[Refused, ...]:
    """Why this profile and subject cannot decide on this use case; empty when they can."""
    faults: list[str] = []
    if not profile.use_case_id == subject.use_case_id == use_case.id:
        faults.append(f"profile and release are not both of the use case {use_case.id!r}")
    if profile.tier is not use_case.tier:
        faults.append(f"the profile is for tier {profile.tier.value}, the use case is {use_case.tier.value}")
    faults += [
        f"it asks for more than {MOST_SEATS} signatures, which nobody can fill: {rule.count} as {rule.role.value}"
        for rule in overfull(profile.gate)
    ]
    return tuple(Refused(digest=profile_digest, index=NOT_AN_ENTRY, reason=fault) for fault in faults)


def _outcome(tier: Tier, readings: Sequence[Reading], quorum: Quorum) -> Outcome:
    states = {reading.state for reading in readings}
    if tier is Tier.R0 or not states or not quorum.complete:
        return Outcome.CLOSED
    # 4
    if states.issubset(_GOOD):
        return Outcome.OPEN
    # 5, 6
    return Outcome.CONDITIONAL if states.issubset((*_GOOD, State.WAIVED)) else Outcome.CLOSED


def _lapsed_from(previous: Decision | None, profile: Profile, use_case: UseCase) -> str | None:
    if previous is None or previous.outcome not in _STANDING or profile.tier is Tier.R0:
        return None
    same_gate = (previous.gate_id, previous.use_case_id) == (profile.gate.id, use_case.id)
    return decision_digest(previous) if same_gate else None


def _by_place(refused: Refused) -> tuple[int, str, str]:
    return (refused.index, refused.digest, refused.reason)


def _unblock_order(criteria: Sequence[Criterion], weighed: _Weighed) -> tuple[str, ...]:
    pairs = [(c, r) for c, r in zip(criteria, weighed.readings, strict=True) if c.id in weighed.blocking]
    cost_days = {c.id: gap_effort(c, gap_kind(r)).likely_days for c, r in pairs}
    return cheapest_order(cost_days, {c.id: c.gap_depends_on for c, _ in pairs})


def _score(criteria: Sequence[Criterion], weighed: _Weighed) -> dict[ReadinessDomain, float]:
    """For display only: the mean by domain of 1 for executed, 0.5 for attested, 0 for anything else.

    What does not apply is left out; a domain of which nothing applies has no score.
    """
    points: dict[ReadinessDomain, list[float]] = {}
    for criterion, assessment, reading in zip(criteria, weighed.assessments, weighed.readings, strict=True):
        if reading.state is State.NOT_APPLICABLE:
            continue
        worth = (1.0 if assessment.executed else 0.5) if reading.state is State.SATISFIED else 0.0
        points.setdefault(criterion.domain, []).append(worth)
    return {domain: sum(points[domain]) / len(points[domain]) for domain in ReadinessDomain if domain in points}
