"""The sentences that say why a criterion is as it is. Owns their words, and reading the cause back from them.

A reading keeps its cause as one sentence and nothing else, so that a person and a program see the same thing. Each clause
opens with fixed words; ``causes`` recognises them. Words that people wrote stand after these and cannot imitate them,
since the mark that separates clauses is taken out of them.
"""

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from roadworthy.domain.criterion import Criterion, Estimate, Predicate, Verdict, judge
from roadworthy.domain.evidence import Attestation, Evidence
from roadworthy.domain.people import Role
from roadworthy.gates.credible import credible, sure

_BETWEEN = "; "


class Cause(Enum):
    """What a clause is about, by its opening words."""

    NO_INSTRUMENT = "no instrument"
    NO_SIGNER = "nobody is named"
    NEVER_RUN = "the check"
    NOT_SIGNED = "nobody has signed"
    RUN_STALE = "the newest run"
    SIGNATURE_STALE = "the newest signature"
    INCOMPLETE = "the last run"
    CONTROL = "the negative control"
    CONTRADICTION = "two runs"
    MORE_DATA = "more data"
    UNDECIDED = "nothing can be told"
    MISSED = "the bound"
    REFUSED_BY = "not met"
    MET = "measured"
    SIGNED = "signed"
    NOT_APPLICABLE = "not applicable"
    WAIVED = "waived"


def sentence(clauses: Iterable[str]) -> str:
    """Clauses, worst first, as one sentence."""
    text = _BETWEEN.join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def causes(reason: str) -> frozenset[Cause]:
    """What a sentence of ``sentence`` is about."""
    clauses = [clause[:1].lower() + clause[1:] for clause in reason.split(_BETWEEN)]
    return frozenset(cause for cause in Cause for clause in clauses if clause.startswith(cause.value))


def quoted(text: str) -> str:
    """Somebody's words, fit to stand inside a clause: one line, no separator, no full stop at the end."""
    return " ".join(text.split()).replace(";", ",").rstrip(".")


def no_instrument() -> str:
    """A criterion that only a run can prove, without a check."""
    return f"{Cause.NO_INSTRUMENT.value} of this version can prove it"


def no_signer() -> str:
    """A criterion that only people can prove, without any."""
    return f"{Cause.NO_SIGNER.value} to sign it"


def never_run(check: str) -> str:
    """No run is on record."""
    return f"{Cause.NEVER_RUN.value} {check} has never run for it"


def not_signed(roles: Sequence[Role]) -> str:
    """No word of these roles is on record."""
    return f"{Cause.NOT_SIGNED.value} it as {', '.join(role.value for role in roles)}"


def run_stale(check: str, why: str) -> str:
    """The deciding run no longer counts."""
    return f"{Cause.RUN_STALE.value} of {check} is stale: {quoted(why)}"


def signature_stale(role: Role, why: str) -> str:
    """The deciding signature no longer counts."""
    return f"{Cause.SIGNATURE_STALE.value} as {role.value} is stale: {quoted(why)}"


def incomplete(evidence: Evidence) -> str:
    """The deciding run ended in an error, or was terminated."""
    what = quoted(evidence.problem or "no reason was given")
    return f"{Cause.INCOMPLETE.value} of {evidence.check} did not complete ({evidence.outcome.value}): {what}"


def control_failed(check: str) -> str:
    """The deciding run did not find the fault that it must find."""
    return f"{Cause.CONTROL.value} of {check} did not fail, so the run proves nothing"


def contradiction(check: str) -> str:
    """Opposite verdicts over one window."""
    return f"{Cause.CONTRADICTION.value} of {check} over the same window contradict each other"


def judged(criterion: Criterion, evidence: Evidence, verdict: Verdict) -> str:
    """What the numbers of a complete run say, by the predicate that decides."""
    estimates = credible(evidence.estimates)
    for predicate in criterion.acceptance:
        if judge(predicate, estimates) is verdict:
            return _figures(predicate, evidence, verdict)
    return f"{Cause.UNDECIDED.value}: the criterion sets no bound"


def _figures(predicate: Predicate, evidence: Evidence, verdict: Verdict) -> str:
    bound = f"{predicate.comparator.value} {predicate.bound:g}{_unit(predicate.unit)}"
    found = [e for e in evidence.estimates if e.metric == predicate.metric and e.cohort is None]
    if verdict is not Verdict.CANNOT_TELL:
        opening = Cause.MET.value if verdict is Verdict.MET else f"{Cause.MISSED.value} is missed,"
        word = "meets" if verdict is Verdict.MET else "is not"
        return f"{opening} {_figure(found[0])} {word} {bound}"
    return _doubt(predicate, found, bound)


def _doubt(predicate: Predicate, found: list[Estimate], bound: str) -> str:
    if len(found) != 1 or found[0].unit != predicate.unit:
        return f"{Cause.UNDECIDED.value}: there is not exactly one estimate of {predicate.metric} in {predicate.unit}"
    interval = found[0].interval
    if not sure(interval):
        return f"{Cause.UNDECIDED.value}: {predicate.metric} is stated at too low a confidence"
    if interval.n < predicate.n_min:
        return f"{Cause.MORE_DATA.value} is needed: {_figure(found[0])}, at least {predicate.n_min} must decide"
    if not interval.known:
        return f"{Cause.UNDECIDED.value}: {predicate.metric} could not be computed"
    if not math.isfinite(predicate.bound):
        return f"{Cause.UNDECIDED.value}: no bound is set for {predicate.metric}"
    return f"{Cause.MORE_DATA.value} is needed: {_figure(found[0])} straddles {bound}"


def _figure(estimate: Estimate) -> str:
    interval, unit = estimate.interval, _unit(estimate.unit)
    span = f"{interval.lower:.4g} to {interval.upper:.4g}{unit}"
    return f"{estimate.metric} {interval.estimate:.4g}{unit} ({span}, n {interval.n})"


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def word_of(cause: Cause, attestation: Attestation) -> str:
    """What a person signed."""
    name, role, why = quoted(attestation.printed_name), attestation.role.value, quoted(attestation.reason)
    said = f"{cause.value} as {role} by {name}" if cause is Cause.SIGNED else f"{cause.value}, says {name} as {role}"
    return f"{said}: {why}"


def not_excused(attestation: Attestation) -> str:
    """Somebody signed that it does not apply, and that is not enough."""
    name, role, why = quoted(attestation.printed_name), attestation.role.value, quoted(attestation.reason)
    return f"{Cause.NOT_APPLICABLE.value}, says {name} as {role}, which does not excuse it: {why}"


def waived(waiver_id: str, until: str) -> str:
    """A valid waiver covers the criterion."""
    return f"{Cause.WAIVED.value} until {until} by {quoted(waiver_id)}"
