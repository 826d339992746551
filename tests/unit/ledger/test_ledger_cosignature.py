"""Cosignatures: both algorithms, both key lines, every way to be wrong, and the policy k of n."""

import base64
import json
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from roadworthy.base.errors import DependencyError, LedgerBroken, ParameterError, SignatureBroken
from roadworthy.ledger.checkpoint import CheckpointSigner, NoteSignature, open_checkpoint, parse_note, parse_vkey
from roadworthy.ledger.cosignature import (
    CosignatureType,
    Cosigner,
    CosignerKey,
    WitnessPolicy,
    cosignatures,
    cosigned_message,
    ml_dsa_cosigner,
    parse_cosigner_vkey,
)
from roadworthy.ledger.keys import key_from_seed

VECTOR = Path(__file__).parents[2] / "vectors" / "mldsa_log_checkpoint.json"
LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
ROOT = bytes(range(32))
NOTE = LOG.sign(7, ROOT)
TEXT = parse_note(NOTE).text
ED = Cosigner("witness.example/w1", key_from_seed(b"\x04" * 32))
ML = ml_dsa_cosigner("witness.example/w2", b"\x05" * 32)
ML_KEY = ML.key
BOTH = [pytest.param(ED, id="ed25519"), pytest.param(ML, id="ml-dsa-44")]
AT_S = 1_679_315_147


def cosigned(*cosigners: Cosigner, note: str = NOTE, at_s: int = AT_S) -> str:
    """The note with a signature of each."""
    return note + "".join(each.cosign(parse_note(note).text, at_s).line() for each in cosigners)


@pytest.mark.parametrize("witness", BOTH)
def test_a_cosignature_verifies(witness):
    """With its time, and beside the log's own signature."""
    note = cosigned(witness)
    assert [(each.name, each.at_s) for each in cosignatures(note, [witness.key])] == [(witness.name, AT_S)]
    assert open_checkpoint(note, [LOG.verifier]).size == 7


@pytest.mark.parametrize("witness", BOTH)
def test_a_key_line_reads_back(witness):
    """The line has the algorithm's byte in it."""
    line = witness.key.text()
    assert parse_cosigner_vkey(line + "\n") == witness.key
    assert base64.b64decode(line.split("+", 2)[2])[0] == witness.key.type


def test_the_ed25519_message_is_that_of_the_specification():
    """Two lines, then the whole text of the checkpoint; the signature is made anew here from the specification."""
    blob = ED.cosign(TEXT, AT_S).signature
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    assert struct.unpack(">Q", blob[:8]) == (AT_S,)
    Ed25519PublicKey.from_public_bytes(ED.key.raw).verify(blob[8:], message)


def test_the_ml_dsa_message_is_that_of_the_specification():
    """Label, name, time, origin, start 0, end, root: lengths as in TLS."""
    name, origin = b"witness.example/w2", b"ledger.example"
    expected = b"subtree/v1\n\x00\x12" + name + struct.pack(">Q", AT_S) + b"\x0e" + origin
    expected += struct.pack(">QQ", 0, 7) + ROOT
    assert cosigned_message(CosignatureType.ML_DSA_44, ML.name, TEXT, AT_S) == expected


def test_another_implementation_s_ml_dsa_signature_verifies():
    """A log of torchwood's tests, signed by its Go code with ML-DSA-44; and not with one bit changed."""
    vector = json.loads(VECTOR.read_text(encoding="utf-8"))
    key = parse_cosigner_vkey(vector["vkey"])
    assert [(each.name, each.at_s) for each in cosignatures(vector["note"], [key])] == [("example.com/mldsa-log", 0)]
    with pytest.raises(SignatureBroken):
        cosignatures(vector["note"].replace("\n1\n", "\n2\n", 1), [key])


def test_another_implementation_s_log_signature_verifies():
    """The log of torchwood's second flow (cmd/litewitness/testdata/multi-cosigs-ed25519.txt), signed by Go code."""
    origin = "sigsum.org/v1/tree/985ea163f5af026723561354f51f2ebcdcf2af809ce254ccfb64aa9aadd80f90"
    key = "01" + "52c05edad1bf5feffa81354faae59a655d9a9a1a793ed2f62c39c26c0be2aecd"
    line = f"{origin}+ec1293d2+{base64.b64encode(bytes.fromhex(key)).decode()}"
    signature = "7BKT0gOfNZ1J0So9unY3BZtm2YkPIoNYM/dce0Z2avJDs8dxN6ts9bOSwwrVrbjm6P9K3ZxpK6jJngOG6YvGGzV/lwo="
    note = f"{origin}\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— {origin} {signature}\n"
    assert open_checkpoint(note, [parse_vkey(line)]).root == b"\x2a" + bytes(31)


