"""Roadworthy beside Evidently, NannyML and bare DuckDB: one pair of files, one session, turn and turn about.

Each job runs in a process of its own, in the tool's own environment (build/bench/peers/<tool>, made on the first run from
requirements/bench/<tool>.txt, which takes minutes and 3 GB). Reading the files is timed, importing the tool is not. They
do not do the same job, and the table says so. Prints the table and writes build/bench/measure_peers.json, and says so
when a tool could not be measured. Ends with 1 when a bar is missed, unless other processes took the cores meanwhile: then
a job of two threads loses more than one of a single thread, and only the processor seconds can be compared.

Run: python tests/bench/measure_peers.py [rounds]
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
ROWS, COLUMNS = 600_000, 20
VALUES = 2 * ROWS * COLUMNS
INSTALL_S, JOB_S = 1_500, 180

JOBS = {
    "roadworthy": (None, "roadworthy_whole.py", "freeze, profile, 41 rules, drift with interval, FDR, states kept"),
    "nannyml": ("nannyml", "nannyml_drift.py", "Jensen-Shannon in ten chunks, thresholds"),
    "evidently": ("evidently", "evidently_drift.py", "drift report, a test for each column, plots' data"),
    "duckdb": (None, "duckdb_aggregates.py", "count, min, max, mean, deviation; no histogram, no verdict"),
}
BARS = {"nannyml": 5.0, "evidently": 100.0}
DISTURBED_CORES = 0.25


def write_window(path: Path, seed: int, moved: float) -> None:
    """14 normal columns, 4 skewed ones and 2 with 5 % nulls; the first two normal ones are moved."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for number in range(COLUMNS):
        values = rng.normal(50 if number == 14 else 0, 1, ROWS) + (moved if number < 2 else 0.0)
        if 14 < number < 18:
            values = np.exp(values)
        gaps = rng.random(ROWS) < 0.05 if number >= 18 else None
        columns[f"x{number:02d}"] = pa.array(values, mask=gaps)
    pq.write_table(pa.table(columns), path)


