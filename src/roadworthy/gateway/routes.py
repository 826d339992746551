"""From method and path to what has to be done. Owns the words for it; each protocol declares its endpoints in a module.

Rules kept here:
1. A path is matched as it stands in the request line: no decoding, no normalising, so that gateway and upstream cannot
   read one path in two ways.
2. Only what is declared is served; everything else is ``no_route``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

from roadworthy.gateway.exchange import HOP_BY_HOP, Headers, Reason, Refused
from roadworthy.gateway.stages import Span, UseCaseStages

USAGE_BYTES = 64 * 1024
"""In a longer answer nobody looks for usage numbers."""

_NOT_UPSTREAM = HOP_BY_HOP | {
    b"authorization", b"x-api-key", b"cookie", b"host", b"content-length", b"expect", b"traceparent", b"tracestate",
    b"forwarded", b"x-real-ip", b"proxy",
}  # fmt: skip
_NOT_DOWNSTREAM = HOP_BY_HOP | {b"content-length", b"date", b"server", b"set-cookie"}
_OWN = b"x-roadworthy-"
_SAID_OF_CALLER = (_OWN, b"x-forwarded-")
_ABOUT_BODY = b"content-"
# Begins with a letter or digit, so neither ".." nor an encoded slash can lead an upstream elsewhere.
_SEGMENT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._~-]*")


class Work(Enum):
    """What an endpoint does."""

    FORWARD = "forward"
    MODELS = "models"
    READ_ANSWER = "read_answer"
    CANCEL_ANSWER = "cancel_answer"
    FEEDBACK = "feedback"


class Asked(NamedTuple):
    """What the pipeline has to know of a request's body."""

    use: UseCaseStages
    model: str = ""
    stream: bool = False
    background: Mapping[str, Any] | None = None
    """The parsed body, when the answer is to be fetched later."""


class Shape(Protocol):
    """How a protocol words what the gateway itself has to say."""

    def error(self, refused: Refused, record: str) -> tuple[bytes, bytes]:
        """Content type and body of a refusal."""

    def stream_error(self, code: str, what: str) -> bytes:
        """The event that ends a stream which broke."""

    def usage(self, body: bytes) -> tuple[int, int]:
        """Tokens in and out, as the answer states them; zeros when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One declared path of one protocol. This class serves one use case whatever the body says.

    Attributes:
        label: name of the route in leaves and metrics.
        work: what it does.
        shape: how the gateway's own words look there.
        uses: use cases that the path may lead to.
        by_model: models that are served at the path; empty when the path alone says whose it is.
        model: of a path that names one.
        end_marks: starts of lines of which one stands in every stream that is whole; empty when there is no such mark.
        hold_marks: bytes of which one announces that the end of a stream is near.
        inspected: whether the input filter applies.
    """

    label: str
    work: Work
    shape: Shape
    uses: tuple[UseCaseStages, ...]
    by_model: Mapping[str, UseCaseStages] = field(default_factory=dict)
    model: str = ""
    end_marks: tuple[bytes, ...] = ()
    hold_marks: tuple[bytes, ...] = ()
    inspected: bool = False

    def read(self, body: bytes) -> Asked:  # noqa: ARG002  # other endpoints read it
        """Which use case is asked, and how.

        Raises:
            Refused: the body is not what the protocol asks for (400), or no use case serves the model (404).
        """
        return Asked(self.uses[0], self.model)


class Declared(NamedTuple):
    """An endpoint at its path. A star stands for one plain segment, and for several where models are named."""

    method: str
    path: bytes
    endpoint: Endpoint


class Router:
    """All declared endpoints."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self._exact: dict[tuple[str, bytes], Endpoint] = {}
        self._open: list[tuple[str, bytes, bytes, Endpoint]] = []
        self._shapes: list[tuple[bytes, Shape]] = []
        for method, path, endpoint in declared:
            head, star, tail = path.partition(b"*")
            if star:
                self._open.append((method, head, tail, endpoint))
            else:
                self._exact[method, path] = endpoint
            self._shapes.append((path[: path.find(b"/", 1)] if b"/" in path[1:] else path, endpoint.shape))

    def find(self, method: str, path: bytes) -> tuple[Endpoint | None, bytes]:
        """The endpoint, and what stood in place of the star."""
        endpoint = self._exact.get((method, path))
        if endpoint is not None:
            return endpoint, b""
        for each_method, head, tail, each in self._open:
            if each_method == method and path.startswith(head) and path.endswith(tail):
                middle = path[len(head) : len(path) - len(tail)]
                if each.work is Work.MODELS or _SEGMENT.fullmatch(middle):
                    return each, middle
        return None, b""

    def shape_of(self, path: bytes, otherwise: Shape) -> Shape:
        """How to word a refusal at a path that is not declared: like its neighbours."""
        for head, shape in self._shapes:
            if path == head or path.startswith(head + b"/"):
                return shape
        return otherwise


def upstream_headers(headers: Headers, use: UseCaseStages, span: Span) -> Headers:
    """What of a caller's headers goes upstream.

    Left out are the credential, purpose and scope, what is meant for one hop, what only a proxy may say (where a request
    came from), and names with an underscore, which some servers read as the same name with a hyphen. What describes the
    body stays, whatever the caller declares to be meant for one hop: nobody could read the body without it.
    """
    dropped, kept = {use.purpose_header, use.scope_header}, []
    if use.cite is not None:
        # A compressed answer could not be checked for its sources.
        dropped.add(b"accept-encoding")
    for header in headers:
        name = header[0]
        if name == b"connection":
            named = (part.strip().lower() for part in header[1].split(b","))
            dropped.update(name for name in named if not name.startswith(_ABOUT_BODY))
    for header in headers:
        name = header[0]
        if name in _NOT_UPSTREAM or name in dropped or b"_" in name:
            continue
        if name[:1] != b"x" or not name.startswith(_SAID_OF_CALLER):
            kept.append(header)
    kept.append((b"traceparent", span.header))
    if span.state:
        kept.append((b"tracestate", span.state))
    return kept


def released_headers(headers: Headers) -> Headers:
    """What of an upstream's headers goes to the caller. Its length is counted again, and nobody else speaks for us."""
    return [header for header in headers if header[0] not in _NOT_DOWNSTREAM and not header[0].startswith(_OWN)]


def malformed(what: str) -> Refused:
    """A request that its protocol does not allow (400)."""
    return Refused(Reason.MALFORMED, 400, what)
