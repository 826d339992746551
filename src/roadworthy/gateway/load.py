"""What is under way in one worker. Owns its bounds: exchanges by use case, and bytes of request bodies in memory.

Rules kept here:
1. Bytes count from the moment they arrive, before anybody knows which use case is asked, until their exchange ends.
2. A background answer holds its place and its question until it has ended, as if somebody waited for it.
3. A body that is alone is let in whatever its size; its use case's own limit holds for it.
"""

from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.stages import Meter, UseCaseStages

MOST_BODY_BYTES = 256 * 1024 * 1024


class Load:
    """All that is under way; it outlives the configuration.

    Args:
        most_body_bytes: of all request bodies together.

    Attributes:
        by_use: exchanges under way by use case.
        body_bytes: of request bodies that are in memory.
    """

    def __init__(self, *, most_body_bytes: int = MOST_BODY_BYTES) -> None:
        self._most_body_bytes = most_body_bytes
        self.by_use: dict[str, int] = {}
        self.body_bytes = 0

    def hold(self, exchange: Exchange, more_bytes: int) -> None:
        """More of a body arrived.

        Raises:
            Refused: there is no room for it (503).
        """
        held, total = exchange.held_bytes + more_bytes, self.body_bytes + more_bytes
        if total > self._most_body_bytes and total > held:
            raise Refused(Reason.OVERLOADED, 503, "Too many bytes are under way.", retry_after_s=1)
        exchange.held_bytes, self.body_bytes = held, total

    def enter(self, exchange: Exchange, use: UseCaseStages, meter: Meter) -> None:
        """One more exchange of a use case.

        Raises:
            Refused: as many as allowed are under way (503).
        """
        under_way = self.by_use.get(use.id, 0)
        if under_way >= use.in_flight:
            raise Refused(Reason.OVERLOADED, 503, "Too many requests are under way.", retry_after_s=1)
        self.by_use[use.id] = under_way + 1
        exchange.placed = True
        meter.gauge_in_flight(use.id, 1)

    def leave(self, exchange: Exchange, meter: Meter) -> None:
        """It ended; once is enough, and again does no harm."""
        self.body_bytes -= exchange.held_bytes
        exchange.held_bytes = 0
        if exchange.placed:
            exchange.placed = False
            self.by_use[exchange.use_case] -= 1
            meter.gauge_in_flight(exchange.use_case, -1)
