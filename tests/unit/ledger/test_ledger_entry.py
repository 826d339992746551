"""The leaf: one byte form, commitments, and every malformed record."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.errors import InstantError, LedgerBroken, NotCanonical, ParameterError
from roadworthy.ledger.entry import MAX_LEAF_BYTES, Entry, commit, leaf_bytes, parse

ENTRY = Entry(
    kind="evidence.recorded",
    at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    actor="probe",
    use_case="case-1",
    subject="release-1",
    commitment=commit(bytes(32), b"payload"),
    size=7,
)


def test_the_one_byte_form() -> None:
    """Flat, canonical, with a version; and back again."""
    leaf = leaf_bytes(ENTRY)
    assert leaf == (
        b'{"actor":"probe","at":"2026-01-02T03:04:05.000006Z","commitment":"'
        + ENTRY.commitment.encode()
        + b'","kind":"evidence.recorded","size":7,"subject":"release-1","use_case":"case-1","v":1}'
    )
    assert parse(leaf) == ENTRY


def test_the_commitment_is_salted() -> None:
    """SHA-256 over salt and payload; another salt, another commitment; the salt's length is fixed."""
    assert commit(bytes(32), b"p") == "sha256:" + hashlib.sha256(bytes(32) + b"p").hexdigest()
    assert commit(bytes(32), b"p") != commit(b"\x01" * 32, b"p")
    for length in (0, 31, 33):
        with pytest.raises(ParameterError):
            commit(bytes(length), b"p")


@pytest.mark.parametrize(
    "change", [{"kind": ""}, {"size": -1}, {"commitment": "ab"}, {"subject": "x" * MAX_LEAF_BYTES}]
)
def test_what_cannot_be_an_entry(change: dict[str, Any]) -> None:
    """No kind, a negative size, no commitment, too long."""
    with pytest.raises(ParameterError):
        leaf_bytes(replace(ENTRY, **change))


def test_the_longest_leaf_fits() -> None:
    """Exactly 65,535 bytes are allowed."""
    room = MAX_LEAF_BYTES - len(leaf_bytes(replace(ENTRY, subject="")))
    assert len(leaf_bytes(replace(ENTRY, subject="x" * room))) == MAX_LEAF_BYTES
    with pytest.raises(ParameterError):
        leaf_bytes(replace(ENTRY, subject="x" * (room + 1)))


def test_texts_and_instants_must_be_whole() -> None:
    """A lone surrogate and a naive instant have no byte form."""
    with pytest.raises(NotCanonical):
        leaf_bytes(replace(ENTRY, actor="\ud800"))
    with pytest.raises(InstantError):
        leaf_bytes(replace(ENTRY, at=datetime(2026, 1, 1)))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"more": 1},
        {"kind": 1},
        {"kind": ""},
        {"size": "7"},
        {"size": True},
        {"size": -7},
        {"size": 7.5},
        {"at": "soon"},
        {"at": "2026-01-02T03:04:05Z"},
        {"at": "2026-01-02T04:04:05.000006+01:00"},
        {"commitment": "sha256:"},
    ],
)
def test_what_is_no_leaf_is_refused(change: dict[str, Any]) -> None:
    """Members, types, version and forms are all checked."""
    members = parse_canonical(leaf_bytes(ENTRY))
    with pytest.raises(LedgerBroken, match="malformed"):
        parse(canonical_bytes({**members, **change}))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", leaf_bytes(ENTRY) + b"\n"])
def test_other_bytes_are_no_leaf(data: bytes) -> None:
    """Neither other JSON nor other layouts."""
    with pytest.raises(LedgerBroken):
        parse(data)
