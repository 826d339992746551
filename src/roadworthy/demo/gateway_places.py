"""Where a demonstration's gateway keeps a secret and its socket. Owns both places; what is in them belongs to others."""

import os
import tempfile
from pathlib import Path

from roadworthy.base.digest import digest_bytes
from roadworthy.gateway.load_config import LONGEST_SOCKET_BYTES, SOCKET_NAME


def secret_file(path: Path, text: str) -> None:
    """Write a file that only its owner reads; an older one is replaced."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def short_socket(ledger: Path) -> str:
    """A place for the ledger's socket: in its folder, or, where that path is too long for one, in the temporary folder."""
    inside = ledger.resolve() / SOCKET_NAME
    if len(str(inside).encode()) <= LONGEST_SOCKET_BYTES:
        return f"{ledger.name}/{SOCKET_NAME}"
    return str(Path(tempfile.gettempdir()) / f"roadworthy-{digest_bytes(str(inside).encode())[-12:]}.sock")
