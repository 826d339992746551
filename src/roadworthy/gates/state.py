"""The state of one criterion. Owns the total function with seven values; waivers are laid over it by ``evaluate``.

A criterion stands on legs: one for its check, when runs prove it, and one for each role that must sign. Every leg has a
state of its own and the worst decides: NOT_SATISFIED, INDETERMINATE, MISSING, STALE, SATISFIED, in this order.

Rules kept here:
1. In each leg the newest evidence decides, by the end of what it observed, then by when it was produced, then by its
   place in the ledger. Newer trouble is never covered by an older pass; newer staleness is not either.
2. Two complete runs with opposite verdicts over overlapping windows are a contradiction: nothing can be told. Age does
   not settle it, or a gate could open by waiting.
3. Verdicts are computed here from the estimates; what the evidence says of itself is not read.
4. What a person signs as a check run is worth no more than that person's word.
5. Evidence that no leg can use is told why, so that it can be reported: a yes that is not valid in form is one.
6. What a person signs beside a check, such as a threshold, does not hang on the data that the check measured: the next
   window of the feed makes the run stale, not the signature.
7. A run proves nothing unless its negative control failed, whoever ran it.
8. Everybody who must sign can excuse a criterion together, nobody alone, and nobody over a run of this subject that
   missed the bound.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from roadworthy.domain.criterion import Assurance, Criterion, Kind, Verdict, judge_all
from roadworthy.domain.decision import Reading, State
from roadworthy.domain.evidence import Attestation, Claim, Evidence, RunOutcome
from roadworthy.domain.people import Person, Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject
from roadworthy.domain.waiver import Invalidation
from roadworthy.gates import reason
from roadworthy.gates.admit import Admitted
from roadworthy.gates.credible import credible
from roadworthy.gates.esign import form_fault, says_no
from roadworthy.gates.freshness import Validity, irrelevance, validity

_WINDOWS = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
_WORST_FIRST = (
    State.NOT_SATISFIED,
    State.INDETERMINATE,
    State.MISSING,
    State.STALE,
    State.SATISFIED,
    # Never beside another: either everybody excuses the criterion, or nobody does.
    State.NOT_APPLICABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What every criterion of one decision is judged under; the ``barred`` may excuse nothing."""

    subject: Subject
    tier: Tier
    at: datetime
    people: Mapping[str, Person]
    barred: Collection[str]
    invalidations: tuple[Invalidation, ...]


class Seen(NamedTuple):
    """A criterion with the evidence that its legs can use.

    Attributes:
        criterion: what is judged.
        runs: of its check.
        words: attestations by role.
    """

    criterion: Criterion
    runs: tuple[Admitted, ...]
    words: Mapping[Role, tuple[Admitted, ...]]


class Assessment(NamedTuple):
    """A reading, and whether a run of assurance ``executed`` carries it; the latter is for the score only."""

    reading: Reading
    executed: bool


class _Leg(NamedTuple):
    state: State
    clause: str
    evidence: tuple[Admitted, ...] = ()
    expires_at: datetime | None = None
    executed: bool = False


def misfit(evidence: Evidence, criterion: Criterion, circumstances: Circumstances) -> str | None:
    """Why no leg of the criterion can use evidence that names it; None when one can."""
    if evidence.attestation is None:
        return _run_misfit(evidence, criterion, circumstances.people)
    word = evidence.attestation
    return _word_misfit(word, criterion, circumstances) or _given_fault(evidence, word, circumstances)


def _run_misfit(evidence: Evidence, criterion: Criterion, people: Mapping[str, Person]) -> str | None:
    if not _takes_runs(criterion) or criterion.check is None:
        return f"no check run can prove {criterion.id}"
    if evidence.check != criterion.check:
        return f"{criterion.id} is proven by {criterion.check}, not by {evidence.check}"
    worth = _worth(evidence, people)
    if worth.rank < criterion.min_assurance.rank:
        return f"{criterion.id} asks for evidence that is {criterion.min_assurance.value}; this is {worth.value}"
    return None


def _given_fault(evidence: Evidence, word: Attestation, c: Circumstances) -> str | None:
    if evidence.outcome is not RunOutcome.COMPLETED:
        return f"it was not completed ({evidence.outcome.value})"
    return None if says_no(word) else form_fault(word, evidence.produced_at, c.people[word.person_id])


def _word_misfit(word: Attestation, criterion: Criterion, c: Circumstances) -> str | None:
    person = c.people.get(word.person_id)
    if person is None or word.role not in person.roles:
        return f"{word.person_id} does not hold the role {word.role.value}"
    if _claim(word) is Claim.NOT_APPLICABLE:
        if not criterion.may_not_apply:
            return f"{criterion.id} always applies in this profile"
        if word.person_id in c.barred:
            return f"{word.person_id} built this system and cannot excuse {criterion.id} at tier {c.tier.value}"
        return None if word.role in _asked(criterion) else f"{criterion.id} is not signed as {word.role.value}"
    return None if word.role in criterion.signer_roles else f"{criterion.id} is not signed as {word.role.value}"


