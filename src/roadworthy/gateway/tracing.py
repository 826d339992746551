"""W3C Trace Context. Owns reading and making ``traceparent``; sending spans anywhere belongs to ``tracing_otel``.

Sources: https://www.w3.org/TR/trace-context/ (level 1) and https://www.w3.org/TR/trace-context-2/ (the random flag).

Rules kept here:
1. A ``traceparent`` that breaks the grammar, or stands twice, begins a new trace; nothing of it is passed on.
2. A ``tracestate`` that breaks the grammar is dropped and the trace goes on; without a valid parent it means nothing.
3. What the caller's trace has decided about sampling stays; a new trace is sampled by its own random bits, so that every
   node that knows the share decides alike.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from roadworthy.base.clock import now
from roadworthy.base.ids import quick_salt
from roadworthy.gateway.exchange import Headers

Attributes = Mapping[str, str | int]
SAMPLED = 0x01
RANDOM = 0x02
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_MEMBER = re.compile(
    rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS = 32
_MOST_STATE_BYTES = 8 * 1024
_RANDOM_BYTES = 7
_SPAN_BYTES = 8
_TRACE_BYTES = 16
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16


class Parent(NamedTuple):
    """What a caller said about its trace.

    Attributes:
        trace_id: 32 hex digits, not all zero.
        span_id: 16 hex digits, not all zero.
        flags: of which this module knows ``SAMPLED`` and ``RANDOM``.
        state: the joined ``tracestate``; empty when there is none, or a broken one.
    """

    trace_id: str
    span_id: str
    flags: int
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """A span that ended, for the one who sends it somewhere.

    Attributes:
        name: what was done.
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: 8 bytes; empty when it has no parent.
        state: the caller's ``tracestate``.
        begun_at: first instant.
        ended_at: exclusive end.
        status: of the HTTP answer.
        attributes: in this package's names.
    """

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    state: bytes
    begun_at: datetime
    ended_at: datetime
    status: int
    attributes: Attributes


Export = Callable[[SpanRecord], None]


def parse_parent(headers: Headers) -> Parent | None:
    """The caller's trace, or None when a new one has to begin."""
    found, states = b"", []
    for name, value in headers:
        if name == b"traceparent":
            if found:
                return None
            found = value.strip(b" \t") or b"-"
        elif name == b"tracestate":
            states.append(value)
    match = _PARENT.fullmatch(found) if found else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    state = _valid_state(states) if states else b""
    return Parent(trace_id.decode(), span_id.decode(), int(flags, 16), state)


def _valid_state(values: list[bytes]) -> bytes:
    members = [member.strip(b" \t") for value in values for member in value.split(b",")]
    members = [member for member in members if member]
    names = [member.partition(b"=")[0] for member in members]
    joined = b",".join(members)
    if len(members) > _MOST_MEMBERS or len(set(names)) < len(names) or len(joined) > _MOST_STATE_BYTES:
        return b""
    return joined if all(_MEMBER.fullmatch(member) for member in members) else b""


class Span:
    """One exchange in its trace.

    Attributes:
        header: the ``traceparent`` to send upstream.
        state: the ``tracestate`` to send upstream; empty when there is none.
        trace_id: 32 hex digits.
    """

    __slots__ = ("_begun_at", "_export", "_parent_id", "_span_id", "header", "state", "trace_id")

    def __init__(self, trace_id: str, parent_id: str, flags: int, state: bytes, export: Export | None) -> None:
        self.trace_id, self._parent_id, self.state = trace_id, parent_id, state
        self._span_id = span_id = _identifier(_SPAN_BYTES).hex()
        self.header = f"00-{trace_id}-{span_id}-0{flags}".encode()
        self._export = export if flags & SAMPLED else None
        # An instant is only read when somebody will see it.
        self._begun_at = now() if self._export else None

    def end(self, status: int, attributes: Attributes) -> None:
        """The exchange is over."""
        export, begun_at = self._export, self._begun_at
        if export is None or begun_at is None:
            return
        self._export = None
        operation, model = str(attributes.get("operation", "exchange")), str(attributes.get("model", ""))
        export(
            SpanRecord(
                name=f"{operation} {model}".strip(),
                trace_id=bytes.fromhex(self.trace_id),
                span_id=bytes.fromhex(self._span_id),
                parent_id=bytes.fromhex(self._parent_id),
                state=self.state,
                begun_at=begun_at,
                ended_at=now(),
                status=status,
                attributes=attributes,
            )
        )


class Tracer:
    """Begins spans.

    Args:
        share: of new traces that are sampled, in [0, 1].
        export: takes sampled spans when they end; None when nobody collects them.
    """

    def __init__(self, *, share: float = 1.0, export: Export | None = None) -> None:
        self._export = export
        self._rejected_below = round((1.0 - share) * (1 << (8 * _RANDOM_BYTES)))

    def begin(self, headers: Headers) -> Span:
        """A span in the caller's trace, or in a new one.

        1. A valid parent: its trace, its sampling decision, its state.
        2. Otherwise a new random trace, sampled when its last 56 bits reach the threshold of the share.
        """
        parent = parse_parent(headers)
        if parent is not None:  # 1
            flags = parent.flags & (SAMPLED | RANDOM)
            return Span(parent.trace_id, parent.span_id, flags, parent.state, self._export)
        trace = _identifier(_TRACE_BYTES)  # 2
        sampled = int.from_bytes(trace[-_RANDOM_BYTES:], "big") >= self._rejected_below
        return Span(trace.hex(), "", RANDOM | (SAMPLED if sampled else 0), b"", self._export)


def _identifier(count: int) -> bytes:
    """Random bytes that are not all zero, which the standard forbids."""
    return quick_salt()[:count].replace(bytes(count), b"\x01" * count)
