"""How often the drift statistics raise a false alarm, find a true one, and cover the truth: tables from simulation.

Owns the simulated worlds and their tables; the statistics are the package's own. Every world is a multinomial draw on
cells, so its truth is known; every seed is fixed, so a second run prints the same figures.

    python tools/false_alarms.py             about two minutes of one core; writes docs/statistics/false-alarms.md
    python tools/false_alarms.py --quick     below 20 seconds; a sample of the corners, writes nothing
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

from roadworthy.base.interval import Interval
from roadworthy.stats.alarm import exceedance
from roadworthy.stats.cells import EXPECTED_ROWS_OF_ALARM, EXPECTED_ROWS_OF_MANY, Columns, merged
from roadworthy.stats.distances import Distance
from roadworthy.stats.divergences import Divergence
from roadworthy.stats.drift import LEAST_ROWS, ON_MERGED_CELLS, Effect, intervals, measured, unhidden
from roadworthy.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli
from roadworthy.stats.transport import reference_iqr
from roadworthy.stats.two_sample import Statistic, tested

Floats = NDArray[np.float64]
Judge = Callable[[Columns], Floats]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics" / "false-alarms.md"
PROMISED = 0.05
INTERVAL = 0.99
BATCH = 2_000
TOLERANCES = {
    Effect.PSI: 0.02,
    Effect.JENSEN_SHANNON: 0.005,
    Effect.TOTAL_VARIATION: 0.05,
    Effect.WASSERSTEIN: 0.1,
    Effect.KOLMOGOROV_SMIRNOV: 0.05,
}


class Size(NamedTuple):
    """How much to simulate.

    Attributes:
        rows: samples of reference and window.
        cells: numbers of cells.
        columns: columns in a window.
        windows: windows with each of those numbers of columns.
        draws: columns for the worlds other than the first, which has as many as the windows need.
        repeats: draws for coverage and power.
        calendars: calendars of 100 windows.
    """

    rows: tuple[int, ...]
    cells: tuple[int, ...]
    columns: tuple[int, ...]
    windows: dict[int, int]
    draws: int
    repeats: int
    calendars: int


FULL = Size(
    (100, 1_000, 10_000, 100_000, 1_000_000),
    (2, 10, 20, 64, 256),
    (1, 20, 200, 1_000),
    {1: 4_000, 20: 2_000, 200: 200, 1_000: 40},
    10_000,
    1_000,
    100,
)
QUICK = Size((100, 10_000), (2, 20), (1, 20), {1: 1_000, 20: 200}, 4_000, 100, 10)


class World(NamedTuple):
    """Shares of the cells in the reference and in the window, with the edges between them."""

    reference: Floats
    current: Floats
    edges: Floats

    def draw(self, rng: np.random.Generator, rows: tuple[int, int], count: int) -> Columns:
        """``count`` columns, each with a reference and a window of its own."""
        reference = rng.multinomial(rows[0], self.reference, count).astype(np.float64)
        current = rng.multinomial(rows[1], self.current, count).astype(np.float64)
        return self.columns(reference, current)

    def columns(self, reference: Floats, current: Floats) -> Columns:
        """Counts with this world's cells, all ordered."""
        count = len(reference)
        return Columns(reference, current, np.full(count, self.reference.size, dtype=np.intp), (self.edges,) * count)


def even(cells: int, shift: float = 0.0) -> World:
    """Cells at the quantiles of a normal reference; the window's mean is ``shift`` standard deviations higher."""
    edges = norm.ppf(np.arange(1, cells) / cells)
    moved = np.diff(np.concatenate(([0.0], norm.cdf(edges - shift), [1.0])))
    return World(np.full(cells, 1 / cells), moved / moved.sum(), edges)


def tied(cells: int) -> World:
    """Six rows of ten in one cell, the others ever rarer: what tied values and rare categories look like."""
    rest = 1 / np.arange(1, cells) ** 1.5
    shares = np.concatenate((0.4 * rest / rest.sum(), [0.6]))
    return World(shares, shares, np.arange(1.0, cells))


def at_tolerance(effect: Effect, cells: int) -> World:
    """The normal reference, and a shift whose effect is exactly the tolerance."""
    shift = float(brentq(lambda size: truth(effect, even(cells, size)) - TOLERANCES[effect], 0.0, 3.0))
    return even(cells, shift)


