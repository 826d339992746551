"""How the numbers of a window read. Owns the texts of one column; which columns are shown, and where, is ``windows``'.

Rules kept here: an estimate and the ends of its interval have the same decimals; a quantile is the two ends of its cell;
what is not known says so or is absent, and never reads as a number.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from roadworthy.base.interval import Interval
from roadworthy.measure.profile.columns import Bracket, ColumnProfile, NumberSummary, ValueSummary
from roadworthy.measure.volume.plan import Kind
from roadworthy.reports.words import decimals_for, grouped, instant_words, number, quantity
from roadworthy.stats.alarm import RowsNeeded
from roadworthy.stats.drift import Effect
from roadworthy.stats.proportions import wilson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTILES = (0.25, 0.5, 0.75)
_LEVELS = " ▁▂▃▄▅▆▇█"
_EFFECTS = {
    Effect.PSI: "PSI",
    Effect.JENSEN_SHANNON: "Jensen-Shannon divergence",
    Effect.TOTAL_VARIATION: "total variation",
    Effect.WASSERSTEIN: "Wasserstein distance",
    Effect.KOLMOGOROV_SMIRNOV: "Kolmogorov-Smirnov distance",
}


def effect_words(effect: Effect) -> str:
    """The effect as people call it."""
    return _EFFECTS[effect]


def share_words(share: Interval) -> str:
    """``12.3 % [11.0, 13.7]``."""
    return _interval_words(share, "%")


def change_words(change: Interval) -> str:
    """``+12.3 % [11.0, 13.7]``, in hundredths of the rows."""
    text = _interval_words(change, "%")
    return f"+{text}" if change.known and change.estimate > 0 else text


def mean_words(numbers: NumberSummary) -> str:
    """``246.7 [240.9, 252.6]``; "" where there is no mean."""
    if math.isnan(numbers.mean.estimate):
        return ""
    if not numbers.mean.known:
        return number(numbers.mean.estimate)
    return _interval_words(numbers.mean, "")


def spread_words(numbers: NumberSummary) -> str:
    """``246.7 ± 51.8``: mean and standard deviation, with the decimals that the deviation deserves."""
    if math.isnan(numbers.deviation):
        return mean_words(numbers)
    return f"{number(numbers.mean.estimate, _decimals(numbers.deviation))} {deviation_words(numbers)}"


def deviation_words(numbers: NumberSummary) -> str:
    """``± 51.8``; "" below two values."""
    return "" if math.isnan(numbers.deviation) else f"± {number(numbers.deviation, _decimals(numbers.deviation))}"


def span_words_of(item: ColumnProfile) -> str:
    """``29 to 77``: the smallest and the largest finite value; "" without one."""
    numbers = item.numbers
    if numbers is None or math.isnan(numbers.smallest):
        return ""
    low, high = (value_words(end, item.kind) for end in (numbers.smallest, numbers.largest))
    return low if low == high else f"{low} to {high}"


def quartile_words(item: ColumnProfile) -> str:
    """``48–49 · 55–56 · 61–62``: the cells that hold the three quartiles; "" without cells."""
    if item.numbers is None or item.kind is Kind.INSTANT:
        return ""
    held = [each for each in item.numbers.quantiles if each.share in _QUARTILES]
    return " · ".join(_bracket_words(each, coded=item.numbers.coded) for each in held)


def values_words(values: ValueSummary, shown: int) -> str:
    """``4 values: north 41.0 %, south 33.0 %, ...``; "" without a value."""
    total = sum(count for _, count in values.counts) + values.unseen
    if not total:
        return ""
    present = [(name, count) for name, count in values.counts if count]
    present.sort(key=lambda each: -each[1])
    named = [f"{name or 'empty text'} {quantity(count / total, '%', 1)}" for name, count in present[:shown]]
    if values.unseen:
        named.append(f"not known before {quantity(values.unseen / total, '%', 1)}")
    more = ", …" if len(present) > shown else ""
    if not present:
        return ", ".join(named)
    counted = f"more than {len(present)}" if values.unseen else str(len(present))
    return f"{counted} {'value' if counted == '1' else 'values'}: {', '.join(named)}{more}"


def value_rows(item: ColumnProfile, shown: int) -> tuple[tuple[str, str, str], ...]:
    """The most frequent values with their rows, and their shares of the values that are there, with interval."""
    if item.values is None:
        return ()
    total = sum(count for _, count in item.values.counts) + item.values.unseen
    present = sorted(((name, count) for name, count in item.values.counts if count), key=lambda each: -each[1])
    rest = sum(count for _, count in present[shown:])
    rows = [(name or "empty text", count) for name, count in present[:shown]]
    rows += [(name, count) for name, count in (("all others", rest), ("not known before", item.values.unseen)) if count]
    return tuple((name, grouped(count), share_words(wilson(count, total))) for name, count in rows)


def value_words(value: float, kind: Kind) -> str:
    """A number, or an instant to the minute."""
    if kind is not Kind.INSTANT:
        return number(value)
    try:
        return instant_words(_EPOCH + timedelta(microseconds=value))
    except OverflowError:
        return "beyond the calendar"


def summary_words(item: ColumnProfile, shown: int = 3) -> str:
    """One column in a few words, for a table of many: its mean, its range or its most frequent values."""
    if item.rows == item.nulls:
        return "all null"
    if item.values is not None:
        return values_words(item.values, shown)
    if item.kind is Kind.NUMBER and item.numbers is not None:
        return f"mean {mean_words(item.numbers)}" if mean_words(item.numbers) else "no finite value"
    return span_words_of(item) or "not looked into"


def needed_words(needed: RowsNeeded | None) -> str:
    """How many rows would tell; "" where more rows would not."""
    if needed is None:
        return ""
    if needed.current is not None:
        return f"{grouped(needed.current)} rows in the window would tell"
    return f"{grouped(needed.each)} rows in each would tell"


def sparkline(shares: Sequence[float]) -> str:
    """Shares as a row of blocks; a share above 0 is never a blank."""
    most = max(shares, default=0.0)
    if most == 0:
        return ""
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[max(round(share / most * top), 1) if share > 0 else 0] for share in shares)


def _interval_words(interval: Interval, unit: str) -> str:
    if not interval.known:
        return number(math.nan)
    scale = 100 if unit else 1
    ends = interval.estimate, interval.lower, interval.upper
    decimals = decimals_for(ends, math.nan, unit or "own")
    point, lower, upper = (number(end * scale, decimals) for end in ends)
    return f"{point}{f' {unit}' if unit else ''} [{lower}, {upper}]"


def _bracket_words(bracket: Bracket, *, coded: bool) -> str:
    low, high = number(bracket.low), number(bracket.high)
    # A cell of a code begins at it, and holds it and nothing else but for values that the reference never had.
    return low if coded or low == high else f"{low}–{high}"


def _decimals(width: float) -> int:
    return min(max(2 - math.floor(math.log10(width)), 0), 5) if width > 0 else 0
