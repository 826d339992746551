"""What a port says of TLS, against real servers."""

import contextlib
import socket
import ssl
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadworthy.base.errors import TargetUnreachable
from roadworthy.probes.tls import look_at_tls
from server_certificates import certificate

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None):
    """A port that answers one request after another, with TLS or without."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    spoken = connection if context is None else context.wrap_socket(connection, server_side=True)
                    with spoken:
                        if spoken.recv(4096):
                            spoken.sendall(PLAIN)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def server(path: Path, *, old: bool = False) -> ssl.SSLContext:
    """A server's side, of today or of long ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def test_a_server_of_today(tmp_path: Path) -> None:
    """The newest version, the certificate's end, and nothing else."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    with serving(server(certificate(tmp_path, until=until))) as port:
        found = look_at_tls("127.0.0.1", port)
    assert (found.version, found.old_versions, found.plain) == ("TLSv1.3", (), False)
    assert found.certificate_until_s == until.timestamp()


def test_a_server_of_long_ago(tmp_path: Path) -> None:
    """Old versions are found, although this machine's own client would not speak them."""
    until = datetime.now(UTC) + timedelta(days=9)
    with serving(server(certificate(tmp_path, until=until), old=True)) as port:
        found = look_at_tls("127.0.0.1", port)
    assert found.old_versions == ("TLSv1.0", "TLSv1.1")


def test_a_certificate_that_ended(tmp_path: Path) -> None:
    """It is in force no more, so its end counts as none."""
    until = datetime.now(UTC) - timedelta(days=1)
    with serving(server(certificate(tmp_path, until=until))) as port:
        found = look_at_tls("127.0.0.1", port)
    assert (found.version, found.certificate_until_s) == ("TLSv1.3", 0.0)


def test_a_plain_port() -> None:
    """No TLS, and an answer without."""
    with serving(None) as port:
        found = look_at_tls("127.0.0.1", port)
    assert (found.version, found.old_versions, found.certificate_until_s, found.plain) == ("", (), 0.0, True)


def test_a_port_on_which_nobody_listens(closed_port: int) -> None:
    """An error with the address."""
    with pytest.raises(TargetUnreachable, match="Nobody listens"):
        look_at_tls("127.0.0.1", closed_port)
