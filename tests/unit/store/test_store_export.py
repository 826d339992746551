"""The store as the members of a bundle."""

from datetime import UTC, datetime, timedelta

import pytest

from roadworthy.base.digest import sha256_hex
from roadworthy.kit.testing.store_suite import LATER as ERASED_AT
from roadworthy.kit.testing.store_suite import START, erase
from roadworthy.ledger.bundle import write_bundle
from roadworthy.ledger.layout import parse_payload_member, parse_pinned
from roadworthy.ledger.verify import verify_bundle

LATER = START + timedelta(days=1)


def test_every_member_is_there(filled):
    """Checkpoint, key, tiles, entries, payloads, attachments, bookmark."""
    erase(filled, 1, at=ERASED_AT)
    members = dict(filled.export())
    attached = f"blobs/{sha256_hex(b'attached')}"
    assert sorted(members) == sorted(
        [
            attached,
            "checkpoint",
            "log.vkey",
            "payloads/0.json",
            "payloads/1.json",
            "payloads/2.json",
            "payloads/3.json",
            "pinned.json",
            "tile/0/000.p/4",
            "tile/entries/000.p/4",
        ]
    )
    assert members[attached] == b"attached"
    assert members["checkpoint"].decode() == filled.head().note
    assert parse_payload_member(members["payloads/0.json"]).payload == b'{"number":0}'
    assert parse_payload_member(members["payloads/1.json"]) is None


def test_the_bookmark_is_the_callers(filled):
    """Use case, instant, and the decision to look at."""
    pinned = parse_pinned(dict(filled.export(use_case="triage", exported_at=LATER, decision_index=2))["pinned.json"])
    assert (pinned.use_case, pinned.exported_at, pinned.decision_index) == ("triage", LATER, 2)


def test_without_a_bookmark_the_bytes_depend_on_the_ledger_alone(filled):
    """The instant is then the newest entry's."""
    first, second = dict(filled.export()), dict(filled.export())
    assert first == second
    assert parse_pinned(first["pinned.json"]).exported_at == START + timedelta(seconds=2)


@pytest.mark.parametrize("entries", ["none", "some"])
def test_the_bundle_verifies(request, tmp_path, entries):
    """An empty ledger's, too."""
    store = request.getfixturevalue("store" if entries == "none" else "filled")
    members = dict(store.export())
    write_bundle(tmp_path / "bundle.zip", members)
    report = verify_bundle(tmp_path / "bundle.zip")
    assert not [problem for step in report.steps[:6] for problem in step.problems]
    assert report.entries == store.head().size
    if entries == "none":
        assert parse_pinned(members["pinned.json"]).exported_at == datetime(1970, 1, 1, tzinfo=UTC)
