"""One exchange on its way through the gateway. Owns the types that its stages hand to each other; each stage is a module.

Rules kept here:
1. A stage that says no raises ``Refused``; it is answered in the caller's protocol and recorded like any other end.
2. Header names are lower-case bytes; bodies are never changed, only read.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from roadworthy.domain.exchange import RungKind

Headers = list[tuple[bytes, bytes]]
HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"trailers", b"transfer-encoding", b"upgrade",
})  # fmt: skip
"""RFC 9110, section 7.6.1, and the two that live on from before it: they belong to one connection and are never passed."""


class Reason(Enum):
    """Why an exchange did not get an answer from the AI system. The value stands in the leaf and in the error's body."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_ADMITTED = "not_admitted"
    RATE_LIMITED = "rate_limited"
    QUARANTINED = "quarantined"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    NO_ROUTE = "no_route"
    OVERLOADED = "overloaded"
    SWITCHED_OFF = "switched_off"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    UPSTREAM_FAILED = "upstream_failed"
    FALLBACK_EXHAUSTED = "fallback_exhausted"
    CLIENT_GONE = "client_gone"
    DEADLINE = "deadline"


class Refused(Exception):  # it is an answer, not a fault
    """The gateway's own no. Never leaves this room.

    Args:
        reason: which.
        status: of the HTTP answer.
        what: one sentence for the caller; holds no secret and nothing of the request's content.
        retry_after_s: when to ask again; None when asking again is of no use.
    """

    def __init__(self, reason: Reason, status: int, what: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(what)
        self.reason, self.status, self.what, self.retry_after_s = reason, status, what, retry_after_s


class Failure(Enum):
    """How an attempt at an upstream failed. The value stands in the leaf."""

    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    POOL_EXHAUSTED = "pool_exhausted"
    BREAKER_OPEN = "breaker_open"
    RESET_BEFORE_HEAD = "reset_before_head"
    RESET_IN_HEAD = "reset_in_head"
    RESET_IN_BODY = "reset_in_body"
    TRUNCATED = "truncated"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    WRONG_CONTENT = "wrong_content"
    STATUS_429 = "status_429"
    STATUS_5XX = "status_5xx"
    STREAM_CUT = "stream_cut"
    """A server-sent stream that ended without its end mark."""


class UpstreamFailed(Exception):  # as above
    """An attempt at an upstream failed. Never leaves this room.

    Args:
        failure: how.
        sent: whether any byte of the request may have reached the upstream; if so, it is not safe to ask again unless
            the route declares its requests idempotent.
        retry_after_s: what the upstream asked for.
    """

    def __init__(self, failure: Failure, *, sent: bool, retry_after_s: float | None = None) -> None:
        super().__init__(failure.value)
        self.failure, self.sent, self.retry_after_s = failure, sent, retry_after_s


class Question(NamedTuple):
    """What goes to an upstream.

    Attributes:
        method: ``GET``, ``POST``...
        target: path and query, as bytes of the request line.
        headers: without hop-by-hop ones, ``host`` and ``content-length``; the client adds those.
        body: whole.
        stream: whether the caller asked for a stream of server-sent events.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes
    stream: bool = False


class Attempt(NamedTuple):
    """One try, for the record.

    Attributes:
        upstream: its name in the configuration, or of the rung that answered without one.
        outcome: HTTP status, or the name of the failure.
        took_us: in microseconds, to the end of the head.
        hedge: whether it was sent beside an earlier one.
    """

    upstream: str
    outcome: str
    took_us: int
    hedge: bool = False


@dataclass(slots=True)
class Answer:
    """What comes back.

    Attributes:
        status: of the HTTP answer.
        headers: without hop-by-hop ones.
        body: whole; empty while ``parts`` is set.
        parts: the stream, chunk by chunk as the upstream framed them; raises ``UpstreamFailed`` when it breaks.
        close: gives the upstream's connection up, once, whatever became of the stream.
        rung: who answered.
        rung_name: the rung's name in the configuration.
        notice: what the caller is told when it was not the primary; "" when it was.
        attempts: all tries, in the order in which they began.
        review: id of the review item when a person has to answer; "" otherwise.
    """

    status: int
    headers: Headers
    body: bytes = b""
    parts: AsyncIterator[bytes] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    rung: RungKind = RungKind.PRIMARY
    rung_name: str = "primary"
    notice: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    review: str = ""
