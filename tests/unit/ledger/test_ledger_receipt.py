"""Receipts: one text, offline, and worthless for any other leaf, index, tree, key or witness."""

import base64
from dataclasses import replace

import pytest

from roadworthy.base.errors import IntegrityError, LedgerBroken, SignatureBroken
from roadworthy.ledger.checkpoint import CheckpointSigner, parse_note
from roadworthy.ledger.cosignature import Cosigner, WitnessPolicy
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.merkle import inclusion_path, leaf_hash, root
from roadworthy.ledger.receipt import Receipt, parse_receipt, verify_receipt

LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
WITNESS = Cosigner("witness.example", key_from_seed(b"\x04" * 32))
POLICY = WitnessPolicy(keys=(WITNESS.key,), quorum=1)
LEAVES = [b"leaf %d" % index for index in range(11)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
NOTE = LOG.sign(11, root(HASHES))
COSIGNED = NOTE + WITNESS.cosign(parse_note(NOTE).text, 1_700_000_000).line()


def receipt_of(leaf: int, **changes) -> Receipt:
    """The receipt of a leaf, changed."""
    receipt = Receipt(index=leaf, path=inclusion_path(HASHES, leaf), note=COSIGNED)
    return replace(receipt, **changes)


@pytest.mark.parametrize("index", range(11))
def test_every_leaf_has_a_receipt(index):
    """With the checkpoint and who saw it."""
    verified = verify_receipt(receipt_of(index).text(), LEAVES[index], [LOG.verifier], POLICY)
    assert verified.checkpoint.size == 11
    assert [(each.name, each.at_s) for each in verified.cosignatures] == [("witness.example", 1_700_000_000)]


def test_the_text_is_that_of_the_specification():
    """Header, extra, index, hashes, empty line, checkpoint."""
    lines = receipt_of(10, extra=b"model card").text().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9kZWwgY2FyZA==", "index 10"]
    assert [base64.b64decode(line) for line in lines[3:5]] == list(inclusion_path(HASHES, 10))
    assert lines[5:8] == ["", "ledger.example", "11"]


@pytest.mark.parametrize("extra", [None, b"", b"\x00\xff"])
def test_a_receipt_reads_back(extra):
    """The extra data too, though nobody vouches for it."""
    receipt = receipt_of(4, extra=extra)
    assert parse_receipt(receipt.text()) == receipt


def test_a_tree_of_one_needs_no_hashes():
    """The leaf is the root."""
    receipt = Receipt(index=0, path=(), note=LOG.sign(1, HASHES[0]))
    assert verify_receipt(receipt.text(), LEAVES[0], [LOG.verifier]).cosignatures == ()


@pytest.mark.parametrize(
    "receipt",
    [
        receipt_of(3, index=2),
        receipt_of(3, index=11),
        receipt_of(3, path=()),
        receipt_of(3, path=receipt_of(3).path[::-1]),
        receipt_of(3, path=receipt_of(2).path),
        receipt_of(3, path=(*receipt_of(3).path, HASHES[0])),
        receipt_of(3, note=LOG.sign(11, HASHES[0])),
        receipt_of(3, note=LOG.sign(3, root(HASHES[:3]))),
    ],
)
def test_another_proof_is_refused(receipt):
    """Another place, another path, another tree."""
    with pytest.raises(LedgerBroken):
        verify_receipt(receipt.text(), LEAVES[3], [LOG.verifier])


def test_another_leaf_is_refused():
    """A receipt is for one leaf."""
    with pytest.raises(LedgerBroken):
        verify_receipt(receipt_of(3).text(), LEAVES[4], [LOG.verifier])


def test_another_key_is_refused():
    """The auditor's copy of the key decides."""
    other = CheckpointSigner(LOG.name, key_from_seed(b"\x09" * 32))
    with pytest.raises(SignatureBroken):
        verify_receipt(receipt_of(3).text(), LEAVES[3], [other.verifier])


def test_a_missing_witness_is_refused():
    """The log's own word is not enough where a policy asks for more."""
    with pytest.raises(SignatureBroken, match="0 of the 1"):
        verify_receipt(receipt_of(3, note=NOTE).text(), LEAVES[3], [LOG.verifier], POLICY)


GOOD = receipt_of(3).text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        GOOD.replace("@v1", "@v2"),
        GOOD.replace("index 3", "index 03"),
        GOOD.replace("index 3", "index -3"),
        GOOD.replace("index 3", "Index 3"),
        GOOD.replace("index 3\n", ""),
        GOOD.replace("index 3", "extra AA==\nextra AA==\nindex 3"),
        GOOD.replace("index 3", "extra A\nindex 3"),
        GOOD.replace("index 3", "extra AB==\nindex 3"),
        GOOD.replace("index 3\n", "index 3\nAAAA\n"),
        GOOD.replace("index 3\n", "index 3\n" + "A" * 43 + "=\n" + ("A" * 43 + "=\n") * 63),
        GOOD.replace("index 3\n", "index 3\n\n"),
        GOOD.replace("\n", "\r\n"),
        "c2sp.org/tlog-proof@v1\n\n" + NOTE,
    ],
)
def test_another_form_is_refused(text):
    """One receipt has one text."""
    with pytest.raises(IntegrityError):
        verify_receipt(text, LEAVES[3], [LOG.verifier])
