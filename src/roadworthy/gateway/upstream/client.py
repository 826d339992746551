"""One attempt at an upstream. Owns what goes out beside the caller's own bytes, and which answers count as good.

Bytes and deadlines belong to ``connection``, connections to ``pool``, further attempts to the ladder.

Rules kept here:
1. Nothing of the caller's that concerns the hop passes: hop-by-hop headers and those that Connection names (RFC 9110,
   section 7.6.1), Host, Content-Length, Expect. What the configuration adds replaces the caller's.
2. A request that would not be one request on the wire is refused before anything is sent.
3. An answer is good when it is 2xx JSON (or the stream that was asked for) or 4xx other than 429. 429 and 5xx are
   failures; a redirect, a login page and broken JSON are no answers. Every route that is declared speaks JSON, so this does
   not depend on what a caller says of its question; only what has no body by its method (GET) is not judged.
4. A request goes out a second time from here in one case only: the connection had been free before, died before any byte
   of an answer, and the request is safe by its method or idempotent by declaration (RFC 9110, section 9.2.2).
5. Every attempt is written down, cancelled ones too.
6. Content with a coding (gzip) is never unfolded, so its JSON is not judged; it is no answer for a caller who asked for no
   coding and could not read it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import perf_counter

import orjson

from roadworthy.base.clock import now
from roadworthy.base.errors import MissingFile, ParameterError
from roadworthy.gateway.config import Upstream
from roadworthy.gateway.exchange import HOP_BY_HOP, Answer, Attempt, Failure, Question, Reason, Refused, UpstreamFailed
from roadworthy.gateway.upstream.address import parse_address, tls_context
from roadworthy.gateway.upstream.connection import Connection
from roadworthy.gateway.upstream.parts import Parts, StreamEnd
from roadworthy.gateway.upstream.pool import Pool

MOST_JUDGED_BYTES = 1024 * 1024
"""JSON longer than this is passed on without looking into it."""
CANCELLED = "cancelled"
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_BODILESS_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"DELETE"})
_DROPPED = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_TOO_MANY = 429


class StatusFailed(UpstreamFailed):
    """The upstream answered, with a status that is none of an answer.

    Args:
        status: which.
    """

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        failure = Failure.STATUS_429 if status == _TOO_MANY else Failure.STATUS_5XX
        super().__init__(failure, sent=True, retry_after_s=retry_after_s)
        self.status = status


@dataclass(slots=True)
class _Sending:
    """One call of ``send``."""

    head: bytes
    question: Question
    end_mark: bytes | None
    until_s: float
    attempts: list[Attempt]
    hedge: bool
    on_stream_end: StreamEnd | None


class UpstreamClient:
    """Asks one upstream.

    Args:
        name: of the upstream in the configuration.
        config: address, deadlines, bounds and headers; files are read here, once.
        idempotent: whether its requests may go out again after bytes were sent.

    Raises:
        ParameterError: the address or a header is unusable (RW-114).
        MissingFile: a header's file, or that of the certificates, cannot be read (RW-102).
    """

    def __init__(self, name: str, config: Upstream, *, idempotent: bool = False) -> None:
        address = parse_address(config.url)
        added = read_headers(config.headers)
        self.name = name
        self._total_s = config.deadlines.total_s
        self._idempotent = idempotent
        self._pool = Pool(address, config, tls_context(address, config.ca))
        self._base = address.base
        self._dropped = _DROPPED | added.keys()
        self._fixed = b" HTTP/1.1\r\nhost: " + address.host_header
        self._fixed += b"".join(b"\r\n" + each + b": " + value for each, value in added.items())
        self._fixed_lines = 2 + len(added)

    @property
    def open_connections(self) -> int:
        """How many there are, free ones included."""
        return self._pool.open_connections

    async def send(
        self,
        question: Question,
        *,
        end_mark: bytes | None = None,
        until_s: float | None = None,
        attempts: list[Attempt] | None = None,
        hedge: bool = False,
        on_stream_end: StreamEnd | None = None,
    ) -> Answer:
        """Ask once.

        Args:
            question: what.
            end_mark: last line of a whole stream, such as ``data: [DONE]``; a stream that ends without is cut.
            until_s: last moment on the loop's clock; the upstream's own total deadline when None.
            attempts: where this attempt is written down; the answer carries the same list.
            hedge: whether it goes out beside an earlier attempt.
            on_stream_end: told once how a stream ended after its first part: the failure, or None when it ended well or
                was given up.

        Raises:
            UpstreamFailed: no good answer, see the rules of this module.
            Refused: the question is no single request (400).
        """
        head = self._head(question)
        if until_s is None:
            until_s = asyncio.get_running_loop().time() + self._total_s
        sending = _Sending(
            head, question, end_mark, until_s, attempts if attempts is not None else [], hedge, on_stream_end
        )
        connection = self._pool.take()
        if connection is not None:
            try:
                return await self._ask(connection, sending)
            except UpstreamFailed as failed:
                if failed.failure is not Failure.RESET_BEFORE_HEAD:
                    raise
                self._pool.forget_free()
                if failed.sent and not self._idempotent and question.method not in _SAFE_METHODS:
                    raise
        return await self._ask(None, sending)

    async def close(self) -> None:
        """Cut off every connection."""
        await self._pool.close()

    async def _ask(self, connection: Connection | None, sending: "_Sending") -> Answer:
        question = sending.question
        began_s = perf_counter()
        outcome = CANCELLED
        try:
            if connection is None:
                connection = await self._pool.acquire(sending.until_s)
            await connection.ask(
                sending.head,
                question.body,
                until_s=sending.until_s,
                stream=question.stream,
                bodiless=question.method == b"HEAD",
            )
            connection.check()
            if connection.coded and not _takes_codings(question):
                if connection.streaming:
                    connection.abort()
                raise UpstreamFailed(Failure.WRONG_CONTENT, sent=True)
            answer = await self._stream(connection, sending) if connection.streaming else _whole(connection, question)
            outcome = str(answer.status)
        except UpstreamFailed as failed:
            outcome = str(failed.status) if isinstance(failed, StatusFailed) else failed.failure.value
            raise
        finally:
            if outcome is CANCELLED and connection is not None:
                connection.abort()
            # A connection that died in the hand-over still shows the head of its last exchange.
            has_head = connection is not None and connection.head_at_s > began_s
            ended_s = connection.head_at_s if connection is not None and has_head else perf_counter()
            sending.attempts.append(Attempt(self.name, outcome, int((ended_s - began_s) * 1e6), sending.hedge))
            if connection is not None and not connection.streaming:
                self._pool.release(connection)
        answer.attempts = sending.attempts
        return answer

    async def _stream(self, connection: Connection, sending: "_Sending") -> Answer:
        parts = Parts(connection, self._pool, sending.end_mark, sending.on_stream_end)
        await parts.begin()
        return Answer(connection.status, connection.headers, parts=parts, close=parts.close)

    def _head(self, question: Question) -> bytes:
        """Request line and headers. Raises ``Refused`` for what would not be one request."""
        dropped, named, target = self._dropped, None, question.target
        lines = [b"%b %b%b%b" % (question.method, self._base, target, self._fixed)]
        for name, value in question.headers:
            if name not in dropped:
                lines.append(name + b": " + value)
            elif name == b"connection":
                # What describes the body is not about the hop, whoever says so.
                tokens = {token.strip().lower() for token in value.split(b",")}
                named = {token for token in tokens if not token.startswith(b"content-")}
        if named:
            lines[1:] = [line for line in lines[1:] if line.partition(b":")[0] not in named]
        count = self._fixed_lines + len(lines)
        if question.body or question.method not in _BODILESS_METHODS:
            lines.append(b"content-length: %d\r\n\r\n" % len(question.body))
            count += 1
        else:
            lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != count or head.count(b"\r") != count or b" " in target or target[:1] != b"/":
            raise Refused(Reason.MALFORMED, 400, "The request cannot be passed on as one request.")
        return head


def _whole(connection: Connection, question: Question) -> Answer:
    status = connection.status
    if status == _TOO_MANY or status >= 500:
        raise StatusFailed(status, retry_after_s(connection.retry_after))
    body = connection.body()
    if status < 400 and status != 204 and (question.body or question.method not in _BODILESS_METHODS):
        judge(status, connection.content_type, None if connection.coded else body)
    return Answer(status, connection.headers, body)


def _takes_codings(question: Question) -> bool:
    """Whether the caller said which codings it reads; which of them came is the upstream's promise."""
    return any(
        name == b"accept-encoding" and value.strip().lower() not in {b"", b"identity"}
        for name, value in question.headers
    )


