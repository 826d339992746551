"""What the statistics promise, held against simulation: false alarms, power, an outlier, joins, estimates without labels.

The promised rates are those of tools/false_alarms.py in its quick size (the page docs/statistics/false-alarms.md has them
in full). Prints a table and writes build/bench/promises.json; ends with 1 when a bar is missed. Every seed is fixed.

Run: python tests/bench/promises.py
"""

import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from false_alarms import QUICK, page  # noqa: E402  # the path is set above
from roadworthy.measure.table import from_arrow  # noqa: E402  # as above
from roadworthy.measure.volume.compile.numpy import measure_batches  # noqa: E402  # as above
from roadworthy.measure.volume.profile_plan import profile_plan  # noqa: E402  # as above
from roadworthy.measure.volume.reference import fit  # noqa: E402  # as above
from roadworthy.measure.volume.state import join_all  # noqa: E402  # as above
from roadworthy.stats.drift import Effect, severity  # noqa: E402  # as above
from roadworthy.stats.label_free import cell_rows, estimate_performance, learn_calibration  # noqa: E402  # as above

OUT = ROOT / "build" / "bench" / "promises.json"
EDGES = norm.ppf(np.arange(1, 20) / 20)
DRAWS = 200
TOLERANCE = 0.02
COUNTED = re.compile(r"Rates against their intervals: inside (\d+), above (\d+), below (\d+)\..*")


class Promise(NamedTuple):
    """One line of the table."""

    what: str
    bar: str
    measured: str
    met: bool


def false_alarms() -> Iterator[Promise]:
    """Rates of the quick tables that lie outside their binomial interval on the wrong side."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = [match for line in page(QUICK) if (match := COUNTED.fullmatch(line))]
    for what, match in zip(("A/A: equality, 5 %", "alert rule at its tolerance, at most 5 %"), found, strict=True):
        inside, above, below = (int(group) for group in match.groups())
        said = f"inside {inside}, above {above}, below {below}"
        yield Promise(what, "no rate above its interval", said, above == 0)


def power() -> Iterator[Promise]:
    """A true drift of 0.3 sd and a trivial one of 0.02 sd."""
    rng = np.random.default_rng(11)
    even = np.full(20, 0.05)
    for shift, rows, wanted in ((0.3, 100_000, DRAWS), (0.02, 1_000_000, 0)):
        moved = np.diff(np.concatenate(([0.0], norm.cdf(EDGES - shift), [1.0])))
        alarms = sum(
            severity(
                Effect.PSI, rng.multinomial(rows, even), rng.multinomial(rows, moved), ordered=20, edges=EDGES.tolist()
            ).lower
            > TOLERANCE
            for _ in range(DRAWS)
        )
        word = "always found" if wanted else "never alarmed"
        yield Promise(f"{shift} sd at n = {rows:,}", word, f"{alarms} of {DRAWS} windows alarm", alarms == wanted)


def outlier() -> Iterator[Promise]:
    """One value of 1e6 among 20,000."""
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=20_000), rng.normal(1.0, 1, 20_000)
    worst = 0.0
    for effect in Effect:
        shown = []
        for value in (current[17], 1e6):
            current[17] = value
            cells = [np.bincount(np.searchsorted(EDGES, each), minlength=20) for each in (reference, current)]
            shown.append(severity(effect, *cells, ordered=20, edges=EDGES.tolist()).estimate)
        worst = max(worst, abs(shown[1] / shown[0] - 1))
    yield Promise("one outlier in 20,000 rows", "severity moves < 1 %", f"{worst:.3%}, five severities", worst < 0.01)


def joins() -> Iterator[Promise]:
    """States of random partitions, joined in random order."""
    rng = np.random.default_rng(5)
    table = pa.table({f"x{place}": rng.lognormal(size=50_000) * 10.0 ** rng.integers(-9, 9, 50_000) for place in "abc"})
    plan = profile_plan(fit(from_arrow(table, "bench")))
    whole = measure_batches(plan, table.to_batches()).to_bytes()
    same = 0
    for _ in range(20):
        cuts = [0, *sorted(rng.choice(50_000, 9, replace=False).tolist()), 50_000]
        parts = [table.slice(start, end - start) for start, end in pairwise(cuts)]
        states = [measure_batches(plan, parts[place].to_batches()) for place in rng.permutation(len(parts))]
        same += join_all(plan, states).to_bytes() == whole
    yield Promise("merge of any partition", "bit-identical", f"{same} of 20 random partitions", same == 20)


def without_labels() -> Iterator[Promise]:
    """Twenty worlds in which only the inputs move."""
    errors = []
    for seed in range(20):
        labels, scores = world(seed, 20_000, 0.0)
        calibration = learn_calibration(labels, scores, thresholds=[0.0])
        labels, scores = world(seed + 50, 20_000, 0.4)
        estimate = estimate_performance(calibration, cell_rows(scores, calibration.edges), 0.0, seed=1, replicates=100)
        errors.append(abs(estimate.auc.estimate - roc_auc_score(labels, scores)))
    met = max(errors) <= 0.01
    yield Promise("AUC without labels, only inputs move", "within 0.01", f"worst of 20 worlds {max(errors):.4f}", met)


def world(seed: int, rows: int, moved: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes logistic in two inputs, and a badly scaled score of them."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, 2)) + np.array([moved, 0])
    signal = 1.3 * inputs[:, 0] - 0.8 * inputs[:, 1]
    return (rng.random(rows) < expit(signal)).astype(int), np.tanh(signal / 4)


def main() -> int:
    """Print and keep the table."""
    found = [promise for part in (false_alarms, power, outlier, joins, without_labels) for promise in part()]
    for each in found:
        print(f"{each.what:40} {each.bar:24} {each.measured:34} {'met' if each.met else 'MISSED'}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([each._asdict() for each in found], indent=1) + "\n", encoding="utf-8")
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