def assess(seen: Seen, circumstances: Circumstances) -> Assessment:
    """The state of one criterion at one instant; total.

    1. the check leg, when the criterion is proven by runs; 2. one leg for each role that must sign; 3. the newest words
    of everybody who must sign, when all of them are that the criterion does not apply, settle it, unless a run of this
    subject, or the newest run when it came later, misses the bound; 4. otherwise the worst leg decides.
    """
    criterion, digest = seen.criterion, seen.criterion.digest
    # 1
    legs = [_check_leg(seen, circumstances, digest)] if _takes_runs(criterion) else []
    # 2
    words = [
        _word_leg(role, seen, circumstances, digest)
        for role in dict.fromkeys((*criterion.signer_roles, *seen.words))
        if seen.words.get(role)
    ]
    # 3
    if _excused(seen, words, circumstances):
        return _assessment(criterion, State.NOT_APPLICABLE, [word.leg for word in words])
    # 4. A rationale of an owner who need not sign is no leg.
    legs += [_unexcused(word) for word in words if word.role in criterion.signer_roles]
    unsigned = [role for role in dict.fromkeys(criterion.signer_roles) if not seen.words.get(role)]
    if unsigned:
        legs.append(_Leg(State.MISSING, reason.not_signed(unsigned)))
    if not legs:
        legs.append(_Leg(State.MISSING, reason.no_signer()))
    return _assessment(criterion, min(legs, key=_severity).state, legs)


def proven_until(seen: Seen, digest: str, circumstances: Circumstances) -> datetime | None:
    """Exclusive end by age of what one piece of evidence proves of a criterion at present; None when it proves nothing.

    1. the leg of this evidence would be satisfied if nothing else stood in it; 2. the criterion is satisfied, all its
    evidence considered: newer trouble is not covered by an older pass.
    """
    # 1
    criterion_digest = seen.criterion.digest
    alone = [
        _check_leg(seen._replace(runs=(run,)), circumstances, criterion_digest)
        for run in seen.runs
        if run.sealed.digest == digest
    ]
    alone += [
        _word_leg(role, seen._replace(words={role: (word,)}), circumstances, criterion_digest).leg
        for role, words in seen.words.items()
        for word in words
        if word.sealed.digest == digest
    ]
    ends = [leg.expires_at for leg in alone if leg.state is State.SATISFIED and leg.expires_at is not None]
    # 2
    if not ends or assess(seen, circumstances).reading.state is not State.SATISFIED:
        return None
    return max(ends)


def _assessment(criterion: Criterion, state: State, legs: Sequence[_Leg]) -> Assessment:
    told = [leg for leg in legs if leg.state is not State.SATISFIED] or legs
    rests_on = dict.fromkeys(each.sealed.digest for each in sorted((e for leg in legs for e in leg.evidence), key=_age))
    ends = [leg.expires_at for leg in legs if leg.state is state and leg.expires_at is not None]
    reading = Reading(
        criterion_id=criterion.id,
        state=state,
        reason=reason.sentence(leg.clause for leg in sorted(told, key=_severity)),
        evidence=tuple(rests_on),
        expires_at=min(ends, default=None),
    )
    return Assessment(reading, state is State.SATISFIED and any(leg.executed for leg in legs))


def _severity(leg: _Leg) -> int:
    return _WORST_FIRST.index(leg.state)


def _takes_runs(criterion: Criterion) -> bool:
    return criterion.kind in (Kind.EXECUTABLE, Kind.MEASURED)


def _worth(evidence: Evidence, people: Mapping[str, Person]) -> Assurance:
    return Assurance.SELF_ATTESTED if evidence.producer in people else evidence.assurance


def _claim(word: Attestation) -> Claim:
    return Claim.NOT_MET if says_no(word) else word.claim


def _asked(criterion: Criterion) -> tuple[Role, ...]:
    return criterion.signer_roles or (criterion.owner_role,)


def _age(admitted: Admitted) -> tuple[datetime, datetime, int, str]:
    evidence, sealed = admitted.evidence, admitted.sealed
    return (evidence.observed_until, evidence.produced_at, sealed.index, sealed.digest)


def _validity(admitted: Admitted, criterion: Criterion, c: Circumstances, digest: str) -> Validity:
    return validity(
        admitted.evidence,
        criterion,
        subject=c.subject,
        tier=c.tier,
        at=c.at,
        invalidations=c.invalidations,
        criterion_digest=digest,
    )


def _check_leg(seen: Seen, c: Circumstances, digest: str) -> _Leg:
    """1. an instrument exists; 2. it ran; 3. its newest run still counts; 4. no other run contradicts it; 5. its numbers."""
    criterion = seen.criterion
    # 1
    if criterion.check is None:
        return _Leg(State.MISSING, reason.no_instrument())
    # 2
    if not seen.runs:
        return _Leg(State.MISSING, reason.never_run(criterion.check))
    # 3
    newest = max(seen.runs, key=_age)
    fresh = _validity(newest, criterion, c, digest)
    if fresh.reason is not None:
        return _Leg(State.STALE, reason.run_stale(criterion.check, fresh.reason), (newest,), fresh.expires_at)
    state, clause = _run_state(newest.evidence, criterion)
    # 4
    against = _contradicting(newest, state, seen, c, digest)
    if against:
        return _Leg(State.INDETERMINATE, reason.contradiction(criterion.check), (newest, *against), fresh.expires_at)
    # 5
    executed = _worth(newest.evidence, c.people) is Assurance.EXECUTED
    return _Leg(state, clause, (newest,), fresh.expires_at, executed and state is State.SATISFIED)


