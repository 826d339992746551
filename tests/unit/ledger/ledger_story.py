"""A small ledger with every kind of entry that the verifier looks into, made from fixed keys, salts and instants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.base.canonical import canonical_bytes
from roadworthy.ledger.append import Head, append, empty_head
from roadworthy.ledger.bundle import MANIFEST, manifest_of, pack
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.entry import Entry, commit, leaf_bytes
from roadworthy.ledger.keys import SigningKey, key_from_seed
from roadworthy.ledger.layout import Pinned, Sealed, bundle_members
from roadworthy.ledger.statement import PAYLOAD_TYPE, statement
from roadworthy.ledger.verify import Report

START = datetime(2026, 1, 1, tzinfo=UTC)
LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
ALICE = key_from_seed(b"\x01" * 32)
PRODUCER = key_from_seed(b"\x02" * 32)


def envelope(*signers: SigningKey, kind: str = PAYLOAD_TYPE, payload: bytes | None = None) -> dict[str, Any]:
    """A signed statement, or whatever else is given, as plain JSON."""
    body = statement([("release", "ab" * 32)], "https://example/predicate", {"estimate": 0.25})
    return sign(kind, payload or body, signers).to_json()


@dataclass
class LedgerStory:
    """Records what a test tells, entry by entry."""

    head: Head = field(default_factory=lambda: empty_head(LOG))
    leaves: list[bytes] = field(default_factory=list)
    payloads: list[Sealed | None] = field(default_factory=list)

    def record(self, kind: str, payload: Any, *, at: datetime | None = None) -> "LedgerStory":
        """Add one entry, a second after the one before unless told otherwise."""
        index = len(self.leaves)
        data = payload if isinstance(payload, bytes) else canonical_bytes(payload)
        salt = bytes([index % 256]) * 32
        entry = Entry(
            kind=kind,
            at=at or START + timedelta(seconds=index),
            actor="alice",
            use_case="case-1",
            subject="release-1",
            commitment=commit(salt, data),
            size=len(data),
        )
        leaf = leaf_bytes(entry)
        self.head = append(self.head, leaf, LOG)
        self.leaves.append(leaf)
        self.payloads.append(Sealed(salt, data))
        return self

    def register(self) -> "LedgerStory":
        """The two keys that sign in these stories."""
        self.record("person.registered", {"person": {"id": "alice", "public_key": ALICE.public.hex}})
        return self.record("producer.registered", {"producer": {"id": "probe", "public_key": PRODUCER.public.hex}})

    def erase(self, index: int) -> "LedgerStory":
        """Erase a payload, and say so."""
        self.payloads[index] = None
        return self.record("payload.erased", {"index": index, "reason": "asked for"})

    def members(self) -> dict[str, bytes]:
        """The bundle's members, without the manifest."""
        return bundle_members(
            leaves=self.leaves,
            payloads=self.payloads,
            checkpoint_note=self.head.checkpoint_note,
            vkey=LOG.verifier.text(),
            pinned=Pinned(use_case="case-1", exported_at=START, decision_index=None),
        )


def packed(members: Mapping[str, bytes]) -> bytes:
    """A container made anew around the members, so that only the deeper steps can find what was changed."""
    rest = {name: data for name, data in members.items() if name != MANIFEST}
    return pack({**rest, MANIFEST: manifest_of(rest)})


def broken_steps(report: Report) -> set[int]:
    """The numbers of the steps that do not hold."""
    return {step.number for step in report.steps if step.problems}
