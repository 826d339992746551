"""Seconds, processor seconds and peak memory of one job in this very process; printed as a line of JSON for the bench.

Standard library only: it runs in every tool's own environment.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def peak_mib() -> float:
    """The most memory that this program has held; what its parent held before starting it is not counted, where told."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(job: Callable[[], object], *, version: str, after: Callable[[], dict[str, object]] = dict) -> None:
    """Run the job once and print what it took; imports happened before, ``after`` is not timed."""
    cpu_before, before = time.process_time(), time.perf_counter()
    outcome = job()
    seconds, cpu_seconds = time.perf_counter() - before, time.process_time() - cpu_before
    figures = {"seconds": seconds, "cpu_s": cpu_seconds, "peak_mib": peak_mib(), "outcome": outcome, "version": version}
    json.dump(figures | after(), sys.stdout)
    sys.stdout.write("\n")
