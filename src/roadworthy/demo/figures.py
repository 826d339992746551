"""Five questions about the feed, answered from evidence for what was delivered and for what was repaired.

Owns the choosing of figures and their wording. It measures nothing: a check that has not run leaves ``not measured``,
and what a check could not find out is ``cannot be told``, never a good answer.

The questions, in the order in which harm is told from what only looks like it:
1. What does the model lose at each site?
2. Which inputs moved, and did that do harm?
3. Can site and scanner be told from the inputs, and do decisions hang on them?
4. Where does a number stand for a missing value?
5. What would be known of the quality without labels?
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roadworthy.base.interval import Interval
from roadworthy.domain.evidence import Control, Evidence, RunOutcome
from roadworthy.stats.alarm import Alarm

DELTA, DRIFT, SHORTCUT = "performance.delta", "drift.inputs", "shortcut.site"
CONTRACT, ESTIMATE = "data_quality.contract", "performance.estimate"
NOT_MEASURED, UNKNOWN = "not measured", "cannot be told"
_SENTINEL = ".sentinel"
_DRIFT_REMARK = (
    "Population stability index with its interval; {tolerance:g} is tolerated. Harm is what the loss of quality shows, "
    "not what moved."
)
_ALARMS = {Alarm.EXCEEDS: "moved", Alarm.WITHIN: "within tolerance", Alarm.CANNOT_TELL: UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question, answered for the delivered and for the repaired feed.

    Attributes:
        question: in a sentence.
        rows: what was measured, its figure as delivered, its figure after the repair.
        remark: what the figures mean; "" when there is nothing to add.
    """

    question: str
    rows: tuple[tuple[str, str, str], ...]
    remark: str


class _Stage:
    """The newest completed run of each check."""

    def __init__(self, evidence: Iterable[Evidence]) -> None:
        self._newest = {each.check: each for each in evidence if each.outcome is RunOutcome.COMPLETED}

    def run(self, check: str) -> Evidence | None:
        return self._newest.get(check)

    def facts(self, check: str) -> Mapping[str, Any]:
        found = self.run(check)
        return {} if found is None else found.facts

    def figure(self, check: str, metric: str, cohort: str | None = None) -> Interval | None:
        found = self.run(check)
        estimates = () if found is None else found.estimates
        wanted = (each.interval for each in estimates if (each.metric, each.cohort) == (metric, cohort))
        return next(wanted, None)


def five_answers(delivered: Iterable[Evidence], repaired: Iterable[Evidence]) -> tuple[Answer, ...]:
    """Answer the five questions.

    Args:
        delivered: evidence about the feed as it came, oldest first.
        repaired: all evidence on record after the repair, oldest first; the newest run of each check counts.
    """
    stages = (_Stage(delivered), _Stage(repaired))
    return tuple(answer(*stages) for answer in (_losses, _drift, _shortcut, _sentinels, _without_labels))


def _losses(before: _Stage, after: _Stage) -> Answer:
    """1."""
    sites = _union(_cohorts(before), _cohorts(after))
    rows = [(_figures(name, before, after, DELTA, "quality_loss", cohort=name)) for name in sites]
    levels = {each.confidence for name in sites if (each := after.figure(DELTA, "quality_loss", name)) is not None}
    together = f"Each site stands at {max(levels):.1%} confidence, so that all of them hold together." if levels else ""
    return Answer(
        question=f"What does the model lose at each site, in {_metric(before, after)} against the pilot?",
        rows=(*rows, _figures("all sites", before, after, DELTA, "quality_loss")),
        remark=together,
    )


def _drift(before: _Stage, after: _Stage) -> Answer:
    """2."""
    shifts = [{row["input"]: row for row in stage.facts(DRIFT).get("inputs", ())} for stage in (before, after)]
    names = _union(*shifts)
    moved = [name for name in names if any(_moved(shift.get(name)) for shift in shifts)]
    inputs = [(name, _shift(shifts[0].get(name)), _shift(shifts[1].get(name))) for name in moved]
    verdicts = [str(stage.facts(DELTA).get("verdict", NOT_MEASURED)) for stage in (before, after)]
    tolerance = after.facts(DRIFT).get("tolerance")
    return Answer(
        question="Which inputs moved since the pilot, and did that do harm?",
        rows=(*(inputs or [("inputs", NOT_MEASURED, NOT_MEASURED)]), ("is it harm?", verdicts[0], verdicts[1])),
        remark="" if tolerance is None else _DRIFT_REMARK.format(tolerance=tolerance),
    )


