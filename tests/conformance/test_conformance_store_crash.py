"""Guarantee 8 under fire: SIGKILL at random instants of 200 random units, seeded, death after death on one store.

This is the death of a process: what it wrote is still in the machine's memory. That a commit also reaches the disk before
it is acknowledged is SQLite's part, asked for by ``synchronous=FULL``, which test_store_engine.py asserts.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_backends import KEYS, audited

from roadworthy.base.digest import sha256_hex
from roadworthy.kit.testing.store_suite import START, draft, write
from roadworthy.ledger.merkle import leaf_hash
from roadworthy.ledger.tiles import level_paths, parse_entry_bundle
from roadworthy.store.engine import open_store

UNITS = 200


class Nursery:
    """Gives birth to writers and kills them."""

    def __init__(self, process):
        self._process = process
        self._writer = None

    def acknowledged_before_death(self, place, seed, *, after_lines, then_s):
        """What a writer acknowledged that was killed so long after so many lines (0: after its file appeared)."""
        self._process.stdin.write(f"{place} {seed}\n")
        self._process.stdin.flush()
        born, pid = self._line()
        assert born == "born"
        self._writer = int(pid)
        lines = []
        while len(lines) < after_lines:
            lines.append(self._line())
            if lines[-1] == ["died"]:
                self._writer = None
                pytest.fail("the writer died by itself")
        while not place.exists():
            time.sleep(0.0005)
        time.sleep(then_s)
        self.kill()
        while (line := self._line()) != ["died"]:
            lines.append(line)
        return lines

    def kill(self):
        """End the writer, if there is one. It never ends by itself, so until now its id has been its own."""
        if self._writer is not None:
            os.kill(self._writer, signal.SIGKILL)
            self._writer = None

    def _line(self):
        line = self._process.stdout.readline()
        assert line, "the nursery is gone"
        return line.split()


@pytest.fixture(scope="module")
def nursery():
    """A process that has everything imported."""
    program = [sys.executable, Path(__file__).with_name("store_writer.py"), "nursery"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        nursery = Nursery(process)
        yield nursery
        nursery.kill()
        process.stdin.close()


def state_of(store):
    """Leaf hashes and attachments' digests, as the exported bundle shows them, which an auditor accepts."""
    members = dict(store.export())
    size = audited(members).entries
    leaves = [leaf for path in level_paths(None, size) for leaf in parse_entry_bundle(members[path.text()])]
    assert store.head().size == len(store.records()) == size
    return [leaf_hash(leaf).hex() for leaf in leaves], {name[6:] for name in members if name.startswith("blobs/")}


@pytest.mark.slow
def test_killed_at_random_instants_nothing_acknowledged_is_lost(tmp_path, nursery):
    """After every death: all acknowledged entries and attachments are there, the tree verifies, writing goes on."""
    dice = random.Random(20261121)
    place = tmp_path / "store"
    acknowledged = {}
    size = deaths = 0
    while size < UNITS:
        lines = nursery.acknowledged_before_death(
            place, size, after_lines=dice.randrange(1, 12), then_s=dice.random() * 0.01
        )
        deaths += 1
        acknowledged |= {int(index): (hashed, digest.removeprefix("sha256:")) for index, hashed, _, digest in lines}
        store = open_store(place, keys=KEYS)
        hashes, digests = state_of(store)
        assert {index: hashes[index] for index in acknowledged} == {
            i: hashed for i, (hashed, _) in acknowledged.items()
        }
        assert {digest for _, digest in acknowledged.values()} <= digests
        # At most the unit in which the writer died is there without having been acknowledged.
        assert size + len(lines) <= len(hashes) <= size + len(lines) + 1
        receipt = write(store, draft(0, at=START), b"alive")
        assert receipt.index == len(hashes)
        acknowledged[receipt.index] = (receipt.leaf_hash, sha256_hex(b"alive"))
        size = receipt.size
        store.close()
    assert deaths >= 10, "too few deaths: nothing was tested"


def test_killed_while_opening_for_the_first_time(tmp_path, nursery):
    """Whatever is left of a store that was being made, the next one opens it and works."""
    dice = random.Random(7)
    unborn = 0
    for seed in range(20):
        place = tmp_path / f"store-{seed}"
        lines = nursery.acknowledged_before_death(place, seed, after_lines=0, then_s=dice.random() * 0.03)
        unborn += not lines
        store = open_store(place, keys=KEYS)
        size = store.head().size
        assert len(lines) <= size <= len(lines) + 1
        assert write(store, draft(0, at=START)).index == size
        audited(dict(store.export()))
        store.close()
    assert unborn >= 5, "too few died while the store was being made"
