"""The words, signs and number forms that the terminal and the report share. Owns how a value reads; decides nothing.

Rules kept here:
1. One state has one word, one sign and one tone everywhere; the tone never stands alone.
2. An estimate and the ends of its interval carry the same number of decimals, and enough of them to show on which side
   of its bound each stands.
3. What is not finite reads ``not known``, never as a number.
4. Dates and numbers do not depend on the locale of the machine.
"""

import math
import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

from roadworthy.base.clock import SECONDS_PER_DAY
from roadworthy.domain.criterion import Comparator, Effort, Kind, ReadinessDomain, Verdict
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Claim, Meaning, RunOutcome
from roadworthy.domain.gap import GapKind
from roadworthy.domain.people import Role

NOT_KNOWN = "not known"


class Look(NamedTuple):
    """How a state shows itself: a word, a sign for terminals, and the name of a tone for those who see colours."""

    word: str
    sign: str
    tone: str


_STATES = {
    State.SATISFIED: Look("Satisfied", "✓", "ok"),
    State.NOT_SATISFIED: Look("Not satisfied", "✗", "bad"),
    State.INDETERMINATE: Look("Cannot tell", "?", "wait"),
    State.MISSING: Look("Missing", "–", "none"),
    State.STALE: Look("Stale", "↻", "wait"),
    State.WAIVED: Look("Waived", "!", "waive"),
    State.NOT_APPLICABLE: Look("Not applicable", "·", "none"),
}
STATE_MEANINGS = {
    State.SATISFIED: "Fresh evidence for this release, worth enough, and the deciding end of the interval meets the bound.",
    State.NOT_SATISFIED: "The whole interval misses the bound, or whoever must sign says no.",
    State.INDETERMINATE: "Too little data, an interval across the bound, a run that did not complete, or a negative "
    "control that did not fail. Never a pass.",
    State.MISSING: "No check has run for it, or nobody has signed it. Never a pass.",
    State.STALE: "Too old, or something that it depends on changed since.",
    State.WAIVED: "Allowed through for a while by two people; not satisfied, and never counted as a pass.",
    State.NOT_APPLICABLE: "Set aside by a signed rationale, where the profile allows that.",
}
"""What each state means, in a sentence for readers who never saw one."""

