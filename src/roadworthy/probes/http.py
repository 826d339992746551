"""One HTTP exchange at a time, for probes.

Owns the deadline, the size limit and the reading of JSON. Leaves alone: what an answer means (the protocol clients) and
sending many at once (``load``).

Rules kept here:
1. The deadline is for the whole exchange. A target that sends one byte a second is as hung as one that sends none.
2. Every exchange has its own connection: a probe must not inherit the state that an earlier one left behind.
3. Redirects are not followed and proxies of the environment are not used: the answer is that of the named target.
4. The values of headers that a caller adds are in no message of ours: they may be credentials.
"""

import http.client
import io
import json
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import InputError, ManifestError, MissingFile, TargetAnswer, TargetUnreachable

MAX_ANSWER_BYTES = 64 * 1024 * 1024
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_CHUNK_BYTES = 1 << 16
_SHOWN_CHARACTERS = 80
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What frames a request is ours; another value of it would change where the request ends.
_OWN_FIELDS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, unread.

    Attributes:
        status: HTTP status.
        headers: by name in lower case; the last one wins.
        content: the body's bytes.
        elapsed_s: from before the connection until the last byte.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer whose body was JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any
    elapsed_s: float


class Endpoint:
    """A base URL to which paths are appended.

    Args:
        url: ``http://host:port/prefix`` or ``https://...``, without credentials, query or fragment.
        headers: of every request; from ``read_headers``.

    Raises:
        InputError: the URL cannot be used (RW-100).
    """

    __slots__ = ("_headers", "_host", "_port", "_prefix", "_secure", "url")

    def __init__(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _bad_url(url) from error
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
            raise _bad_url(url)
        self.url = url.rstrip("/")
        self._headers = headers
        self._host = host
        self._port = port
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")

    def exchange(
        self, method: str, path: str, content: bytes | None, timeout_s: float, content_type: str = "application/json"
    ) -> Answer:
        """One request, one answer, of whatever status and content.

        Raises:
            TargetUnreachable: no connection, a lost one, or no whole answer in time (RW-401); see ``timed_out``.
            TargetAnswer: not HTTP, or more than 64 MiB (RW-402).
        """
        where = self.url + path
        from_s = monotonic_s()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        connected: socket.socket | None = None
        try:
            connection.connect()
            connected = connection.sock
            connection.sock = cast("socket.socket", _DeadlineSocket(connected, from_s + timeout_s))
            own = {} if content is None else {"Content-Type": content_type}
            connection.request(method, self._prefix + path, body=content, headers={**self._headers, **own})
            response = connection.getresponse()
            body = _read_all(response, where)
        except TimeoutError as error:
            raise TargetUnreachable(
                f"No whole answer within {timeout_s:g} s.", remedy="Start it, or raise its deadline.", where=where
            ) from error
        except OSError as error:
            raise TargetUnreachable(
                f"No answer: {error}.", remedy="Start the target, or correct the URL.", where=where
            ) from error
        except http.client.IncompleteRead as error:
            raise TargetUnreachable(
                "The connection ended before the answer was whole.", remedy="Look into the target's log.", where=where
            ) from error
        except http.client.HTTPException as error:
            raise TargetAnswer(
                f"The answer is not HTTP: {error!r}.", remedy="Name the port of the HTTP endpoint.", where=where
            ) from error
        finally:
            connection.close()
            # http.client lets go of its socket in several places; only this one closes the true one.
            if connected is not None:
                connected.close()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=named, content=body, elapsed_s=monotonic_s() - from_s)

    def request_json(
        self, method: str, path: str, body: object, timeout_s: float, *, statuses: Collection[int] = (200,)
    ) -> Response:
        """Send JSON (nothing when ``body`` is None) and read JSON.

        Raises:
            InputError: the body has no JSON form, for example NaN (RW-100).
            TargetUnreachable: no answer (RW-401).
            TargetAnswer: another status, HTML, or not JSON (RW-402).
        """
        answer = self.exchange(method, path, None if body is None else encode_json(body), timeout_s)
        where = self.url + path
        if answer.status not in statuses:
            raise TargetAnswer(
                f"Status {answer.status}, not {' or '.join(map(str, sorted(statuses)))}: {_beginning(answer.content)}",
                remedy="Look into the target's log.",
                where=where,
            )
        parsed = parse_json(answer, where)
        return Response(status=answer.status, headers=answer.headers, body=parsed, elapsed_s=answer.elapsed_s)


