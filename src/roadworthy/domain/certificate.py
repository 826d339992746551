"""The certificate: permission to be on the road, with its limits and its end. Owns its content; signing it does not live here.

A certificate says nothing about the instant at which it is looked at: whoever admits traffic compares the instant with
its ends, and the running release with the one that it names.
"""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.domain.risk import Tier

CERTIFICATE_AUTHORITY = "certificate-authority"
"""The control plane's key, which signs certificates and revocations and nothing else; no person ever bears this id."""

CERTIFICATE_TYPE = "https://roadworthy.dev/certificate/v1"
REVOCATION_TYPE = "https://roadworthy.dev/revocation/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How far the permission reaches.

    Attributes:
        cohorts: groups that may be served; empty means every group.
        data_scopes: data that may be reached; empty means every scope.
        wave_share: largest share of the population that may be served, in [0, 1].
        rate_rps: largest rate of requests, per second over ten seconds; None when there is no limit.
    """

    cohorts: tuple[str, ...] = ()
    data_scopes: tuple[str, ...] = ()
    wave_share: float = 1.0
    rate_rps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a passed gate issues.

    Attributes:
        id: unique; a revocation names it.
        use_case_id: whose.
        release_digest: of the one release that it covers.
        decision_digest: of the decision that it rests on.
        gate_id: which gate was passed.
        tier: at which tier.
        caps: its limits.
        obligations: what the waivers in force demand meanwhile.
        valid_from: first instant.
        valid_until: exclusive end.
        checkpoint: the control plane's signed checkpoint that covers the decision.
    """

    id: str
    use_case_id: str
    release_digest: str
    decision_digest: str
    gate_id: str
    tier: Tier
    caps: Caps
    obligations: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The end of a certificate before its time.

    Attributes:
        certificate_id: which.
        at: when.
        reason: why, in a sentence.
    """

    certificate_id: str
    at: datetime
    reason: str
