"""When drift is an alarm. Owns the alert rule, its error budget over columns and over time, and the rows that it needs.

Rules kept here:
1. An alarm says that the effect exceeds its tolerance, not that there is an effect: the lower bound of the severity
   lies above the tolerance. With enough rows any effect is visible, so a test of "no effect" would alarm for ever.
2. Three answers. WITHIN needs its own proof, an upper bound at or below the tolerance; everything else is CANNOT_TELL
   and comes with the rows that would tell. A gate never reads CANNOT_TELL as a pass. An alarm may rest on merged cells,
   since merging makes no difference; WITHIN may not, since merging hides some, so its bound is that of the cells as
   they are wherever that is the higher one.
3. One number sets the error: at most one false alarm in ``windows`` windows. A window in which no column exceeds its
   tolerance then alarms with a chance of at most 1 / windows, whatever the number of columns. The expected number of
   false alarms adds up over windows even though all share one reference; that they share it makes false alarms come in
   clusters, not more of them.
4. In a window in which some columns do exceed, FALSE_DISCOVERY bounds the expected share of false alarms among the
   alarms; FAMILY_WISE keeps the chance of any false alarm at 1 / windows there too.
5. An alarm about input opens an investigation; it blocks nothing, since drift is not harm.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.cells import EXPECTED_ROWS_OF_ALARM, CellCounts, Columns, columns_of
from roadworthy.stats.distances import Distance
from roadworthy.stats.divergences import HALVINGS, Divergence
from roadworthy.stats.drift import LAWS, LEAST_ROWS, Effect, Measured, measured, unhidden
from roadworthy.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from roadworthy.stats.one_cell import one_cell_rows, one_cell_severity
from roadworthy.stats.sample import FloatArray, check_confidence

POWER = 0.9
"""The chance with which the planned rows find an effect of twice the tolerance."""


class Alarm(StrEnum):
    """The answer for one column."""

    WITHIN = "within"
    EXCEEDS = "exceeds"
    CANNOT_TELL = "cannot_tell"


class Control(StrEnum):
    """What is held over the columns of a window that has real drift in it; without any, all hold the same."""

    FALSE_DISCOVERY = "false_discovery"
    """Share of false alarms among alarms, for columns that are independent or hang together positively
    (Benjamini-Hochberg)."""

    FALSE_DISCOVERY_ANY = "false_discovery_any"
    """The same under every dependence (Benjamini-Yekutieli)."""

    FAMILY_WISE = "family_wise"
    """The chance of any false alarm, under every dependence (Holm)."""


ADJUSTMENTS: dict[Control, Callable[[ArrayLike], FloatArray]] = {
    Control.FALSE_DISCOVERY: benjamini_hochberg,
    Control.FALSE_DISCOVERY_ANY: benjamini_yekutieli,
    Control.FAMILY_WISE: holm,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """What counts as drift, and how often a false alarm is acceptable.

    Attributes:
        effect: what is measured.
        tolerance: the largest acceptable effect, in its unit; above 0.
        windows: at most one false alarm is expected in that many windows; at least 2.
        control: what is held over columns.
        confidence: two-sided level of the reported intervals; its upper bound decides WITHIN. With fewer than 40
        windows
            EXCEEDS is a weaker claim than the lower bound of a 95 % interval makes.

    Raises:
        ParameterError: a value out of its range (RW-114).
    """

    effect: Effect
    tolerance: float
    windows: int = 100
    control: Control = Control.FALSE_DISCOVERY
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not (math.isfinite(self.tolerance) and self.tolerance > 0 and self.windows >= 2):
            raise ParameterError(
                f"A tolerance of {self.tolerance} and one false alarm in {self.windows} windows.",
                remedy="Give a tolerance above 0 and at least 2 windows.",
            )

    @property
    def alpha(self) -> float:
        """Chance of a false alarm in one window, over all its columns."""
        return 1 / self.windows


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsNeeded:
    """Rows with which the rule finds twice the tolerance, and no effect to be within it, each with a chance of 0.9.

    Attributes:
        current: rows of the window beside this reference; None when no window is large enough beside it.
        each: rows of reference and window if both had the same number.
    """

    current: int | None
    each: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rule says of one column.

    Attributes:
        alarm: the answer.
        severity: effect with interval; unknown where the counts cannot tell. Estimate and lower end speak of merged
            cells, the upper end of the cells as they are where that is higher.
        p_value: chance of so large a value, were the effect exactly the tolerance; NaN where the counts cannot tell.
        adjusted_p_value: the same over all columns that could be tested; EXCEEDS means at most the rule's alpha.
        rows_needed: what would tell, when the answer is CANNOT_TELL; None otherwise, and where more rows would not
        help.
    """

    alarm: Alarm
    severity: Interval
    p_value: float
    adjusted_p_value: float
    rows_needed: RowsNeeded | None


