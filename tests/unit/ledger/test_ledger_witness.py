"""What a witness decides: every status of the protocol, and that two histories never both get a signature."""

import base64

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.checkpoint import Checkpoint, CheckpointSigner, NoteSignature
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.merkle import EMPTY_ROOT, consistency_path, leaf_hash, root
from roadworthy.ledger.witness import SIZE_TYPE, Answer, CosignRequest, Seen, decide, parse_request

LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
OTHER_KEY = CheckpointSigner("ledger.example", key_from_seed(b"\x08" * 32))
STRANGER = CheckpointSigner("stranger.example", key_from_seed(b"\x09" * 32))
LOGS = {"ledger.example": [LOG.verifier]}
HASHES = [leaf_hash(b"%d" % index) for index in range(20)]
FORKED = [leaf_hash(b"other"), *HASHES[1:]]


def body(old: int, size: int, *, hashes=HASHES, signer=LOG, proof=None) -> bytes:
    """A request, by default an honest one."""
    if proof is None:
        proof = consistency_path(hashes[:size], old) if 0 < old < size else ()
    return CosignRequest(old_size=old, proof=tuple(proof), note=signer.sign(size, root(hashes[:size]))).body()


def answer(request: bytes, seen: int | None) -> Answer:
    """The answer of a witness that saw so many entries."""
    memory = {} if seen is None else {"ledger.example": Seen(size=seen, root=root(HASHES[:seen]))}
    return decide(request, LOGS, memory)


@pytest.mark.parametrize(
    ("seen", "old", "size"), [(None, 0, 0), (None, 0, 7), (0, 0, 1), (7, 7, 7), (7, 7, 8), (8, 8, 20)]
)
def test_what_continues_is_accepted(seen, old, size):
    """From nothing, the same again, and larger."""
    got = answer(body(old, size), seen)
    assert (got.status, got.body) == (200, "")
    assert got.accepted == Checkpoint(origin="ledger.example", size=size, root=root(HASHES[:size]))
    assert got.text == got.accepted.text()


@pytest.mark.parametrize(
    "request_body",
    [
        b"",
        b"\xff",
        b"old 1",
        b"old 01" + body(0, 7)[5:],
        b"old -1" + body(0, 7)[5:],
        b"new 0" + body(0, 7)[5:],
        body(0, 7).replace(b"\n\n", b"\n", 1),
        body(0, 7).removesuffix(b"\n"),
        body(0, 7, proof=[b"short"]),
        b"old 0\nnot base64!" + body(0, 7)[5:],
        b"old 0\n" + b"A" * 42 + b"B=" + body(0, 7)[5:],
        body(1, 7, proof=HASHES * 4),
        body(9, 7),
    ],
)
def test_400_for_what_cannot_be_read(request_body):
    """Malformed, more than 63 hashes, or an old size above the new one."""
    assert answer(request_body, 7).status == 400


def test_63_hashes_are_allowed():
    """The limit itself is in; such a proof is wrong here, but readable."""
    assert answer(body(7, 8, proof=[HASHES[0]] * 63), 7).status == 422
    assert answer(body(7, 8, proof=[HASHES[0]] * 64), 7).status == 400


def test_404_for_an_unknown_ledger():
    """Before any signature is looked at."""
    assert answer(body(0, 7, signer=STRANGER), None).status == 404


@pytest.mark.parametrize("old", [0, 7])
def test_403_without_a_signature_of_the_ledger(old):
    """Another key under the same name is unknown, whatever the old size."""
    assert answer(body(old, 8, signer=OTHER_KEY), 7).status == 403


def test_unknown_signatures_beside_the_ledger_s_are_ignored():
    """Other witnesses may have signed already."""
    extra = NoteSignature("w.example", b"abcd", b"signature").line().encode()
    assert answer(body(0, 7) + extra, None).status == 200


@pytest.mark.parametrize(("seen", "old"), [(7, 0), (7, 6), (None, 6), (7, 8)])
def test_409_tells_what_was_seen_last(seen, old):
    """The caller asks again from there."""
    got = answer(body(old, 9), seen)
    assert (got.status, got.body, got.content_type) == (409, f"{seen or 0}\n", SIZE_TYPE)


@pytest.mark.parametrize(("seen", "size"), [(7, 7), (0, 0)])
def test_409_for_another_tree_of_the_same_size(seen, size):
    """Two histories of one length: the answer is no size, so nobody asks again."""
    note = LOG.sign(size, root(FORKED[:7]))
    got = answer(CosignRequest(old_size=size, proof=(), note=note).body(), seen)
    assert got.status == 409
    assert got.content_type != SIZE_TYPE


@pytest.mark.parametrize(
    "request_body",
    [
        body(7, 9, proof=[]),
        body(7, 9, hashes=FORKED),
        body(7, 9, proof=consistency_path(HASHES[:9], 6)),
        body(7, 9, proof=[*consistency_path(HASHES[:9], 7), HASHES[0]]),
        body(7, 7, proof=[HASHES[0]]),
    ],
)
def test_422_for_what_does_not_continue(request_body):
    """No proof, another history, a proof for something else, or one that is not used up."""
    got = answer(request_body, 7)
    assert (got.status, got.accepted) == (422, None)


def test_422_for_a_proof_from_nothing():
    """From an empty tree there is nothing to prove."""
    assert answer(body(0, 7, proof=[HASHES[0]]), None).status == 422


def test_a_request_reads_back():
    """Bytes and words agree, and the form is that of the specification."""
    data = body(7, 9)
    request = parse_request(data)
    assert request.body() == data
    first, second, *_ = data.split(b"\n")
    assert first == b"old 7"
    assert base64.b64decode(second) == request.proof[0]
    with pytest.raises(LedgerBroken):
        parse_request(data[1:])


def test_no_two_histories_get_a_signature():
    """Whatever is asked in whatever order, what was accepted is one growing tree."""
    seen: dict[str, Seen] = {}
    accepted = []
    for size in range(1, 21):
        for hashes in (FORKED, HASHES) if size % 3 else (HASHES, FORKED):
            latest = seen.get("ledger.example", Seen(size=0, root=EMPTY_ROOT))
            got = decide(body(latest.size, size, hashes=hashes), LOGS, seen)
            if got.accepted is not None:
                seen["ledger.example"] = Seen(size=size, root=got.accepted.root)
                accepted.append(root(FORKED[:size]) == got.accepted.root)
    assert len(accepted) == 20
    assert len(set(accepted)) == 1
