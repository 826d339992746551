"""Measure the load generator against a server that costs next to nothing. Prints a table, writes build/bench/.

Run it with nothing else on the machine: ``python tests/bench/load_generator.py``. What it holds the generator to, and how to
read the figures, is in the README beside it.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import GeneratorLagged
from roadworthy.probes.load.generator import run_load
from roadworthy.probes.load.result import refuse
from roadworthy.probes.load.schedule import constant, poisson
from roadworthy.probes.load.spec import LoadSpec

ROOT = Path(__file__).resolve().parents[2]
RATES_RPS = (1_000, 5_000, 10_000, 15_000)
REPEATS = 3
DURATION_S = 10.0
BAR_RPS = 15_000
PAUSE_RATE_RPS = 1_000
SEED = 20_260_101
HEADER = "rate/s   ok/s     lag p50 us  lag p99 us  latency p99 ms  cpu us/req  core share  conn  others  verdict"


@contextmanager
def server(*options: str):
    """The trivial server in a process of its own; yields its URL and its process id."""
    command = [sys.executable, str(Path(__file__).with_name("trivial_server.py")), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/infer", process.pid
    finally:
        process.terminate()
        process.communicate()


def machine_busy_s():
    """Core-seconds that the whole machine has worked, or lost to its host, since it started (Linux)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
        int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def ours_s(server_pid):
    """Core-seconds of this process, of the generators that have ended, and of the server."""
    fields = Path(f"/proc/{server_pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    mine = os.times()
    ended = mine.children_user + mine.children_system
    return mine.user + mine.system + ended + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def verdict_of(result):
    """``kept up``, or why the figures are refused."""
    try:
        refuse(result)
    except GeneratorLagged as error:
        return f"refused: {error.what}"
    return "kept up"


def measure(rate_rps, seed):
    """One run at one rate."""
    with server() as (url, pid):
        spec = LoadSpec(url=url, times_s=poisson(rate_rps, DURATION_S, seed), bodies=(b'{"inputs":[]}',))
        from_s, busy_from_s, ours_from_s = monotonic_s(), machine_busy_s(), ours_s(pid)
        result = run_load(spec)
        wall_s = monotonic_s() - from_s
        others_s = (machine_busy_s() - busy_from_s) - (ours_s(pid) - ours_from_s)
    return {
        "rate_rps": rate_rps,
        "seed": seed,
        "scheduled": result.scheduled,
        "ok": result.ok,
        "errors": dict(result.errors),
        "ok_rps": result.ok / result.duration_s,
        "send_lag_p50_s": result.send_lag.quantile(0.5),
        "send_lag_p99_s": result.send_lag.quantile(0.99),
        "send_lag_highest_s": result.send_lag.highest_s,
        "latency_p50_s": result.latency.quantile(0.5),
        "latency_p99_s": result.latency.quantile(0.99),
        "cpu_s_per_request": result.cpu_s / result.scheduled,
        "cpu_share": result.cpu_share,
        "connections": result.connections,
        "wall_s": wall_s,
        "others_cores": max(0.0, others_s / wall_s),
        "verdict": verdict_of(result),
    }


def measure_pause():
    """A server that stands still for one second, once, in a run of ten."""
    with server("--pause-after-s", "4", "--pause-s", "1") as (url, _):
        result = run_load(LoadSpec(url=url, times_s=constant(PAUSE_RATE_RPS, DURATION_S)))
    return {
        "rate_rps": PAUSE_RATE_RPS,
        "ok": result.ok,
        "latency_p50_s": result.latency.quantile(0.5),
        "latency_p999_s": result.latency.quantile(0.999),
        "above_100_ms": result.latency.count_above(0.1),
        "expected_above_100_ms": round(PAUSE_RATE_RPS * 0.9),
        "verdict": verdict_of(result),
    }


def row(run):
    """One line of the table."""
    return (
        f"{run['rate_rps']:>6}  {run['ok_rps']:>7.0f}  {run['send_lag_p50_s'] * 1e6:>10.1f}  "
        f"{run['send_lag_p99_s'] * 1e6:>10.1f}  {run['latency_p99_s'] * 1e3:>14.3f}  "
        f"{run['cpu_s_per_request'] * 1e6:>10.1f}  {run['cpu_share']:>10.2f}  {run['connections']:>4}  "
        f"{run['others_cores']:>6.2f}  {run['verdict']}"
    )


def main():
    """Measure, print, write; exit code 1 when a bar is missed."""
    print(HEADER)
    runs = []
    for rate_rps in RATES_RPS:
        for repeat in range(REPEATS):
            runs.append(measure(rate_rps, SEED + repeat))
            print(row(runs[-1]), flush=True)
    pause = measure_pause()
    print(
        f"pause of 1 s at {PAUSE_RATE_RPS}/s: p99.9 {pause['latency_p999_s'] * 1e3:.0f} ms, "
        f"{pause['above_100_ms']} above 100 ms (expected about {pause['expected_above_100_ms']})"
    )
    # Every repeat counts: a bar that the median meets and the worst run misses is not met.
    at_bar = [run for run in runs if run["rate_rps"] == BAR_RPS]
    bars = {
        "every run at the bar's rate kept up": all(run["verdict"] == "kept up" for run in at_bar),
        "no request was lost": all(run["ok"] == run["scheduled"] for run in runs),
        "the pause shows in p99.9": pause["latency_p999_s"] >= 0.9,
        "the pause shows in the count": abs(pause["above_100_ms"] / pause["expected_above_100_ms"] - 1) <= 0.1,
    }
    for bar, met in bars.items():
        print(f"{'met   ' if met else 'MISSED'}  {bar}")
    target = ROOT / "build" / "bench" / "load_generator.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    report = {"cores": os.cpu_count(), "load_average": os.getloadavg(), "runs": runs, "pause": pause, "bars": bars}
    target.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
