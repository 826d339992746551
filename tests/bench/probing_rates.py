"""False alarms and power of the probing instruments, from worlds with a known truth. Prints a table; about ten minutes.

Run: python tests/bench/probing_rates.py [worlds]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.probing.attribution import Attributions, stability
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.measure.probing.residual import site_beyond_score
from roadworthy.measure.probing.shortcut import predictable
from roadworthy.measure.probing.slices import search_slices
from roadworthy.stats.proportions import wilson

BAD = "site = B and scanner = z"


def sliced_world(seed: int, bad: float) -> tuple[Inputs, Sample]:
    """2,000 rows; of those at site B with scanner z, a share ``bad`` has its score turned round."""
    rng = np.random.default_rng(seed)
    n = 2_000
    columns = make_inputs(
        {
            "site": rng.choice(list("ABCDEF"), n),
            "age": rng.normal(60, 10, n),
            "sex": rng.choice(["m", "f"], n),
            "scanner": rng.choice(list("xyz"), n),
            "bmi": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        }
    )
    labels = (rng.random(n) < 0.4).astype(float)
    scores = 1 / (1 + np.exp(-(3 * (labels - 0.5) + rng.normal(size=n))))
    turned = (columns.column("site") == "B") & (columns.column("scanner") == "z") & (rng.random(n) < bad)
    return columns, Sample(labels=labels, scores=np.where(turned, 1 - scores, scores))


def any_slice(metric: Metric) -> Callable[[int], bool]:
    """Whether the search reports any slice where none is bad."""
    return lambda seed: bool(search_slices(*sliced_world(seed, 0.0), metric).worse)


def the_slice(metric: Metric, bad: float) -> Callable[[int], bool]:
    """Whether the bad slice is among those reported."""
    return lambda seed: BAD in {str(row.slice) for row in search_slices(*sliced_world(seed, bad), metric).worse}


def site_told(gap: float) -> Callable[[int], bool]:
    """Whether three sites of 70 rows can be told from five inputs, one of which is shifted by ``gap`` at the third."""

    def told(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        site = np.repeat([0, 1, 2], 70)
        inputs = {f"x{k}": rng.normal(size=210) + (gap * (site == 2) if k == 0 else 0.0) for k in range(5)}
        return predictable(make_inputs(inputs), site, seed=seed, permutations=59).above_chance()

    return told


def site_adds(offset: float) -> Callable[[int], bool]:
    """Whether the site predicts beyond a score that is right but for ``offset`` logits at one of four sites."""

    def adds(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        site = rng.integers(0, 4, 400)
        scale = rng.normal(size=400) + 0.7 * site - 1
        labels = rng.random(400) < 1 / (1 + np.exp(-(scale + offset * (site == 3))))
        return site_beyond_score(labels, 1 / (1 + np.exp(-scale)), site, seed=seed).p_value <= 0.05

    return adds


def unstable(before: np.ndarray, after: np.ndarray) -> Callable[[int], bool]:
    """Whether windows of 500 and 200 rows with these weights raise an alarm."""

    def alarm(seed: int) -> bool:
        rng = np.random.default_rng(seed)

        def window(rows: int, weights: np.ndarray) -> Attributions:
            observed = rng.normal(size=(rows, weights.size))
            names = tuple(f"x{k}" for k in range(weights.size))
            return Attributions(names=names, values=observed * weights, observed=observed)

        return stability(window(500, before), window(200, after), seed=seed, permutations=199).alarm()

    return alarm


def main(worlds: int) -> None:
    """Print one line a question: its rate with Wilson's 95 % interval, and seconds a world."""
    spread, equal = np.linspace(1, 4, 10), np.ones(10)
    lines: list[tuple[str, str, Callable[[int], bool]]] = [
        ("false", "slices, accuracy, any of 163", any_slice(Metric.ACCURACY)),
        ("false", "slices, AUC, any of 164", any_slice(Metric.AUC)),
        ("false", "slices, Brier, any of 163", any_slice(Metric.BRIER)),
        ("power", "slices, accuracy, 0.93 to 0.76, n 111", the_slice(Metric.ACCURACY, 0.2)),
        ("power", "slices, accuracy, 0.93 to 0.59, n 111", the_slice(Metric.ACCURACY, 0.4)),
        ("false", "site told from equal inputs", site_told(0.0)),
        ("power", "site told, one input 0.5 sd apart", site_told(0.5)),
        ("false", "site beyond a right score", site_adds(0.0)),
        ("power", "site beyond a score, 1 logit off at one", site_adds(1.0)),
        ("false", "attribution, ten equal weights", unstable(equal, equal)),
        ("false", "attribution, weights 1 to 4", unstable(spread, spread)),
        ("power", "attribution, order reversed", unstable(spread, spread[::-1])),
    ]
    for kind, name, question in lines:
        start = time.perf_counter()
        hits = sum(question(seed) for seed in range(worlds))
        rate = wilson(hits, worlds)
        each = (time.perf_counter() - start) / worlds
        print(f"{kind}  {name:42} {rate.estimate:6.3f} [{rate.lower:.3f}, {rate.upper:.3f}]  {each:.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
