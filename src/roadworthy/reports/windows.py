"""Profiles and comparisons as people read them. Owns what is said of each column and in which order; draws nothing.

The terminal and the page take every word and number from here, so they cannot disagree.

Rules kept here:
1. Every estimate has its interval; every state has a word and a sign.
2. Drift is never called harm: it opens an investigation.
3. What is left out is counted.
"""

import math
from dataclasses import dataclass

from roadworthy.domain.criterion import Comparator, Verdict
from roadworthy.measure.profile.columns import ColumnProfile
from roadworthy.measure.profile.compare import ColumnShift, Comparison
from roadworthy.measure.profile.profile import Profile, group_words
from roadworthy.measure.volume.plan import Kind
from roadworthy.reports.cell_bars import CellBars, number_bars, value_bars
from roadworthy.reports.figure import Figure
from roadworthy.reports.window_words import (
    change_words,
    deviation_words,
    effect_words,
    mean_words,
    needed_words,
    quartile_words,
    share_words,
    span_words_of,
    sparkline,
    spread_words,
    summary_words,
    value_rows,
    values_words,
)
from roadworthy.reports.words import Look, counted, decimals_for, grouped, listed, number
from roadworthy.stats.alarm import Alarm

MOST_PICTURES = 60
_TOP_VALUES = 3
_ROWS_OF_VALUES = 8
_MOST_NAMED, _MOST_NAMED_IN_GROUP, _MOST_GROUPS_NAMED = 12, 4, 6
_LOOKS = {
    Alarm.EXCEEDS: Look("Exceeds", "▲", "wait"),
    Alarm.CANNOT_TELL: Look("Cannot tell", "?", "none"),
    Alarm.WITHIN: Look("Within", "✓", "ok"),
}
_VERDICTS = {
    Alarm.EXCEEDS: Verdict.NOT_MET,
    Alarm.CANNOT_TELL: Verdict.CANNOT_TELL,
    Alarm.WITHIN: Verdict.MET,
}
NO_HARM = "Drift opens an investigation; it proves no harm."


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """One column of a profile; texts are "" where a column has no such thing.

    Attributes:
        name: of the column.
        kind: how it was read.
        nulls: share with interval.
        spread: mean and standard deviation.
        mean: with interval.
        deviation: the standard one.
        span: smallest and largest.
        quartiles: the cells of the three.
        values: how many there are, and the most frequent.
        rows: of the table of values: value, rows, share with interval.
        shape: the bars as text.
        bars: None where there is nothing to draw.
    """

    name: str
    kind: str
    nulls: str
    spread: str
    mean: str
    deviation: str
    span: str
    quartiles: str
    values: str
    rows: tuple[tuple[str, str, str], ...]
    shape: str
    bars: CellBars | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """All rows, or one group. ``name`` is "" for all rows."""

    name: str
    rows: str
    columns: tuple[ColumnView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A profile.

    Attributes:
        name: of the window.
        rows: in words.
        by: the column that splits; "" without.
        parts: all rows first, then the groups.
        notices: what deserves a look, each with its group in words.
        searched: a sentence about the search for numbers that stand for "missing".
        reference_digest: of the frozen cells.
        state_digest: of the counts.
    """

    name: str
    rows: str
    by: str
    parts: tuple[PartView, ...]
    notices: tuple[str, ...]
    searched: str
    reference_digest: str
    state_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftView:
    """One column of a comparison.

    Attributes:
        name: of the column.
        kind: how it was read.
        about: what the judgement leaves out; "" when nothing.
        look: word, sign and tone of the answer.
        severity: with interval.
        figure: the same for a picture; None where the severity is not known or has no upper end.
        before: the reference in a few words.
        after: the window in a few words.
        nulls: their change, with interval.
        needed: rows that would tell.
        bars: None where there is nothing to draw.
    """

    name: str
    kind: str
    about: str
    look: Look
    severity: str
    figure: Figure | None
    before: str
    after: str
    nulls: str
    needed: str
    bars: CellBars | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """The columns of one group, the drifted ones first. ``name`` is "" without a split."""

    name: str
    rows: str
    columns: tuple[ShiftView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """A comparison.

    Attributes:
        reference: its name and rows.
        current: likewise.
        by: the column that splits; "" without.
        effect: in words.
        rule: a sentence.
        headline: which columns drifted.
        sub: what follows from that.
        tone: of the headline.
        tally: how many columns have each answer, exceeding first.
        groups: in order.
        refused: columns that could not be compared, each with the reason.
        pictures: whether every column has its picture; else only those that exceed.
        digests: of the cells and both states, by name.
    """

    reference: str
    current: str
    by: str
    effect: str
    rule: str
    headline: str
    sub: str
    tone: str
    tally: tuple[tuple[Look, int], ...]
    groups: tuple[GroupView, ...]
    refused: tuple[tuple[str, str], ...]
    pictures: bool
    digests: tuple[tuple[str, str], ...]


def profile_view(profile: Profile) -> ProfileView:
    """What there is to say of a profile."""
    parts = [PartView(name="", rows=_rows(profile.rows), columns=tuple(map(_column, profile.columns)))]
    parts += [
        PartView(
            name=f"{profile.by} {group_words(group.name)}",
            rows=_rows(group.rows),
            columns=tuple(_column(item) for item in group.columns if item.name != profile.by),
        )
        for group in profile.groups
    ]
    searched = "Numbers that stand for “missing” were searched for."
    if not profile.searched:
        searched = "Numbers that stand for “missing” were not searched for: that takes the values, of a window of ordinary size."
    return ProfileView(
        name=profile.name,
        rows=_rows(profile.rows),
        by=profile.by or "",
        parts=tuple(parts),
        notices=tuple(
            item.what if item.group is None else f"{profile.by} {group_words(item.group)}: {item.what}"
            for item in profile.notices
        ),
        searched=searched,
        reference_digest=profile.reference.digest,
        state_digest=profile.state.digest,
    )


def comparison_view(found: Comparison) -> ComparisonView:
    """What there is to say of a comparison."""
    effect = effect_words(found.rule.effect)
    groups = tuple(_group(found, name) for name in found.groups)
    headline, tone = _headline(found)
    return ComparisonView(
        reference=f"{found.reference_name} ({_rows(found.reference_state.rows)})",
        current=f"{found.current_name} ({_rows(found.current_state.rows)})",
        by=found.by or "",
        effect=effect,
        rule=f"A column exceeds when its {effect} is shown to be above {number(found.rule.tolerance)}. Over all of them "
        f"together, at most one false alarm is expected in {grouped(found.rule.windows)} windows.",
        headline=headline,
        sub=NO_HARM,
        tone=tone,
        tally=tuple((look, len(found.of(alarm))) for alarm, look in _LOOKS.items()),
        groups=groups,
        refused=tuple((item.name, item.why) for item in found.refused),
        pictures=len(found.columns) <= MOST_PICTURES,
        digests=(
            ("Cells", found.reference.digest),
            ("Reference counts", found.reference_state.digest),
            ("Window counts", found.current_state.digest),
        ),
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{grouped(count)} rows"


def _column(item: ColumnProfile) -> ColumnView:
    numbers = item.numbers
    bars = _bars(item, None)
    return ColumnView(
        name=item.name,
        kind=item.kind.value,
        nulls=share_words(item.null_share),
        spread=spread_words(numbers) if numbers else "",
        mean=mean_words(numbers) if numbers else "",
        deviation=deviation_words(numbers) if numbers else "",
        span=span_words_of(item),
        quartiles=quartile_words(item),
        values=values_words(item.values, _TOP_VALUES) if item.values else "",
        rows=value_rows(item, _ROWS_OF_VALUES),
        shape=sparkline(bars.current) if bars else "",
        bars=bars,
    )


def _bars(current: ColumnProfile, reference: ColumnProfile | None) -> CellBars | None:
    if current.numbers is not None and current.kind is Kind.NUMBER:
        return number_bars(current.name, current.numbers, reference.numbers if reference else None)
    if current.values is not None:
        return value_bars(current.name, current.values, reference.values if reference else None)
    return None


def _group(found: Comparison, name: str | None) -> GroupView:
    items = [item for item in found.columns if item.group == name]
    order = list(_LOOKS)
    ranked = sorted(items, key=lambda item: (order.index(item.judgement.alarm), -_known(item)))
    return GroupView(
        name="" if name is None else f"{found.by} {group_words(name)}",
        rows=_rows(found.current_state.group_rows(name)),
        columns=tuple(_shift(found, item) for item in ranked),
    )


def _known(item: ColumnShift) -> float:
    estimate = item.judgement.severity.estimate
    return 0.0 if math.isnan(estimate) else estimate


def _shift(found: Comparison, item: ColumnShift) -> ShiftView:
    severity = item.judgement.severity
    figure = _figure(found, item)
    return ShiftView(
        name=item.name,
        kind=item.current.kind.value,
        about="its nulls alone are judged" if item.nulls_only else "",
        look=_LOOKS[item.judgement.alarm],
        severity=figure.text,
        figure=figure if figure.known else None,
        before=summary_words(item.reference),
        after=summary_words(item.current),
        nulls=change_words(item.null_change),
        needed=needed_words(item.judgement.rows_needed) if severity.known else "not enough to measure",
        bars=_bars(item.current, item.reference),
    )


def _figure(found: Comparison, item: ColumnShift) -> Figure:
    severity, tolerance = item.judgement.severity, found.rule.tolerance
    decimals = max(decimals_for((severity.estimate, severity.lower, severity.upper), tolerance, "1"), 3)
    ends = [number(end, decimals) for end in (severity.lower, severity.upper)]
    known = not math.isnan(severity.estimate)
    text = f"{number(severity.estimate, decimals)} [{ends[0]}, {ends[1]}]" if known else number(math.nan)
    return Figure(
        metric=found.rule.effect.value,
        name=f"{effect_words(found.rule.effect)} of {item.name}",
        estimate=severity.estimate,
        lower=severity.lower,
        upper=severity.upper,
        n=severity.n,
        confidence=severity.confidence,
        unit="own",
        cohort=item.group,
        comparator=Comparator.AT_MOST,
        bound=tolerance,
        n_min=None,
        verdict=_VERDICTS[item.judgement.alarm],
        text=text,
        bound_text=f"at most {number(tolerance)}",
    )


def _headline(found: Comparison) -> tuple[str, str]:
    exceeding, untold = found.of(Alarm.EXCEEDS), found.of(Alarm.CANNOT_TELL)
    rest = f" {counted(len(untold), 'answer').capitalize()} cannot be told." if untold else ""
    if not exceeding:
        if untold:
            return f"No column is shown to have drifted.{rest}", "none"
        return f"No column drifted: all {_looked_at(found)} are shown to be within the tolerance.", "ok"
    told = []
    most = _MOST_NAMED if found.by is None else _MOST_NAMED_IN_GROUP
    for group in found.groups:
        names = [item.name for item in exceeding if item.group == group]
        if names:
            more = [f"{len(names) - most} more"] if len(names) > most else []
            where = "" if group is None else f"at {group_words(group)} "
            told.append(f"{where}{listed([*names[:most], *more])}")
    if len(told) > _MOST_GROUPS_NAMED:
        told[_MOST_GROUPS_NAMED:] = [f"and in {counted(len(told) - _MOST_GROUPS_NAMED, 'more group')}"]
    return f"{len(exceeding)} of {_looked_at(found)} drifted: {'; '.join(told)}.{rest}", "wait"


def _looked_at(found: Comparison) -> str:
    count = len({item.name for item in found.columns})
    if found.by is None:
        return counted(count, "column")
    return f"{len(found.columns)} ({counted(count, 'column')} in {counted(len(found.groups), 'group')})"
