"""The alert rule: three answers, one error budget, rows that would tell."""

import numpy as np
import pytest
from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.stats.alarm import Alarm, AlertRule, Control, exceedance, judge_columns
from roadworthy.stats.cells import CellCounts, Columns
from roadworthy.stats.drift import LEAST_ROWS, Effect, measured

PSI = AlertRule(effect=Effect.PSI, tolerance=0.02, windows=40)
EDGES = norm.ppf(np.arange(1, 20) / 20)


def _shifted(shift: float, cells: int = 20) -> np.ndarray:
    edges = norm.ppf(np.arange(1, cells) / cells)
    return np.diff(np.concatenate(([0.0], norm.cdf(edges - shift), [1.0])))


def _window(rng: np.random.Generator, n: int, shifts: list[float], m: int | None = None) -> list[CellCounts]:
    return [
        CellCounts(
            reference=rng.multinomial(n, np.full(20, 0.05)),
            current=rng.multinomial(m or n, _shifted(shift)),
            ordered=20,
            edges=EDGES.tolist(),
        )
        for shift in shifts
    ]


@pytest.mark.parametrize(
    ("n", "shift", "answer"),
    [
        (1_000_000, 0.02, Alarm.WITHIN),  # visible to every test of equality, and trivial
        (100_000, 0.1, Alarm.WITHIN),
        (100_000, 0.3, Alarm.EXCEEDS),  # a bare PSI of 0.088 passes the classical 0.1
        (100, 0.0, Alarm.CANNOT_TELL),
    ],
)
def test_published_table(n: int, shift: float, answer: Alarm) -> None:
    """Tolerance PSI 0.02 on 20 cells, one column at 2.5 %: in 20 windows the same answer, but for chance."""
    rng = np.random.default_rng([1, n])
    answers = [judge_columns(PSI, _window(rng, n, [shift]))[0].alarm for _ in range(20)]
    # Few rows may by chance look more alike than a true PSI of 0.02 allows: 2.5 % of windows.
    assert answers.count(answer) >= (18 if answer is Alarm.CANNOT_TELL else 20)


def test_power_just_above_and_just_below() -> None:
    """n = 10,000: a shift of 0.14 (just under) alarms in about 2.5 %, one of 0.2 in nearly all of 400 windows."""
    shares = []
    for shift in (0.14, 0.2):
        columns = _draws(10_000, 400, np.full(20, 0.05), _shifted(shift))
        shares.append(np.mean(exceedance(measured(Effect.PSI, columns), 0.02) <= 0.025))
    assert shares[0] < 0.05 and shares[1] > 0.93


def _draws(n: int, count: int, p: np.ndarray, q: np.ndarray) -> Columns:
    rng = np.random.default_rng(2)
    return Columns(
        rng.multinomial(n, p, count).astype(float),
        rng.multinomial(n, q, count).astype(float),
        np.full(count, p.size, dtype=np.intp),
        (EDGES,) * count,
    )


@pytest.mark.parametrize("effect", Effect)
def test_p_value_and_lower_bound_agree(effect: Effect) -> None:
    """p below an error rate exactly where the lower bound at that rate lies above the tolerance."""
    effects = measured(effect, _draws(2_000, 200, np.full(20, 0.05), _shifted(0.25)))
    tolerance = float(np.median(effects.law.lower(0.05)))
    assert ((exceedance(effects, tolerance) < 0.05) == (effects.law.lower(0.05) > tolerance)).mean() > 0.99


