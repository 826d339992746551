"""A disk that remembers: every write, sync, rename and folder sync, and from it every state a power cut may leave.

What a power cut may leave is taken as widely as POSIX allows: of a file everything before its last good sync, and of the
later writes any subset, torn at 512-byte sectors, in any order where they overlap; of a folder every name before its last
sync, and of the later changes of names any subset. Bytes that a *failed* sync should have brought to the medium stay
doubtful for ever, whatever a later sync of the same file says: that is what Linux does.
"""

import errno
import random

SECTOR = 512


class _File:
    """Bytes as a process sees them, bytes that are surely on the medium, and the writes in between."""

    def __init__(self):
        self.live = bytearray()
        self.durable = bytearray()
        self.pending = []
        self.doubtful = []


class RecordingStorage:
    """Files in memory with the methods of ``Storage``.

    ``fail`` maps the running number of a step to an errno; ``observer`` is called in the middle of every step.
    """

    def __init__(self, fail=None):
        self.files = {}
        self.names_live = {}
        self.names_durable = {}
        self.name_changes = []
        self.fail = dict(fail or {})
        self.steps = []
        self.observer = None
        self._handles = {}
        self._next = 0

    def _step(self, what, *details):
        if self.observer is not None:
            self.observer()
        number = len(self.steps)
        self.steps.append((what, *details))
        if number in self.fail:
            raise OSError(self.fail[number], "injected")

    def _new(self, mapping, value):
        self._next += 1
        mapping[self._next] = value
        return self._next

    def _change_names(self, changes):
        self.name_changes.append(changes)
        for name, inode in changes.items():
            if inode is None:
                self.names_live.pop(name, None)
            else:
                self.names_live[name] = inode

    def names(self, folder):
        return sorted(name for name in self.names_live if name.startswith(folder + "/"))

    def open(self, name):
        self._step("open", name)
        if name not in self.names_live:
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        return self._new(self._handles, self.names_live[name])

    def create(self, name):
        self._step("create", name)
        inode = self._new(self.files, _File())
        self._change_names({name: inode})
        return self._new(self._handles, inode)

    def preallocate(self, handle, length):
        self.write(handle, 0, bytes(length))
        self.sync(handle)

    def length(self, handle):
        return len(self.files[self._handles[handle]].live)

    def read(self, handle, offset, length):
        return bytes(self.files[self._handles[handle]].live[offset : offset + length])

    def write(self, handle, offset, data):
        file = self.files[self._handles[handle]]
        number = len(self.steps)
        torn = len(data)
        if number in self.fail:
            # A fault in the middle of a write: some of it arrived.
            torn = (number * 7919) % (len(data) + 1)
        _put(file.live, offset, data[:torn])
        file.pending.append((offset, bytes(data[:torn])))
        self._step("write", self._handles[handle], offset, len(data))

    def sync(self, handle):
        file = self.files[self._handles[handle]]
        try:
            self._step("sync", self._handles[handle])
        except OSError:
            file.doubtful += file.pending
            file.pending = []
            raise
        # What is written again over doubtful bytes is dirty again, and this time it arrived.
        for offset, data in file.pending:
            _put(file.durable, offset, data)
            file.doubtful = [rest for each in file.doubtful for rest in _without(each, offset, offset + len(data))]
        file.pending = []

    def sync_folder(self, folder):
        self._step("sync_folder", folder)
        self.names_durable = dict(self.names_live)
        self.name_changes = []

    def rename(self, old, new):
        self._step("rename", old, new)
        self._change_names({new: self.names_live[old], old: None})

    def close(self, handle):
        del self._handles[handle]

    @property
    def open_handles(self):
        """How many handles nobody gave back."""
        return len(self._handles)

    def killed(self):
        """The disk as the next process finds it after this one was killed: everything is there, the doubt stays."""
        self._handles = {}
        self.fail = {}
        return self

    def image(self, dice):
        """One disk that a power cut now may leave."""
        after = RecordingStorage()
        names = dict(self.names_durable)
        keep = dice.choice((0.0, 0.5, 1.0))
        for changes in self.name_changes:
            if dice.random() < keep:
                names.update(changes)
        after.names_live = {name: inode for name, inode in names.items() if inode is not None}
        after.names_durable = dict(after.names_live)
        after._next = self._next
        for inode in set(after.names_live.values()):
            file = _File()
            file.live = _after_power_cut(self.files[inode], dice)
            file.durable = bytearray(file.live)
            after.files[inode] = file
        return after


def _after_power_cut(file, dice):
    content = bytearray(file.durable)
    later = file.doubtful + file.pending
    dice.shuffle(later)
    for offset, data in later:
        keep = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        start = offset
        while start < offset + len(data):
            end = min((start // SECTOR + 1) * SECTOR, offset + len(data))
            if dice.random() < keep:
                _put(content, start, data[start - offset : end - offset])
            start = end
    return content


def _put(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _without(write, start, end):
    """What is left of a doubtful write when the bytes from ``start`` to ``end`` are on the medium."""
    offset, data = write
    if offset < start:
        yield offset, data[: max(min(start - offset, len(data)), 0)]
    if offset + len(data) > end:
        cut = max(end - offset, 0)
        yield offset + cut, data[cut:]


def seeded(*parts):
    """Dice that fall the same way for the same parts."""
    return random.Random(":".join(map(str, parts)))
