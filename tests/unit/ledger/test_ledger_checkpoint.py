"""Signed notes: what is signed, which keys count, and every malformed form."""

import base64

import pytest

from roadworthy.base.errors import LedgerBroken, SignatureBroken
from roadworthy.ledger.checkpoint import (
    Checkpoint,
    CheckpointSigner,
    VerifierKey,
    open_checkpoint,
    parse_checkpoint,
    parse_vkey,
)
from roadworthy.ledger.keys import key_from_seed

LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
WITNESS = CheckpointSigner("witness.example", key_from_seed(b"\x04" * 32))
ROOT = bytes(range(32))
NOTE = LOG.sign(7, ROOT)


def with_signature_of(note: str, signer: CheckpointSigner, *, flip: bool = False) -> str:
    """The note with one more signature."""
    text = note.split("\n\n", maxsplit=1)[0] + "\n"
    signature = bytearray(signer.key.sign(text.encode()))
    signature[0] ^= flip
    blob = base64.b64encode(signer.verifier.key_id + bytes(signature)).decode()
    return f"{note}— {signer.name} {blob}\n"


def test_a_published_key_line_is_read() -> None:
    """The example of the Go checksum database's key: id, name and key fit."""
    line = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = parse_vkey(line + "\n")
    assert (key.name, key.key_id.hex()) == ("sum.golang.org", "033de0ae")
    assert key.text() == line


def test_there_and_back() -> None:
    """What was signed is what is read."""
    assert open_checkpoint(NOTE, [LOG.verifier]) == Checkpoint(origin="ledger.example", size=7, root=ROOT)
    assert NOTE.startswith("ledger.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— ledger.example ")
    assert parse_vkey(LOG.verifier.text()) == LOG.verifier


def test_unknown_signatures_are_ignored() -> None:
    """A witness may sign beside the ledger, well or badly, when we do not know it; then it does not count either."""
    for flip in (False, True):
        both = with_signature_of(NOTE, WITNESS, flip=flip)
        assert open_checkpoint(both, [LOG.verifier]).size == 7
    with pytest.raises(SignatureBroken, match="no signature by a known key"):
        open_checkpoint(NOTE, [WITNESS.verifier])


def test_a_known_keys_bad_signature_is_an_error_beside_a_good_one() -> None:
    """Neither the witness's nor a second of the ledger's own is passed over."""
    with pytest.raises(SignatureBroken, match="does not verify"):
        open_checkpoint(with_signature_of(NOTE, WITNESS, flip=True), [LOG.verifier, WITNESS.verifier])
    with pytest.raises(SignatureBroken, match="does not verify"):
        open_checkpoint(with_signature_of(NOTE, LOG, flip=True), [LOG.verifier])


@pytest.mark.parametrize(
    ("old", "new"), [("\n7\n", "\n8\n"), ("ledger.example\n7", "other.example\n7"), ("AAEC", "AAED")]
)
def test_a_changed_text_does_not_verify(old: str, new: str) -> None:
    """Size, origin and root are all signed."""
    with pytest.raises(SignatureBroken):
        open_checkpoint(NOTE.replace(old, new, 1), [LOG.verifier])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "no signatures\n",
        NOTE.removesuffix("\n"),
        NOTE.replace("— ", "- "),
        NOTE + "\n",
        NOTE + "— witness.example !!!!\n",
        NOTE + "— witness.example AAAA\n",
        NOTE + "— witness.example AAAAA\n",
        NOTE + "— witness.example AAAAAAB=\n",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    """The form is checked before any signature counts."""
    with pytest.raises(LedgerBroken):
        open_checkpoint(note, [LOG.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "o\n7\nAAEC\n",
        "o\n07\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "o\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "o\x1b\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "o\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "o\n7\n!\n",
        "o\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nextension\n",
        "o\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """Exactly three lines: origin, size, root."""
    with pytest.raises(LedgerBroken):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ledger.example",
        LOG.verifier.text().replace("ledger", "legder"),
        LOG.verifier.text().replace("+Ae", "+Be"),
        LOG.verifier.text() + "A",
        LOG.verifier.text()[:-4],
        "ledger.example+00000000+Ae1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR",
    ],
)
def test_what_is_no_key_line_is_refused(line: str) -> None:
    """Name, id, algorithm and key must fit each other."""
    with pytest.raises(SignatureBroken):
        parse_vkey(line)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_signer_needs_a_plain_name(name: str) -> None:
    """The name must stand in a line without being mistaken."""
    with pytest.raises(SignatureBroken):
        VerifierKey(name, LOG.key.public)
