"""Every system call of the ledger's process, every occurrence, failing or killing: the whole matrix.

``crash_strace.py [most]`` stops at occurrence ``most`` (60) of a call, or when two in a row were not met any more. Prints a
line for each call and action, writes build/bench/crash_strace.json, and exits with 1 when a promise was broken.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))

from ledgerd_under_fire import ACTIONS, CALLS, under_fire

OUT = Path("build/bench/crash_strace.json")


def occurrences(call, action, most):
    """Outcomes of every occurrence that was met; a broken promise is one without an outcome."""
    met, missed = [], 0
    for number in range(1, most + 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = under_fire(Path(folder).resolve(), call, action, number)
            except AssertionError as error:
                print(f"{call} {action} at {number}: {error}")
                return [*met, None]
        missed = 0 if outcome.met else missed + 1
        if missed == 2:
            break
        if outcome.met:
            met.append(outcome)
    return met


def main():
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    began_s = time.perf_counter()
    rows = []
    for call in CALLS:
        for action in ACTIONS:
            outcomes = occurrences(call, action, most)
            good = [each for each in outcomes if each is not None]
            row = {
                "call": call,
                "action": action,
                "faults": len(outcomes),
                "broken": len(outcomes) - len(good),
                "acknowledged": sum(each.acknowledged for each in good),
            }
            rows.append(row)
            print(row, flush=True)
    total = {name: sum(row[name] for row in rows) for name in ("faults", "broken", "acknowledged")}
    total["took_s"] = round(time.perf_counter() - began_s, 1)
    print(total)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "total": total}, indent=1) + "\n", encoding="utf-8")
    return 1 if total["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
