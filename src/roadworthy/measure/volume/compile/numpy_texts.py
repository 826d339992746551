"""Texts and flags of one Arrow column. Owns how they are counted: each distinct value is looked at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.volume.accumulators import Accumulator, Lengths, Result, Special, Values


class TextTally:
    """Counts for the accumulators of one text or flag column."""

    def __init__(self, wanted: Sequence[Accumulator]) -> None:
        self._wanted = wanted

    def count(self, array: pa.Array) -> dict[Accumulator, Result]:
        """A result for each accumulator."""
        codes = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        texts = pc.cast(codes.dictionary, pa.string())
        present = codes.indices.drop_null() if codes.indices.null_count else codes.indices
        uses = np.bincount(present.to_numpy(zero_copy_only=False), minlength=len(texts))
        return {item: _result(item, texts, uses, array.null_count) for item in self._wanted}


def _result(item: Accumulator, texts: pa.Array, uses: NDArray[np.intp], nulls: int) -> Result:
    if isinstance(item, Special):
        return (nulls, 0, 0, 0)
    if isinstance(item, Values):
        place = pc.fill_null(pc.index_in(texts, pa.array(item.known, pa.string())), len(item.known))
        return _whole(np.bincount(place.to_numpy(zero_copy_only=False), weights=uses, minlength=len(item.known) + 1))
    if isinstance(item, Lengths):
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        used = lengths[uses > 0]
        if used.size == 0:
            return item.empty
        return (int(uses[lengths == 0].sum()), int(used.min()), int(used.max()))
    raise EngineRefused(f"numpy does not count {item.kind} of texts.", remedy="Plan it for a column of numbers.")


def _whole(counts: NDArray[Any]) -> Result:
    # bincount adds weights as doubles: exact, since no batch has 2**53 rows.
    return tuple(int(count) for count in counts)
