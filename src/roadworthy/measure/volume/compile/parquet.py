"""A plan over Parquet files with numpy. Owns the order of reading; what a batch counts is ``numpy``'s.

Algorithm of ``measure_parquet``:
1. The plan is parted by columns: what looks at one column only needs no other beside it. A part is read by itself, so
   that its values are still in the processor's cache when they are counted, and memory holds one batch of one column.
2. The files are cut into runs of row groups; where there are fewer runs than threads, the parts are dealt out too.
3. Each thread counts its share, and the counts of all are joined: sums of whole numbers, so the order does not matter.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from roadworthy.measure.volume.accumulators import Accumulator, Rows
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.plan import ALL, Plan, make_plan
from roadworthy.measure.volume.row_groups import Run, batches_of, opened, runs_of
from roadworthy.measure.volume.state import State, no_rows, state_of

_RUN_ROWS = 1 << 20
"""Rows that a thread takes at a time."""


class _Share(NamedTuple):
    """What one thread does next: some parts of the plan on some rows."""

    run: Run
    parts: Sequence[int]


def measure_parquet(plan: Plan, paths: Sequence[Path], *, threads: int = 2) -> State:
    """The state of Parquet files.

    Memory: for each thread, one batch of the columns of one part, and the decoder's page of each.

    Raises:
        UnreadableData: a file is broken or lacks a column (RW-103).
        EngineRefused: an accumulator that numpy does not know (RW-117).
        ParameterError: the plan does not count rows (RW-114).
    """
    # 1. Parts.
    parts = _parts(plan)
    # 2. Shares.
    runs = runs_of(paths, _RUN_ROWS)
    hands = 1 if len(runs) >= threads else min(threads, len(parts))
    shares = [_Share(run, range(hand, len(parts), hands)) for run in runs for hand in range(hands)]

    def count(share: _Share) -> list[tuple[int, State]]:
        with opened(share.run.path) as file:
            return [
                (part, measure_batches(parts[part], batches_of(file, share.run, parts[part].columns)))
                for part in share.parts
            ]

    # 3. Counts.
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return _joined(plan, parts, (found for many in pool.map(count, shares) for found in many))


def _parts(plan: Plan) -> tuple[Plan, ...]:
    """Plans that have no column in common; one when the rows are counted by groups, which all need the same column."""
    if plan.split is not None:
        return (plan,)
    parts: list[tuple[set[str], list[Accumulator]]] = []
    place: dict[str, int] = {}
    for item in plan.accumulators:
        if isinstance(item, Rows):
            continue
        columns, items = set(item.columns()), [item]
        # What touches several parts makes them one; an emptied part is dropped below.
        for touched in {place[name] for name in columns if name in place}:
            columns |= parts[touched][0]
            items = [*parts[touched][1], *items]
            parts[touched] = (set(), [])
        place.update(dict.fromkeys(columns, len(parts)))
        parts.append((columns, items))
    kinds = {item.name: item for item in plan.kinds}
    return tuple(
        make_plan([kinds[name] for name in sorted(columns)], [Rows(), *items]) for columns, items in parts if items
    ) or (plan,)


def _joined(plan: Plan, parts: Sequence[Plan], found: Iterable[tuple[int, State]]) -> State:
    """The state of the whole plan."""
    states = [no_rows(part) for part in parts]
    for part, state in found:
        states[part] = states[part].join(state)
    if plan.split is not None:
        return states[0]
    results = {
        item: state.result(item) for part, state in zip(parts, states, strict=True) for item in part.accumulators
    }
    return state_of(plan, {ALL: tuple(results[item] for item in plan.accumulators)})
