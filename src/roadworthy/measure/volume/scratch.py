"""Room for one block of numbers, kept by each thread. Owns the buffers that the counting kernel writes into again and again.

A fresh array for each step would be fetched from, and given back to, the system for every block; the steps themselves
are cheaper than that. What is here is overwritten by the next step: nothing may keep a view of it.
"""

import threading

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
"""Values of one block: many enough that a call costs nothing, few enough to stay in the cache of one core."""


class Scratch(threading.local):
    """Buffers of ``BLOCK`` values, each thread its own."""

    def __init__(self) -> None:
        self.first: NDArray[np.float64] = np.empty(BLOCK)
        self.second: NDArray[np.float64] = np.empty(BLOCK)
        self.small: NDArray[np.int32] = np.empty(BLOCK, np.int32)
        self.whole: NDArray[np.int64] = np.empty(BLOCK, np.int64)
        self.cell: NDArray[np.uint8] = np.empty(BLOCK, np.uint8)
        self.flag: NDArray[np.bool_] = np.empty(BLOCK, np.bool_)


SCRATCH = Scratch()
