"""An exchange: one question to the AI system and what came back. Owns the words for it; the gateway carries it.

Two leaves stand in the runtime's ledger for every exchange: the *intent*, durable before any other system is contacted,
and the *outcome*, durable before the answer leaves. What was begun and never ended is closed as *abandoned*.
"""

from dataclasses import dataclass
from enum import Enum


class LeafKind(Enum):
    """What a leaf of the runtime's ledger says."""

    INTENT = "exchange.intent"
    PART = "exchange.part"
    """Parts of a stream that left before its outcome."""
    OUTCOME = "exchange.outcome"
    ABANDONED = "exchange.abandoned"
    FEEDBACK = "exchange.feedback"
    REVIEW = "exchange.review"
    NODE = "gateway.node"
    """A node began, reloaded, drained or was switched."""
    ERASED = "payload.erased"


class RecordMode(Enum):
    """When an answer may leave."""

    STRICT = "strict"
    """Intent before, outcome before the first byte; of a stream, every part only after the record that covers it."""
    CLOSE_HELD = "close-held"
    """A stream flows, but its end is held until the outcome is durable."""
    INTENT_ONLY = "intent-only"
    """The outcome is recorded, but nothing waits for it. For the lowest tiers."""


class RungKind(Enum):
    """Who answered, from the best to the last resort."""

    PRIMARY = "primary"
    ALTERNATE = "alternate"
    CACHED = "cached"
    RULE = "rule"
    HUMAN = "human"
    REFUSE = "refuse"


class Verdict(Enum):
    """What the input filter said."""

    NONE = "none"
    ADMIT = "admit"
    FLAG = "flag"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as far as the gateway knows after authentication.

    Attributes:
        id: of the person or workload, as the identity provider or the key file names it.
        credential: id of the key or of the token; never the secret.
        roles: that it holds.
        cohort: the group that waves and caps count; "" when none is known.
        scopes: data scopes that it may reach.
        purposes: for which it may ask.
        expires_at_s: seconds since 1970 at which the credential ends.
    """

    id: str
    credential: str
    roles: frozenset[str]
    cohort: str
    scopes: frozenset[str]
    purposes: frozenset[str]
    expires_at_s: float
