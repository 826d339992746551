"""Asking one question over one connection, and all that can be seen of its answer.

Owns the exchange as the caller sees it. Leaves alone what it means.

Rule kept here: nothing is raised for what a gateway, or the lack of one, does. That nobody answered is an answer too: its
status is 0 and ``fault`` says why. What came before a stream broke is kept.
"""

import contextlib
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from roadworthy.base.clock import monotonic_s, now

DONE = b"data: [DONE]"
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back.

    Attributes:
        status: of HTTP; 0 when nobody answered.
        headers: by lower-case name.
        body: as far as it came.
        asked_at: when the question began to leave.
        ended_at: when the last byte had come, or the waiting ended.
        took_s: between the two, on a clock that does not jump.
        fault: why it is not whole, in words; "" when it is.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked_at: datetime
    ended_at: datetime
    took_s: float
    fault: str = ""

    @property
    def record_id(self) -> str:
        """Id of the exchange in the ledger; "" when the answer names none."""
        return self.headers.get("x-roadworthy-record", "")

    @property
    def index(self) -> int:
        """Index of the outcome; -1 when the answer names none."""
        text = self.headers.get("x-roadworthy-index", "")
        return int(text) if text.isdecimal() else -1

    @property
    def rung(self) -> str:
        """Name of the rung that answered; "" when it was the primary."""
        return self.headers.get("x-roadworthy-rung", "")

    @property
    def notice(self) -> str:
        """What the caller is told beside the answer."""
        return self.headers.get("x-roadworthy-notice", "")

    @property
    def answered(self) -> bool:
        """Whether the AI system's answer, or one in its place, came."""
        return 200 <= self.status < 300 and not self.fault


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Ask once.

    Args:
        url: scheme, host and port.
        method: of HTTP.
        path: of the target.
        body: of the question.
        headers: beside the length.
        timeout_s: of each wait for bytes.
        tls: for https.
    """
    asked_at, began_s = now(), monotonic_s()
    status, found, parts, fault = 0, dict[str, str](), list[bytes](), ""
    connection = _connection(url, timeout_s, tls)
    with contextlib.closing(connection):
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            status, found = answer.status, {name.lower(): value for name, value in answer.getheaders()}
            while part := answer.read1(_CHUNK_BYTES):
                parts.append(part)
            if answer.length:
                fault = "the answer is shorter than it said"
        except (OSError, http.client.HTTPException) as error:
            fault = str(error) or type(error).__name__
    took_s = monotonic_s() - began_s
    return Reply(
        status=status,
        headers=found,
        body=b"".join(parts),
        asked_at=asked_at,
        ended_at=now(),
        took_s=took_s,
        fault=fault,
    )


def _connection(url: str, timeout_s: float, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)