@pytest.mark.parametrize("witness", BOTH)
@pytest.mark.parametrize("place", [0, 7, 8, -1])
def test_a_changed_bit_is_found(witness, place):
    """In the time as well as in the signature."""
    good = witness.cosign(TEXT, AT_S)
    blob = bytearray(good.signature)
    blob[place] ^= 1
    note = NOTE + NoteSignature(good.name, good.key_id, bytes(blob)).line()
    with pytest.raises(SignatureBroken, match="does not verify"):
        cosignatures(note, [witness.key])


@pytest.mark.parametrize("witness", BOTH)
def test_a_cosignature_is_for_one_tree(witness):
    """Under another checkpoint it is worth nothing."""
    other = LOG.sign(8, ROOT) + witness.cosign(TEXT, AT_S).line()
    with pytest.raises(SignatureBroken):
        cosignatures(other, [witness.key])


@pytest.mark.parametrize("blob", [b"\x01", bytes(8), b"\xff" * 8 + bytes(64), bytes(9)])
def test_what_is_no_cosignature_is_refused(blob):
    """Too short, a time beyond 2**63, or no signature after the time."""
    note = NOTE + NoteSignature(ED.name, ED.key.key_id, blob).line()
    with pytest.raises(SignatureBroken):
        cosignatures(note, [ED.key])


def test_unknown_keys_are_ignored():
    """Others may cosign too; the same name with another key is another key."""
    stranger = Cosigner(ED.name, key_from_seed(b"\x09" * 32))
    assert cosignatures(cosigned(stranger, ML), [ED.key]) == ()


def test_a_bad_cosignature_counts_even_beside_good_ones():
    """A known key that signed something else is never passed over."""
    bad = NoteSignature(ED.name, ED.key.key_id, bytes(72))
    with pytest.raises(SignatureBroken):
        WitnessPolicy(keys=(ED.key, ML.key), quorum=1).require(cosigned(ML) + bad.line())


def test_the_policy_counts_names():
    """One witness with two keys is one witness."""
    twice = ml_dsa_cosigner(ED.name, b"\x06" * 32)
    policy = WitnessPolicy(keys=(ED.key, twice.key, ML.key), quorum=2)
    with pytest.raises(SignatureBroken, match="1 of the 2"):
        policy.require(cosigned(ED, twice))
    assert len(policy.require(cosigned(ED, twice, ML))) == 3


@pytest.mark.parametrize("quorum", [0, -1, 2])
def test_a_policy_that_cannot_be_met_is_refused(quorum):
    """So is one that is always met."""
    with pytest.raises(ParameterError):
        WitnessPolicy(keys=(ED.key,), quorum=quorum)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name",
        "name+00000000",
        "name+00000000+!!",
        "name+00000000+",
        "name+00000000+AQ==",
        ED.key.text().replace("+", "+0", 1),
        ED.key.text().replace("w1+", "w9+", 1),
        LOG.verifier.text(),
        f"a b+00000000+{base64.b64encode(bytes([4]) + bytes(32)).decode()}",
        f"name+00000000+{base64.b64encode(bytes([4]) + bytes(31)).decode()}",
        f"name+00000000+{base64.b64encode(bytes([6]) + bytes(32)).decode()}",
    ],
)
def test_a_malformed_key_line_is_refused(line):
    """Another algorithm, another length, or an id that is not the key's."""
    with pytest.raises(SignatureBroken):
        parse_cosigner_vkey(line)


def test_names_fit_one_length_byte():
    """The signed message frames the name and the origin with one byte each."""
    with pytest.raises(SignatureBroken):
        CosignerKey("n" * 256, CosignatureType.ED25519, bytes(32))
    long = CheckpointSigner("o" * 256, LOG.key)
    with pytest.raises(LedgerBroken, match="too long to be cosigned"):
        ML.cosign(parse_note(long.sign(1, ROOT)).text, AT_S)


def test_only_checkpoints_are_cosigned():
    """A witness signs no other text."""
    with pytest.raises(LedgerBroken):
        ED.cosign("something else\n", AT_S)


def test_a_seed_has_32_bytes():
    """FIPS 204 derives the key from exactly these."""
    with pytest.raises(ParameterError):
        ml_dsa_cosigner("name", b"short")


@pytest.mark.parametrize("witness", BOTH)
def test_the_secret_is_not_shown(witness):
    """A cosigner ends up in logs and tracebacks."""
    assert "private" not in repr(witness)


def test_a_library_without_ml_dsa(monkeypatch):
    """It is said, and not taken for a bad signature."""

    def missing(_: bytes) -> None:
        raise UnsupportedAlgorithm("no ML-DSA here")

    note = cosigned(ML)
    library = SimpleNamespace(from_public_bytes=missing, from_seed_bytes=missing)
    for kind in ("MLDSA44PublicKey", "MLDSA44PrivateKey"):
        monkeypatch.setattr(f"roadworthy.ledger.cosignature.{kind}", library)
    with pytest.raises(DependencyError):
        cosignatures(note, [ML_KEY])
    with pytest.raises(DependencyError):
        ml_dsa_cosigner("name", bytes(32))
