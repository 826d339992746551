"""Which refusals get a leaf. Owns that a caller who asks too often cannot fill the disk by being told so.

The first refusal for asking too often, of each caller in each second, is recorded; those after it are counted only. Every
other refusal is recorded. Memory is bounded by the callers of one second.
"""

from roadworthy.gateway.exchange import Reason, Refused

_RATE_LIMITED = Reason.RATE_LIMITED


class RefusalLeaves:
    """Who was told in the present second."""

    def __init__(self) -> None:
        self._second = -1
        self._told: set[str] = set()

    def due(self, refused: Refused, caller_id: str, now_s: float) -> bool:
        """Whether this refusal gets a leaf; ``now_s`` in seconds since 1970."""
        if refused.reason is not _RATE_LIMITED:
            return True
        second = int(now_s)
        if second != self._second:
            self._second = second
            self._told.clear()
        if caller_id in self._told:
            return False
        self._told.add(caller_id)
        return True
