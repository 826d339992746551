"""What the pipeline asks of its stages. Owns the protocols; each stage is a module of its own and knows no other.

Rules kept here:
1. A stage that says no raises ``Refused``; any other exception is a fault of ours, and then no answer leaves.
2. A check that needs the time gets it, in seconds since 1970.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from roadworthy.domain.exchange import Caller, RecordMode, Verdict
from roadworthy.domain.risk import Tier
from roadworthy.gateway.exchange import Answer, Headers, Question


class Identify(Protocol):
    """Who asks."""

    async def caller(self, headers: Headers) -> Caller:
        """The caller that the credential in the headers stands for.

        Raises:
            Refused: no credential, or one that does not count (401).
        """


class Authorise(Protocol):
    """Whether this caller may use this system, for this purpose, on this data."""

    @property
    def version(self) -> str:
        """Digest of the policy in force."""

    def check(self, caller: Caller, use_case: str, purpose: str, scope: str) -> None:
        """Return when it is allowed.

        Raises:
            Refused: it is not (403).
        """


class Admit(Protocol):
    """Whether the certificate of one use case lets this request on the road."""

    @property
    def release(self) -> str:
        """Digest of the release that is admitted; "" when there is none."""

    def check(self, caller: Caller, scope: str, now_s: float) -> str:
        """``certificate:<id>``, ``pilot`` or ``none``.

        Raises:
            Refused: not admitted (403), or too often (429).
        """

    def data_scopes(self, admission: str) -> frozenset[str] | None:
        """Data scopes to which the certificate limits whoever it admitted; None when nothing limits them.

        Args:
            admission: as ``check`` gave it.
        """


class Inspect(Protocol):
    """What the input filter of one use case says."""

    def check(self, body: bytes, now_s: float) -> tuple[Verdict, tuple[str, ...]]:
        """The verdict, and the ids of the rules that it rests on."""


class Cite(Protocol):
    """Whether an answer names sources that its reader may not see."""

    def check(
        self, caller: Caller, use_case: str, purpose: str, admitted_scopes: frozenset[str] | None, body: bytes
    ) -> tuple[bytes, tuple[str, ...]]:
        """The body without the denied sources, and their ids; an id that nobody declared is ``unknown``.

        Args:
            caller: who will read the answer.
            use_case: whose answer it is.
            purpose: for which it was asked.
            admitted_scopes: to which the certificate limits it; None when nothing does.
            body: of the answer.

        Raises:
            Refused: the sources cannot be read, so nothing is known about them.
        """


class Answerer(Protocol):
    """The fallback ladder of one use case."""

    async def answer(self, question: Question, key: bytes) -> Answer:
        """The best answer that can be had; ``key`` is the SHA-256 of the body.

        Raises:
            Refused: no rung had one.
            UpstreamFailed: the last attempt failed and no rung followed.
        """


class Meter(Protocol):
    """What is counted."""

    def exchange(  # noqa: PLR0917  # six labels in the order of the metric; named ones cost more on the hot path
        self, use_case: str, route: str, status: int, rung: str, reason: str, took_us: int
    ) -> None:
        """Count one exchange that ended."""

    def gauge_in_flight(self, use_case: str, delta: int) -> None:
        """One more, or one less, under way."""


class Span(Protocol):
    """One exchange as the trace sees it."""

    @property
    def header(self) -> bytes:
        """``traceparent`` for the upstream."""

    @property
    def state(self) -> bytes:
        """``tracestate`` for the upstream; empty when there is none."""

    @property
    def trace_id(self) -> str:
        """32 hex digits."""

    def end(self, status: int, attributes: Mapping[str, str | int]) -> None:
        """Close it, once."""


class Trace(Protocol):
    """W3C trace context."""

    def begin(self, headers: Headers) -> Span:
        """A span that continues the caller's trace, or begins one."""


class Switches(Protocol):
    """The kill switch."""

    def refuse_if_off(self, use_case: str) -> None:
        """Return while it is on.

        Raises:
            Refused: it is off (503).
        """


class Ledger(Protocol):
    """The door to the ledger."""

    def start(self) -> None:
        """Connect, and stay connected."""

    async def ready(self, timeout_s: float) -> bool:
        """Wait until the ledger is there; False when it is not within ``timeout_s``."""

    async def close(self) -> None:
        """Give up the connection; what waits is refused."""

    def put(self, leaf: bytes, sealed: bytes) -> "asyncio.Future[int]":
        """Send a record; the future has its index once it is durable, or ``LedgerRefused``.

        Raises:
            LedgerRefused: it was not sent.
        """


Ask = Callable[[Question, bytes], Awaitable[Answer]]
"""As ``Answerer.answer``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCaseStages:
    """One use case, ready to serve.

    Attributes:
        id: of the use case.
        tier: its risk tier.
        mode: when an answer may leave.
        keep_payloads: whether bodies are kept sealed, or committed to only.
        purposes: that may be named; the only one is meant when a caller names none.
        purpose_header: lower-case name of the header that names the purpose.
        scope_header: lower-case name of the header that names the data scope.
        body_bytes: longest request body.
        in_flight: most exchanges under way in this worker.
        deadline_s: after which an exchange that did not end is closed as abandoned; longer than any ladder takes.
        admit: the certificate's check.
        inspect: the input filter, if one is declared.
        cite: the check of cited sources, if one is declared.
        answerer: the ladder.
        tier_name: the tier's value, as it stands in every leaf.
        human: its human rung alone, for input that the filter holds back; None when the ladder has none.
    """

    id: str
    tier: Tier
    mode: RecordMode
    keep_payloads: bool
    purposes: frozenset[str]
    purpose_header: bytes
    scope_header: bytes
    body_bytes: int
    in_flight: int
    deadline_s: float
    admit: Admit
    inspect: Inspect | None
    cite: Cite | None
    answerer: Answerer
    human: Ask | None = None
    tier_name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tier_name", self.tier.value)
