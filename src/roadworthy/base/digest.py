"""Digests. Owns the one text form ``sha256:<64 hex digits>``; what is digested, and why, belongs to the rooms above."""

import hashlib
import re
from pathlib import Path
from typing import Any

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import MissingFile

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def sha256_hex(data: bytes) -> str:
    """SHA-256 (FIPS 180-4) of the bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_bytes(data: bytes) -> str:
    """The digest of raw bytes, with its prefix."""
    return "sha256:" + sha256_hex(data)


def digest_of(value: Any) -> str:
    """The digest of a plain JSON value: SHA-256 over its canonical bytes, so layout and member order do not matter.

    Raises:
        NotCanonical: the value has no canonical form (RW-111).
    """
    return digest_bytes(canonical_bytes(value))


def digest_file(path: Path) -> str:
    """The digest of a file's raw bytes, read in pieces: memory does not grow with the file.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
    """
    try:
        with path.open("rb") as stream:
            return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        remedy = "Check the path and that you may read it."
        raise MissingFile(f"The file cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error


def is_digest(text: str) -> bool:
    """Whether the text is a digest in the one form."""
    return _FORM.fullmatch(text) is not None
