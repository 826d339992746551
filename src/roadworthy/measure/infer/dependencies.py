"""One column decides another: zip code and state, brewery and its name. Owns their inference and their SQL.

A dependency is written as the SQL of a quality item, whose figure is the percentage of rows that disagree with their group. A
group is all rows with the same value in the deciding column. In it, a row disagrees when its value is not the single
most frequent one: in a draw nobody can tell which is right, so all of its rows are shown.

Algorithm of ``dependencies``:
1. Try every pair of columns whose equal values mean the same thing, the deciding one with repetitions, the other with
   at least two values.
2. Count s, the rows beyond the first of their group, which could have contradicted, and c, those that did.
3. Believe the pair when c is at most ``contradicted_share`` of s (clean rows that contradict are evidence against it) and
   the Clopper-Pearson upper end for c of s, at a level divided by the number of pairs, is at most
   ``dependency_error_share``, ...
4. ... and when unrelated columns would hardly have agreed so often: of s rows, each contradicting with the chance that two
   random rows differ, c or fewer do with a probability of at most the same level.
5. Of several columns that decide the same one, keep the one with the largest s: a person should approve one reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from roadworthy.base.errors import ContractError
from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.rule import Dimension, Kind, Rule
from roadworthy.measure.table import ROW, Table, quote
from roadworthy.stats.proportions import clopper_pearson

_BEFORE = "SELECT 100.0 * COUNT(*) / (SELECT COUNT(*) FROM data) FROM ("
_AFTER = ")"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grouping:
    """What a pair of columns gave: supporting and contradicting rows."""

    could: int
    bad: NDArray[np.bool_]

    @property
    def did(self) -> int:
        return int(self.bad.sum())


def dependencies(columns: Sequence[ColumnValues], options: InferOptions) -> tuple[Candidate, ...]:
    """The dependencies that the rows make believable, at most one for each decided column."""
    # 1. Pairs.
    pairs = list(_pairs(columns, options))
    best: dict[str, tuple[int, Candidate]] = {}
    for deciding, decided in pairs:
        # 2. Counts.
        found = _grouped(deciding, decided)
        if not _believable(found, decided, len(pairs), options):
            continue
        # 5. The best reason.
        known = best.get(decided.name)
        if known is None or found.could > known[0]:
            best[decided.name] = (found.could, _candidate(deciding, decided, found))
    return tuple(candidate for _, candidate in best.values())


def disagreeing_rows(table: Table, rule: Rule) -> tuple[int, ...]:
    """The rows that a dependency counts, by number from 0, in order.

    Args:
        table: the data.
        rule: one that ``dependencies`` wrote, also after it was saved and loaded.

    Raises:
        ContractError: the rule is no such dependency (RW-106).
    """
    if not is_dependency(rule):
        raise ContractError(
            f"{rule.rule_id} is no dependency between columns.", remedy="Ask only for rules that were inferred as one."
        )
    inner = rule.text.strip()[len(_BEFORE) : -len(_AFTER)]
    return tuple(sorted(int(row[0]) for row in table.query(inner)))


def is_dependency(rule: Rule) -> bool:
    """Whether the rule has the form that ``dependencies`` writes."""
    text = rule.text.strip()
    return (
        rule.kind is Kind.QUERY
        and text.startswith(f"{_BEFORE}SELECT data.{ROW} FROM data SEMI JOIN ")
        and text.endswith(_AFTER)
    )


def _pairs(columns: Sequence[ColumnValues], options: InferOptions) -> Iterator[tuple[ColumnValues, ColumnValues]]:
    usable = [column for column in columns if column.filled >= options.least_rows and column.logical_type]
    for deciding, decided in permutations(usable, 2):
        if deciding.nameable and deciding.repeated and len(deciding.values) > 1 and len(decided.values) > 1:
            yield deciding, decided


def _grouped(deciding: ColumnValues, decided: ColumnValues) -> _Grouping:
    present = (deciding.codes >= 0) & (decided.codes >= 0)
    groups, inner = deciding.codes[present], decided.codes[present]
    wide = len(decided.values)
    keys, which, sizes = np.unique(groups * wide + inner, return_inverse=True, return_counts=True)
    owners = keys // wide
    # The keys are sorted, so the pairs of a group stand together.
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1])) if len(owners) else np.zeros(0, dtype=np.intp)
    spans = np.diff(np.append(starts, len(owners)))
    top = np.repeat(np.maximum.reduceat(sizes, starts), spans) if len(starts) else sizes
    tied = np.repeat(np.add.reduceat(sizes == top, starts, dtype=np.int64), spans) if len(starts) else sizes
    bad = np.zeros(len(deciding.codes), dtype=np.bool_)
    bad[present] = ((sizes < top) | (tied > 1))[which]
    return _Grouping(could=len(groups) - len(starts), bad=bad)


def _believable(found: _Grouping, decided: ColumnValues, pairs: int, options: InferOptions) -> bool:
    level = (1 - options.confidence) / pairs
    if found.could < options.least_rows or found.did > options.contradicted_share * found.could:
        return False
    # 3. Contradictions are rare for certain, ...
    if clopper_pearson(found.did, found.could, 1 - 2 * level).upper > options.dependency_error_share:
        return False
    # 4. ... and would not be among unrelated columns.
    shares = decided.counts / decided.filled
    differ = 1.0 - float((shares**2).sum())
    return bool(binom.cdf(found.did, found.could, differ) <= level)


def _candidate(deciding: ColumnValues, decided: ColumnValues, found: _Grouping) -> Candidate:
    rule = replace(
        rule_on(decided, Kind.QUERY, Dimension.CONSISTENCY, f"by.{deciding.name}"),
        text=_BEFORE + _disagreeing(deciding.name, decided.name) + _AFTER,
        values=("",),
    )
    words = f"they could contradict that {deciding.name} decides {decided.name}, and {found.did} do"
    return Candidate(rule=rule, lone=found.bad, backing=found.could, words=words)


def _disagreeing(deciding: str, decided: str) -> str:
    one, other = quote(deciding), quote(decided)
    counted = (
        f"SELECT data.{one} AS a, data.{other} AS b, COUNT(*) AS n FROM data "
        f"WHERE data.{one} IS NOT NULL AND data.{other} IS NOT NULL GROUP BY 1, 2"
    )
    ranked = (
        "SELECT a, b, n, MAX(n) OVER (PARTITION BY a) AS top, COUNT(*) OVER (PARTITION BY a, n) AS tied "
        f"FROM ({counted})"
    )
    doubtful = f"SELECT a, b FROM ({ranked}) WHERE n < top OR tied > 1"
    # Qualified throughout: the table may well have columns called a, b or n.
    return (
        f"SELECT data.{ROW} FROM data SEMI JOIN ({doubtful}) AS doubtful "
        f"ON data.{one} = doubtful.a AND data.{other} = doubtful.b"
    )
