"""The store on SQLite keeps the guarantees."""

import signal
import subprocess
import sys
from pathlib import Path

from store_backends import KEYS, audited

from roadworthy.domain.record import Receipt
from roadworthy.kit.testing.store_suite import StoreSuite
from roadworthy.store.engine import open_store


class TestSqliteStore(StoreSuite):
    """The suite on files, with real processes and a real SIGKILL."""

    def open(self, place):
        return open_store(place, keys=KEYS)

    def close(self, store):
        store.close()

    def erased_in(self, members):
        return audited(members).erased

    def die_inside_a_unit(self, place, drafts, data):
        program = [sys.executable, Path(__file__).with_name("store_writer.py"), place, str(len(drafts)), data.hex()]
        child = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
        assert child.returncode == -signal.SIGKILL, child.stderr
        lines = [line.split() for line in child.stdout.splitlines()]
        return [Receipt(index=int(line[0]), leaf_hash=line[1], size=int(line[2])) for line in lines]
