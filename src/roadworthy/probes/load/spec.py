"""What a load run shall do. Owns the specification, its limits and its JSON; running it belongs to ``generator``.

Rules kept here:
1. A run is bounded before it starts: by its schedule, by ``MAX_REQUESTS`` and by ``MAX_DURATION_S``.
2. A target that is not this machine needs ``allow_remote=True``: load on somebody else's system is an attack unless
   they asked for it.
"""

import base64
import binascii
import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import InputError, ParameterError

MAX_REQUESTS = 20_000_000
MAX_DURATION_S = 4 * 3600.0
_METHODS = ("GET", "POST", "PUT")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_FIELDS = frozenset({"host", "accept", "content-type", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadSpec:
    """One open-loop run against one URL.

    Attributes:
        url: plain ``http://host:port/path``.
        times_s: intended send times in seconds from the start, sorted, shape (n,).
        bodies: request bodies, sent in turn.
        method: of every request.
        content_type: of every body.
        headers: further header fields of every request, such as a credential; they are in no message of ours.
        timeout_s: deadline of a request, counted from its intended send time.
        max_connections: how many connections may be open at once; beyond it requests queue, and the wait counts.
        expect_json: whether an answer must name a JSON content type to be ok.
        allow_remote: whether a target other than the loopback interface is meant.

    Raises:
        ParameterError: a value out of range (RW-114).
        InputError: a URL that cannot be used, or a remote target without ``allow_remote`` (RW-100).
    """

    url: str
    times_s: NDArray[np.float64]
    bodies: tuple[bytes, ...] = (b"",)
    method: str = "POST"
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = 10.0
    max_connections: int = 256
    expect_json: bool = False
    allow_remote: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot or must not be run."""
        _check_schedule(self.times_s)
        _check_url(self.url, allow_remote=self.allow_remote)
        _require(self.method in _METHODS, "method", self.method, f"Use one of {', '.join(_METHODS)}.")
        _require(len(self.bodies) > 0, "bodies", self.bodies, "Give at least one body, which may be empty.")
        _require(0 < self.timeout_s <= 600, "timeout_s", self.timeout_s, "Give seconds in (0, 600].")
        _require(1 <= self.max_connections <= 10_000, "max_connections", self.max_connections, "Give 1 to 10,000.")
        _require(_plain(self.content_type), "content_type", self.content_type, "Give a media type.")
        for name, value in self.headers:
            sound = bool(_TOKEN.fullmatch(name)) and name.lower() not in _OWN_FIELDS and _plain(value)
            _require(sound, "headers", name, "Give header fields in printable ASCII that the generator does not set.")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        parts = urlsplit(self.url)
        return str(parts.hostname), parts.port or 80

    def requests(self) -> tuple[bytes, ...]:
        """The complete HTTP/1.1 requests, one for each body."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        further = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (
            f"{self.method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n{further}"
            f"Content-Type: {self.content_type}\r\nContent-Length: "
        ).encode("ascii")
        return tuple(b"%s%d\r\n\r\n%s" % (head, len(body), body) for body in self.bodies)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; arrays and bodies as base64."""
        return {
            "url": self.url,
            "times_s": _to_base64(np.asarray(self.times_s, dtype="<f8").tobytes()),
            "bodies": [_to_base64(body) for body in self.bodies],
            "method": self.method,
            "content_type": self.content_type,
            "headers": [list(pair) for pair in self.headers],
            "timeout_s": self.timeout_s,
            "max_connections": self.max_connections,
            "expect_json": self.expect_json,
            "allow_remote": self.allow_remote,
        }


def spec_from_json(value: Mapping[str, Any]) -> LoadSpec:
    """Read what ``LoadSpec.to_json`` wrote.

    Raises:
        InputError: it is not a specification (RW-100), or one that ``LoadSpec`` refuses.
    """
    members = dict(value)
    try:
        members["times_s"] = np.frombuffer(base64.b64decode(members["times_s"], validate=True), dtype="<f8")
        members["headers"] = tuple((str(name), str(value)) for name, value in members["headers"])
        members["bodies"] = tuple(base64.b64decode(body, validate=True) for body in members["bodies"])
        return LoadSpec(**members)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InputError(
            f"This is not a load specification: {error!r}.", remedy="Write it with LoadSpec.to_json."
        ) from error


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: ``localhost`` or a loopback address. Asks no name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_schedule(times_s: NDArray[np.float64]) -> None:
    remedy = f"Give 1 to {MAX_REQUESTS:,} sorted send times within {MAX_DURATION_S:g} s."
    _require(times_s.ndim == 1 and 0 < times_s.size <= MAX_REQUESTS, "times_s", times_s.shape, remedy)
    _require(bool(np.isfinite(times_s).all()), "times_s", "not finite", remedy)
    ordered = bool((np.diff(times_s) >= 0).all()) and times_s[0] >= 0
    _require(ordered, "times_s", "negative or not sorted", remedy)
    _require(float(times_s[-1]) <= MAX_DURATION_S, "times_s", float(times_s[-1]), remedy)


def _check_url(url: str, *, allow_remote: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(
            f"The URL cannot be read: {error}.", remedy="Write http://host:port/path.", where=url
        ) from error
    # What would break out of the request line is refused rather than escaped.
    if parts.scheme != "http" or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError("The load generator cannot send there.", remedy="Write http://host:port/path.", where=url)
    if parts.username is not None:
        raise InputError("The URL carries credentials.", remedy="Leave them out of the URL.", where=url)
    if not allow_remote and not is_loopback(host):
        raise InputError(
            f"{host} is not this machine, and load on a system that is not yours is an attack.",
            remedy="Ask its owner, then allow a remote target explicitly (allow_remote).",
            where=url,
        )


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _require(holds: object, name: str, value: object, remedy: str) -> None:
    if not holds or (isinstance(value, float) and math.isnan(value)):
        raise ParameterError(f"{name} is {value}.", remedy=remedy, where=name)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
