"""Checking proofs: all published vectors, by both verifiers."""

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledger.proof import verify_consistency, verify_inclusion


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> dict[str, dict[str, Any]]:
    """Name to case of every published vector."""
    archive = (shared_data / "conformance" / "merkle_inclusion_consistency.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar.getmembers() if each.name.endswith(".json")}
        return {name: json.load(file) for name, file in files.items() if file}


def raw(text: str | None) -> bytes:
    """Base64, where null is empty."""
    return base64.b64decode(text or "")


def first(case: dict[str, Any]) -> bool:
    """The package's verdict."""
    path = [raw(each) for each in case["proof"] or []]
    try:
        if "leafIdx" in case:
            verify_inclusion(raw(case["leafHash"]), case["leafIdx"], case["treeSize"], path, raw(case["root"]))
        else:
            verify_consistency(case["size1"], case["size2"], raw(case["root1"]), raw(case["root2"]), path)
    except LedgerBroken:
        return False
    return True


def other(case: dict[str, Any], second: Any) -> bool:
    """The second verifier's verdict."""
    path = [raw(each) for each in case["proof"] or []]
    try:
        if "leafIdx" in case:
            assert 0 <= case["leafIdx"] < case["treeSize"]
            return bool(
                second.included(case["treeSize"], case["leafIdx"], raw(case["leafHash"]), path) == raw(case["root"])
            )
        assert 1 <= case["size1"] <= case["size2"]
        roots = second.consistent(case["size1"], case["size2"], raw(case["root1"]), path)
        return bool(roots == (raw(case["root1"]), raw(case["root2"])))
    except (AssertionError, ValueError, IndexError):
        return False


def test_all_published_vectors(vectors: dict[str, dict[str, Any]], second: Any) -> None:
    """Both verifiers accept and refuse exactly what the vectors say."""
    assert len(vectors) == 196
    assert sum(case["wantErr"] for case in vectors.values()) == 184
    for name, case in vectors.items():
        assert first(case) is not case["wantErr"], name
        assert other(case, second) is not case["wantErr"], name


def test_what_is_wrong_is_said() -> None:
    """Each kind of refusal has its sentence."""
    hashes = [leaf_hash(bytes([i])) for i in range(4)]
    whole = root(hashes)
    with pytest.raises(LedgerBroken, match="has no entry 4"):
        verify_inclusion(hashes[0], 4, 4, [], whole)
    with pytest.raises(LedgerBroken, match="not a hash"):
        verify_inclusion(hashes[0], 0, 2, [b"short"], whole)
    with pytest.raises(LedgerBroken, match="too long"):
        verify_inclusion(hashes[0], 0, 1, [whole], whole)
    with pytest.raises(LedgerBroken, match="does not lead to the root"):
        verify_inclusion(hashes[0], 0, 4, [], whole)
    with pytest.raises(LedgerBroken, match="No consistency can be shown"):
        verify_consistency(0, 4, whole, whole, [])
    with pytest.raises(LedgerBroken, match="Two different trees"):
        verify_consistency(4, 4, whole, hashes[0], [])
    with pytest.raises(LedgerBroken, match="is empty"):
        verify_consistency(2, 4, whole, whole, [])
    with pytest.raises(LedgerBroken, match="too long"):
        verify_consistency(1, 2, hashes[0], whole, [hashes[1], hashes[2]])
    with pytest.raises(LedgerBroken, match="does not begin with"):
        verify_consistency(1, 2, hashes[0], whole, [hashes[1]])