def truth(effect: Effect, world: World) -> float:
    """The effect between the shares themselves."""
    p, q = world.reference, world.current
    ladder = np.abs(np.cumsum(p - q))[:-1]
    if effect is Effect.PSI:
        return float(((p - q) * np.log(p / q)).sum())
    if effect is Effect.JENSEN_SHANNON:
        return float((p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q))).sum() / 2)
    if effect is Effect.TOTAL_VARIATION:
        return float(np.abs(p - q).sum() / 2)
    if effect is Effect.KOLMOGOROV_SMIRNOV:
        return float(ladder.max())
    return float(np.trapezoid(ladder, world.edges) / unit(world))


def unit(world: World) -> float:
    """The interquartile range of the reference shares, straight between edges."""
    quartiles = np.interp((0.25, 0.75), np.cumsum(world.reference)[:-1], world.edges)
    return float(quartiles[1] - quartiles[0])


def p_values_of(judge: Judge, world: World, rows: tuple[int, int], count: int, seed: int) -> Floats:
    """``count`` p-values; a column of which nothing can be told counts as 1, since it cannot alarm."""
    rng = np.random.default_rng([seed, *rows, world.reference.size])
    parts = [judge(world.draw(rng, rows, min(BATCH, count - done))) for done in range(0, count, BATCH)]
    return np.nan_to_num(np.concatenate(parts), nan=1.0)


def equality(columns: Columns) -> Floats:
    """P-values of the test of equality, as used for many columns."""
    return tested(merged(columns, EXPECTED_ROWS_OF_MANY), Statistic.WILLIAMS)[1]


def alerts(effect: Effect) -> Judge:
    """P-values of the alert rule."""
    return lambda columns: exceedance(measured(effect, columns, EXPECTED_ROWS_OF_ALARM), TOLERANCES[effect])


def alarmed(p_values: Floats, columns: int, windows: int, level: float = PROMISED) -> int:
    """In how many windows of that many columns Benjamini-Hochberg leaves an alarm."""
    used = p_values[: columns * windows].reshape(windows, columns)
    ordered = np.sort(used, axis=1)
    return int((ordered <= level * np.arange(1, columns + 1) / columns).any(axis=1).sum())


class Tally:
    """Counts how many realised rates lie where they should."""

    def __init__(self) -> None:
        self.inside = self.above = self.below = 0

    def cell(self, hits: int, trials: int, level: float = PROMISED) -> str:
        """The rate, marked when it is outside the binomial interval of the promised one."""
        low, high = binom.interval(INTERVAL, trials, level)
        self.above += int(hits > high)
        self.below += int(hits < low)
        self.inside += int(low <= hits <= high)
        mark = " (above)" if hits > high else " (below)" if hits < low else ""
        return f"{100 * hits / trials:.2f}{mark}"

    def __str__(self) -> str:
        return f"inside {self.inside}, above {self.above}, below {self.below}"


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def promised_intervals(size: Size) -> str:
    """The intervals that the cells of a table are held against."""
    texts = []
    for count in size.columns:
        low, high = binom.interval(INTERVAL, size.windows[count], PROMISED)
        scale = 100 / size.windows[count]
        texts.append(f"{size.windows[count]:,} windows of {count:,}: {low * scale:.2f} to {high * scale:.2f} %")
    return "; ".join(texts)


