"""Which candidates can be promised together, and what a batch is allowed. Owns the two promises; invents no rule.

Algorithm of ``choose``:
1. Take candidates with the fewest lone rows first.
2. Accept one when the rows that are lone for any accepted rule, as a share, keep the upper end of their interval at or
   below ``alarm_share``: the union counts, because a row is stopped once. The interval is Wilson's, widened by the rows
   that are paired: what has not been seen is itself random, with the variance of Esty (Ann. Stat. 11, 1983).
3. When one is refused, its fallbacks join the queue.
4. Give each accepted rule an allowance for a batch: with k lone rows of n, the number of bad rows of n fresh ones is at
   most the quantile of the beta-binomial (n; k + 1, n - k) at ``batch_alarm_share`` divided by the number of rules. For a
   range this is the law of exceedances of Gumbel and von Schelling (Ann. Math. Stat. 21, 1950); a longer batch keeps the
   same percentage more easily.

Several rules for one row, and rules chosen among many, are beyond any of these formulas; the table that
``tools/quintet.py`` prints shows what is kept.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, norm

from roadworthy.measure.infer.candidate import Candidate
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.rule import Bound, Comparator, Kind, Rule

_DECIMALS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What can be promised.

    Attributes:
        rules: with bounds and descriptions, in the order of the candidates.
        refused: the candidates that cost too many fresh clean rows.
        lone_rows: how many rows are lone for any of the rules.
        alarm_share: the upper end of their share.
    """

    rules: tuple[Rule, ...]
    refused: tuple[Candidate, ...]
    lone_rows: int
    alarm_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stake:
    """The rows that are lone, and those that are paired, for any of some rules."""

    lone: NDArray[np.bool_]
    paired: NDArray[np.bool_]

    @classmethod
    def empty(cls, rows: int) -> "_Stake":
        return cls(lone=np.zeros(rows, dtype=np.bool_), paired=np.zeros(rows, dtype=np.bool_))

    def joined(self, candidate: Candidate) -> "_Stake":
        if not candidate.about_rows:
            return self
        paired = self.paired if candidate.paired is None else self.paired | candidate.paired
        return _Stake(lone=self.lone | candidate.lone, paired=paired)

    def upper(self, options: InferOptions) -> float:
        return unseen_upper(
            int(self.lone.sum()), int((self.paired & ~self.lone).sum()), len(self.lone), options.confidence
        )


def choose(candidates: Sequence[Candidate], rows: int, options: InferOptions) -> Chosen:
    """The rules that keep the promise about rows, with what each allows in a batch.

    Args:
        candidates: in the order of the contract.
        rows: of the clean table, at least 1.
        options: what is promised.
    """
    # 1. Fewest lone rows first, then the order of the contract; the last number keeps the heap from comparing rules.
    queue = [(_cost(candidate), place, 0, candidate) for place, candidate in enumerate(candidates)]
    turn = 0
    heapq.heapify(queue)
    accepted: list[tuple[int, int, Candidate]] = []
    refused: list[Candidate] = []
    together = _Stake.empty(rows)
    while queue:
        _, place, order, candidate = heapq.heappop(queue)
        union = together.joined(candidate)
        # 2. The union may not pass the promise.
        if not candidate.about_rows or union.upper(options) <= options.alarm_share:
            together = union
            accepted.append((place, order, candidate))
            continue
        # 3. Fallbacks.
        refused.append(candidate)
        for other in candidate.instead:
            turn += 1
            heapq.heappush(queue, (_cost(other), place, turn, other))
    accepted.sort(key=lambda item: item[:2])
    # 4. Allowances.
    level = options.batch_alarm_share / max(len(accepted), 1)
    return Chosen(
        rules=tuple(_promised(candidate, rows, level) for _, _, candidate in accepted),
        refused=tuple(refused),
        lone_rows=int(together.lone.sum()),
        alarm_share=together.upper(options),
    )


def unseen_upper(lone: int, paired: int, rows: int, confidence: float) -> float:
    """The one-sided upper end for the chance that a fresh row breaks a rule.

    The larger root p of ``rows * (p - lone / rows)**2 = z**2 * (p * (1 - p) + paired / rows)``; without paired rows it is
    Wilson's, which is also what rules get that are not fitted.

    Args:
        lone: rows that only they themselves keep from being bad.
        paired: rows that only they and one other keep from being bad.
        rows: all rows, at least 1.
        confidence: one-sided level.
    """
    z2 = float(norm.ppf(confidence)) ** 2
    share, extra = lone / rows, paired / rows
    middle = 2 * rows * share + z2
    under = middle**2 - 4 * (rows + z2) * (rows * share**2 - z2 * extra)
    return min((middle + math.sqrt(under)) / (2 * (rows + z2)), 1.0)


def allowed_rows(lone: int, rows: int, level: float) -> int:
    """How many of ``rows`` fresh rows may be bad, so that more are with probability at most ``level``."""
    if lone >= rows:
        return rows
    return int(betabinom.ppf(1 - level, rows, lone + 1, rows - lone))


def _cost(candidate: Candidate) -> int:
    return int(candidate.lone.sum()) if candidate.about_rows else 0


def _promised(candidate: Candidate, rows: int, level: float) -> Rule:
    lone = int(candidate.lone.sum())
    percent = math.ceil(_DECIMALS * 100 * allowed_rows(lone, rows, level) / rows) / _DECIMALS
    # A query gives its percentage itself.
    bound = Bound(
        comparator=Comparator.AT_MOST, value=min(percent, 100.0), percent=candidate.rule.kind is not Kind.QUERY
    )
    said = f"Inferred from {candidate.backing} rows: {candidate.words}; {lone} lone rows."
    return replace(candidate.rule, bound=bound, description=said)