def _run_state(evidence: Evidence, criterion: Criterion) -> tuple[State, str]:
    """1. only a complete run; 2. only one whose negative control failed; 3. the bounds decide."""
    # 1
    if evidence.outcome is not RunOutcome.COMPLETED:
        return State.INDETERMINATE, reason.incomplete(evidence)
    # 2. A third party's run too: an instrument that was never seen to fail shows nothing by passing.
    if evidence.control is None or not evidence.control.failed:
        return State.INDETERMINATE, reason.control_failed(evidence.check)
    # 3
    verdict = judge_all(criterion.acceptance, credible(evidence.estimates))
    clause = reason.judged(criterion, evidence, verdict)
    return _STATE_OF[verdict], clause


_STATE_OF = {
    Verdict.MET: State.SATISFIED,
    Verdict.NOT_MET: State.NOT_SATISFIED,
    Verdict.CANNOT_TELL: State.INDETERMINATE,
}
_OPPOSITE = {State.SATISFIED: State.NOT_SATISFIED, State.NOT_SATISFIED: State.SATISFIED}


def _contradicting(newest: Admitted, state: State, seen: Seen, c: Circumstances, digest: str) -> tuple[Admitted, ...]:
    opposite = _OPPOSITE.get(state)
    return tuple(
        run
        for run in seen.runs
        if run is not newest
        and _overlap(run.evidence, newest.evidence)
        and _run_state(run.evidence, seen.criterion)[0] is opposite
        and irrelevance(
            run.evidence, seen.criterion, subject=c.subject, invalidations=c.invalidations, criterion_digest=digest
        )
        is None
    )


def _overlap(one: Evidence, other: Evidence) -> bool:
    """Whether two windows share an instant; equal windows do, even empty ones."""
    if (one.observed_from, one.observed_until) == (other.observed_from, other.observed_until):
        return True
    return one.observed_from < other.observed_until and other.observed_from < one.observed_until


class _Word(NamedTuple):
    role: Role
    claim: Claim
    newest: Admitted
    leg: _Leg


def _word_leg(role: Role, seen: Seen, c: Circumstances, digest: str) -> _Word:
    newest = max(seen.words[role], key=_age)
    windows = _WINDOWS if seen.criterion.check is not None else frozenset()
    spoken_of = replace(seen.criterion, depends_on=seen.criterion.depends_on - windows)
    fresh = _validity(newest, spoken_of, c, digest)
    word = newest.evidence.attestation
    assert word is not None  # misfit() lets only attestations in here
    claim = _claim(word)
    if fresh.reason is not None:
        leg = _Leg(State.STALE, reason.signature_stale(role, fresh.reason), (newest,), fresh.expires_at)
    else:
        state, cause = _SAID[claim]
        leg = _Leg(state, reason.word_of(cause, word), (newest,), fresh.expires_at)
    return _Word(role, claim, newest, leg)


_SAID = {
    Claim.MET: (State.SATISFIED, reason.Cause.SIGNED),
    Claim.NOT_MET: (State.NOT_SATISFIED, reason.Cause.REFUSED_BY),
    Claim.NOT_APPLICABLE: (State.NOT_APPLICABLE, reason.Cause.NOT_APPLICABLE),
}


def _excused(seen: Seen, words: Sequence[_Word], c: Circumstances) -> bool:
    """Whether everybody who must sign says that the criterion does not apply, and no run stands against it.

    What stands against it does so at any age: else a criterion could come to be excused by waiting.
    """
    rationales = {word.role: word for word in words if word.leg.state is State.NOT_APPLICABLE}
    if any(role not in rationales for role in _asked(seen.criterion)):
        return False
    newest = max((word.newest for word in rationales.values()), key=_age)
    later = [run for run in seen.runs if _age(run) > _age(newest)]
    against = [run for run in seen.runs if _same_subject(run.evidence, seen.criterion, c.subject)]
    against += [max(later, key=_age)] if later else []
    return all(_run_state(run.evidence, seen.criterion)[0] is not State.NOT_SATISFIED for run in against)


def _same_subject(evidence: Evidence, criterion: Criterion, subject: Subject) -> bool:
    return all(subject.parts.get(part) == evidence.inputs.get(part) for part in criterion.depends_on)


def _unexcused(word: _Word) -> _Leg:
    """The leg of a word when the criterion is not excused: that it does not apply does not say that it is met."""
    said = word.newest.evidence.attestation
    if word.leg.state is not State.NOT_APPLICABLE or said is None:
        return word.leg
    return _Leg(State.MISSING, reason.not_excused(said), (word.newest,))
