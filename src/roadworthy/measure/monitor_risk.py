"""Watching a bounded loss for as long as one likes, with one bound on the false alarm. Owns the monitor and its state.

The method is MAPIE's ``RiskMonitoring`` (Podkopaev and Ramdas, ICLR 2022), with MAPIE's own two bounds: the pilot's risk
is bounded from above by Hoeffding's inequality, production's from below by a conjugate-mixture empirical Bernstein
confidence sequence that holds at all times at once. The alarm is raised at the first row at which production's lower
bound exceeds the pilot's upper bound plus the tolerance. When the true risk never exceeds the pilot's by more than the
tolerance, the probability of ever raising it is at most the level, however often one looks.

Algorithm of ``feed``, which needs five numbers of history where the class keeps every loss and starts over at each
batch:
1. Add up losses, and the squared deviations of each loss from the mean of those before it (one half for the first).
2. The bound exceeds the threshold at row t exactly when the mixture supermartingale at
   ``(sum of losses) - t * threshold`` exceeds ``4 / level``; one evaluation instead of a root search.
3. Rows at which even a fixed-time bound is not exceeded need no evaluation: the mixture is never above the exponential
   of ``s^2 / 2v``.
4. The first row that exceeds is the alarm, and it stays.

Rules kept here:
1. Losses lie in [0, 1] and arrive in the order of time; anything else raises, since the bound would not hold.
2. The answer depends on the sequence of losses only, not on how it was cut into batches.
3. The state is numbers and goes through JSON to the last bit; it is never a pickled object.
4. The monitor looks at the mean since it was started. One that ran well for long needs long to notice: start a new one
   for each period, and divide the level among them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mapie.exchangeability_testing.bounds import (  # type: ignore[import-untyped]  # MAPIE ships no types
    GammaExponentialMixtureBound,
    hoeffding_bound,
)
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.stats.sample import check_confidence

# MAPIE's parameters of the mixture: optimised for an early intrinsic time, for losses in a range of one.
_V_OPT, _SCALE = 1.0, 1.0
_FIRST_GUESS = 0.5
_NUMBERS = ("threshold", "level", "loss_sum", "variation")
_COUNTS = ("pilot_rows", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskMonitor:
    """The state after some rows.

    Attributes:
        pilot_rows: that the threshold rests on.
        threshold: the pilot's upper bound plus the tolerance.
        level: the largest probability of a false alarm over all time, in (0, 1).
        rows: production rows seen.
        loss_sum: of their losses.
        variation: sum of squared deviations from the running mean.
        alarm_row: the row, counted from 1, at which the alarm was raised; None when it was not.
    """

    pilot_rows: int
    threshold: float
    level: float
    rows: int = 0
    loss_sum: float = 0.0
    variation: float = 0.0
    alarm_row: int | None = None

    @property
    def alarmed(self) -> bool:
        """Whether the alarm was raised."""
        return self.alarm_row is not None

    @property
    def risk_lower_bound(self) -> float:
        """The lower bound of production's risk at the last row, in [0, 1]; 0 before the first."""
        if not self.rows:
            return 0.0
        boundary = float(_mixture(self.level).bound(v=self.variation, alpha=self.level / 4))
        return max(0.0, (self.loss_sum - boundary) / self.rows)


def start_monitor(pilot_losses: ArrayLike, *, tolerance: float, level: float = 0.05) -> RiskMonitor:
    """A monitor that has seen no production row yet.

    Args:
        pilot_losses: of the rows that the pilot was judged on, in [0, 1], shape (n,).
        tolerance: how much worse than the pilot is acceptable, at least 0.
        level: the largest probability of a false alarm over all time, in (0, 1); half is spent on the pilot's bound.

    Raises:
        EmptyData: no pilot loss (RW-104).
        ParameterError: a loss outside [0, 1], a tolerance below 0 or not finite, or a level outside (0, 1) (RW-114).
    """
    check_confidence(level)
    losses = _losses(pilot_losses)
    if not losses.size:
        raise EmptyData("No pilot loss to compare with.", remedy="Give the losses of the pilot's rows.")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ParameterError(f"A tolerance of {tolerance} is none.", remedy="Give a finite tolerance of 0 or more.")
    upper = float(hoeffding_bound(losses, level / 2, bound_side="upper"))
    return RiskMonitor(pilot_rows=losses.size, threshold=upper + tolerance, level=level)


