"""The store without a disk keeps the guarantees, so what is proved with it holds for the real one."""

import pytest
from store_backends import SIGNER, audited

from roadworthy.kit.testing.memory_store import MemoryDisk, MemoryStore
from roadworthy.kit.testing.store_suite import START, StoreSuite, last_words, write
from roadworthy.ledger.layout import Pinned, Sealed, bundle_members
from roadworthy.store.export import blob_name


def lay_out(leaves, secrets, note, blobs):
    """The members of a bundle, by the ledger's own layout."""
    payloads = [None if secret is None else Sealed(*secret) for secret in secrets]
    pinned = Pinned(use_case="", exported_at=START, decision_index=None)
    members = bundle_members(
        leaves=leaves, payloads=payloads, checkpoint_note=note, vkey=SIGNER.verifier.text(), pinned=pinned
    )
    return {**members, **{blob_name(digest): data for digest, data in blobs.items()}}


class TestMemoryStore(StoreSuite):
    """The suite in memory; a place is a disk."""

    @pytest.fixture(autouse=True)
    def disks(self):
        self._disks = {}

    def open(self, place):
        return MemoryStore(self._disks.setdefault(place, MemoryDisk()), sign=SIGNER.sign, lay_out=lay_out)

    def close(self, store):
        pass

    def erased_in(self, members):
        return audited(members).erased

    def die_inside_a_unit(self, place, drafts, data):
        store = self.open(place)
        acknowledged = [write(store, one) for one in drafts[:-1]]
        # Kept, or collecting the generator would leave the unit in order.
        self._never_left = store.unit_of_work()
        last_words(self._never_left.__enter__(), drafts[-1], data)
        self._disks[place].lose_power()
        return acknowledged
