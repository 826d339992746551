"""The files of the control plane: a certificate and the revocations. Owns reading and verifying them, offline.

The certificate file holds one DSSE envelope as JSON. The file of revocations holds one envelope a line; a file
without lines says that nothing was revoked.

Rules kept here:
1. An envelope counts only when a trusted key signed it and no trusted key's signature on it is wrong.
2. A file of revocations of which any line does not count is no such file: then no certificate counts.
3. A revocation that was seen once holds for good, whatever becomes of its line, and from the moment in which it is seen:
   it does not wait for the instant that it names.
4. What ended, by revocation or by time, stands in a file of the node, so that neither a reload nor a restart brings it
   back. A line that a crash cut short is passed over; whose file cannot be read does not start.
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import orjson

from roadworthy.base.canonical import parse_canonical, parse_json
from roadworthy.base.errors import MalformedEvidence, MissingFile, NotCanonical, SignatureBroken
from roadworthy.domain.certificate import Certificate
from roadworthy.gates.certificate import certificate_of, revocation_of
from roadworthy.gateway.config import Admission
from roadworthy.gateway.watched_file import WatchedFile
from roadworthy.ledger.dsse import envelope_from_json, verify
from roadworthy.ledger.keys import PublicKey
from roadworthy.ledger.statement import PAYLOAD_TYPE, parse_statement

MOST_BYTES = 16 * 1024 * 1024
_FILE_MODE = 0o600
_log = logging.getLogger(__name__)
_REMEDY = "Ask the control plane for the file again."


class Past:
    """Certificates of one use case that count no more, whatever the files and the clock say later.

    Args:
        use_case_id: whose.
        path: where it is kept, with a line for every end; shared by use cases and workers. None keeps it in memory.

    Attributes:
        revoked: ids of revoked certificates.
        ended: ids of certificates whose end this node has seen.

    Raises:
        MissingFile: the file is there and cannot be read (RW-102).
    """

    def __init__(self, use_case_id: str = "", path: Path | None = None) -> None:
        self.revoked: set[str] = set()
        self.ended: set[str] = set()
        self._use_case_id, self._path = use_case_id, path
        self._unwritten: list[bytes] = []
        for line in [] if path is None else _lines_of(path):
            self._take(line)

    def revoke(self, certificate_ids: Iterable[str]) -> None:
        """Remember revoked certificates."""
        self._remember("revoked", self.revoked, certificate_ids)

    def end(self, certificate_id: str) -> None:
        """Remember a certificate whose end has come."""
        self._remember("ended", self.ended, (certificate_id,))

    def _remember(self, what: Literal["revoked", "ended"], known: set[str], certificate_ids: Iterable[str]) -> None:
        new = sorted(set(certificate_ids) - known)
        if not new:
            return
        known.update(new)
        if self._path is not None:
            members = ({"use_case": self._use_case_id, "what": what, "id": each} for each in new)
            self._unwritten += [orjson.dumps(each) + b"\n" for each in members]
            self._write(self._path)

    def _write(self, path: Path) -> None:
        """Append what is not written yet; after a failure it is tried again with the next end."""
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _FILE_MODE)
            try:
                # A line's end first: it closes what a crash may have cut.
                os.write(file, b"\n" + b"".join(self._unwritten))
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            _log.error("The end of a certificate cannot be kept for the next start: %s", error.strerror)
        else:
            self._unwritten.clear()

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            members = orjson.loads(line)
            if members["use_case"] == self._use_case_id:
                {"revoked": self.revoked, "ended": self.ended}[members["what"]].add(members["id"])


class CertificateFile:
    """What the two files say now.

    Args:
        admission: where they lie, whose signatures count, how often they are read again.
        past: what ended before; ends that are seen here are added.

    Attributes:
        version: grows when anything changes.
        state: "valid" when there is a certificate and the revocations are known, else why not: "missing", "unreadable",
            "bad_signature", "revocations_unreadable".
        fault: the same as a sentence; "" when nothing is wrong.
        certificate: as signed; None when there is none that counts.

    Raises:
        SignatureBroken: a trusted key is not 64 hex digits (RW-502).
    """

    def __init__(self, admission: Admission, past: Past) -> None:
        self.version, self.state, self.fault = 0, "missing", ""
        self.certificate: Certificate | None = None
        self._past = past
        keys = [PublicKey.from_hex(text) for text in admission.trusted_keys]
        self._keys = {key.keyid: key for key in keys}
        again_s = admission.refresh_s
        self._certificate = WatchedFile(
            admission.certificate, self._read_certificate, every_s=min(1.0, again_s), reread_s=again_s
        )
        path = admission.revocations
        self._revocations = (
            None
            if path is None
            else WatchedFile(path, self._read_revocations, every_s=min(1.0, again_s), reread_s=again_s)
        )
        self._seen = (-1, -1)

    def look(self, now_s: float) -> int:
        """Look at the files if it is time, and give the version."""
        certificate = self._certificate.content(now_s)
        revoked = frozenset[str]() if self._revocations is None else self._revocations.content(now_s)
        seen = (self._certificate.version, self._revocations.version if self._revocations is not None else 0)
        fault = self._certificate.fault or (self._revocations.fault if self._revocations is not None else "")
        if seen != self._seen or fault != self.fault:
            self._seen, self.fault = seen, fault
            self.version += 1
            self.certificate = certificate
            self._past.revoke(revoked or ())
            self.state = self._word(certificate, revoked)
        return self.version

    def _word(self, certificate: Certificate | None, revoked: frozenset[str] | None) -> str:
        if certificate is None:
            error = self._certificate.error
            if isinstance(error, SignatureBroken):
                return "bad_signature"
            return "missing" if isinstance(error, MissingFile) else "unreadable"
        return "revocations_unreadable" if revoked is None else "valid"

    def _read_certificate(self, data: bytes) -> Certificate:
        return certificate_of(self._opened(_plain(data)))

    def _read_revocations(self, data: bytes) -> frozenset[str]:
        if data and not data.endswith(b"\n"):
            raise MalformedEvidence("The last line of the revocations is not whole.", remedy=_REMEDY)
        return frozenset(revocation_of(self._opened(_plain(line))).certificate_id for line in data.splitlines())

    def _opened(self, value: Any) -> Any:
        """The statement inside an envelope that counts, as plain JSON."""
        envelope = envelope_from_json(value)
        verify(envelope, self._keys)
        if envelope.payload_type != PAYLOAD_TYPE:
            what = f"The envelope holds {envelope.payload_type!r}, not an in-toto statement."
            raise MalformedEvidence(what, remedy=_REMEDY)
        parse_statement(envelope.payload)
        return parse_canonical(envelope.payload)


def _lines_of(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        what = f"The list of ended certificates cannot be read: {error.strerror}."
        raise MissingFile(what, remedy="Make it readable.", where=str(path)) from error


def _plain(data: bytes) -> Any:
    if len(data) > MOST_BYTES:
        raise MalformedEvidence("The file is longer than any that the control plane writes.", remedy=_REMEDY)
    try:
        return parse_json(data)
    except NotCanonical as error:
        raise MalformedEvidence(f"It is not JSON: {error.what}", remedy=_REMEDY) from error
