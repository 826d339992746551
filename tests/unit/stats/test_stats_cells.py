"""Padding, validation and merging of cell counts."""

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.stats.cells import CellCounts, columns_of, merged, williams


def _one(reference: list[int], current: list[int], ordered: int = 0):
    return columns_of([CellCounts(reference=reference, current=current, ordered=ordered)])


def _filled(columns) -> list[tuple[float, float]]:
    pairs = zip(columns.reference[0], columns.current[0], strict=True)
    return [(float(p), float(q)) for p, q in pairs if p + q]


def test_full_cells_stay_as_they_are() -> None:
    """Ten rows a cell in the smaller sample: nothing is merged."""
    assert _filled(merged(_one([10, 20, 30], [40, 20, 10], ordered=2))) == [(10, 40), (20, 20), (30, 10)]


def test_ordered_cells_join_their_successors_and_the_rest_joins_the_last_full_one() -> None:
    """Pooled 10 makes a cell full for equal samples: 2 + 2 + 6, then 20, then a left-over 2 that joins it."""
    thin = _one([1, 1, 3, 10, 1, 35], [1, 1, 3, 10, 1, 35], ordered=5)
    assert _filled(merged(thin)) == [(5, 5), (11, 11), (35, 35)]


def test_rare_unordered_cells_become_one_rest() -> None:
    """Three categories of four pooled rows make a rest of twelve, apart from the frequent ones."""
    assert _filled(merged(_one([20, 2, 20, 2, 2], [20, 2, 20, 2, 2]))) == [(20, 20), (20, 20), (6, 6)]


def test_a_thin_rest_joins_the_scale_or_the_thinnest_category() -> None:
    """Two nulls beside a scale go to its last cell; a rare category goes to the smallest frequent one."""
    assert _filled(merged(_one([20, 20, 1], [20, 20, 1], ordered=2))) == [(20, 20), (21, 21)]
    assert _filled(merged(_one([30, 20, 1], [30, 20, 1]))) == [(30, 30), (21, 21)]


def test_a_scale_without_a_full_cell_goes_to_the_rest() -> None:
    """Nearly all rows null: the few values make one cell with the other rare ones, beside the nulls."""
    assert _filled(merged(_one([2, 2, 91, 5], [2, 2, 91, 5], ordered=2))) == [(91, 91), (9, 9)]


def test_nothing_full_is_one_cell() -> None:
    """Four rows in all, or an empty window: one cell, on which nothing can be told."""
    assert _filled(merged(_one([1, 1], [1, 1], ordered=2))) == [(2, 2)]
    assert merged(_one([50, 50], [0, 0])).filled.tolist() == [1]


def test_a_new_category_is_never_dropped() -> None:
    """Unseen in the reference, frequent in the window: it stands alone."""
    assert _filled(merged(_one([100, 0], [50, 50], ordered=1))) == [(100, 50), (0, 50)]


def test_many_columns_merge_like_one() -> None:
    """Columns of different lengths, padded side by side, give what each gives alone, and lose no row."""
    rng = np.random.default_rng(4)
    counts = []
    for cells in (2, 5, 17, 40):
        shares = rng.dirichlet(np.full(cells, 0.4))
        counts.append(
            CellCounts(
                reference=rng.multinomial(300, shares), current=rng.multinomial(200, shares), ordered=cells * 2 // 3
            )
        )
    together = merged(columns_of(counts))
    assert together.reference_rows.tolist() == [300] * 4 and together.current_rows.tolist() == [200] * 4
    for row, each in enumerate(counts):
        alone = merged(columns_of([each]))
        for ours, theirs in ((together.reference[row], alone.reference[0]), (together.current[row], alone.current[0])):
            assert ours[ours > 0].tolist() == theirs[theirs > 0].tolist()


def test_merging_depends_on_pooled_counts_only() -> None:
    """Swap rows between the samples within each cell: the same cells are merged."""
    first, second = _one([9, 1, 3, 7], [1, 1, 7, 11], ordered=3), _one([1, 1, 7, 11], [9, 1, 3, 7], ordered=3)
    assert [sum(pair) for pair in _filled(merged(first))] == [sum(pair) for pair in _filled(merged(second))]


def test_williams_factor_by_hand() -> None:
    """Two cells of 20 pooled rows, two samples of 20: 1 + (2 + 2 - 1)(2 + 2 - 1) / (6 x 40 x 1)."""
    assert williams(_one([10, 10], [10, 10])).tolist() == pytest.approx([1 + 9 / 240])


@pytest.mark.parametrize(
    "counts",
    [
        CellCounts(reference=[0.5, 0.5], current=[1, 1]),
        CellCounts(reference=[1, -1], current=[1, 1]),
        CellCounts(reference=[[1, 1]], current=[1, 1]),
        CellCounts(reference=[1, 1, 1], current=[1, 1]),
        CellCounts(reference=[1, 1], current=[1, 1], ordered=3),
        CellCounts(reference=[1, 1], current=[1, 1], ordered=-1),
        CellCounts(reference=[1, 1, 1], current=[1, 1, 1], ordered=3, edges=[1.0]),
        CellCounts(reference=[1, 1, 1], current=[1, 1, 1], ordered=3, edges=[2.0, 1.0]),
        CellCounts(reference=[1, 1, 1], current=[1, 1, 1], ordered=3, edges=[1.0, float("inf")]),
    ],
)
def test_nonsense_is_refused(counts: CellCounts) -> None:
    """Shares, negative counts, tables, unequal lengths, wrong numbers of cells and edges raise."""
    with pytest.raises(ParameterError):
        columns_of([counts])


def test_no_columns() -> None:
    """Nothing given, nothing merged."""
    assert merged(columns_of([])).filled.size == 0
