"""Which requests to replay. Owns the seeded choice; sending belongs to ``player``."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from roadworthy.base.errors import EmptyData, ParameterError

T = TypeVar("T")


def choose(requests: Sequence[T], count: int, seed: int) -> tuple[T, ...]:
    """``count`` of the requests without repetition, all of them when there are fewer, in their own order.

    Raises:
        EmptyData: there are no requests (RW-104).
        ParameterError: ``count`` is below one (RW-114).
    """
    if count < 1:
        raise ParameterError(f"count is {count}.", remedy="Replay at least one request.", where="count")
    if len(requests) == 0:
        raise EmptyData("There are no requests to replay.", remedy="Record some.", where="requests")
    size = min(count, len(requests))
    chosen = np.random.default_rng(seed).choice(len(requests), size=size, replace=False)
    return tuple(requests[index] for index in sorted(chosen.tolist()))