def _shortcut(before: _Stage, after: _Stage) -> Answer:
    """3."""
    first, second = (_told(stage) for stage in (before, after))
    rows = [
        (f"AUC of telling {name}", _predicted(first.get(name)), _predicted(second.get(name)))
        for name in _union(first, second)
    ]
    flipped = _figures("decisions that change with them", before, after, SHORTCUT, "decisions_flipped_share")
    run = after.run(SHORTCUT)
    taken = after.facts(SHORTCUT).get("inputs that tell circumstances")
    uses = "" if taken is None else f"Of them the model takes {', '.join(taken) or 'none'} as input. "
    control = "" if run is None or run.control is None else _control(run.control)
    return Answer(
        question="Can site, scanner and time be told from the inputs, and do decisions hang on them?",
        rows=(*rows, flipped),
        remark=uses + control,
    )


def _sentinels(before: _Stage, after: _Stage) -> Answer:
    """4."""
    counts = [_zeros(stage) for stage in (before, after)]
    found = [name for name in _union(*counts) if any(count.get(name, (0, 0))[0] for count in counts)]
    rows = [(name, _of(counts[0].get(name)), _of(counts[1].get(name))) for name in found]
    suspicions = before.facts(CONTRACT).get("suspicions", ())
    where = [text for text in suspicions if any(text.startswith(f"{name} is ") for name in found)]
    return Answer(
        question="Where does a number stand for a missing value?",
        rows=tuple(rows) or (("columns", _counted(counts[0]), _counted(counts[1])),),
        remark=" ".join(where),
    )


def _without_labels(before: _Stage, after: _Stage) -> Answer:
    """5."""
    shares = [stage.facts(ESTIMATE).get("rows with a score that the pilot had") for stage in (before, after)]
    covered = [NOT_MEASURED if share is None else f"{share:.1%}" for share in shares]
    labels = after.facts(ESTIMATE).get("labels that would bound it")
    audit = "" if labels is None else f" {labels} labels drawn at random would bound what it cannot see."
    return Answer(
        question=f"What would be known of the {_metric(before, after)} without labels?",
        rows=(
            ("rows whose score the pilot had", covered[0], covered[1]),
            _figures("expected from scores alone", before, after, ESTIMATE, "estimated_quality"),
            _figures("realised, by the labels", before, after, DELTA, "production_quality"),
        ),
        remark=after.facts(ESTIMATE).get("blind spot", "") + audit,
    )


def _metric(*stages: _Stage) -> str:
    named: Iterator[str] = (stage.facts(DELTA)["metric"].upper() for stage in stages if stage.facts(DELTA))
    return next(named, "quality")


def _cohorts(stage: _Stage) -> list[str]:
    run = stage.run(DELTA)
    return [] if run is None else [each.cohort for each in run.estimates if each.cohort is not None]


def _union(*names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for each in names for name in each))


def _figures(
    what: str, before: _Stage, after: _Stage, check: str, metric: str, *, cohort: str | None = None
) -> tuple[str, str, str]:
    first, second = (_interval(stage.figure(check, metric, cohort)) for stage in (before, after))
    return what, first, second


def _interval(figure: Interval | None) -> str:
    if figure is None:
        return NOT_MEASURED
    return _written(figure.estimate, figure.lower, figure.upper) if figure.known else UNKNOWN


def _written(estimate: float, lower: float, upper: float) -> str:
    return f"{estimate:.3f} [{lower:.3f}, {upper:.3f}]"


def _moved(row: Mapping[str, Any] | None) -> bool:
    return row is not None and row["verdict"] == Alarm.EXCEEDS.value


def _shift(row: Mapping[str, Any] | None) -> str:
    if row is None or row["severity"] is None:
        return NOT_MEASURED if row is None else UNKNOWN
    return f"{_written(row['severity'], row['lower'], row['upper'])} {_ALARMS[Alarm(row['verdict'])]}"


def _told(stage: _Stage) -> dict[str, Mapping[str, Any]]:
    return {row["circumstance"]: row for row in stage.facts(SHORTCUT).get("predicted", ())}


def _predicted(row: Mapping[str, Any] | None) -> str:
    if row is None or row["auc"] is None:
        return NOT_MEASURED if row is None else UNKNOWN
    return f"{_written(row['auc'], row['lower'], row['upper'])} p {row['adjusted p']:.2g}"


def _control(control: Control) -> str:
    return f"The same check of {control.fixture}: {control.detail.replace('_', ' ')}."


def _zeros(stage: _Stage) -> dict[str, tuple[int, int]]:
    """By column with declared stand-ins, how many of how many rows hold one."""
    facts = stage.facts(CONTRACT)
    rules = [row for row in facts.get("rules", ()) if row["rule"].endswith(_SENTINEL) and row["bad rows"] is not None]
    return {row["rule"].removesuffix(_SENTINEL).rpartition(".")[2]: (row["bad rows"], facts["rows"]) for row in rules}


def _of(count: tuple[int, int] | None) -> str:
    return NOT_MEASURED if count is None else f"{count[0]} of {count[1]} rows"


def _counted(counts: Mapping[str, tuple[int, int]]) -> str:
    return "none found" if counts else NOT_MEASURED
