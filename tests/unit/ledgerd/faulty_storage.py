"""Real files whose steps fail when a test says so."""

import errno

from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.storage import PosixStorage
from roadworthy.ledgerd.writer import SegmentWriter
from roadworthy.wire.ledger_messages import LedgerRecord


class FaultyStorage(PosixStorage):
    """``fail`` holds, by name of the step, the errors of its next calls; None lets one call pass."""

    def __init__(self, folder):
        super().__init__(folder)
        self.fail = {}
        self.calls = []

    def _step(self, name):
        self.calls.append(name)
        waiting = self.fail.get(name, [])
        number = waiting.pop(0) if waiting else None
        if number is not None:
            raise OSError(number, errno.errorcode[number])

    def create(self, name):
        self._step("create")
        return super().create(name)

    def open(self, name):
        self._step("open")
        return super().open(name)

    def preallocate(self, handle, length):
        self._step("preallocate")
        super().preallocate(handle, length)

    def write(self, handle, offset, data):
        if self.fail.get("write", [None])[:1] != [None]:
            super().write(handle, offset, data[: len(data) // 2])
        self._step("write")
        super().write(handle, offset, data)

    def sync(self, handle):
        self._step("sync")
        super().sync(handle)

    def sync_folder(self, folder):
        self._step("sync_folder")
        super().sync_folder(folder)

    def rename(self, old, new):
        self._step("rename")
        super().rename(old, new)


def records(*numbers, payload=b"sealed"):
    """Records that differ by their numbers."""
    return [LedgerRecord(b'{"n":%d}' % number, payload) for number in numbers]


def begin(storage, *, segment_bytes=4096):
    """Recover a folder and open a writer: what was recovered, and the writer."""
    state = recover(storage)
    return state, SegmentWriter(storage, state.tail, state.frames, segment_bytes=segment_bytes)
