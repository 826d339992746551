"""The gateway beside nginx and LiteLLM: one upstream, one session, turn and turn about, everything on this machine.

Prints tables and the bars of the runtime, writes build/bench/runtime.json, and ends with 1 when a bar is missed. The
first run makes the environment of LiteLLM (build/bench/peers/litellm, from requirements/bench/litellm.txt). What
cannot be measured (nginx or LiteLLM not installed) is said, never left out.

Processor time is that of the whole process tree, from the operating system; the clients' and the upstream's are not in it.
Every wait is bounded, and all traffic stays on 127.0.0.1.

Run: python tests/bench/runtime.py [--rounds N] [--quick] [--without-litellm]
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "gateway_rig")]

from measure_peers import environment  # noqa: E402  # the path is set above
from servers import MODEL, ROOT, Server, gateway, litellm, nginx, upstream  # noqa: E402  # as above

from roadworthy.probes.load.generator import run_load  # noqa: E402  # as above
from roadworthy.probes.load.schedule import poisson  # noqa: E402  # as above
from roadworthy.probes.load.spec import LoadSpec  # noqa: E402  # as above

OUT = ROOT / "build" / "bench" / "runtime.json"
DRIVERS = Path(__file__).parent / "gateway_rig" / "drivers.py"
PATH = "/v1/chat/completions"
QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "What does the travel policy say? " * 6}]}
BODY = json.dumps(QUESTION)
CONNECTIONS = 64


class Bar(NamedTuple):
    """A figure to reach.

    Attributes:
        holds: whether a figure reaches a bound.
    """

    what: str
    figure: float
    unit: str
    bar: float
    stretch: float
    at_least: bool

    def line(self) -> str:
        """As it is printed."""
        holds: Callable[[float], bool] = (
            (lambda bound: self.figure >= bound) if self.at_least else (lambda bound: self.figure <= bound)
        )
        word = "met, stretch" if holds(self.stretch) else "met" if holds(self.bar) else "MISSED"
        sign = ">=" if self.at_least else "<="
        bound = f"bar {sign} {self.bar:g}, stretch {self.stretch:g}"
        return f"{word:13} {self.what:58} {self.figure:10.2f} {self.unit:8} {bound}"

    @property
    def met(self) -> bool:
        """Whether the bar holds."""
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar


def drive(task: dict[str, Any]) -> dict[str, Any]:
    """Run a client in its own process."""
    done = subprocess.run(
        [sys.executable, str(DRIVERS), json.dumps(task)], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return dict(json.loads(done.stdout))


def closed(server: Server, seconds: float) -> dict[str, float]:
    """Throughput and processor time with 64 connections that never rest."""
    task = {"kind": "closed", "port": server.port, "path": PATH, "headers": server.headers, "body": BODY}
    before = server.cpu_s()
    found = drive(task | {"connections": CONNECTIONS, "seconds": seconds})
    used = server.cpu_s() - before
    if found["faults"]:
        raise RuntimeError(f"{server.name}: {found['faults']} faults, first {found['first_fault']!r}")
    return {"rps": found["rps"], "p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"]} | {
        "cpu_us": used / found["requests"] * 1e6
    }


def side_by_side(servers: list[Server], rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Every server in every round, after a warm-up of each."""
    for server in servers:
        closed(server, 1.0)
    found: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            found[server.name].append(closed(server, seconds))
    return found


def added_latency(ours: Server, direct: Server, rate_rps: float, seconds: float) -> dict[str, float]:
    """Open loop, Poisson arrivals, latency from the intended send time: ours less direct, in ms, medians of three."""
    shown: dict[str, list[tuple[float, float]]] = {"ours": [], "direct": []}
    for turn in range(3):
        for name, server in (("direct", direct), ("ours", ours)):
            result = run_load(
                LoadSpec(
                    url=f"http://127.0.0.1:{server.port}{PATH}",
                    times_s=poisson(rate_rps, seconds, turn + 1),
                    bodies=(BODY.encode(),),
                    headers=tuple(server.headers.items()),
                    max_connections=512,
                )
            )
            if result.errors:
                raise RuntimeError(f"{server.name}: {dict(result.errors)}")
            shown[name].append((result.latency.quantile(0.5) * 1e3, result.latency.quantile(0.99) * 1e3))
    middle = {name: np.median(np.array(pairs), axis=0) for name, pairs in shown.items()}
    return {
        "rate_rps": rate_rps,
        "added_p50_ms": float(middle["ours"][0] - middle["direct"][0]),
        "added_p99_ms": float(middle["ours"][1] - middle["direct"][1]),
        "p50_ms": float(middle["ours"][0]),
        "p99_ms": float(middle["ours"][1]),
    }


def streaming(ours: Server, direct: Server, streams: int) -> dict[str, float]:
    """Age of a chunk when it arrives, ours less direct."""
    body = json.dumps(QUESTION | {"stream": True}, separators=(",", ":"))
    found = {}
    for name, server in (("direct", direct), ("ours", ours)):
        task = {"kind": "streams", "port": server.port, "path": PATH, "headers": server.headers, "body": body}
        found[name] = drive(task | {"streams": streams, "spread_s": 1.0})
        if found[name]["whole"] != streams:
            raise RuntimeError(f"{server.name}: {streams - found[name]['whole']} streams did not end well")
    return {
        "streams": streams,
        "added_p50_ms": found["ours"]["p50_ms"] - found["direct"]["p50_ms"],
        "added_p99_ms": found["ours"]["p99_ms"] - found["direct"]["p99_ms"],
        "direct_p50_ms": found["direct"]["p50_ms"],
    }


