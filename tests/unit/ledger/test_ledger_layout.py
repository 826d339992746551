"""Members of a bundle: their names, and payloads and bookmarks there and back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import BundleBroken
from roadworthy.ledger.layout import Pinned, Sealed, bundle_members, parse_payload_member, parse_pinned, payload_member

AT = datetime(2026, 1, 1, tzinfo=UTC)
PINNED = Pinned(use_case="case-1", exported_at=AT, decision_index=3)


def test_the_members_of_a_ledger() -> None:
    """Note, key, bookmark, tiles, entries, and one payload for each entry."""
    members = bundle_members(
        leaves=[b"a", b"b"],
        payloads=[Sealed(bytes(32), b"x"), None],
        checkpoint_note="note\n",
        vkey="key",
        pinned=PINNED,
    )
    assert sorted(members) == [
        "checkpoint",
        "log.vkey",
        "payloads/0.json",
        "payloads/1.json",
        "pinned.json",
        "tile/0/000.p/2",
        "tile/entries/000.p/2",
    ]
    assert members["log.vkey"] == b"key\n"
    assert members["payloads/1.json"] == b'{"erased":true}'
    assert parse_pinned(members["pinned.json"]) == PINNED


def test_every_entry_needs_its_payload() -> None:
    """An erased one is None, not left out."""
    with pytest.raises(BundleBroken):
        bundle_members(leaves=[b"a"], payloads=[], checkpoint_note="", vkey="", pinned=PINNED)


@pytest.mark.parametrize("sealed", [None, Sealed(bytes(range(32)), b""), Sealed(bytes(32), b"\x00\xff")])
def test_payloads_there_and_back(sealed: Sealed | None) -> None:
    """Also empty and erased ones."""
    assert parse_payload_member(payload_member(sealed)) == sealed


SALT = "00" * 32


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        {"erased": False},
        {"erased": 1},
        {"erased": True, "salt": SALT},
        {"salt": SALT},
        {"salt": SALT, "payload": 1},
        {"salt": SALT, "payload": "!"},
        {"salt": SALT, "payload": "eB=="},
        {"salt": "0G", "payload": "eA=="},
        {"salt": "00", "payload": "eA=="},
        {"salt": SALT.replace("0", "A"), "payload": "eA=="},
        {"salt": SALT, "payload": "eA==", "more": 1},
    ],
)
def test_what_is_no_payload_is_refused(value: Any) -> None:
    """One payload has one member form."""
    with pytest.raises(BundleBroken):
        parse_payload_member(canonical_bytes(value))


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"use_case": 1},
        {"exported_at": 1},
        {"exported_at": "soon"},
        {"decision_index": "3"},
        {"decision_index": True},
    ],
)
def test_what_is_no_bookmark_is_refused(change: dict[str, Any]) -> None:
    """Members and types are checked; null is a decision index."""
    good = {"use_case": "", "exported_at": "2026-01-01", "decision_index": None}
    assert parse_pinned(canonical_bytes(good)).decision_index is None
    with pytest.raises(BundleBroken):
        parse_pinned(canonical_bytes({**good, **change}))
    with pytest.raises(BundleBroken):
        parse_pinned(b"")
