"""Rows of the scorecard: one per required criterion. Owns what a row says; states come from the decision as they are.

Rules kept here:
1. A number stands in a row only when evidence that was not refused holds it; what was never measured has no figure.
2. Time left is counted from the instant of the view to the expiry that the decision states.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.clock import SECONDS_PER_DAY
from roadworthy.domain.criterion import Criterion, Kind, Profile, ReadinessDomain, Source
from roadworthy.domain.decision import Decision, Reading, State
from roadworthy.domain.evidence import Claim, Evidence, RunOutcome
from roadworthy.domain.risk import Tier
from roadworthy.gates.reason import Cause, causes
from roadworthy.reports.figure import Figure, bound_words, deciding_figure
from roadworthy.reports.words import domain_words, enum_words, grouped, in_words, metric_words, span_words, state_word

OnRecord = Mapping[str, tuple[Evidence, int]]
"""Evidence and its ledger index, by envelope digest."""

_SHOULD_RUN = frozenset({Cause.NEVER_RUN, Cause.RUN_STALE, Cause.INCOMPLETE})
_SHOULD_SIGN = frozenset({Cause.NOT_SIGNED, Cause.SIGNATURE_STALE})
_PASSES = (State.SATISFIED, State.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long what a row rests on stays valid.

    Attributes:
        words: ``140 d left``, ``fresh``, ``expired``; empty when it rests on nothing.
        left_days: until the exclusive end; None when it rests on nothing, 0 when it is over.
        used_share: of the whole validity, in [0, 1]; None when it rests on nothing.
    """

    words: str
    left_days: float | None
    used_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One criterion.

    Attributes:
        criterion_id: which.
        title: of the criterion.
        kind: sort of proof that it takes.
        state: as decided.
        state_word: the same for people.
        underlying: the state beneath a waiver.
        reason: of the decision, one sentence.
        figure: the number that speaks for it; None when there is none.
        said: what stands where there is no figure.
        detail: what else a reader must know; empty when figure or ``said`` says it all.
        life: how long it stays valid.
        command: what to run or sign next; empty when nothing of the kind helps.
        acceptance: its predicates in words.
        sources: documents and clauses.
        evidence: digests of the envelopes that it rests on, newest last.
        waiver_id: the waiver that covers it.
        observed_s: how long the newest run took, in seconds; None without one.
        remedies: findings of the newest run, each with its remedy.
    """

    criterion_id: str
    title: str
    kind: Kind
    state: State
    state_word: str
    underlying: State | None
    reason: str
    figure: Figure | None
    said: str
    detail: str
    life: Life
    command: str
    acceptance: tuple[str, ...]
    sources: tuple[Source, ...]
    evidence: tuple[str, ...]
    waiver_id: str | None
    observed_s: float | None
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCard:
    """One of the four areas, with its rows in the profile's order.

    Attributes:
        domain: which.
        title: for people.
        passed: rows that are satisfied or not applicable.
        score: readiness in [0, 1]; for display only.
        rows: the criteria.
    """

    domain: ReadinessDomain
    title: str
    passed: int
    score: float
    rows: tuple[Row, ...]


def domain_cards(profile: Profile, decision: Decision, evidence: OnRecord, at: datetime) -> tuple[DomainCard, ...]:
    """Rows by area; an area without criteria is left out.

    Args:
        profile: the criteria.
        decision: their states.
        evidence: everything on record.
        at: the instant of the view.
    """
    criteria = {criterion.id: criterion for criterion in profile.criteria}
    refused = {each.digest for each in decision.refused}
    admitted = {digest: seen for digest, seen in evidence.items() if digest not in refused}
    cards = []
    for domain in ReadinessDomain:
        rows = tuple(
            _row(criteria[reading.criterion_id], reading, admitted, profile.tier, at)
            for reading in decision.readings
            if criteria[reading.criterion_id].domain is domain
        )
        if rows:
            passed = sum(row.state in _PASSES for row in rows)
            score = decision.score.get(domain, 0.0)
            cards.append(DomainCard(domain=domain, title=domain_words(domain), passed=passed, score=score, rows=rows))
    return tuple(cards)


def _row(criterion: Criterion, reading: Reading, admitted: OnRecord, tier: Tier, at: datetime) -> Row:
    about = _about(criterion, admitted)
    runs = [admitted[digest][0] for digest in about if admitted[digest][0].check == criterion.check]
    run = runs[-1] if runs else None
    words = [each for each in (admitted[digest][0] for digest in about) if each.attestation is not None]
    figure = deciding_figure(criterion, run.estimates) if run is not None else None
    return Row(
        criterion_id=criterion.id,
        title=criterion.title,
        kind=criterion.kind,
        state=reading.state,
        state_word=state_word(reading.state),
        underlying=reading.underlying,
        reason=in_words(reading.reason),
        figure=figure,
        said="" if figure is not None else _said(reading, words),
        detail=_detail(reading, run, figure),
        life=_life(criterion, reading, tier, at),
        command=_command(criterion, reading),
        acceptance=tuple(
            f"{metric_words(p.metric)} {bound_words(p)}, from {p.n_min} on; {p.provenance}"
            for p in criterion.acceptance
        ),
        sources=criterion.sources,
        evidence=reading.evidence or tuple(about[-1:]),
        waiver_id=reading.waiver_id,
        observed_s=(run.observed_until - run.observed_from).total_seconds() if run is not None else None,
        remedies=tuple(f"{finding.what} {finding.remedy}" for finding in run.findings) if run is not None else (),
    )


def _about(criterion: Criterion, admitted: OnRecord) -> list[str]:
    """Digests of what speaks of the criterion, newest last, in the order in which the gate takes them."""
    found = [digest for digest, (seen, _) in admitted.items() if any(ref.id == criterion.id for ref in seen.criteria)]
    return sorted(found, key=lambda d: (admitted[d][0].observed_until, admitted[d][0].produced_at, admitted[d][1]))


def _said(reading: Reading, words: Iterable[Evidence]) -> str:
    """What stands where no number does: who signed, or why there is nothing."""
    newest = [each.attestation for each in words if each.attestation is not None][-1:]
    if newest and reading.state in (State.SATISFIED, State.NOT_APPLICABLE, State.NOT_SATISFIED):
        word = newest[0]
        verb = {Claim.MET: "Signed", Claim.NOT_MET: "Refused", Claim.NOT_APPLICABLE: "Declared not applicable"}[
            word.claim
        ]
        return f"{verb} by {word.printed_name}, {enum_words(word.role)}: “{word.reason}”"
    return in_words(_unwaived(reading))


def _detail(reading: Reading, run: Evidence | None, figure: Figure | None) -> str:
    """What the figure leaves open: the first finding, or the reason of the gate."""
    states = (reading.state, reading.underlying)
    failing = State.NOT_SATISFIED in states or State.INDETERMINATE in states
    if run is not None and run.outcome is RunOutcome.COMPLETED and failing and run.findings:
        more = len(run.findings) - 1
        return run.findings[0].what + (f" And {more} more." if more else "")
    if figure is None or reading.state is State.SATISFIED:
        return ""
    if Cause.MORE_DATA in causes(reading.reason):
        return f"More data is needed: {_shortage(figure)}."
    return in_words(_unwaived(reading))


def _unwaived(reading: Reading) -> str:
    """What the waiver covers; the waiver itself, and when it ends, stand elsewhere in the row."""
    if reading.waiver_id is None:
        return reading.reason
    return reading.reason.rpartition(f"; {Cause.WAIVED.value}")[0].rstrip(".") + "."


def _shortage(figure: Figure) -> str:
    """The figure stands beside it, so only what it lacks is said."""
    if figure.n_min is not None and figure.n < figure.n_min:
        return f"{grouped(figure.n)} of at least {grouped(figure.n_min)}"
    return "the interval straddles the bound"


def _life(criterion: Criterion, reading: Reading, tier: Tier, at: datetime) -> Life:
    if reading.expires_at is None:
        return Life(words="", left_days=None, used_share=None)
    left_s = (reading.expires_at - at).total_seconds()
    if left_s <= 0 or reading.state is State.STALE:
        return Life(words="expired" if left_s <= 0 else "no longer valid", left_days=0.0, used_share=1.0)
    whole_days = criterion.max_age_days.get(tier, 0.0)
    left_days = left_s / SECONDS_PER_DAY
    used = min(max(1 - left_days / whole_days, 0.0), 1.0) if whole_days > 0 else 0.0
    return Life(words=f"{span_words(left_s)} left", left_days=left_days, used_share=used)


def _command(criterion: Criterion, reading: Reading) -> str:
    """The next command, when running or signing is what it takes."""
    found = causes(reading.reason)
    # A signature helps nobody while the run that it would complete has no instrument.
    if Cause.NO_INSTRUMENT in found:
        return ""
    if criterion.check is not None and _SHOULD_RUN & found:
        return "roadworthy inspect"
    if reading.state in (State.MISSING, State.STALE) and _SHOULD_SIGN & found:
        return f"roadworthy sign {criterion.id}"
    return ""