def test_budget_is_spent_over_all_columns() -> None:
    """A column at 2 % alone alarms alone, and no longer among twenty."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        column = _window(rng, 10_000, [0.17])
        alone = judge_columns(PSI, column)[0]
        if 0.005 < alone.p_value < 0.02:
            break
    assert alone.alarm is Alarm.EXCEEDS
    among = judge_columns(PSI, column + _window(rng, 10_000, [0.0] * 19))
    assert among[0].alarm is Alarm.CANNOT_TELL and among[0].p_value == alone.p_value
    assert among[0].adjusted_p_value > PSI.alpha
    assert among[0].severity == alone.severity


@pytest.mark.parametrize("control", Control)
def test_real_drift_is_found_among_many_columns(control: Control) -> None:
    """Three of fifty columns move by half a deviation: those three, whatever is held."""
    rng = np.random.default_rng(6)
    rule = AlertRule(effect=Effect.PSI, tolerance=0.02, windows=100, control=control)
    judged = judge_columns(rule, _window(rng, 20_000, [0.5, 0.5, 0.5] + [0.0] * 47))
    assert [each.alarm for each in judged[:3]] == [Alarm.EXCEEDS] * 3
    assert {each.alarm for each in judged[3:]} == {Alarm.WITHIN}


@pytest.mark.parametrize("effect", Effect)
def test_whole_calendar_keeps_the_budget(effect: Effect) -> None:
    """20 calendars of 50 windows, one reference each, five columns exactly at the tolerance: at most one alarm."""
    tolerance = {Effect.PSI: 0.0393, Effect.JENSEN_SHANNON: 0.00706}.get(effect, 0.0797)
    tolerance = 0.1363 if effect is Effect.WASSERSTEIN else tolerance
    rule = AlertRule(effect=effect, tolerance=tolerance, windows=50)
    rng = np.random.default_rng(7)
    calendars, windows, columns = 20, 50, 5
    reference = rng.multinomial(5_000, np.full(20, 0.05), (calendars, 1, columns)).repeat(windows, axis=1)
    current = rng.multinomial(5_000, _shifted(0.2), (calendars, windows, columns))
    count = calendars * windows * columns
    effects = measured(
        effect,
        Columns(
            reference.reshape(count, 20).astype(float),
            current.reshape(count, 20).astype(float),
            np.full(count, 20, dtype=np.intp),
            (EDGES,) * count,
        ),
    )
    p_values = np.sort(exceedance(effects, rule.tolerance).reshape(-1, columns), axis=1)
    alarmed = (p_values <= rule.alpha * np.arange(1, columns + 1) / columns).any(axis=1).reshape(calendars, windows)
    per_calendar = alarmed.sum(axis=1)
    # Windows share their reference, so the error of the mean comes from calendars, not from windows.
    assert per_calendar.mean() <= 1 + 3 * per_calendar.std() / np.sqrt(calendars) + 0.3


def test_what_cannot_be_measured_never_passes_and_takes_no_budget() -> None:
    """An empty window, a constant column: cannot tell, with NaN; the other column is judged as if alone."""
    rng = np.random.default_rng(8)
    moved = _window(rng, 10_000, [0.5])
    others = [
        CellCounts(reference=[500, 500], current=[0, 0]),
        CellCounts(reference=[500, 0], current=[500, 0]),
        CellCounts(reference=[20, 10], current=[500, 500]),
    ]
    judged = judge_columns(PSI, moved + others)
    assert [each.alarm for each in judged] == [Alarm.EXCEEDS] + [Alarm.CANNOT_TELL] * 3
    assert all(np.isnan(each.p_value) and np.isnan(each.adjusted_p_value) for each in judged[1:])
    assert judged[0].adjusted_p_value == judge_columns(PSI, moved)[0].p_value
    assert judged[1].rows_needed is not None and judged[1].rows_needed.current == LEAST_ROWS
    assert judged[2].rows_needed is not None and judged[2].rows_needed.current is None
    assert judged[3].rows_needed is not None and judged[3].rows_needed.current is None


def test_a_window_that_is_all_null_exceeds() -> None:
    """The worst window of all has no noise left; it must not end in a division by zero."""
    counts = CellCounts(reference=[50] * 20 + [0], current=[0] * 20 + [1_000], ordered=20, edges=EDGES.tolist())
    for effect in Effect:
        rule = AlertRule(effect=effect, tolerance=0.1)
        assert judge_columns(rule, [counts, counts])[0].alarm is Alarm.EXCEEDS


@pytest.mark.parametrize("effect", Effect)
def test_planned_rows_tell(effect: Effect) -> None:
    """With the planned rows twice the tolerance is found, and no effect is within, in 8 of 10 at least."""
    rng = np.random.default_rng(9)
    tolerance = {Effect.PSI: 0.0393, Effect.JENSEN_SHANNON: 0.00706}.get(effect, 0.0797)
    tolerance = (0.1363 if effect is Effect.WASSERSTEIN else tolerance) / 2
    rule = AlertRule(effect=effect, tolerance=tolerance, windows=20)
    plan = judge_columns(rule, _window(rng, 100, [0.0], m=100))[0].rows_needed
    assert plan is not None
    answers = {
        shift: [judge_columns(rule, _window(rng, plan.each, [shift]))[0].alarm for _ in range(20)]
        for shift in (0.0, 0.2)
    }
    assert answers[0.2].count(Alarm.EXCEEDS) >= 16
    assert answers[0.0].count(Alarm.WITHIN) >= 16


def test_plan_says_when_the_reference_is_too_small() -> None:
    """A reference of 100 rows tells a PSI of 0.02 beside no window; one of a million rows beside a moderate one."""
    rng = np.random.default_rng(10)
    small = judge_columns(PSI, _window(rng, 100, [0.0]))[0].rows_needed
    large = judge_columns(PSI, _window(rng, 1_000_000, [0.0], m=100))[0].rows_needed
    assert small is not None and small.current is None and small.each > 2_000
    assert large is not None and large.current is not None and small.each / 3 < large.current < small.each


def _thin(rng: np.random.Generator, n: int, rare: int, *, moved: bool) -> CellCounts:
    weights = np.where(np.arange(rare) % 2 == 0, 1.8, 0.2) if moved else np.ones(rare)
    return CellCounts(
        reference=rng.multinomial(n, np.concatenate(([0.6], np.full(rare, 0.4 / rare)))),
        current=rng.multinomial(n, np.concatenate(([0.6], 0.4 * weights / weights.sum()))),
    )


@pytest.mark.parametrize(
    ("effect", "tolerance"), [(Effect.PSI, 0.02), (Effect.JENSEN_SHANNON, 0.02), (Effect.TOTAL_VARIATION, 0.02)]
)
def test_rare_values_that_exchange_their_shares_are_never_within(effect: Effect, tolerance: float) -> None:
    """A true PSI of 0.35 lies wholly among cells that merge; the merged cells alone would say WITHIN."""
    rng = np.random.default_rng(11)
    rule = AlertRule(effect=effect, tolerance=tolerance)
    judged = judge_columns(rule, [_thin(rng, 2_000, 100, moved=True) for _ in range(50)])
    assert all(each.alarm is not Alarm.WITHIN for each in judged)
    assert all(each.severity.upper > tolerance for each in judged)


def test_rows_enough_for_the_laws_are_not_asked_for_when_thin_cells_hide() -> None:
    """The plan is never fewer rows than there are; with the planned ones nothing merges and the difference is found."""
    rng = np.random.default_rng(12)
    rule = AlertRule(effect=Effect.PSI, tolerance=0.1)
    judged = judge_columns(rule, [_thin(rng, 2_000, 100, moved=True)])[0]
    assert judged.rows_needed is not None and judged.rows_needed.each > 2_000
    assert judged.rows_needed.current is None
    large = judge_columns(rule, [_thin(rng, judged.rows_needed.each, 100, moved=True)])[0]
    assert large.alarm is Alarm.EXCEEDS


def test_thin_cells_that_do_not_move_are_within_once_they_are_filled() -> None:
    """The stricter bound costs rows, not the answer: 20,000 rows over 100 rare values that stay."""
    rng = np.random.default_rng(13)
    judged = judge_columns(AlertRule(effect=Effect.PSI, tolerance=0.1), [_thin(rng, 20_000, 100, moved=False)])[0]
    assert judged.alarm is Alarm.WITHIN


@pytest.mark.parametrize(("tolerance", "windows"), [(0.0, 100), (float("nan"), 100), (0.02, 1)])
def test_rules_without_meaning_are_refused(tolerance: float, windows: int) -> None:
    """No tolerance, or a false alarm in every window."""
    with pytest.raises(ParameterError):
        AlertRule(effect=Effect.PSI, tolerance=tolerance, windows=windows)


def test_no_columns_no_judgements() -> None:
    """Nothing to judge."""
    assert judge_columns(PSI, []) == ()