def judge_columns(rule: AlertRule, counts: Sequence[CellCounts]) -> tuple[Judgement, ...]:
    """Judge all columns of one window against their reference, in the given order.

    1. Measure the effect, with interval, and the p-value of "at most the tolerance". The upper end is the higher one of
       merged cells and of the cells as they are: rare categories that exchange their shares cancel out within a merged
       cell. Where nearly all rows of both lie in one cell there is no p-value, and the interval rests on the share
       outside it (``one_cell``).
    2. Adjust the p-values over the columns that could be measured.
    3. EXCEEDS at an adjusted p-value up to alpha, WITHIN at an upper bound up to the tolerance, else CANNOT_TELL.

    Raises:
        ParameterError: counts that make no sense, or Wasserstein without edges (RW-114).
    """
    columns = columns_of(counts)
    effects = measured(rule.effect, columns, EXPECTED_ROWS_OF_ALARM)  # 1.
    severities = _settled(rule, effects, columns)
    p_values = exceedance(effects, rule.tolerance)
    adjusted = np.full_like(p_values, np.nan)
    adjusted[effects.able] = ADJUSTMENTS[rule.control](p_values[effects.able])  # 2.
    exceeds = adjusted <= rule.alpha  # 3.
    within = ~exceeds & np.array([each.known and each.upper <= rule.tolerance for each in severities], dtype=np.bool_)
    told = exceeds | within
    plans = [None] * told.size if told.all() else _rows_needed(rule, effects, columns)
    return tuple(
        Judgement(
            alarm=Alarm.EXCEEDS if exceeds[each] else Alarm.WITHIN if within[each] else Alarm.CANNOT_TELL,
            severity=severity,
            p_value=float(p_values[each]),
            adjusted_p_value=float(adjusted[each]),
            rows_needed=None if told[each] else plans[each],
        )
        for each, severity in enumerate(severities)
    )


