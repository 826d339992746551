"""Laws that severity and tests on cell counts keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.stats.alarm import Alarm, AlertRule, judge_columns
from roadworthy.stats.cells import CellCounts, columns_of, merged
from roadworthy.stats.drift import Effect, severity
from roadworthy.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli
from roadworthy.stats.two_sample import same_distribution

counts = st.integers(min_value=0, max_value=400)
pairs = st.lists(st.tuples(counts, counts), min_size=2, max_size=12).map(
    lambda cells: ([a for a, _ in cells], [b for _, b in cells])
)
effects = st.sampled_from(list(Effect))


def _measure(effect: Effect, reference: list[int], current: list[int]):
    ordered = max(len(reference) - 1, 1)
    return severity(effect, reference, current, ordered=ordered, edges=list(range(ordered - 1)))


@settings(deadline=None, max_examples=30)
@given(effects, pairs)
def test_intervals_are_in_order_and_possible_or_unknown(effect: Effect, pair: tuple[list[int], list[int]]) -> None:
    """0 <= lower <= estimate <= upper, at most 1 where the effect is a share; or nothing at all."""
    interval = _measure(effect, *pair)
    assert interval.known or np.isnan([interval.estimate, interval.lower, interval.upper]).all()
    if interval.known:
        assert interval.lower >= 0
        assert effect in {Effect.PSI, Effect.WASSERSTEIN} or interval.upper <= 1


@settings(deadline=None, max_examples=12)
@given(pairs, st.randoms(use_true_random=False))
def test_names_of_categories_do_not_matter(pair: tuple[list[int], list[int]], shuffler) -> None:
    """Unordered cells in another order: the same answer."""
    order = list(range(len(pair[0])))
    shuffler.shuffle(order)
    for effect in (Effect.PSI, Effect.JENSEN_SHANNON, Effect.TOTAL_VARIATION, Effect.KOLMOGOROV_SMIRNOV):
        first = severity(effect, *pair)
        second = severity(effect, [pair[0][i] for i in order], [pair[1][i] for i in order])
        assert first.known == second.known
        assert not first.known or first.estimate == pytest.approx(second.estimate, abs=1e-9)


@settings(deadline=None, max_examples=12)
@given(pairs)
def test_symmetric_effects_are_symmetric(pair: tuple[list[int], list[int]]) -> None:
    """Reference and window exchanged: the same, except for Wasserstein, whose unit is the reference's."""
    for effect in (Effect.PSI, Effect.JENSEN_SHANNON, Effect.TOTAL_VARIATION, Effect.KOLMOGOROV_SMIRNOV):
        first, second = _measure(effect, *pair), _measure(effect, pair[1], pair[0])
        assert not first.known or first.estimate == pytest.approx(second.estimate, abs=1e-9)
    one, other = same_distribution(*pair), same_distribution(pair[1], pair[0])
    assert np.isnan(one.p_value) or one.p_value == pytest.approx(other.p_value, abs=1e-9)


@settings(deadline=None, max_examples=12)
@given(pairs)
def test_merging_never_makes_a_difference(pair: tuple[list[int], list[int]]) -> None:
    """No row is lost, and no effect grows: total variation between merged cells is at most that between all."""
    columns = columns_of([CellCounts(reference=pair[0], current=pair[1], ordered=len(pair[0]) // 2)])
    joined = merged(columns)
    assert joined.reference_rows == columns.reference_rows and joined.current_rows == columns.current_rows
    if min(columns.reference_rows[0], columns.current_rows[0]) > 0:
        before, after = (
            np.abs(each.reference / each.reference_rows - each.current / each.current_rows).sum()
            for each in (columns, joined)
        )
        assert after <= before + 1e-9


@settings(deadline=None, max_examples=12)
@given(effects, pairs)
def test_more_of_the_same_narrows_the_interval(effect: Effect, pair: tuple[list[int], list[int]]) -> None:
    """Every cell sixteen times: never a lower lower bound on the same cells, never less to say."""
    first = _measure(effect, *pair)
    second = _measure(effect, [16 * a for a in pair[0]], [16 * b for b in pair[1]])
    if first.known:
        assert second.known
        assert effect in {Effect.PSI, Effect.JENSEN_SHANNON} or second.lower >= first.lower - 1e-9


@settings(deadline=None, max_examples=12)
@given(effects, st.lists(pairs, min_size=1, max_size=5))
def test_company_never_helps_an_alarm(effect: Effect, columns: list[tuple[list[int], list[int]]]) -> None:
    """Judged together, adjusted p-values are at least those of a column alone; severities are the same."""
    rule = AlertRule(effect=effect, tolerance=0.05, windows=20)
    window = [CellCounts(reference=a, current=b, ordered=len(a), edges=list(range(len(a) - 1))) for a, b in columns]
    for alone, together in zip(
        [judge_columns(rule, [each])[0] for each in window], judge_columns(rule, window), strict=True
    ):
        assert together.severity.estimate == pytest.approx(alone.severity.estimate, abs=1e-9, nan_ok=True)
        assert np.isnan(together.p_value) or together.adjusted_p_value >= alone.p_value - 1e-12
        assert together.alarm is not Alarm.WITHIN or together.severity.upper <= rule.tolerance


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=30))
def test_any_dependence_costs_more(values: list[float]) -> None:
    """Benjamini-Yekutieli is never below Benjamini-Hochberg, keeps its order, and stays a chance."""
    loose, strict = benjamini_hochberg(values), benjamini_yekutieli(values)
    assert (strict >= loose - 1e-12).all() and (strict <= 1).all()
