"""How many records a second one core admits: a contract of 14 rules. Prints a table, writes build/bench/inline_filter.json.

Two kinds of records: values of their own types, as a gateway gets them from JSON, and text, as a reader of CSV hands
them over. In each, one record in a hundred breaks a rule. The same records are then counted by the batch engine, and
the two must agree before anything is printed.
"""

import json
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from roadworthy.measure.contract import load_contract
from roadworthy.measure.inline import Action, InlineFilter, TextSource, compile_inline
from roadworthy.measure.quality import assess
from roadworthy.measure.table import from_arrow

AT = datetime(2026, 6, 1, tzinfo=UTC)
RECORDS = 20_000
REPEATS = 7
OUT = Path("build/bench/inline_filter.json")
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: inline-bench
version: 1.0.0
status: active
schema:
  - name: visits
    quality:
      - {id: order, type: custom, engine: roadworthy, implementation: {expression: seen_at <= arrived_at}}
      - id: outline
        type: custom
        engine: roadworthy
        implementation: {expression: perimeter BETWEEN 6 * radius AND 9 * radius}
    properties:
      - {name: id, required: true, logicalTypeOptions: {pattern: "^p-[0-9]{6}$"}}
      - name: site
        required: true
        quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [north, south, east]}}]
      - {name: radius, logicalType: number, required: true, logicalTypeOptions: {minimum: 5, maximum: 30}}
      - {name: perimeter, logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0}}
      - {name: seen_at, logicalType: timestamp}
      - {name: arrived_at, logicalType: timestamp}
slaProperties:
  - {property: latency, value: 30, unit: d, element: "seen_at, arrived_at"}
"""


def main() -> None:
    """Build, check against the batch, measure, report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.odcs.yaml"
        path.write_text(CONTRACT, encoding="utf-8")
        contract = load_contract(path)
    # The presence of a column is a rule too, and cheap; the title counts the others.
    asked = [rule for rule in contract.rules if not rule.rule_id.startswith("schema.")]
    typed = [_record(k) for k in range(RECORDS)]
    text = [{name: value if isinstance(value, str) else str(value) for name, value in each.items()} for each in typed]
    table = from_arrow(pa.Table.from_pylist(typed), "bench")
    types = {column.name: column.type for column in table.columns}
    sources = {
        "typed": (typed, compile_inline(contract)),
        "text": (text, compile_inline(contract, text=TextSource(types=types))),
    }
    batch = {r.rule.rule_id: r.bad_rows for r in assess(table, contract, at=AT).results if r.bad_rows is not None}
    figures = {}
    print(f"{len(asked)} rules over 6 columns and 6 presences, {RECORDS} records, best and median of {REPEATS} runs\n")
    print(f"{'records':8} {'best/s':>10} {'median/s':>10} {'us each':>8} {'not admitted':>13}")
    for name, (records, inline) in sources.items():
        decided = [inline.decide(record, at=AT) for record in records]
        counted = {rule_id: sum(rule_id in each.reasons for each in decided) for rule_id in batch}
        if counted != batch:
            raise SystemExit(f"inline {counted} is not batch {batch}")
        rates = [_rate(records, inline) for _ in range(REPEATS)]
        stopped = sum(each.action is not Action.ADMIT for each in decided)
        best, median = max(rates), statistics.median(rates)
        print(f"{name:8} {best:10,.0f} {median:10,.0f} {1e6 / median:8.2f} {stopped:13}")
        figures[name] = {"best_per_s": best, "median_per_s": median, "runs_per_s": rates, "not_admitted": stopped}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(
        json.dumps(
            {"python": platform.python_version(), "machine": platform.machine(), "rules": len(asked), **figures},
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )


def _record(k: int) -> dict[str, object]:
    seen = AT - timedelta(hours=1 + k % 200)
    radius = 10.0 + (k % 97) / 10 if k % 100 else 40.0
    return {
        "id": f"p-{k:06d}",
        "site": ("north", "south", "east")[k % 3],
        "radius": radius,
        "perimeter": 6.5 * radius,
        "seen_at": seen,
        "arrived_at": seen + timedelta(minutes=k % 90),
    }


def _rate(records: list[dict[str, object]], inline: InlineFilter) -> float:
    decide, start = inline.decide, time.process_time()
    for record in records:
        decide(record, at=AT)
    return len(records) / (time.process_time() - start)


if __name__ == "__main__":
    main()