def provable(ours: Server, count: int) -> float:
    """Median seconds from an answer in hand to a published checkpoint that covers its record."""
    ages = []
    for _ in range(count):
        request = urllib.request.Request(
            f"http://127.0.0.1:{ours.port}{PATH}",
            data=BODY.encode(),
            headers=ours.headers | {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            index = int(answer.headers["x-roadworthy-index"])
            answer.read()
        from_s = time.perf_counter()
        while checkpoint_size(ours) <= index and time.perf_counter() - from_s < 10:
            time.sleep(0.001)
        ages.append(time.perf_counter() - from_s)
        time.sleep(0.05)
    return statistics.median(ages)


def checkpoint_size(ours: Server) -> int:
    """Entries that the published checkpoint covers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ours.admin}/log/checkpoint", timeout=10) as answer:
        return int(answer.read().split(b"\n")[1])


def memory_growth(ours: Server, seconds: float) -> dict[str, float]:
    """Slope of resident memory under steady load, MiB a minute, over the second half of the run."""
    rate, sampled = 1_000.0, []
    task = {
        "kind": "closed", "port": ours.port, "path": PATH, "headers": ours.headers, "body": BODY,
        "connections": 8, "seconds": seconds,
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, str(DRIVERS), json.dumps(task)], stdout=subprocess.DEVNULL)
    from_s = time.perf_counter()
    while process.poll() is None and time.perf_counter() - from_s < seconds + 30:
        time.sleep(0.5)
        sampled.append((time.perf_counter() - from_s, ours.rss_bytes() / 2**20))
    process.wait(10)
    half = [point for point in sampled if point[0] > seconds / 2 and point[0] < seconds]
    slope = float(np.polyfit([at for at, _ in half], [mib for _, mib in half], 1)[0]) * 60
    return {"mib_per_min": slope, "rss_mib": half[-1][1], "seconds": seconds, "least_rps": rate}


def table(found: dict[str, list[dict[str, float]]], notes: dict[str, str]) -> None:
    """Medians with their spread."""
    print(f"{'server':12}{'CPU us/request':>26}{'requests/s':>28}{'p50 ms':>9}{'p99 ms':>9}  what it does")
    for name, turns in found.items():
        cpu = sorted(turn["cpu_us"] for turn in turns)
        rps = sorted(turn["rps"] for turn in turns)
        print(
            f"{name:12}{statistics.median(cpu):10.1f} ({cpu[0]:.1f}..{cpu[-1]:.1f})".ljust(40)
            + f"{statistics.median(rps):10,.0f} ({rps[0]:,.0f}..{rps[-1]:,.0f})".ljust(26)
            + f"{statistics.median(t['p50_ms'] for t in turns):9.2f}{statistics.median(t['p99_ms'] for t in turns):9.2f}"
            + f"  {notes.get(name, '')}"
        )


def middle(turns: list[dict[str, float]], what: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(turn[what] for turn in turns)


def ratios(found: dict[str, list[dict[str, float]]]) -> list[Bar]:
    """Ours against the others, and our own throughput."""
    ours = found["roadworthy"]
    bars = [Bar("durable requests/s, two shared cores", middle(ours, "rps"), "1/s", 5_000, 12_000, True)]
    if "nginx" in found:
        times = middle(ours, "cpu_us") / middle(found["nginx"], "cpu_us")
        bars.append(Bar("CPU of an exchange, two durable leaves, against nginx", times, "times", 8, 5, False))
    if "LiteLLM" in found:
        times = middle(ours, "rps") / middle(found["LiteLLM"], "rps")
        bars.append(Bar("throughput against LiteLLM, which keeps no record", times, "times", 40, 100, True))
    return bars


def main() -> int:
    """Run everything, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a third of the time; figures vary more")
    parser.add_argument("--without-litellm", action="store_true")
    asked = parser.parse_args()
    seconds = 2.0 if asked.quick else 6.0
    report: dict[str, Any] = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rw-bench-")))
        direct = stack.enter_context(upstream(folder))
        ours = stack.enter_context(gateway(folder, direct))
        servers = [ours]
        for name, start in (
            ("nginx", lambda: nginx(folder, direct)),
            ("LiteLLM", lambda: litellm(folder, direct, environment("litellm"))),
        ):
            if name == "LiteLLM" and asked.without_litellm:
                continue
            try:
                servers.append(stack.enter_context(start()))
            except (RuntimeError, OSError) as error:
                print(f"NOT MEASURED  {name}: {error}")
        found = side_by_side(servers, asked.rounds, seconds)
        table(found, {server.name: server.note for server in servers})
        bars = ratios(found)
        half = max(200.0, middle(found["roadworthy"], "rps") / 2)
        late = added_latency(ours, direct, half, seconds * 2)
        bars.append(
            Bar(f"added p50 at half of own capacity ({half:,.0f}/s)", late["added_p50_ms"], "ms", 1.5, 0.8, False)
        )
        bars.append(Bar("added p99 there", late["added_p99_ms"], "ms", 8, 4, False))
        flows = streaming(ours, direct, 200)
        bars.append(Bar("strict streaming, 200 streams, added p50 a chunk", flows["added_p50_ms"], "ms", 2, 1, False))
        age_s = provable(ours, 20)
        bars.append(Bar("answer in hand to provable checkpoint", age_s, "s", 1, 0.05, False))
        grown = memory_growth(ours, 20 if asked.quick else 90)
        bars.append(Bar("memory growth under steady load", grown["mib_per_min"], "MiB/min", 0.1, 0, False))
        report |= {"closed": found, "open": late, "streams": flows, "provable_s": age_s, "memory": grown}
    for bar in bars:
        print(bar.line())
    report["bars"] = [bar._asdict() | {"met": bar.met} for bar in bars]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(bar.met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
