"""How a port speaks TLS: which versions, until when its certificate holds, and whether it speaks without.

Owns the questions to one port. Leaves alone what is good enough.

Rule kept here: old versions are offered as bytes, since this machine's own library may rightly decline to speak them; a
server that picks one answers with its hello, and one that does not with an alert, or by hanging up (RFC 4346, 7.4.1).
"""

import socket
import ssl
from dataclasses import dataclass

from roadworthy.base.errors import TargetUnreachable
from roadworthy.base.ids import salt_bytes

_TIMEOUT_S = 5.0
_TLS_1_0, _TLS_1_1 = b"\x03\x01", b"\x03\x02"
_HANDSHAKE, _SERVER_HELLO = 0x16, 0x02
_CIPHERS = bytes.fromhex("c013c014c009c00a002f0035000a")
"""Suites of that time: ECDHE and RSA with AES-CBC, and the old triple DES."""
_GROUPS = bytes.fromhex("000a00080006001d00170018") + bytes.fromhex("000b00020100")
"""Extensions supported_groups (x25519, P-256, P-384) and ec_point_formats: without them no ECDHE suite can be picked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPort:
    """What a port does.

    Attributes:
        version: that was agreed on, for example ``TLSv1.3``; "" when none was.
        old_versions: of those before 1.2, the ones that it agrees to.
        certificate_until_s: when its certificate ends, in seconds since 1970; 0 when it is not in force, or there is none.
        plain: whether it answers HTTP without TLS.
    """

    version: str
    old_versions: tuple[str, ...]
    certificate_until_s: float
    plain: bool


def look_at_tls(host: str, port: int) -> TlsPort:
    """Ask one port everything.

    Args:
        host: name or address; it is also the name that is asked for (SNI).
        port: of it.

    Raises:
        TargetUnreachable: nobody listens there (RW-401).
    """
    version, der = _handshake(host, port)
    old = {"TLSv1.0": _TLS_1_0, "TLSv1.1": _TLS_1_1}
    return TlsPort(
        version=version,
        old_versions=tuple(name for name, wire in old.items() if _agrees(host, port, wire)),
        certificate_until_s=_until_s(host, port, der) if der else 0.0,
        plain=_exchange(host, port, b"GET / HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n")[:5] == b"HTTP/",
    )


def _connect(host: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=_TIMEOUT_S)
    except OSError as error:
        what = f"Nobody listens there: {error}."
        raise TargetUnreachable(what, remedy="Start it, or correct the address.", where=f"{host}:{port}") from error


def _handshake(host: str, port: int) -> tuple[str, bytes]:
    """The version and the certificate that a client of today gets, whoever signed it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _connect(host, port) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as spoken:
                return spoken.version() or "", spoken.getpeercert(binary_form=True) or b""
        except OSError:  # ssl.SSLError is one
            return "", b""


def _until_s(host: str, port: int, der: bytes) -> float:
    """The end of a certificate that is in force; read by trusting it alone, which the library then shows parsed."""
    context = ssl.create_default_context(cadata=der)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with _connect(host, port) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as spoken:
                found = spoken.getpeercert() or {}
        except OSError:
            return 0.0
    return float(ssl.cert_time_to_seconds(str(found.get("notAfter"))))


def _agrees(host: str, port: int, version: bytes) -> bool:
    """Whether a hello of an old version is answered with a hello of the server."""
    body = version + salt_bytes(32) + b"\0" + len(_CIPHERS).to_bytes(2) + _CIPHERS + b"\x01\0"
    body += len(_GROUPS).to_bytes(2) + _GROUPS
    hello = b"\x01" + len(body).to_bytes(3) + body
    answer = _exchange(host, port, b"\x16\x03\x01" + len(hello).to_bytes(2) + hello)
    return len(answer) > 5 and answer[0] == _HANDSHAKE and answer[5] == _SERVER_HELLO and answer[9:11] == version


def _exchange(host: str, port: int, data: bytes) -> bytes:
    """The beginning of what comes back; empty when the other end hangs up or keeps silent."""
    answer = b""
    with _connect(host, port) as plain:
        try:
            plain.sendall(data)
            while len(answer) < 11 and (part := plain.recv(4_096)):
                answer += part
        except OSError:
            return answer
    return answer