def environment(tool: str | None) -> Path:
    """The interpreter of a tool; makes its environment when there is none."""
    if tool is None:
        return Path(sys.executable)
    folder = BUILD / "peers" / tool
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.exists():
        print(f"making {folder.relative_to(ROOT)} (once) ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        lock = ROOT / "requirements" / "bench" / f"{tool}.txt"
        install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", lock]
        run(install, INSTALL_S)
        done.touch()
    return python


def run(command: list[object], limit_s: float) -> tuple[str, float]:
    """What a process printed, and the processor seconds that the system counted for it and its children.

    Raises:
        RuntimeError: it failed or took too long; with the last line that it wrote.
    """
    before = os.times()
    quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env=os.environ | quiet,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {limit_s:g} s") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise RuntimeError(lines[-1])
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "", used


def measure(rounds: int, files: list[Path]) -> tuple[dict[str, list[dict[str, object]]], dict[str, str]]:
    """Every job in every round, and why a tool could not be measured."""
    found: dict[str, list[dict[str, object]]] = {name: [] for name in JOBS}
    failed: dict[str, str] = {}
    pythons: dict[str, Path] = {}
    for name, (tool, _, _) in JOBS.items():
        try:
            pythons[name] = environment(tool)
        except (RuntimeError, OSError) as error:
            failed[name] = f"could not be installed: {error}"
    for _ in range(rounds):
        for name, python in pythons.items():
            if name in failed:
                continue
            try:
                line, used = run([python, HERE / "peers" / JOBS[name][1], *files], JOB_S)
                found[name].append(json.loads(line) | {"process_cpu_s": used})
            except (RuntimeError, json.JSONDecodeError) as error:
                failed[name] = f"did not run: {error}"
    return found, failed


def busy_s() -> float:
    """Seconds that the cores of this machine have worked, for anybody; 0 where the system does not say."""
    try:
        ticks = [int(tick) for tick in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """Processor seconds of this process and its children."""
    return sum(os.times()[:4])


def figures(turns: list[dict[str, object]]) -> dict[str, float]:
    """Medians over the rounds; the spread is from the slowest to the fastest."""
    rates = sorted(VALUES / turn["seconds"] / 1e6 for turn in turns)
    return {
        "rate": statistics.median(rates),
        "slowest": rates[0],
        "fastest": rates[-1],
        "cpu": statistics.median(turn["cpu_s"] for turn in turns) / (VALUES / 1e6),
        "process_cpu_s": statistics.median(turn["process_cpu_s"] for turn in turns),
        "peak_mib": max(turn["peak_mib"] for turn in turns),
    }


def main(rounds: int) -> int:
    """Measure, print, write; 1 when a bar is missed."""
    BUILD.mkdir(parents=True, exist_ok=True)
    files = [BUILD / "reference.parquet", BUILD / "current.parquet"]
    write_window(files[0], 1, 0.0)
    write_window(files[1], 2, 0.3)
    start, busy, own = time.perf_counter(), busy_s(), own_s()
    found, failed = measure(rounds, files)
    others = max((busy_s() - busy) - (own_s() - own), 0.0) / (time.perf_counter() - start)
    rows = {name: figures(turns) for name, turns in found.items() if turns and name not in failed}
    ours = rows.get("roadworthy")
    print(f"{ROWS:,} rows x {COLUMNS} columns, two windows, {rounds} rounds in turns")
    print(f"{os.cpu_count()} cores, of which other processes used {others:.2f}")
    print(
        f"{'tool':11} {'M values/s':>10} {'spread':>13} {'ours':>6} {'cpu s/M':>8} {'ours':>6} {'cpu s':>6} {'MiB':>5}"
        "  what it does"
    )
    for name, row in rows.items():
        spread = f"{row['slowest']:.1f}..{row['fastest']:.1f}"
        quicker = f"{ours['rate'] / row['rate']:.1f}x" if ours else "-"
        cheaper = f"{row['cpu'] / ours['cpu']:.1f}x" if ours else "-"
        print(
            f"{name:11} {row['rate']:10.2f} {spread:>13} {quicker:>6} {row['cpu']:8.3f} {cheaper:>6} "
            f"{row['process_cpu_s']:6.1f} {row['peak_mib']:5.0f}  {JOBS[name][2]}"
        )
    for name, turns in found.items():
        if turns:
            print(f"{name}: {turns[-1]['version']}; found: {turns[-1]['outcome']}")
    for name, why in failed.items():
        print(f"NOT MEASURED {name}: {why}")
    verdicts = judge(rows, found["roadworthy"])
    for line, met in verdicts:
        print(f"{'met   ' if met else 'MISSED'} {line}")
    disturbed = others > DISTURBED_CORES
    if disturbed:
        print(
            f"other processes used {others:.2f} cores meanwhile: the rates do not count, measure again on a calm machine"
        )
    record = {
        "rows": rows,
        "others_cores": others,
        "failed": failed,
        "turns": found,
        "bars": verdicts,
        "python": platform.python_version(),
    }
    (BUILD / "measure_peers.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for path in files:
        path.unlink()
    return 0 if ours and (disturbed or all(met for _, met in verdicts)) else 1


def judge(rows: dict[str, dict[str, float]], ours: list[dict[str, object]]) -> list[tuple[str, bool]]:
    """Each bar that could be measured, and whether it is met."""
    if "roadworthy" not in rows:
        return []
    lines = []
    for name, bar in BARS.items():
        if name in rows:
            ratio = rows["roadworthy"]["rate"] / rows[name]["rate"]
            lines.append((f"{ratio:.1f}x the rate of {name}, bar {bar:g}x", ratio >= bar))
    parts = ours[0]["parts"]
    same = all(turn["same_bytes"] for turn in ours)
    lines.append((f"{parts} parts of random length, joined in random order, have the bytes of one scan", same))
    return lines


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
