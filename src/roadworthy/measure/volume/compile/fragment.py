"""A piece of a SELECT list and how to read its answer. Owns the shape that SQL compilers share, and the split of a scan.

Rules kept here: an engine answers with whole numbers, with NULL for "no row to look at"; doubles come back only as
extremes, and are turned into whole numbers here, so that no engine's formatting has a say.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.measure.volume.accumulators import Accumulator, Result
from roadworthy.measure.volume.ordered import to_ordered


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one accumulator asks of an engine.

    Attributes:
        accumulator: that it answers.
        columns: expressions of the SELECT list, in the engine's own form.
        parameters: values for their question marks, in order; none where the engine's form holds them.
        read: turns the engine's values, one for each column, into the result.
    """

    accumulator: Accumulator
    columns: tuple[Any, ...]
    parameters: tuple[object, ...]
    read: Callable[[Sequence[Any]], Result]


def read_row(fragments: Sequence[Fragment], values: Sequence[Any]) -> Mapping[Accumulator, Result]:
    """The result of each fragment from one row of answers, shape (number of all columns,)."""
    found: dict[Accumulator, Result] = {}
    start = 0
    for fragment in fragments:
        end = start + len(fragment.columns)
        found[fragment.accumulator] = fragment.read(values[start:end])
        start = end
    return found


def whole(values: Sequence[Any]) -> Result:
    """Counts and sums; NULL is the sum of no rows."""
    return tuple(0 if value is None else int(value) for value in values)


def extremes(values: Sequence[Any]) -> Result:
    """The smallest and largest double; NULL where there is none."""
    return tuple(None if value is None else to_ordered(float(value)) for value in values)


def chunks(fragments: Sequence[Fragment], limit: int) -> Iterator[tuple[Fragment, ...]]:
    """Fragments in as few statements as an engine's limit on columns allows, in their order."""
    chunk: list[Fragment] = []
    width = 0
    for fragment in fragments:
        if chunk and width + len(fragment.columns) > limit:
            yield tuple(chunk)
            chunk, width = [], 0
        chunk.append(fragment)
        width += len(fragment.columns)
    if chunk:
        yield tuple(chunk)
