"""Whether this node lives, and whether it is ready for callers. Owns the two answers; each part reports for itself.

A node is ready when the ledger takes records and nobody has told it to drain. A certificate that ended or an upstream
that is down does not make it unready: there is an answer for such callers, by the fallback ladder or by a refusal, and
taking the node out of rotation would only move the same refusals elsewhere. Both are shown, so that alarms can be set.
"""

from collections.abc import Callable, Mapping
from typing import Any

Report = Callable[[], Mapping[str, Any]]


class Health:
    """The state of one node.

    Args:
        ledger_up: whether the ledger takes records now.
        certificates: what admission says of itself, by use case.
        upstreams: what the breakers say of themselves, by use case.
        in_force: digests of the files that this node works by, as it read them.
    """

    def __init__(
        self, *, ledger_up: Callable[[], bool], certificates: Report, upstreams: Report, in_force: Report
    ) -> None:
        self._ledger_up, self._certificates, self._upstreams = ledger_up, certificates, upstreams
        self._in_force = in_force
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether a caller who comes now is served."""
        return self._ledger_up() and not self.draining

    def report(self) -> dict[str, Any]:
        """Everything, for people and probes."""
        return {
            "ready": self.ready,
            "draining": self.draining,
            "ledger_up": self._ledger_up(),
            "certificates": dict(self._certificates()),
            "upstreams": dict(self._upstreams()),
            "in_force": dict(self._in_force()),
        }