def feed(monitor: RiskMonitor, losses: ArrayLike) -> RiskMonitor:
    """The monitor after more production rows, in the order of time.

    Args:
        monitor: the state before.
        losses: in [0, 1], shape (n,).

    Raises:
        ParameterError: a loss outside [0, 1] (RW-114).
    """
    values = _losses(losses)
    if not values.size:
        return monitor
    # 1. Running sums continue the stored ones digit for digit, whatever the batches were.
    count = monitor.rows + np.arange(1, values.size + 1)
    sums = np.cumsum(np.concatenate([[monitor.loss_sum], values]))
    before = np.concatenate([[monitor.rows], count[:-1]])
    means = np.divide(sums[:-1], before, out=np.full(values.size, _FIRST_GUESS), where=before > 0)
    variation = np.cumsum(np.concatenate([[monitor.variation], (values - means) ** 2]))[1:]
    alarm = monitor.alarm_row
    if alarm is None:
        alarm = _first_exceeding(monitor, sums[1:] - count * monitor.threshold, variation)
    return replace(
        monitor, rows=int(count[-1]), loss_sum=float(sums[-1]), variation=float(variation[-1]), alarm_row=alarm
    )


def to_record(monitor: RiskMonitor) -> dict[str, Any]:
    """The state as plain JSON; numbers are hexadecimal text, which loses no bit."""
    return {
        **{name: getattr(monitor, name) for name in (*_COUNTS, "alarm_row")},
        **{name: float(getattr(monitor, name)).hex() for name in _NUMBERS},
    }


def from_record(record: Mapping[str, Any]) -> RiskMonitor:
    """The state that ``to_record`` wrote.

    Raises:
        ParameterError: a member is missing, of another kind, or impossible (RW-114).
    """
    try:
        threshold, level, loss_sum, variation = (float.fromhex(record[name]) for name in _NUMBERS)
        pilot_rows, rows = (int(record[name]) for name in _COUNTS)
        alarm_row = None if record["alarm_row"] is None else int(record["alarm_row"])
    except (KeyError, TypeError, ValueError) as cause:
        raise ParameterError(
            "The record is no state of a risk monitor.", remedy="Give what to_record wrote, unchanged."
        ) from cause
    possible = (
        pilot_rows > 0,
        0 <= loss_sum <= rows,
        0 <= variation <= rows,
        math.isfinite(threshold),
        0 < level < 1,
        alarm_row is None or 0 < alarm_row <= rows,
    )
    if not all(possible):
        raise ParameterError("The record's numbers do not fit.", remedy="Give what to_record wrote, unchanged.")
    return RiskMonitor(
        pilot_rows=pilot_rows,
        threshold=threshold,
        level=level,
        rows=rows,
        loss_sum=loss_sum,
        variation=variation,
        alarm_row=alarm_row,
    )


def _first_exceeding(monitor: RiskMonitor, excess: NDArray[np.float64], variation: NDArray[np.float64]) -> int | None:
    mixture, wanted = _mixture(monitor.level), math.log(4 / monitor.level)
    # 3. Only where a bound for a single, fixed row would be exceeded.
    candidates = np.flatnonzero((excess > 0) & (excess**2 > 2 * variation * wanted))
    # 2. and 4.
    for place in candidates:
        if mixture.log_supermg(float(excess[place]), float(variation[place])) > wanted:
            return monitor.rows + int(place) + 1
    return None


def _mixture(level: float) -> GammaExponentialMixtureBound:
    # Half of the level is production's share, and MAPIE spends half of that on this side.
    return GammaExponentialMixtureBound(v_opt=_V_OPT, c=_SCALE, alpha_opt=level / 4)


def _losses(losses: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ParameterError("A loss is outside [0, 1].", remedy="Scale the loss, and leave out rows without a label.")
    return values
