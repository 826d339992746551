"""The real process, with one system call failing or killing it: what was acknowledged is there, and it starts again.

A sample of the matrix; all of it is run by ``tests/bench/crash_strace.py``.
"""

import pytest
from ledgerd_under_fire import ACTIONS, CALLS, STRACE, under_fire

# No call of the ledger cuts a file, so that one cannot be met.
NEVER_CALLED = "ftruncate"
NUMBERS = {"error=EIO": (1, 2, 5), "error=ENOSPC": (1, 4), "signal=KILL": (1, 3)}


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("call", sorted(set(CALLS) - {NEVER_CALLED}))
def test_a_system_call_that_fails_or_kills_loses_nothing(tmp_path, call):
    """The first such call of a thread and some later ones; the first is always met."""
    for action in ACTIONS:
        for number in NUMBERS[action]:
            folder = tmp_path / f"{action.replace('=', '-')}-{number}"
            folder.mkdir()
            outcome = under_fire(folder, call, action, number)
            assert outcome.met or number > 1, (action, number)