_DOMAINS = {
    ReadinessDomain.GOVERNANCE: "Governance & compliance",
    ReadinessDomain.TECHNICAL: "Technical infrastructure",
    ReadinessDomain.DATA: "Data & model performance",
    ReadinessDomain.ADOPTION: "Adoption & organizational readiness",
}
_KINDS = {
    GapKind.RUN: "Run the check",
    GapKind.FIX: "Fix what was found",
    GapKind.DATA: "Collect more data",
    GapKind.SIGN: "Get a signature",
    GapKind.BUILD: "Build the proof",
}
_PROOFS = {
    Kind.EXECUTABLE: "proven by a check run",
    Kind.MEASURED: "measured over time",
    Kind.DOCUMENT: "proven by a signed document",
    Kind.SIGNATURE: "proven by a signature",
}
_VERDICTS = {Verdict.MET: "met", Verdict.NOT_MET: "not met", Verdict.CANNOT_TELL: "cannot tell"}
_RUNS = {
    RunOutcome.COMPLETED: "completed",
    RunOutcome.ERROR: "ended in an error",
    RunOutcome.TERMINATED: "was terminated",
}
_SIDES = {Comparator.AT_LEAST: "at least", Comparator.AT_MOST: "at most"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ABBREVIATIONS = {
    "auc": "AUC",
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "slo": "SLO",
    "id": "ID",
}
_UNIT_SUFFIXES = {"ms": "ms", "s": "s", "rps": "rps", "bytes": "bytes", "share": "1"}
_ONE = "1"
_SHARE = "%"
_LEAST_DECIMALS, _SCORE_DECIMALS = 2, 3
_MOST_DECIMALS = 5
_HOURS_PER_DAY = 24
_MINUTES_PER_HOUR = 60
_DIGEST_PART = 4


def state_word(state: State) -> str:
    """The word of a state, as a person reads it everywhere."""
    return _STATES[state].word


def state_look(state: State) -> Look:
    """Word, sign and tone of a state."""
    return _STATES[state]


def domain_words(domain: ReadinessDomain) -> str:
    """Title of one of the four areas."""
    return _DOMAINS[domain]


def outcome_word(outcome: Outcome) -> str:
    """``Open``, ``Conditional``, ``Closed`` or ``Lapsed``."""
    return outcome.value.capitalize()


def kind_words(kind: GapKind) -> str:
    """What it takes to close a gap."""
    return _KINDS[kind]


def proof_words(kind: Kind) -> str:
    """What sort of proof a criterion takes."""
    return _PROOFS[kind]


def verdict_word(verdict: Verdict) -> str:
    """What numbers say of a bound."""
    return _VERDICTS[verdict]


def run_words(outcome: RunOutcome) -> str:
    """How a check run ended."""
    return _RUNS[outcome]


def side_words(comparator: Comparator) -> str:
    """``at least`` or ``at most``."""
    return _SIDES[comparator]


def enum_words(value: Role | Meaning | Claim) -> str:
    """``business owner`` of ``business_owner``."""
    text: str = value.value
    return text.replace("_", " ")


def in_words(text: str) -> str:
    """A sentence of the gate with the names of roles spelled as words."""
    for role in Role:
        text = text.replace(role.value, enum_words(role))
    return text


def counted(count: int, noun: str) -> str:
    """``one criterion``, ``three criteria``, ``14 runs``; the small numbers as words."""
    number_text = _SMALL[count] if 0 <= count < len(_SMALL) else grouped(count)
    return f"{number_text} {plural(noun, count)}"


def plural(noun: str, count: float) -> str:
    """The form of an English noun that goes with a count."""
    if count == 1:
        return noun
    if noun == "criterion":
        return "criteria"
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def sentence(text: str) -> str:
    """The text with its first letter large; ``p99`` stays as it is."""
    return text if text[1:2].isdigit() else text[:1].upper() + text[1:]


def listed(items: Iterable[str]) -> str:
    """``a, b and c``."""
    names = list(items)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def grouped(count: float) -> str:
    """A whole number with its thousands set apart: ``65,535``."""
    return f"{count:,.0f}"


def number(value: float, decimals: int | None = None) -> str:
    """A number with so many decimals, or with three significant digits; ``not known`` when it is not finite."""
    if not math.isfinite(value):
        return NOT_KNOWN
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif value == round(value) or abs(value) >= 1000:
        text = grouped(value)
    else:
        text = f"{value:.3g}"
        if "e" in text:
            text = f"{value:.{_MOST_DECIMALS}f}".rstrip("0").rstrip(".")
    return text.replace("-", "−") if text.strip("-0.,") else text.lstrip("-")


def quantity(value: float, unit: str, decimals: int | None = None) -> str:
    """A number with its unit: ``431 ms``, ``3 rules``, ``0.687``, ``2.5 %``.

    Args:
        value: in ``unit``; a share in [0, 1] when the unit is ``%``.
        unit: ``1`` for a ratio or score, ``%`` for a share shown in hundredths, else a symbol or a singular noun.
        decimals: of the text; three significant digits when None.
    """
    if unit == _ONE or not math.isfinite(value):
        return number(value, decimals)
    if unit == _SHARE:
        return f"{number(value * 100, decimals)} %"
    return f"{number(value, decimals)} {unit_words(unit, value)}"


def unit_words(unit: str, value: float) -> str:
    """A symbol as it is, a noun in the form that goes with the value."""
    noun = len(unit) > 3 and unit.isalpha() and unit != "bytes"
    return plural(unit, value) if noun else unit


def shown_unit(metric: str, unit: str) -> str:
    """The unit to write: ``%`` where the metric's name says that it is a share, none where it names what is counted."""
    if unit == _ONE and metric.endswith("_share"):
        return _SHARE
    return _ONE if unit_words(unit, 2) != unit and unit_words(unit, 2) in metric.split("_") else unit


def metric_words(metric: str) -> str:
    """``p99`` of ``p99_ms``, ``worst cohort quality`` of ``worst_cohort_quality``; the unit stands beside the number."""
    parts = metric.split("_")
    if len(parts) > 1 and parts[-1] in _UNIT_SUFFIXES and parts[-1] != "share":
        parts = parts[:-1]
    return " ".join(_ABBREVIATIONS.get(part, part) for part in parts)


def decimals_for(values: Iterable[float], bound: float, unit: str) -> int:
    """How many decimals let an interval be read against its bound.

    1. a score has three, or two when it was written so, a count none, anything else shows two digits of the interval's width; 2. more, up to five, while
    a value that differs from the bound would read like it.

    Args:
        values: estimate and ends, in ``unit``; those that are not finite are left out.
        bound: in ``unit``.
        unit: ``1``, ``%`` or any other.
    """
    scale = 100 if unit == _SHARE else 1
    finite = [value * scale for value in values if math.isfinite(value)]
    # 1
    if not finite or all(value == round(value) for value in finite):
        decimals = 0
    elif unit == _ONE:
        rough = all(math.isclose(value, round(value, _LEAST_DECIMALS)) for value in finite)
        decimals = _LEAST_DECIMALS if rough else _SCORE_DECIMALS
    else:
        width = (max(finite) - min(finite)) or abs(finite[0])
        decimals = min(max(1 - math.floor(math.log10(width)), 0), _MOST_DECIMALS)
    # 2
    while decimals < _MOST_DECIMALS and any(
        value != bound * scale and f"{value:.{decimals}f}" == f"{bound * scale:.{decimals}f}" for value in finite
    ):
        decimals += 1
    return decimals


def span_words(span_s: float) -> str:
    """A span of time in its largest fitting unit: ``140 d``, ``5 h``, ``12 min``, ``31 s``."""
    if span_s >= SECONDS_PER_DAY:
        return f"{span_s // SECONDS_PER_DAY:.0f} d"
    hours = span_s / SECONDS_PER_DAY * _HOURS_PER_DAY
    if hours >= 1:
        return f"{math.floor(hours)} h"
    minutes = hours * _MINUTES_PER_HOUR
    return f"{math.floor(minutes)} min" if minutes >= 1 else f"{number(span_s)} s"


def effort_words(effort: Effort) -> str:
    """``2–8 d``, or ``0.1 d`` where the three estimates agree."""
    if effort.low_days == effort.high_days:
        return f"{number(effort.likely_days)} d"
    return f"{number(effort.low_days)}–{number(effort.high_days)} d"


def day_words(day: date, today: date) -> str:
    """``9 Dec``; with its year when that is not today's."""
    text = f"{day.day} {_MONTHS[day.month - 1]}"
    return text if day.year == today.year else f"{text} {day.year}"


def instant_words(at: datetime) -> str:
    """``21 Nov 2026, 10:42 UTC``; the instant is aware and in UTC."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def short_digest(digest: str) -> str:
    """``7f3a·c91e``: enough to tell two digests apart by eye, never enough to rely on."""
    digits = re.sub(r"^[a-z0-9]+:", "", digest)
    return f"{digits[:_DIGEST_PART]}·{digits[_DIGEST_PART : 2 * _DIGEST_PART]}"
