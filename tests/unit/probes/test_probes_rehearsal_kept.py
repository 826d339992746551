"""What a ledger's process gives of payloads, and what a published log gives of entries, when something is wrong."""

import base64
import json
import shutil
import socket
import tempfile
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import published_log
from roadworthy.base.errors import LedgerBroken, TargetAnswer, TargetUnreachable
from roadworthy.ledger.entry import Entry, commit
from roadworthy.ledger.leaf import Leaf, runtime_leaf_bytes
from roadworthy.probes.rehearsal.payloads import PayloadReader
from roadworthy.probes.rehearsal.published import read_log
from roadworthy.wire.ledger_messages import MessageType, Reader, encode

KEY, SALT, NONCE, RECORD = b"k" * 32, b"s" * 32, b"n" * 12, "record"
SEALED = base64.b64encode(NONCE + AESGCM(KEY).encrypt(NONCE, SALT + b"payload", RECORD.encode())).decode()
BASE = Entry(
    kind="exchange.intent",
    at=datetime(2026, 11, 21, tzinfo=UTC),
    actor="a",
    use_case="u",
    subject=RECORD,
    commitment=commit(SALT, b"payload"),
    size=7,
)
LEAF = Leaf(version=2, base=BASE, facts={"id": RECORD})


@pytest.fixture
def ledger():
    """Starts a ledger's process that gives the answers of a list, then hangs up; gives socket and key file."""
    folder = Path(tempfile.mkdtemp(prefix="rw-"))
    (folder / "payload.key").write_bytes(KEY)
    threads = []

    def start(*answers):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "l.sock"))
        listener.listen()

        def serve():
            connected, _ = listener.accept()
            with listener, connected:
                reader, waiting = Reader(), list(answers)
                while waiting and (data := connected.recv(4096)):
                    for message in reader.feed(data):
                        kind, body = waiting.pop(0)
                        connected.sendall(encode(kind, message.request, body))

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return folder / "l.sock", folder / "payload.key"

    yield start
    for thread in threads:
        thread.join(10)
    shutil.rmtree(folder)


WELCOME = (MessageType.WELCOME, b"{}")


def answer(value):
    """One answer of the ledger's process."""
    return MessageType.ANSWER, value if isinstance(value, bytes) else json.dumps(value).encode()


def test_a_payload_opens(ledger):
    """With the key, the id and the commitment of its entry."""
    with PayloadReader(*ledger(WELCOME, answer({"sealed": SEALED}), answer({"sealed": None}))) as payloads:
        assert payloads.payload(0, LEAF) == b"payload"
        assert payloads.payload(1, LEAF) is None


@pytest.mark.parametrize("given", [b"no json", [], {}, {"sealed": "%%%"}])
def test_an_answer_that_cannot_be_read(ledger, given):
    """It is no payload, and no absence of one either."""
    with (
        PayloadReader(*ledger(WELCOME, answer(given))) as payloads,
        pytest.raises(TargetAnswer, match="cannot be read"),
    ):
        payloads.payload(0, LEAF)


def test_a_payload_that_is_not_the_leafs(ledger):
    """It opens, and is something else than the leaf commits to."""
    other = Leaf(version=2, base=replace(BASE, commitment=commit(SALT, b"x")), facts=LEAF.facts)
    with (
        PayloadReader(*ledger(WELCOME, answer({"sealed": SEALED}))) as payloads,
        pytest.raises(LedgerBroken, match="commits to"),
    ):
        payloads.payload(0, other)


def test_a_ledger_that_does_not_welcome(ledger):
    """With another word than its welcome."""
    with pytest.raises(TargetAnswer, match="says ANSWER"):
        PayloadReader(*ledger(answer({})))


def test_a_ledger_that_hangs_up_later(ledger):
    """After its welcome."""
    with PayloadReader(*ledger(WELCOME)) as payloads, pytest.raises(TargetUnreachable):
        payloads.payload(0, LEAF)


def test_a_log_is_read_after_it_was_verified(tmp_path):
    """Every entry in order, over more than one bundle; what does not verify is not read."""
    leaves = [runtime_leaf_bytes(BASE, {"id": str(index)}) for index in range(300)]
    published_log.write_log(tmp_path, leaves, sizes=[10])
    assert [leaf.facts["id"] for leaf in read_log(tmp_path)] == [str(index) for index in range(300)]
    note = (tmp_path / "checkpoint").read_text()
    (tmp_path / "checkpoint").write_text(note.replace("300", "299"))
    with pytest.raises(LedgerBroken, match="does not verify"):
        read_log(tmp_path, within_s=0.1)
