"""Processes that write until they die. Run by the tests in one of two ways.

``PLACE COUNT DATA`` writes COUNT - 1 units and dies by its own hand inside the next one.
``nursery`` reads lines ``PLACE SEED`` and gives birth to a writer for each, which writes units of random size until it is
killed; it says ``born PID`` before, and ``died`` after. (A birth takes a millisecond; starting Python takes a thousand.)

Every other line is an acknowledgement, written only after the unit was left: index, leaf hash, size, attachment's digest.
"""

import os
import random
import signal
import sys
from pathlib import Path

from store_backends import KEYS

from roadworthy.base.digest import digest_bytes
from roadworthy.kit.testing.store_suite import START, draft, last_words, write
from roadworthy.store.engine import open_store

MOST_UNITS = 200
"""Then a writer waits: its process id must stay its own until it is killed."""


def say(*words):
    """One line, in one piece."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def acknowledge(receipt, data):
    """Say what is durable."""
    say(receipt.index, receipt.leaf_hash, receipt.size, digest_bytes(data))


def write_some_and_die_inside(place, count, data):
    """All units but the last are left in order; the process ends inside the last."""
    store = open_store(place, keys=KEYS)
    for number in range(count - 1):
        acknowledge(write(store, draft(number)), b"")
    with store.unit_of_work() as unit:
        last_words(unit, draft(count - 1), data)
        os.kill(os.getpid(), signal.SIGKILL)


def write_at_random(place, seed):
    """Units of random size, all at one instant."""
    dice = random.Random(seed)
    store = open_store(place, keys=KEYS)
    for _ in range(MOST_UNITS):
        data = dice.randbytes(dice.choice([0, 10, 1_000, 50_000]))
        one = draft(dice.randrange(100), payload={"text": "x" * dice.randrange(5_000)}, at=START)
        acknowledge(write(store, one, data), data)
    signal.pause()


def nursery():
    """One writer at a time, until there are no more lines."""
    for line in sys.stdin:
        place, seed = line.split()
        pid = os.fork()
        if pid == 0:
            say("born", os.getpid())
            write_at_random(Path(place), int(seed))
        os.waitpid(pid, 0)
        say("died")


if __name__ == "__main__":
    if sys.argv[1] == "nursery":
        nursery()
    else:
        write_some_and_die_inside(Path(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
