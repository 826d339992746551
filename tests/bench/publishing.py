"""How long after its acknowledgement can an entry be proven? Leaves become durable at a steady rate; each is timed.

The publisher runs as in the ledger's process: on one event loop, with its thread, tiles and checkpoints synced to this
disk. Prints, for every rate, p50, p99 and the largest time from "durable" to "under a published checkpoint", checkpoints
per second, and processor microseconds per leaf. Writes build/bench/publishing.json; ends with 1 when the bar is missed.

Run: python tests/bench/publishing.py [--seconds 5] [--rates 100 2000 20000]
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import verify_log
from roadworthy.ledgerd.publisher import Publisher

BUILD = Path(__file__).parents[2] / "build" / "bench"
SIGNER = CheckpointSigner("bench.example/log", key_from_seed(b"\x05" * 32))
BAR_MS, STRETCH_MS = 1_000, 50
TURN_S = 0.002


async def feed(folder: Path, rate: int, seconds: float) -> dict[str, float]:
    """Publish ``rate`` leaves a second, and time each batch."""
    publisher = Publisher(folder, SIGNER)
    publisher.recover([])
    publisher.start()
    waits_ms: list[float] = []
    waiting: list[tuple[int, float]] = []
    notes: set[str] = set()
    size = 0
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    while (elapsed_s := time.perf_counter() - began_s) < seconds:
        due = int(elapsed_s * rate)
        if due > size:
            publisher.on_durable(size, [b'{"n":%014d}' % index + b"x" * 580 for index in range(size, due)])
            size = due
            waiting.append((size, time.perf_counter()))
        await asyncio.sleep(TURN_S)
        note = publisher.notes()[0]
        notes.add(note)
        while waiting and waiting[0][0] <= publisher.size:
            waits_ms.append(1_000 * (time.perf_counter() - waiting.pop(0)[1]))
    cpu_s = time.process_time() - began_cpu_s
    await publisher.close()
    report = verify_log(folder, SIGNER.verifier.text())
    if not report.holds or report.entries != size or publisher.fault is not None:
        raise SystemExit(f"the published log does not hold: {report.problems[:3]} {publisher.fault}")
    waits_ms.sort()
    return {
        "rate": rate,
        "p50_ms": waits_ms[len(waits_ms) // 2],
        "p99_ms": waits_ms[int(len(waits_ms) * 0.99)],
        "max_ms": waits_ms[-1],
        "checkpoints_per_s": len(notes) / seconds,
        "cpu_share": cpu_s / seconds,
        "cpu_us_per_leaf": cpu_s * 1e6 / size,
    }


async def idle_share(seconds: float) -> float:
    """The share of a core that this program's own turns take, to be read beside the figures."""
    began_cpu_s = time.process_time()
    for _ in range(int(seconds / TURN_S)):
        await asyncio.sleep(TURN_S)
    return (time.process_time() - began_cpu_s) / seconds


def main() -> int:
    """Every rate in turn; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 2_000, 20_000])
    options = parser.parse_args()
    folder = BUILD / "publishing"
    rows = []
    idle = asyncio.run(idle_share(1))
    print(f"the loop of this program alone takes {100 * idle:.1f} % of a core")
    for rate in options.rates:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            rows.append(asyncio.run(feed(folder, rate, options.seconds)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(
            "  ".join(
                f"{name} {value:.1f}" if name != "cpu_share" else f"cpu {100 * value:.1f} %"
                for name, value in rows[-1].items()
            )
        )
    (BUILD / "publishing.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    worst_ms = max(row["p99_ms"] for row in rows)
    print(f"worst p99 {worst_ms:.1f} ms (bar {BAR_MS} ms, stretch {STRETCH_MS} ms)")
    return 0 if worst_ms <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
