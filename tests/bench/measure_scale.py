"""A table larger than memory should hold: rows x 20 doubles from Parquet, counted by two threads in a process of its own.

The files are written row group by row group under build/bench/scale, every value drawn anew (nothing is repeated), and
deleted at the end; 50,000,000 rows are 1e9 values and 8 GB. Prints seconds, processor seconds, values per second and the
peak memory of the process, and whether the states of the files, measured apart and joined, have the bytes of one scan.
Writes build/bench/measure_scale.json; ends with 1 when a bar is missed.

Run: python tests/bench/measure_scale.py [--rows 50000000] [--threads 2]
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers.peer_timing import peak_mib

from roadworthy.measure.table import open_table
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import fit
from roadworthy.measure.volume.scan import scan
from roadworthy.measure.volume.state import join_all

BUILD = Path(__file__).parents[2] / "build" / "bench"
FOLDER = BUILD / "scale"
COLUMNS = 20
GROUP_ROWS, FILE_GROUPS = 500_000, 4
BAR_MIB = 1_536
BAR_S, FULL_ROWS = 60, 50_000_000


def write_files(rows: int) -> int:
    """Doubles without a pattern that an encoding could use; returns the bytes on disk."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20_261_121)
    schema = pa.schema([(f"x{number:02d}", pa.float64()) for number in range(COLUMNS)])
    written, file = 0, 0
    while written < rows:
        path = FOLDER / f"part-{file:03d}.parquet"
        with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for _ in range(FILE_GROUPS):
                size = min(GROUP_ROWS, rows - written)
                if size:
                    columns = [rng.standard_normal(size) * (number + 1) + number for number in range(COLUMNS)]
                    writer.write_table(pa.table(columns, schema=schema), row_group_size=size)
                    written += size
        file += 1
    return sum(path.stat().st_size for path in FOLDER.iterdir())


def child(threads: int) -> None:
    """Freeze and scan everything; then each file by itself, joined from the last to the first."""
    table = open_table(FOLDER / "*.parquet")
    before, cpu_before = time.perf_counter(), time.process_time()
    plan = profile_plan(fit(table, threads=threads))
    fitted = time.perf_counter()
    state = scan(plan, table, threads=threads)
    done, cpu_done = time.perf_counter(), time.process_time()
    peak = peak_mib()
    parts = [scan(plan, open_table(path), threads=threads) for path in reversed(table.paths)]
    figures = {
        "rows": state.rows,
        "fit_s": fitted - before,
        "scan_s": done - fitted,
        "cpu_s": cpu_done - cpu_before,
        "peak_mib": peak,
        "files": len(parts),
        "same_bytes": join_all(plan, parts).to_bytes() == state.to_bytes(),
        "digest": state.digest,
    }
    print(json.dumps(figures))


def main(rows: int, threads: int) -> int:
    """Write, measure in a child, delete, print; 1 when a bar is missed."""
    need = rows * COLUMNS * 8 * 1.1
    BUILD.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(BUILD).free < need:
        print(f"NOT MEASURED: {need / 1e9:.1f} GB are needed under {BUILD.name}. Remedy: --rows with a smaller number.")
        return 1
    try:
        size = write_files(rows)
        done = subprocess.run(
            [sys.executable, __file__, "--child", "--threads", str(threads)], capture_output=True, text=True, check=True
        )
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    values = found["rows"] * COLUMNS
    seconds = found["fit_s"] + found["scan_s"]
    print(
        f"{found['rows']:,} rows x {COLUMNS} doubles = {values:,} values, {size / 1e9:.2f} GB in {found['files']} files"
    )
    print(
        f"freeze {found['fit_s']:.1f} s, scan {found['scan_s']:.1f} s with {threads} threads on {os.cpu_count()} cores"
    )
    print(f"{values / seconds / 1e6:.0f} M values/s, {values / found['cpu_s'] / 1e6:.0f} M values per processor second")
    bars = [
        (f"finishes, peak memory {found['peak_mib']:.0f} MiB, bar {BAR_MIB} MiB", found["peak_mib"] <= BAR_MIB),
        (f"{found['files']} files measured apart and joined have the bytes of one scan", found["same_bytes"]),
    ]
    for line, met in bars:
        print(f"{'met   ' if met else 'MISSED'} {line}")
    if rows >= FULL_ROWS:
        print(f"{'met   ' if seconds <= BAR_S else 'missed'} (stretch) {seconds:.1f} s for 1e9 values, {BAR_S} s")
    else:
        print(f"at this rate 1e9 values take {seconds * 1e9 / values:.0f} s; measure it with --rows {FULL_ROWS}")
    record = found | {"bytes": size, "threads": threads, "bars": bars, "python": platform.python_version()}
    (BUILD / "measure_scale.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if all(met for _, met in bars) else 1


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=4_000_000)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--child", action="store_true")
    chosen = arguments.parse_args()
    if chosen.child:
        child(chosen.threads)
    else:
        sys.exit(main(chosen.rows, chosen.threads))
