"""Where an upstream listens, read from its URL. Owns host, port, TLS and the path before every target; opens nothing."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from roadworthy.base.errors import MissingFile, ParameterError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAddress:
    """One address.

    Attributes:
        host: name or IP address, without brackets.
        port: TCP.
        tls: whether to speak TLS and to check the name ``host`` on its certificate.
        host_header: value of ``Host``.
        base: path before every target, without a final slash; "" for none.
    """

    host: str
    port: int
    tls: bool
    host_header: bytes
    base: bytes


def parse_address(url: str) -> UpstreamAddress:
    """Read ``http://host[:port][/base]`` or its https form.

    Raises:
        ParameterError: no host, an impossible port, a query, a fragment or a non-ASCII character (RW-114).
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        host_header, base = parts.netloc.encode("ascii"), parts.path.rstrip("/").encode("ascii")
    except ValueError as error:
        raise _refused(url, str(error)) from error
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or parts.username is not None:
        raise _refused(url, "it is not scheme, host, port and path alone")
    return UpstreamAddress(
        host=host,
        port=port if port is not None else _PORTS[parts.scheme],
        tls=parts.scheme == "https",
        host_header=host_header,
        base=base,
    )


def tls_context(address: UpstreamAddress, ca: Path | None) -> ssl.SSLContext | None:
    """How the upstream's certificate is checked; None for plain HTTP.

    Args:
        address: of the upstream.
        ca: PEM file of the only authorities to trust; the system's when None.

    Raises:
        MissingFile: the file cannot be opened or holds no certificate (RW-102).
    """
    if not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except OSError as error:  # ssl.SSLError is one of them
        raise MissingFile(
            f"The certificates in {ca} cannot be read: {error.strerror or error}.",
            remedy="Give a PEM file in ca of the upstream.",
            where=address.host,
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _refused(url: str, why: str) -> ParameterError:
    return ParameterError(
        f"{url!r} is no address of an upstream: {why}.", remedy="Write http://host:port/path or https://host:port/path."
    )