def no_difference(size: Size) -> Iterator[str]:
    """The test of equality where nothing differs."""
    yield "## Equality: nothing differs, 5 % promised for a whole window"
    yield ""
    yield f"Windows (%) with any alarm after Benjamini-Hochberg. 99 % binomial intervals of 5 %: {promised_intervals(size)}."
    yield ""
    tally, rows = Tally(), []
    for name, world in (("even", even), ("tied", tied)):
        for pair in [(n, n) for n in size.rows] + [(100_000, m) for m in size.rows if m < 100_000]:
            for cells in size.cells:
                there = world(cells)
                needed = max(count * size.windows[count] for count in size.columns)
                needed = min(needed, size.draws) if pair[0] != pair[1] or name == "tied" else needed
                found = p_values_of(equality, there, pair, needed, seed=1)
                row = [name, f"{pair[0]:,}", f"{pair[1]:,}", str(cells)]
                for count in size.columns:
                    windows = min(size.windows[count], needed // count)
                    row.append(tally.cell(alarmed(found, count, windows), windows))
                rows.append(row)
    yield from table(["cells", "reference", "window", "k", *(f"{count:,} columns" for count in size.columns)], rows)
    yield f"Rates against their intervals: {tally}."
    yield ""


def correlated(size: Size) -> Iterator[str]:
    """Columns that share most of their variance, drawn as values: 1,000 rows, correlation 0.8."""
    yield "## Correlated columns: nothing differs, 5 % promised"
    yield ""
    yield "1,000 rows, 20 cells, all pairs of columns correlated by 0.8: windows (%) with any alarm."
    yield ""
    rng, rows, edges = np.random.default_rng(2), 1_000, even(20).edges
    windows = size.repeats // 4
    body = []
    for count in (20, 200):
        hits = np.zeros(4, dtype=int)
        for _ in range(windows):
            samples = []
            for _sample in range(2):
                values = np.sqrt(0.8) * rng.standard_normal((rows, 1)) + np.sqrt(0.2) * rng.standard_normal(
                    (rows, count)
                )
                place = np.searchsorted(edges, values) + 20 * np.arange(count)
                samples.append(np.bincount(place.ravel(), minlength=20 * count).reshape(count, 20).astype(np.float64))
            columns = even(20).columns(*samples)
            same, exceeds = equality(columns), alerts(Effect.PSI)(columns)
            for each, adjusted in enumerate(
                (
                    benjamini_hochberg(same),
                    benjamini_yekutieli(same),
                    benjamini_hochberg(exceeds),
                    benjamini_yekutieli(exceeds),
                )
            ):
                hits[each] += adjusted.min() <= PROMISED
        body.append([str(count), str(windows), *(f"{100 * hit / windows:.2f}" for hit in hits)])
    head = ["columns", "windows", "equality BH", "equality BY", "PSI > 0.02 BH", "PSI > 0.02 BY"]
    yield from table(head, body)


def at_the_edge(size: Size) -> Iterator[str]:
    """The alert rule where every column differs by exactly the tolerance: its worst case."""
    yield "## Alert rule: every column differs by exactly the tolerance, at most 5 % promised"
    yield ""
    yield f"Windows (%) with any alarm after Benjamini-Hochberg. 99 % binomial intervals of 5 %: {promised_intervals(size)}."
    yield ""
    few = tuple(count for count in size.columns if count <= 200)
    tally, rows = Tally(), []
    for effect in Effect:
        for pair in [(n, n) for n in (LEAST_ROWS, *size.rows)] + [(100_000, 200)]:
            for cells in size.cells:
                if effect is Effect.WASSERSTEIN and cells < 10:
                    continue
                there = at_tolerance(effect, cells)
                needed = size.draws
                judge = _against_own_unit(there) if effect is Effect.WASSERSTEIN else alerts(effect)
                found = p_values_of(judge, there, pair, needed, seed=3)
                row = [effect.value, f"{pair[0]:,}", f"{pair[1]:,}", str(cells)]
                for count in few:
                    windows = min(size.windows[count], needed // count)
                    row.append(tally.cell(alarmed(found, count, windows), windows))
                rows.append(row)
    yield from table(["effect", "reference", "window", "k", *(f"{count:,} columns" for count in few)], rows)
    yield f'Rates against their intervals: {tally}. Below is what a promise of "at most" allows.'
    yield ""


def _against_own_unit(world: World) -> Judge:
    # The unit belongs to the reference that was drawn; the tolerance that the truth meets is in the same unit.
    def judge(columns: Columns) -> Floats:
        effects = measured(Effect.WASSERSTEIN, columns)
        same_unit = TOLERANCES[Effect.WASSERSTEIN] * unit(world) / reference_iqr(columns)
        return np.where(effects.able, effects.law.tail(same_unit), np.nan)

    return judge


def calendar(size: Size) -> Iterator[str]:
    """A hundred windows against one reference, at most one false alarm promised in them."""
    yield "## One reference, a calendar of 100 windows, at most one false alarm promised"
    yield ""
    yield f"{size.calendars} calendars; 20 columns of 20 cells, 10,000 rows each; alpha = 1 / 100 for a window."
    yield ""
    rows = []
    for name, judge, there in (
        ("equality, nothing differs", equality, even(20)),
        ("PSI > 0.02, nothing differs", alerts(Effect.PSI), even(20)),
        ("PSI > 0.02, every column exactly there", alerts(Effect.PSI), at_tolerance(Effect.PSI, 20)),
        (
            "KS > 0.05, every column exactly there",
            alerts(Effect.KOLMOGOROV_SMIRNOV),
            at_tolerance(Effect.KOLMOGOROV_SMIRNOV, 20),
        ),
    ):
        rng = np.random.default_rng(4)
        counts = []
        for _ in range(size.calendars):
            reference = rng.multinomial(10_000, there.reference, 20).astype(np.float64)
            current = rng.multinomial(10_000, there.current, 2_000).astype(np.float64)
            found = np.nan_to_num(judge(there.columns(np.tile(reference, (100, 1)), current)), nan=1.0)
            counts.append(alarmed(found, 20, 100, 1 / 100))
        seen = np.array(counts)
        error = seen.std() / np.sqrt(seen.size)
        shares = [f"{100 * np.mean(seen == k):.0f}" for k in (0, 1, 2)] + [f"{100 * np.mean(seen >= 3):.0f}"]
        rows.append([name, f"{seen.mean():.2f} ± {1.96 * error:.2f}", *shares, str(seen.max())])
    head = ["rule", "false alarms in a calendar", "none (%)", "one", "two", "three or more", "most"]
    yield from table(head, rows)


def power(size: Size) -> Iterator[str]:
    """What the alert rule answers to shifts of known size, one column, alpha 2.5 %."""
    yield "## Power: PSI, tolerance 0.02, 20 cells, one column, lower bound at 97.5 %"
    yield ""
    rows = []
    for n, shift in (
        (1_000_000, 0.02), (100_000, 0.1), (10_000, 0.14), (10_000, 0.2), (1_000, 0.2), (1_000, 0.5), (100_000, 0.3),
        (100, 1.0),
    ):  # fmt: skip
        there = even(20, shift)
        columns = there.draw(np.random.default_rng([5, n]), (n, n), size.repeats)
        effects = measured(Effect.PSI, columns, EXPECTED_ROWS_OF_ALARM)
        exceeds = (exceedance(effects, 0.02) <= 0.025) & effects.able
        within = ~exceeds & np.array([each.known and each.upper <= 0.02 for each in bounds(Effect.PSI, columns)])
        same = np.mean(tested(merged(columns), Statistic.PEARSON)[1] <= PROMISED)
        shares = [exceeds.mean(), within.mean(), 1 - exceeds.mean() - within.mean(), same]
        rows.append(
            [f"{n:,}", str(shift), f"{truth(Effect.PSI, there):.4f}", *(f"{100 * share:.1f}" for share in shares)]
        )
    head = ["rows of each", "shift (sd)", "true PSI", "exceeds (%)", "within", "cannot tell", "equality p < 0.05"]
    yield from table(head, rows)


def exchange(size: Size) -> Iterator[str]:
    """What becomes of WITHIN where the whole difference lies among cells that are merged."""
    yield "## Thin cells: WITHIN where rare categories exchange their shares, and where nothing moves"
    yield ""
    yield (
        f"{size.repeats:,} draws each. Six rows of ten hold one value, the others one of k rare ones; moved, every other "
        "rare value"
    )
    yield "has nine times the share of its neighbours. Windows (%) whose upper bound lies within the tolerance."
    yield ""
    rows = []
    for n, k in ((1_000, 60), (2_000, 100), (20_000, 100)):
        for moved in (True, False):
            weights = np.where(np.arange(k) % 2 == 0, 1.8, 0.2) if moved else np.ones(k)
            rare = np.concatenate(([0.6], np.full(k, 0.4 / k)))
            there = World(rare, np.concatenate(([0.6], 0.4 * weights / weights.sum())), np.array([]))
            columns = there.draw(np.random.default_rng([7, n, k]), (n, n), size.repeats)
            columns = columns._replace(ordered=np.zeros(size.repeats, dtype=np.intp))
            for effect, tolerance in ((Effect.PSI, 0.1), (Effect.JENSEN_SHANNON, 0.01), (Effect.TOTAL_VARIATION, 0.05)):
                effects = measured(effect, columns, EXPECTED_ROWS_OF_ALARM)
                merged_only = [each.known and each.upper <= tolerance for each in intervals(effects, 0.95)]
                both = [each.known and each.upper <= tolerance for each in bounds(effect, columns)]
                world = [f"{n:,}", str(k), "moved" if moved else "the same", effect.value, str(tolerance)]
                shares = [f"{100 * np.mean(each):.1f}" for each in (merged_only, both)]
                rows.append([*world, f"{truth(effect, there):.3f}", *shares])
    head = ["rows of each", "k", "rare values", "effect", "tolerance", "truth", "merged cells alone", "the rule"]
    yield from table(head, rows)


def bounds(effect: Effect, columns: Columns) -> list[Interval]:
    """The 95 % intervals by which the rule decides WITHIN."""
    return unhidden(effect, measured(effect, columns, EXPECTED_ROWS_OF_ALARM), columns, 0.95)


def coverage(size: Size) -> Iterator[str]:
    """How often the bounds of 95 % intervals miss the truth of the original cells, on either side."""
    yield "## Coverage: how often a bound of the 95 % interval misses, 2.5 % promised on each side"
    yield ""
    yield f'{size.repeats:,} draws each; "lower / upper" in %: the lower bound above the truth / the upper below it.'
    yield ""
    rows = []
    pairs = [(n, n) for n in size.rows if n != 100_000] + [(100_000, 1_000)]
    for cells in size.cells:
        for pair in pairs:
            for shift in (0.0, 0.1, 0.3, 1.0, 2.0):
                there = even(cells, shift)
                columns = there.draw(np.random.default_rng([6, *pair, cells]), pair, size.repeats)
                missed = ["-" if e is Effect.WASSERSTEIN and cells < 10 else misses(e, there, columns) for e in Effect]
                rows.append([str(cells), f"{pair[0]:,}", f"{pair[1]:,}", str(shift), *missed])
    yield from table(["k", "reference", "window", "shift (sd)", *(effect.value for effect in Effect)], rows)


def misses(effect: Effect, world: World, columns: Columns) -> str:
    """Share of lower bounds above the truth and of upper bounds below it."""
    effects = measured(effect, columns)
    target = np.full(len(columns.reference), truth(effect, world))
    if effect is Effect.WASSERSTEIN:
        target *= unit(world) / reference_iqr(columns)
    able = effects.able
    if not able.any():
        return "unknown"
    # The lower bound solves this equation, which needs no solving to see on which side of it the truth lies.
    too_high = effects.law.tail(target) < 0.025
    # The upper bound is the higher one of merged cells and of the cells as they are; none lies below 0.
    too_low = _below(effects.law, target) & (target > 0)
    if effect in ON_MERGED_CELLS:
        too_low &= _below(measured(effect, columns, 0.0).law, target)
    return f"{100 * np.mean(too_high[able]):.1f} / {100 * np.mean(too_low[able]):.1f}"


def _below(law: Divergence | Distance, target: Floats) -> NDArray[np.bool_]:
    if isinstance(law, Divergence):
        return law.tail(target - law.unseen) > 0.975
    return law.upper(0.025) < target - 1e-9


def page(size: Size) -> Iterator[str]:
    """The whole document."""
    yield from (
        "# False alarms, power and coverage of the drift statistics",
        "",
        "Simulated with known truth by `python tools/false_alarms.py`, which writes this page; seeds are fixed. Statistics",
        "and rules are described in `roadworthy/stats/`: `cells`, `two_sample`, `divergences`, `distances`, `transport`,",
        "`drift` and `alarm`.",
        "",
        "What to know before reading:",
        "",
        "- Two even cells of 100 rows each have no test of exactly 5 %; the nearest possible rate is 5.60 %, summed over all",
        "  tables and not simulated.",
        "- Of some 300 rates held against 99 % intervals, one or two lie above theirs and as many below by chance.",
        "- PSI's upper bound is wide where a window leaves cells empty: a share of 1 in 1,000,000,000 would look the same.",
        "- Lower bounds, which alone raise an alarm, speak of merged cells; upper bounds, which alone say WITHIN, are the higher",
        "  one of merged cells and of the cells as they are. Merged cells alone would hide rare values that exchange shares.",
        "- Many rare cells cost power: where nothing moves, WITHIN comes with the rows that fill them, not before.",
        "- The bounds of total variation, Kolmogorov-Smirnov and Wasserstein are cautious by construction; where a rate is",
        "  marked as below, the rule alarms less often than it may.",
        "",
    )
    for part in (no_difference, correlated, at_the_edge, calendar, power, exchange, coverage):
        yield from part(size)


def main() -> int:
    """Print the tables; in full size write the page too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a sample of the corners, below 20 seconds")
    quick = parser.parse_args().quick
    lines = []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for line in page(QUICK if quick else FULL):
            print(line, flush=True)
            lines.append(line)
    if not quick:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
