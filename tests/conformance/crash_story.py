"""A ledger lives on a recording disk, is acknowledged, hurt, killed and cut off; then every promise is checked."""

import errno

from recording_storage import RecordingStorage, seeded

from roadworthy.base.errors import StoreBroken
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.storage import DiskFull
from roadworthy.ledgerd.writer import SegmentWriter
from roadworthy.wire.ledger_messages import LedgerRecord

SEGMENT_BYTES = 6 * 1024
FAULTS = (errno.EIO, errno.EIO, errno.ENOSPC)


class Broken(AssertionError):
    """A promise was not kept."""


class Story:
    """One disk through several lives.

    ``promised`` holds every leaf that was acknowledged or counted by a recovery; ``sealed`` the payloads that must be
    there, and None for those that must be gone.
    """

    def __init__(self, seed, *, make=RecordingStorage, restart=recover):
        self.dice = seeded("story", seed)
        self.make = make
        self.restart = restart
        self.storage = make()
        self.promised = {}
        self.sealed = {}
        self.images = 0
        self._serial = 0
        self._image_share = 0.0
        self._said = False
        self._gone = {}

    def records(self):
        """A batch that nothing else ever wrote."""
        batch = []
        for _ in range(self.dice.choice((1, 1, 2, 3, 8))):
            self._serial += 1
            sealed = (b"<%06d>" % self._serial * 150)[: self.dice.choice((0, 20, 300, 1200))]
            batch.append(LedgerRecord(b'{"n":%d,"x":"%s"}' % (self._serial, b"x" * self.dice.randrange(300)), sealed))
        return batch

    def recovered(self, storage):
        """Start on a disk and check that everything that was promised is there, unchanged."""
        state = self.restart(storage)
        reader = FrameReader(storage, state.frames)
        leaves = [leaf for _, part in reader.leaves() for leaf in part]
        if len(leaves) != state.tail.size or root([leaf_hash(leaf) for leaf in leaves]) != state.frontier.root():
            raise Broken("the tree is not that of the leaves")
        for index, leaf in self.promised.items():
            if index >= len(leaves):
                raise Broken(f"entry {index} was acknowledged and is missing")
            if leaves[index] != leaf:
                raise Broken(f"entry {index} was acknowledged with another content")
        for index in [*list(self.sealed)[-2:], *self.dice.sample(list(self.sealed), min(2, len(self.sealed)))]:
            if reader.read(index) != (self.sealed[index] or None):
                raise Broken(f"the payload of entry {index} is not what it should be")
        self.check_gone(storage)
        return state, leaves

    def live(self, commits):
        """One life of a process: start, commit, erase, meet faults; in the middle of any step the power may be cut."""
        self.storage.observer = self.maybe_cut
        state, leaves = self.recovered(self.storage)
        self.promised.update(enumerate(leaves))
        writer = SegmentWriter(self.storage, state.tail, state.frames, segment_bytes=SEGMENT_BYTES)
        reader = FrameReader(self.storage, state.frames)
        for _ in range(commits):
            if self.dice.random() < 0.2:
                at = len(self.storage.steps) + self.dice.randrange(6)
                for number in range(at, at + self.dice.choice((1, 1, 1, 2, 9))):
                    self.storage.fail[number] = self.dice.choice(FAULTS)
            if self.dice.random() < 0.2:
                writer.prepare()
            erased = self.dice.choice(list(self.sealed)) if self.dice.random() < 0.15 and self.sealed else None
            if not self.commit(writer, said=erased is not None):
                break
            if erased is not None and self._said:
                self.erase(reader, erased)
            self.check_image()
        self.storage.observer = None

    def commit(self, writer, *, said=False):
        """One batch; whether the writer goes on. An erasure is done only when the frame that says so is durable."""
        batch = self.records()
        self._said = False
        try:
            first = writer.commit(batch)
        except DiskFull:
            return True
        except StoreBroken:
            return False
        for index, record in enumerate(batch, first):
            if index in self.promised:
                raise Broken(f"the index {index} was given twice")
            self.promised[index], self.sealed[index] = record.leaf, record.sealed
        self._said = said
        return True

    def erase(self, reader, index):
        """Erase a payload: until it is done it may be there or not, afterwards it must be gone."""
        sealed = self.sealed.pop(index)
        try:
            reader.erase(index)
        except StoreBroken:
            return
        self.sealed[index] = None
        if sealed:
            self._gone[index] = sealed
            self.check_gone(self.storage)
            self.check_gone(self.storage.image(self.dice))

    def check_gone(self, storage):
        """No copy of an erased payload stands in any file."""
        contents = [storage.files[inode].live for inode in storage.names_live.values()]
        for index, sealed in self._gone.items():
            if any(sealed in content for content in contents):
                raise Broken(f"a copy of the erased payload of entry {index} stands on the disk")

    def maybe_cut(self):
        """Called in the middle of a step."""
        if self.dice.random() < self._image_share:
            self.check_image()

    def check_image(self):
        """Cut the power here and start on what is left; now and then that start is cut off as well."""
        image = self.storage.image(self.dice)
        self.images += 1
        self.recovered(image)
        if self.dice.random() < 0.3:
            self.recovered(image.image(self.dice))

    def tell(self, *, lives=4, commits=8, image_share=0.3):
        """Several lives; between them the process is killed or the power is cut. How many images were checked."""
        self._image_share = image_share
        for _ in range(lives):
            self.live(commits)
            if self.dice.random() < 0.5:
                self.storage = self.storage.killed()
            else:
                self.storage = self.storage.image(self.dice)
                self.storage.__class__ = self.make
        return self.images