def judge(status: int, content_type: bytes, body: bytes | None) -> None:
    """Whether a 2xx or 3xx answer can be one.

    Args:
        status: of the answer.
        content_type: of the answer, lower-case.
        body: of the answer; None when it has a coding.

    Raises:
        UpstreamFailed: it is no JSON, or not well-formed.
    """
    if status >= 300 or not _is_json(content_type):
        raise UpstreamFailed(Failure.WRONG_CONTENT, sent=True)
    if body is not None and len(body) <= MOST_JUDGED_BYTES:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UpstreamFailed(Failure.MALFORMED, sent=True) from error


def _is_json(content_type: bytes) -> bool:
    if content_type.startswith(b"application/json"):
        return True
    media_type = content_type.partition(b";")[0].strip()
    return media_type.endswith(b"+json")


def retry_after_s(value: bytes) -> float | None:
    """Seconds that ``Retry-After`` asks to wait: digits or a date (RFC 9110, section 10.2.3); None when it says nothing."""
    text = value.strip()
    if text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text.decode("ascii"))
        return max(0.0, (at - now()).total_seconds())
    except (ValueError, TypeError):
        return None  # malformed, or a date without a zone


def read_headers(files: Mapping[str, Path]) -> dict[bytes, bytes]:
    """Headers whose values lie in files, by lower-case name; the line's end at the end of a file does not count.

    Raises:
        MissingFile: a file cannot be read (RW-102).
        ParameterError: a name or value cannot stand in a header, or the name belongs to the hop (RW-114).
    """
    found: dict[bytes, bytes] = {}
    for name, path in files.items():
        try:
            value = path.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise MissingFile(
                f"The value of {name} cannot be read: {error.strerror}.", remedy="Correct the path.", where=str(path)
            ) from error
        key = name.lower().encode("utf-8")
        plain = key.replace(b"-", b"").replace(b"_", b"").isalnum() and key.isascii()
        if not plain or key in _DROPPED or any(byte < 32 or byte == 127 for byte in value):
            raise ParameterError(
                f"The header {name!r} cannot be added.",
                remedy="Name a header that is not about the connection, and give it one line of text.",
                where=str(path),
            )
        found[key] = value
    return found
