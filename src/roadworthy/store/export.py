"""The store as the members of a bundle. Owns what is taken out; their names and bytes belong to ``ledger.layout``.

Payloads are written decrypted: a bundle is for an auditor, who has no key of this store.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection

from roadworthy.ledger.checkpoint import VerifierKey
from roadworthy.ledger.layout import BLOBS, Pinned, bundle_members
from roadworthy.store.head import read_head
from roadworthy.store.reading import read_blobs, read_held
from roadworthy.store.records import record_of
from roadworthy.store.vault import Vault

_BEFORE_ANYTHING = datetime(1970, 1, 1, tzinfo=UTC)


def blob_name(digest: str) -> str:
    """The name of an attachment in a bundle: its digest without the prefix."""
    return BLOBS + digest.removeprefix("sha256:")


def export_members(
    connection: Connection,
    verifier: VerifierKey,
    vault: Vault,
    *,
    use_case: str,
    exported_at: datetime | None,
    decision_index: int | None,
) -> dict[str, bytes]:
    """All members but the manifest, from one snapshot.

    Args:
        connection: inside a transaction.
        verifier: the ledger's name and public key.
        vault: unlocks the payloads.
        use_case: for the bookmark; empty for the whole ledger.
        exported_at: for the bookmark; None stands for the newest entry's instant, so that equal ledgers give equal bytes.
        decision_index: for the bookmark.

    Raises:
        IntegrityError: something in the store was changed (RW-5xx); nothing unverified is handed out.
    """
    head = read_head(connection, verifier)
    held = read_held(connection, vault, head)
    for each in held:
        record_of(each)
    members = bundle_members(
        leaves=[each.leaf for each in held],
        payloads=[each.sealed for each in held],
        checkpoint_note=head.checkpoint_note,
        vkey=verifier.text(),
        pinned=Pinned(
            use_case=use_case,
            exported_at=exported_at or head.newest_at or _BEFORE_ANYTHING,
            decision_index=decision_index,
        ),
    )
    for digest, data in read_blobs(connection).items():
        members[blob_name(digest)] = data
    return members
