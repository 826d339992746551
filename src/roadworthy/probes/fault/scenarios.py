"""What a correct gateway does about every fault.

Owns the table, as data; bringing the faults about and looking belong to the instruments beside it, and whether a deviation
matters to checks.

How to read a line: with ``means`` the fault called ``fault`` is brought about at the primary upstream. The primary's answer
is then either *kept* (it is the caller's business: pass it on unchanged), *left* (the next armed rung answers), or *cut*
(bytes had already left, so the stream ends with an error and nobody else may answer in the middle of it).

Rules kept here:
1. Every fault of every instrument stands here exactly twice: for whole answers, and for streams.
2. In every scenario there is exactly one outcome leaf, and the attempts that failed are listed in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from roadworthy.domain.exchange import RungKind
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.toxics import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)

_ANSWERED = frozenset({200})
_HELD = frozenset({200, 202})
_REFUSED = frozenset({502, 503, 504})
_RECOVER_S = 10.0


class Means(Enum):
    """With what a fault is brought about."""

    ADDRESS = "address"
    UPSTREAM = "upstream"
    NETWORK = "network"


class Effect(Enum):
    """What becomes of the primary's answer."""

    KEPT = "kept"
    LEFT = "left"
    CUT = "cut"


class AddressFault(Enum):
    """Faults before a request can be read."""

    REFUSED = "connect-refused"
    SILENT = "connect-timeout"
    TLS_REFUSED = "tls-refused"
    GONE = "process-gone"
    """The upstream stops listening and resets what is open, under load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFault:
    """Toxics in one direction; none of them means that the proxy itself goes down."""

    name: str
    direction: Direction
    toxics: tuple[Toxic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault and its right answer.

    Attributes:
        id: unique.
        means: with what it is brought about.
        fault: which one.
        streamed: whether the caller asks for a stream.
        effect: what becomes of the primary's answer.
        why: in one sentence.
        recover_within_s: from the end of the fault until the primary answers again, the breaker's pause included.
    """

    id: str
    means: Means
    fault: Fault | AddressFault | NetworkFault
    streamed: bool
    effect: Effect
    why: str
    recover_within_s: float = _RECOVER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the caller and the ledger must show.

    Attributes:
        statuses: of which the answer's must be one.
        rung: that must have answered.
        told: whether the caller must be told that this is not the primary's own whole answer.
        complete: whether the answer must end in order; False only for a stream that is cut.
    """

    statuses: frozenset[int]
    rung: RungKind
    told: bool
    complete: bool


def expected(scenario: Scenario, ladder: Sequence[RungKind]) -> Expected:
    """What a correct gateway shows, given the armed rungs below the primary, from the best to the last resort.

    1. An answer that is kept comes from the primary, whole, and needs no notice.
    2. One that is cut came from the primary, and its caller is told.
    3. One that is left goes to the first armed rung; where none is armed the caller is refused.
    """
    if scenario.effect is Effect.KEPT:  # 1
        return Expected(statuses=_ANSWERED, rung=RungKind.PRIMARY, told=False, complete=True)
    if scenario.effect is Effect.CUT:  # 2
        return Expected(statuses=_ANSWERED, rung=RungKind.PRIMARY, told=True, complete=False)
    rung = ladder[0] if ladder else RungKind.REFUSE  # 3
    statuses = {RungKind.REFUSE: _REFUSED, RungKind.HUMAN: _HELD}.get(rung, _ANSWERED)
    if rung is RungKind.REFUSE and scenario.fault is Fault.TOO_MANY:
        statuses = _REFUSED | {429}  # the upstream's own word, with its Retry-After, is honest too
    return Expected(statuses=statuses, rung=rung, told=True, complete=True)


_ADDRESSES = (
    (AddressFault.REFUSED, "Nothing was sent, so another may be asked at once."),
    (AddressFault.SILENT, "The deadline for connecting is over; nothing was sent."),
    (AddressFault.TLS_REFUSED, "An upstream that cannot prove who it is gets no data."),
    (AddressFault.GONE, "A process that dies under load must not take its callers along."),
)
# fault, effect on a whole answer, effect on a stream, why
_UPSTREAM = (
    (Fault.RESET_BEFORE, Effect.LEFT, Effect.LEFT, "Not one byte of an answer came."),
    (Fault.RESET_IN_HEAD, Effect.LEFT, Effect.LEFT, "Half of a head is no answer."),
    (Fault.RESET_IN_BODY, Effect.LEFT, Effect.CUT, "A whole answer is held until it is whole; a stream has begun."),
    (Fault.TOO_MANY, Effect.LEFT, Effect.LEFT, "The upstream asks to be left alone for a while."),
    (Fault.ERROR_500, Effect.LEFT, Effect.LEFT, "The upstream says that it failed."),
    (Fault.ERROR_502, Effect.LEFT, Effect.LEFT, "What is behind the upstream failed."),
    (Fault.ERROR_503, Effect.LEFT, Effect.LEFT, "The upstream is not ready."),
    (Fault.ERROR_504, Effect.LEFT, Effect.LEFT, "What is behind the upstream did not answer."),
    (Fault.SLOW_HEAD, Effect.KEPT, Effect.KEPT, "Slow, but within the deadlines."),
    (Fault.SLOW_BODY, Effect.KEPT, Effect.KEPT, "Slow, but within the deadlines."),
    (Fault.STALL, Effect.LEFT, Effect.CUT, "Silence beyond the idle deadline."),
    (Fault.MALFORMED_JSON, Effect.LEFT, Effect.CUT, "What cannot be read cannot be recorded or used."),
    (Fault.WRONG_TYPE, Effect.LEFT, Effect.LEFT, "A page for people is no answer of this interface."),
    (Fault.CHUNKS_CUT, Effect.LEFT, Effect.CUT, "The end of the connection is not the end of a chunked body."),
    (Fault.CHUNK_SIZE_BAD, Effect.LEFT, Effect.LEFT, "The framing cannot be read from its first byte on."),
    (Fault.LENGTH_AND_CHUNKED, Effect.LEFT, Effect.LEFT, "Two framings at once are an attack or a defect."),
    (Fault.LENGTHS_DIFFER, Effect.LEFT, Effect.LEFT, "Two lengths at once are an attack or a defect."),
    (Fault.CONTINUE_FIRST, Effect.KEPT, Effect.KEPT, "An interim answer is allowed and means nothing here."),
    (Fault.HEAD_HUGE, Effect.LEFT, Effect.LEFT, "The head is larger than any sound one."),
    (Fault.BODY_HUGE, Effect.LEFT, Effect.LEFT, "The answer is larger than the most that is allowed."),
    (Fault.GZIP_BOMB, Effect.LEFT, Effect.LEFT, "Compression was not asked for, and what it hides is not unpacked."),
    (Fault.BAD_UTF8, Effect.LEFT, Effect.CUT, "JSON is UTF-8; anything else cannot be read."),
    (Fault.DONE_MISSING, Effect.KEPT, Effect.CUT, "A stream without its last event may have been cut."),
    (Fault.USAGE_MISSING, Effect.KEPT, Effect.KEPT, "The usage is welcome, not needed."),
    (Fault.ID_NULL, Effect.KEPT, Effect.KEPT, "What the gateway does not need it does not judge."),
    (Fault.HTTP_10_CLOSE, Effect.KEPT, Effect.KEPT, "Old, but allowed: the end of the connection ends the body."),
)
# name, direction, toxics, effect on a whole answer, effect on a stream, why
_NETWORK: tuple[tuple[str, Direction, tuple[Toxic, ...], Effect, Effect, str], ...] = (
    (
        "latency",
        Direction.DOWN,
        (Latency(delay_s=0.1, jitter_s=0.05),),
        Effect.KEPT,
        Effect.KEPT,
        "Slow, but within the deadlines.",
    ),
    (
        "down",
        Direction.DOWN,
        (),
        Effect.LEFT,
        Effect.LEFT,
        "Connections are refused, and those that were open are lost.",
    ),
    ("bandwidth", Direction.DOWN, (Bandwidth(bytes_per_s=8192),), Effect.KEPT, Effect.KEPT, "Slow, but it moves."),
    ("slow-close", Direction.DOWN, (SlowClose(delay_s=1.0),), Effect.KEPT, Effect.KEPT, "The answer was whole before."),
    ("timeout", Direction.DOWN, (Timeout(after_s=0),), Effect.LEFT, Effect.LEFT, "Silence beyond the deadline."),
    (
        "reset-peer",
        Direction.DOWN,
        (ResetPeer(after_s=0),),
        Effect.LEFT,
        Effect.LEFT,
        "The connection is lost at once.",
    ),
    (
        "slicer",
        Direction.DOWN,
        (Slicer(average_bytes=16, variation_bytes=8, delay_s=0.0005),),
        Effect.KEPT,
        Effect.KEPT,
        "Small packets carry the same bytes.",
    ),
    (
        "limit-data",
        Direction.DOWN,
        (LimitData(most_bytes=60),),
        Effect.LEFT,
        Effect.LEFT,
        "The connection ends inside the head.",
    ),
)


def _all() -> tuple[Scenario, ...]:
    found: list[Scenario] = []
    for streamed in (False, True):
        for address, why in _ADDRESSES:
            found.append(_scenario(address.value, Means.ADDRESS, address, (Effect.LEFT, why), streamed=streamed))
        for fault, whole, stream, why in _UPSTREAM:
            verdict = (stream if streamed else whole, why)
            found.append(_scenario(fault.value, Means.UPSTREAM, fault, verdict, streamed=streamed))
        for name, direction, toxics, whole, stream, why in _NETWORK:
            network = NetworkFault(name=name, direction=direction, toxics=toxics)
            verdict = (stream if streamed else whole, why)
            found.append(_scenario(f"network-{name}", Means.NETWORK, network, verdict, streamed=streamed))
    return tuple(found)


def _scenario(
    name: str,
    means: Means,
    fault: Fault | AddressFault | NetworkFault,
    verdict: tuple[Effect, str],
    *,
    streamed: bool,
) -> Scenario:
    effect, why = verdict
    return Scenario(
        id=f"{name}-stream" if streamed else name, means=means, fault=fault, streamed=streamed, effect=effect, why=why
    )


SCENARIOS: tuple[Scenario, ...] = _all()
"""The whole table: whole answers first, then streams."""