def exceedance(effects: Measured, tolerance: float) -> FloatArray:
    """P-value of "the effect is at most ``tolerance``" in each column, shape (c,); NaN where the counts cannot tell.

    It is the chance of a value as large as observed at the tolerance itself, where it is largest. Duality: it is below
    an error rate exactly where the lower bound at that rate lies above the tolerance.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        tail = effects.law.tail(np.full(effects.able.size, float(tolerance)))
    return np.where(effects.able, np.clip(tail, 0.0, 1.0), np.nan)


def _rows_needed(rule: AlertRule, effects: Measured, columns: Columns) -> Sequence[RowsNeeded | None]:
    """Plan for every column; the error is alpha shared out over the columns, as if each were the only one to exceed."""
    error = rule.alpha / effects.able.size
    # What is not able divides by 0; its plan is not read.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(effects.law, Divergence):
            noise = _noise_for_divergence(effects.law, effects.columns, columns, rule.tolerance, error)
        else:
            # With more rows the cells need no merging, and each adds its noise.
            law = LAWS[rule.effect](columns)
            assert isinstance(law, Distance)
            noise = _noise_for_distance(law, columns, rule, error)
        merged_within = effects.law.upper((1 - rule.confidence) / 2) <= rule.tolerance
    plans: list[RowsNeeded | None] = []
    for each, able in enumerate(effects.able):
        if not able:
            plans.append(_least(rule, columns, each))
            continue
        if merged_within[each] and 2 / noise[each] <= min(columns.reference_rows[each], columns.current_rows[each]):
            plans.append(_until_nothing_is_merged(columns, each))
            continue
        left = float(noise[each]) - 1 / float(columns.reference_rows[each])
        current = max(math.ceil(1 / left), LEAST_ROWS) if left > 0 else None
        plans.append(RowsNeeded(current=current, each=max(math.ceil(2 / float(noise[each])), LEAST_ROWS)))
    return plans


def _settled(rule: AlertRule, effects: Measured, columns: Columns) -> list[Interval]:
    """What the laws cannot tell for want of a second cell, told from the share outside the one that there is."""
    enough = np.minimum(columns.reference_rows, columns.current_rows) >= LEAST_ROWS
    return [
        severity
        if effects.able[each] or not enough[each]
        else one_cell_severity(rule.effect, _one(columns, each), rule.confidence)
        for each, severity in enumerate(unhidden(rule.effect, effects, columns, rule.confidence))
    ]


def _least(rule: AlertRule, columns: Columns, each: int) -> RowsNeeded | None:
    """Below the least rows the plan is those; above, what a column of one cell needs. A scale without unit needs none."""
    reference, current = columns.reference_rows[each], columns.current_rows[each]
    if min(reference, current) < LEAST_ROWS:
        return RowsNeeded(current=LEAST_ROWS if reference >= LEAST_ROWS else None, each=LEAST_ROWS)
    plan = one_cell_rows(rule.effect, _one(columns, each), rule.tolerance, rule.confidence)
    return None if plan is None else RowsNeeded(current=plan[0], each=plan[1])


def _until_nothing_is_merged(columns: Columns, each: int) -> RowsNeeded:
    """Where there are rows enough for the laws, and only the thin cells speak against WITHIN: rows that fill them."""
    pooled = columns.reference[each] + columns.current[each]
    rows = math.ceil(EXPECTED_ROWS_OF_ALARM * pooled.sum() / pooled[pooled > 0].min())
    return RowsNeeded(current=rows if columns.reference_rows[each] >= rows else None, each=rows)


def _one(columns: Columns, each: int) -> Columns:
    only = slice(each, each + 1)
    return Columns(columns.reference[only], columns.current[only], columns.ordered[only], columns.edges[only])


def _noise_for_divergence(
    law: Divergence, merged_columns: Columns, columns: Columns, tolerance: float, error: float
) -> FloatArray:
    """The largest 1/n + 1/m at which twice the tolerance stands clear of it, shape (c,).

    With z the normal deviates of error and power, and a variance of 2 (k - 1) s**2 + 4 s theta at the divergence theta:
    tolerance >= z_error sd(tolerance) + z_power sd(2 tolerance). All cells that hold a row count, since with more rows
    they need no merging.
    """
    df = np.maximum(columns.filled - 1.0, 1.0)
    beyond, found = float(-ndtri(error)), float(ndtri(POWER))

    def spread(scale: FloatArray, truth: float) -> FloatArray:
        return np.asarray(np.sqrt(2 * df * scale**2 + 4 * scale * truth), dtype=np.float64)

    low, high = np.zeros_like(df), np.full_like(df, tolerance)
    for _ in range(HALVINGS):
        scale = (low + high) / 2
        clear = beyond * spread(scale, tolerance) + found * spread(scale, 2 * tolerance) <= tolerance
        low, high = np.where(clear, scale, low), np.where(clear, high, scale)
    return np.asarray(low * merged_columns.noise / law.scale, dtype=np.float64)


def _noise_for_distance(law: Distance, columns: Columns, rule: AlertRule, error: float) -> FloatArray:
    """The same where every deviation shrinks like the root of 1/n + 1/m.

    Twice the tolerance is found when overshoot and one deviation stay below it; no effect is within it when the value
    that noise alone makes and the deviation of the upper bound do.
    """
    to_exceed = law.overshoot.quantile(error) + float(ndtri(POWER)) * law.deviation
    of_upper = float(-ndtri((1 - rule.confidence) / 2))
    to_be_within = law.overshoot.quantile(1 - POWER) + of_upper * law.deviation
    return np.asarray(columns.noise * (rule.tolerance / np.maximum(to_exceed, to_be_within)) ** 2, dtype=np.float64)
