"""Which rows belong together. Owns pairs with a score and the clusters that they join; finds no pair itself.

Every level (byte-equal, normalised, near, entity) ends in the same two tables, so a report, a clerical review and the
next step read one form.

Rules kept here:
1. Rows are numbered from 0 in stored order; of several tables, the numbers of the second run on after the first.
2. A cluster is named by its smallest row number, so the same pairs give the same names in whatever order they come.
3. Clusters are connected components: one wrong link joins two groups. ``largest`` is shown for that reason.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from roadworthy.base.errors import ParameterError

RowNumbers = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPairs:
    """Pairs of rows with a score in [0, 1]; ``left < right``, ordered by (left, right).

    Attributes:
        left: row numbers, shape (m,).
        right: row numbers, shape (m,).
        score: a similarity or a match probability, shape (m,).
    """

    left: RowNumbers
    right: RowNumbers
    score: Scores

    def __len__(self) -> int:
        """How many pairs."""
        return int(self.left.size)

    def at_least(self, threshold: float) -> "ScoredPairs":
        """The pairs whose score reaches the threshold."""
        kept = self.score >= threshold
        return ScoredPairs(left=self.left[kept], right=self.right[kept], score=self.score[kept])

    def to_arrow(self) -> pa.Table:
        """Columns ``left``, ``right`` (int64) and ``score`` (double)."""
        return pa.table({"left": self.left, "right": self.right, "score": self.score})


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """A partition of rows.

    Attributes:
        labels: the smallest row number of each row's cluster, shape (row_count,); a row on its own is its own label.
    """

    labels: RowNumbers

    @property
    def row_count(self) -> int:
        """How many rows were looked at."""
        return int(self.labels.size)

    @property
    def redundant_rows(self) -> int:
        """How many rows could go, keeping one of each cluster."""
        return self.row_count - int(np.unique(self.labels).size)

    @property
    def redundant_share(self) -> float:
        """``redundant_rows`` by all rows, in [0, 1]; 0 when there are no rows."""
        return self.redundant_rows / self.row_count if self.row_count else 0.0

    @property
    def largest(self) -> int:
        """The rows of the largest cluster; 0 when there are no rows."""
        return int(np.unique(self.labels, return_counts=True)[1].max()) if self.row_count else 0

    def members(self) -> tuple[tuple[int, ...], ...]:
        """The rows of each cluster of two or more, clusters and rows in ascending order."""
        order = np.argsort(self.labels, kind="stable")
        starts = np.flatnonzero(np.diff(self.labels[order])) + 1
        return tuple(tuple(group.tolist()) for group in np.split(order, starts) if group.size > 1)

    def to_arrow(self) -> pa.Table:
        """One line for each row in a cluster of two or more: ``cluster``, ``row``, ``size``; ordered by the first two."""
        groups = self.members()
        sizes = [len(group) for group in groups]
        rows = np.array([row for group in groups for row in group], dtype=np.int64)
        return pa.table(
            {
                "cluster": self.labels[rows] if rows.size else rows,
                "row": rows,
                "size": np.repeat(np.array(sizes, dtype=np.int64), sizes),
            }
        )


def scored_pairs(left: ArrayLike, right: ArrayLike, score: ArrayLike) -> ScoredPairs:
    """Put pairs into their one form: smaller row first, ordered.

    Args:
        left: row numbers, shape (m,).
        right: row numbers, shape (m,), none equal to its ``left``.
        score: shares, shape (m,), in [0, 1].

    Raises:
        ParameterError: a row is paired with itself, shapes differ, or a score is outside [0, 1] (RW-114).
    """
    one, two = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
    scores = np.asarray(score, dtype=np.float64)
    if not one.shape == two.shape == scores.shape or one.ndim != 1 or bool((one == two).any()):
        raise ParameterError("The pairs are not pairs of different rows.", remedy="Give left, right and score by pair.")
    # Written so that NaN fails too.
    if not bool(((scores >= 0.0) & (scores <= 1.0)).all()):
        raise ParameterError("A score is outside [0, 1].", remedy="Give similarities or probabilities as shares.")
    low, high = np.minimum(one, two), np.maximum(one, two)
    order = np.lexsort((high, low))
    return ScoredPairs(left=low[order], right=high[order], score=scores[order])


def clusters_of(row_count: int, left: ArrayLike, right: ArrayLike) -> Clusters:
    """The connected components of rows that pairs join.

    Args:
        row_count: how many rows there are in all.
        left: row numbers in [0, row_count), shape (m,).
        right: row numbers in [0, row_count), shape (m,).

    Raises:
        ParameterError: a row number is outside the range (RW-114).
    """
    one, two = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
    ends = np.concatenate([one, two])
    if ends.size and not 0 <= int(ends.min()) <= int(ends.max()) < row_count:
        raise ParameterError(
            f"A pair names a row outside 0 to {row_count - 1}.", remedy="Number the rows of all tables through."
        )
    if row_count == 0:
        return Clusters(labels=np.empty(0, dtype=np.int64))
    graph = coo_matrix((np.ones(one.size, dtype=np.int8), (one, two)), shape=(row_count, row_count))
    _, codes = connected_components(graph, directed=False)
    return group_by_code(np.asarray(codes, dtype=np.int64))


def group_by_code(codes: RowNumbers) -> Clusters:
    """Rows with equal codes are one cluster; codes are of shape (row_count,) and may be any integers."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return Clusters(labels=np.asarray(first, dtype=np.int64)[inverse])


def distinct(codes: RowNumbers) -> RowNumbers:
    """The different codes, ascending; by sorting, which stays quick where the hash table of ``numpy.unique`` clogs."""
    ordered: RowNumbers = np.sort(codes)
    first: NDArray[np.bool_] = np.diff(ordered, prepend=ordered[:1] - 1) != 0
    return ordered[first]
