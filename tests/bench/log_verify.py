"""How long does an auditor wait? A log of 1,000,000 entries is made under build/bench and verified offline, on one core.

Prints the seconds of every run, entries per second and the peak memory; writes build/bench/log_verify.json; ends with 1
when the bar is missed. A changed byte in the middle must be found and named, or the figure means nothing.

Run: python tests/bench/log_verify.py [--entries 1000000] [--entry-bytes 600] [--runs 3]
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import CHECKPOINT, LogReport, verify_log
from roadworthy.ledger.open_tiles import OpenTiles
from roadworthy.ledger.tiles import TilePath

BUILD = Path(__file__).parents[2] / "build" / "bench"
SIGNER = CheckpointSigner("bench.example/log", key_from_seed(b"\x05" * 32))
BAR_S, STRETCH_S, FULL = 10.0, 3.0, 1_000_000


def leaves(count: int, entry_bytes: int) -> Iterator[bytes]:
    """``count`` different entries of one length."""
    filling = b"x" * (entry_bytes - 20)
    return (b'{"n":%014d}' % index + filling for index in range(count))


def write_log(folder: Path, count: int, entry_bytes: int) -> None:
    """The files of a log, without the syncs that only a running log needs."""
    tiles = OpenTiles()

    def put(path: TilePath, data: bytes) -> None:
        place = folder / path.text()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    stream = leaves(count, entry_bytes)
    while chunk := [leaf for _, leaf in zip(range(4_096), stream, strict=False)]:
        for path, data in tiles.add(chunk):
            put(path, data)
    for path, data in tiles.partial():
        put(path, data)
    (folder / CHECKPOINT).write_text(SIGNER.sign(tiles.size, tiles.root()), encoding="utf-8")


def timed(folder: Path) -> tuple[float, float, LogReport]:
    """Wall and processor seconds of one verification, and what it said."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    report = verify_log(folder, SIGNER.verifier.text())
    return time.perf_counter() - began_s, time.process_time() - began_cpu_s, report


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def main() -> int:
    """Make, verify, break, verify; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=FULL)
    parser.add_argument("--entry-bytes", type=int, default=600)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    folder = BUILD / "log_verify"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        began_s = time.perf_counter()
        write_log(folder, options.entries, options.entry_bytes)
        print(f"made {options.entries} entries of {options.entry_bytes} bytes in {time.perf_counter() - began_s:.1f} s")
        runs = [timed(folder) for _ in range(options.runs)]
        for wall_s, cpu_s, report in runs:
            print(f"{wall_s:6.2f} s wall {cpu_s:6.2f} s cpu {options.entries / wall_s:10.0f} entries/s {report.holds=}")
        middle = TilePath(None, options.entries // 512, 256)
        flip(folder / middle.text())
        broken = timed(folder)[2]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    named = [problem for problem in broken.problems if problem.where == middle.text()]
    best_s = min(wall_s for wall_s, _, _ in runs)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"changed byte: {named[:1]}")
    print(f"best {best_s:.2f} s (bar {BAR_S} s, stretch {STRETCH_S} s), peak {peak_mib:.0f} MiB")
    whole = all(report.holds and report.entries == options.entries for _, _, report in runs)
    figures = {"entries": options.entries, "entry_bytes": options.entry_bytes, "best_s": best_s, "peak_mib": peak_mib}
    (BUILD / "log_verify.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if whole and named and best_s < BAR_S * options.entries / FULL else 1


if __name__ == "__main__":
    sys.exit(main())
