"""Columns with one cell: what can be told without a law, and how many rows it takes."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from roadworthy.stats.alarm import Alarm, AlertRule, judge_columns
from roadworthy.stats.cells import CellCounts, Columns, columns_of
from roadworthy.stats.divergences import SMALLEST_SHARE
from roadworthy.stats.drift import LAWS, Effect
from roadworthy.stats.one_cell import one_cell_rows, one_cell_severity

TOLERANCES = {
    Effect.PSI: 0.02,
    Effect.JENSEN_SHANNON: 0.005,
    Effect.TOTAL_VARIATION: 0.05,
    Effect.KOLMOGOROV_SMIRNOV: 0.05,
}


def _column(reference: list[int], current: list[int]) -> Columns:
    return columns_of([CellCounts(reference=reference, current=current)])


@pytest.mark.parametrize("effect", TOLERANCES)
def test_a_constant_column_is_within_with_enough_rows_and_not_before(effect: Effect) -> None:
    """The planned rows tell; one row fewer, and a tenth of them, do not."""
    rule = AlertRule(effect=effect, tolerance=TOLERANCES[effect])
    plan = one_cell_rows(effect, _column([1_000], [1_000]), rule.tolerance, rule.confidence)
    assert plan is not None
    for rows, alarm in ((plan[1], Alarm.WITHIN), (plan[1] - 1, Alarm.CANNOT_TELL), (60, Alarm.CANNOT_TELL)):
        (judged,) = judge_columns(rule, [CellCounts(reference=[rows, 0], current=[rows, 0])])
        assert judged.alarm is alarm
        assert judged.severity.estimate == judged.severity.lower == 0.0 and judged.severity.n == rows
        assert (judged.rows_needed is None) is (alarm is Alarm.WITHIN)
        assert math.isnan(judged.p_value)


def test_the_rule_of_three() -> None:
    """Without a stray the bound on a share is -ln(error / 2) / n: 4.38 / n at two-sided 95 % over two samples."""
    upper = one_cell_severity(Effect.TOTAL_VARIATION, _column([10_000], [20_000]), 0.95).upper
    assert upper == pytest.approx(-math.log(0.0125) / 10_000, rel=1e-3)


@pytest.mark.parametrize("effect", TOLERANCES)
@pytest.mark.parametrize(("p", "q"), [((0.99, 0.01, 0.0), (0.99, 0.0, 0.01)), ((1.0, 0.0, 0.0), (0.98, 0.02, 0.0))])
def test_the_bound_is_never_below_the_truth_at_its_own_shares(
    effect: Effect, p: tuple[float, ...], q: tuple[float, ...]
) -> None:
    """Were the shares outside as large as the bound allows, no arrangement of them would exceed it."""
    rows = 400
    sample = _column([round(rows * share) for share in p], [round(rows * share) for share in q])
    most = one_cell_severity(effect, sample, 0.95).upper
    huge = 10**9
    truth = LAWS[effect](_column([round(huge * s) for s in p], [round(huge * s) for s in q])).value[0]
    if effect is Effect.PSI:
        first, second = np.maximum(p, SMALLEST_SHARE), np.maximum(q, SMALLEST_SHARE)
        truth = float(((first - second) * np.log(first / second)).sum())
    assert truth <= most


def test_coverage_is_exact_arithmetic() -> None:
    """Of windows whose true distance is d, those with a bound below d are at most 2.5 %: summed, not simulated."""
    rows, distance = 500, 0.01
    missed = sum(
        binom.pmf(strays, rows, distance)
        for strays in range(40)
        if one_cell_severity(Effect.TOTAL_VARIATION, _column([rows, 0], [rows - strays, strays]), 0.95).upper < distance
    )
    assert 0 < missed <= 0.025


def test_a_few_strays_are_no_proof() -> None:
    """Nine nulls of 1,000 where a million had none: the merged cells see nothing, the bound does."""
    rule = AlertRule(effect=Effect.PSI, tolerance=0.02)
    (judged,) = judge_columns(rule, [CellCounts(reference=[1_000_000, 0], current=[991, 9])])
    assert judged.alarm is Alarm.CANNOT_TELL
    assert judged.severity.upper > 0.05
    assert judged.rows_needed is not None and judged.rows_needed.each > 1_000_000


def test_a_stray_that_cannot_weigh_is_within() -> None:
    """Two strays in 200,000 rows of either."""
    rule = AlertRule(effect=Effect.PSI, tolerance=0.02)
    (judged,) = judge_columns(rule, [CellCounts(reference=[200_000, 2], current=[200_000, 0])])
    assert judged.alarm is Alarm.WITHIN
    assert judged.severity.lower == 0.0 < judged.severity.upper <= 0.02


def test_a_reference_that_is_too_small_needs_more_of_both() -> None:
    """No window, however large, tells beside 200 constant rows; beside 100,000 a moderate one does."""
    small = one_cell_rows(Effect.PSI, _column([200], [200]), 0.02, 0.95)
    large = one_cell_rows(Effect.PSI, _column([100_000], [200]), 0.02, 0.95)
    assert small is not None and small[0] is None and small[1] > 1_000
    assert large is not None and large[0] is not None and large[0] < small[1]


def test_no_unit_no_bound() -> None:
    """A constant reference has no interquartile range, and more rows do not give it one."""
    column = CellCounts(reference=[10_000, 0, 0], current=[10_000, 0, 0], ordered=3, edges=[0.0, 1.0])
    (judged,) = judge_columns(AlertRule(effect=Effect.WASSERSTEIN, tolerance=0.1), [column])
    assert judged.alarm is Alarm.CANNOT_TELL
    assert not judged.severity.known and judged.rows_needed is None


def test_all_rows_in_another_cell_has_no_bound_under_psi() -> None:
    """Fifty rows spread over fifty cells: thin everywhere, so nothing is within."""
    spread = _column([1] * 50 + [0], [0] * 50 + [50])
    assert one_cell_severity(Effect.PSI, spread, 0.95).upper == math.inf
