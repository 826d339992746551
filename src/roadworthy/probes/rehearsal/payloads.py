"""What a rehearsal kept of requests and answers, opened with the rehearsal's own key.

Owns asking the ledger's process for a sealed payload and opening it. A sealed payload is ``nonce (12 bytes) |
AES-256-GCM(salt (32 bytes) | payload)`` with the exchange's id as additional data; the leaf commits to salt and payload.

Rule kept here: only the ledger of a rehearsal is asked, whose folder, key and socket are the check's own.
"""

import base64
import binascii
import json
import socket
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from roadworthy.base.errors import LedgerBroken, TargetAnswer, TargetUnreachable
from roadworthy.ledger.entry import SALT_BYTES, commit
from roadworthy.ledger.leaf import Leaf
from roadworthy.wire.ledger_messages import VERSION, MessageType, Reader, encode

_NONCE_BYTES = 12
_TIMEOUT_S = 10.0
_BLOCK_BYTES = 1 << 16
_REMEDY = "Let gateway and check be of one version."


class PayloadReader:
    """Asks one ledger's process. A context manager.

    Args:
        path: of its socket.
        key: file of the payload key.
    """

    def __init__(self, path: Path, key: Path) -> None:
        self._cipher = AESGCM(key.read_bytes())
        self._reader = Reader()
        self._asked = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_TIMEOUT_S)
            self._socket.connect(str(path))
            hello = json.dumps({"node": "check", "worker": 0, "version": VERSION}).encode()
            self._talk(MessageType.HELLO, hello, MessageType.WELCOME)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Ready since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._socket.close()

    def payload(self, index: int, leaf: Leaf) -> bytes | None:
        """What was kept beside an entry; None when nothing is kept.

        Raises:
            LedgerBroken: it does not open, or is not what the leaf commits to (RW-503).
            TargetAnswer: the ledger does not give it (RW-402).
            TargetUnreachable: it hangs up (RW-401).
        """
        ask = json.dumps({"what": "payload", "index": index}).encode()
        try:
            members: dict[str, Any] = json.loads(self._talk(MessageType.ASK, ask, MessageType.ANSWER))
            if members["sealed"] is None:
                return None
            sealed = base64.b64decode(members["sealed"], validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise TargetAnswer("The ledger's answer cannot be read.", remedy=_REMEDY) from error
        try:
            aad = str(leaf.facts["id"]).encode()
            salted = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as error:
            what = f"The payload of entry {index} does not open."
            raise LedgerBroken(what, remedy="It was changed after it was sealed.") from error
        salt, payload = salted[:SALT_BYTES], salted[SALT_BYTES:]
        if commit(salt, payload) != leaf.base.commitment:
            what = f"The payload of entry {index} is not what its leaf commits to."
            raise LedgerBroken(what, remedy="Do not trust this ledger.")
        return payload

    def _talk(self, kind: MessageType, body: bytes, expected: MessageType) -> bytes:
        self._asked += 1
        try:
            self._socket.sendall(encode(kind, self._asked, body))
            while data := self._socket.recv(_BLOCK_BYTES):
                for message in self._reader.feed(data):
                    if message.type is expected:
                        return message.body
                    raise TargetAnswer(f"The ledger says {message.type.name}.", remedy=_REMEDY)
        except OSError as error:
            raise TargetUnreachable(f"The ledger does not answer: {error}.", remedy="Look at its words.") from error
        raise TargetUnreachable("The ledger hung up.", remedy="Look at its words.")