def read_headers(path: Path) -> dict[str, str]:
    """Headers that every request needs, such as a credential, from a JSON object of names and values.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: not such an object, or a header that cannot be sent (RW-101); the values are not told.
    """
    remedy = 'Write {"authorization": "Bearer ..."}, in printable ASCII.'
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read.", remedy=remedy, where=str(path)) from error
    except ValueError:
        # Without the cause: a parser's message shows pieces of what it read.
        raise ManifestError(f"{path.name} is not JSON.", remedy=remedy, where=str(path)) from None
    if not isinstance(found, dict):
        raise ManifestError(f"{path.name} holds no object.", remedy=remedy, where=str(path))
    for name, value in found.items():
        plain = isinstance(value, str) and value.isascii() and value.isprintable()
        if not plain or not _TOKEN.fullmatch(name) or name.lower() in _OWN_FIELDS:
            raise ManifestError(f"The header {name!r} cannot be sent.", remedy=remedy, where=str(path))
    return {name: str(value) for name, value in found.items()}


def timed_out(error: TargetUnreachable) -> bool:
    """Whether the target hung, as opposed to refusing or dropping the connection."""
    return isinstance(error.__cause__, TimeoutError)


def encode_json(body: object) -> bytes:
    """Compact UTF-8 JSON.

    Raises:
        InputError: the value has no JSON form, for example NaN (RW-100).
    """
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The request has no JSON form: {error}.", remedy="Send null for a missing number, and text as text."
        ) from error


def parse_json(answer: Answer, where: str) -> Any:
    """The body as JSON, strictly: UTF-8, and no NaN or Infinity.

    Raises:
        TargetAnswer: it is HTML, or not JSON (RW-402).
    """
    try:
        return json.loads(answer.content.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        looks_html = answer.content.lstrip()[:1] == b"<"
        raise TargetAnswer(
            f"The answer is {'HTML' if looks_html else 'not JSON'}: {_beginning(answer.content)}",
            remedy="Name the URL of the model's interface, not of a page or a proxy."
            if looks_html
            else "Make the target answer JSON (RFC 8259) in UTF-8.",
            where=where,
        ) from error


class _DeadlineSocket:
    """Stands in for the socket that ``http.client`` writes to: every call gets only what is left of one deadline.

    Whoever made the true socket closes it.
    """

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self._deadline_s = deadline_s

    def sendall(self, data: bytes) -> None:
        _allow_rest(self._connected, self._deadline_s)
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What ``http.client`` asks of a socket, always with mode ``rb``."""
        return io.BufferedReader(_DeadlineStream(self._connected, self._deadline_s))

    def close(self) -> None:
        """Nothing: an answer may still be read after ``http.client`` lets go of its socket."""


class _DeadlineStream(io.RawIOBase):
    """The reading side of a ``_DeadlineSocket``."""

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        _allow_rest(self._connected, self._deadline_s)
        return self._connected.recv_into(buffer)


def _allow_rest(connected: socket.socket, deadline_s: float) -> None:
    """Let the next call on a socket take until ``deadline_s`` of the monotonic clock.

    Raises:
        TimeoutError: that has passed.
    """
    rest_s = deadline_s - monotonic_s()
    if rest_s <= 0:
        raise TimeoutError
    connected.settimeout(rest_s)


def _read_all(response: http.client.HTTPResponse, where: str) -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    while part := response.read(_CHUNK_BYTES):
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > MAX_ANSWER_BYTES:
            raise TargetAnswer(
                f"The answer is larger than {MAX_ANSWER_BYTES} bytes.", remedy="Ask for less at once.", where=where
            )
    if response.length:  # http.client lets a body end early when it is read in parts
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _beginning(content: bytes) -> str:
    text = content[: _SHOWN_CHARACTERS * 4].decode("utf-8", "replace")
    return " ".join(text.split())[:_SHOWN_CHARACTERS] or "(empty)"


def _bad_url(url: str) -> InputError:
    return InputError("The URL cannot be used.", remedy="Write http://host:port/prefix, nothing more.", where=url)
