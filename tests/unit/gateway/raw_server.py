"""The front door with a plain application behind it, in a thread; and a client that speaks raw bytes."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from roadworthy.gateway.protocol import HardenedProtocol, WireLimits, hardened


@dataclass
class Seen:
    """What came through the door: (method, target, body), and the statuses of what did not."""

    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    headers: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    gone: int = 0

    def refused(self, status: int) -> None:
        """The front door counts here."""
        self.refusals.append(status)


def application(seen: Seen, pause_s: float = 0.0):
    """Reads the whole body, then says what it saw."""

    async def app(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                seen.gone += 1
                return
            body += message["body"]
            more = message["more_body"]
        if pause_s and b"slow" in scope["query_string"]:
            await asyncio.sleep(pause_s)
        target = scope["path"]
        seen.requests.append((scope["method"], target, body))
        seen.headers.append(list(scope["headers"]))
        answer = f"{scope['method']} {target}".encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


@contextlib.contextmanager
def door(
    limits: WireLimits | None = None, *, pause_s: float = 0.0, app=None, tls: Path | None = None
) -> Iterator[tuple[int, Seen]]:
    """Its port, and what it has seen."""
    seen = Seen()
    protocol: type[HardenedProtocol] = hardened(limits or WireLimits(), seen)
    config = uvicorn.Config(
        app or application(seen, pause_s), http=protocol, ws="none", lifespan="off", log_config=None, port=0,
        timeout_graceful_shutdown=1, server_header=False, date_header=False, access_log=False,
        ssl_certfile=str(tls / "c.pem") if tls else None, ssl_keyfile=str(tls / "k.pem") if tls else None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.005)
    try:
        yield port, seen
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def exchange(port: int, *pieces: bytes, timeout_s: float = 1.0, wait_s: float = 0.0, shut: bool = True) -> bytes:
    """Send the pieces, close our half, and read until the other end closes or nothing more comes."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as client:
        client.settimeout(timeout_s)
        with contextlib.suppress(OSError):
            for piece in pieces:
                client.sendall(piece)
                if wait_s:
                    threading.Event().wait(wait_s)
            if shut:
                client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                found += data
    return found


def statuses(answers: bytes) -> list[int]:
    """The status of every answer in the stream."""
    found = []
    while answers.startswith(b"HTTP/1."):
        head, _, rest = answers.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        names = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(names.get(b"content-length", b"0"))
        answers = rest[length:]
        if status >= 200:
            found.append(status)
    return found


def self_signed() -> tuple[bytes, bytes]:
    """A certificate for localhost and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    at = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1)
        .add_extension(names, critical=False)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), secret
