"""Freeze, profile, contract, drift state of both windows, bytes of the states and verdicts, from two Parquet files."""

import sys
from pathlib import Path

import numpy as np
from peer_timing import report

from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.profile.compare import compare_states
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Limits, Rule
from roadworthy.measure.table import open_table
from roadworthy.measure.volume.accumulators import Broken
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.plan import Plan
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import fit
from roadworthy.measure.volume.scan import scan
from roadworthy.measure.volume.state import State, join_all, read_state

COLUMNS = [f"x{number:02d}" for number in range(20)]


def contract() -> list[Broken]:
    """No null and a range for every column, and a promise between the first two: 41 rules."""

    def rule(kind: Kind, *columns: str, **more: object) -> Broken:
        return Broken(
            rule=Rule(
                rule_id=f"{kind.value}.{columns[0]}",
                dimension=Dimension.VALIDITY,
                kind=kind,
                columns=columns,
                bound=NONE_ALLOWED,
                line=1,
                **more,
            )
        )

    promise = Clause(left=(Term(column="x00"),), relation=Relation.LESS, right=(Term(column="x01"), Term(factor=9.0)))
    compared = Comparison(clauses=(promise,), reading=Reading.NUMBER)
    return [
        *(rule(Kind.NULL, name) for name in COLUMNS),
        *(rule(Kind.RANGE, name, limits=Limits(lower=-4.0, upper=60.0)) for name in COLUMNS),
        rule(Kind.COMPARISON, "x00", "x01", comparison=compared),
    ]


class Job:
    """The timed job; keeps its plan and states for the check afterwards."""

    plan: Plan
    states: list[State]

    def run(self) -> str:
        tables = [open_table(Path(path)) for path in sys.argv[1:3]]
        frozen = fit(tables[0])
        self.plan = profile_plan(frozen, also=contract())
        self.states = [scan(self.plan, table) for table in tables]
        kept = [read_state(state.to_bytes(), self.plan) for state in self.states]
        compared = compare_states(frozen, *kept)
        bad = sum(kept[1].result(item)[0] or 0 for item in self.plan.accumulators if isinstance(item, Broken))
        return f"{len(compared.drifted)} columns drift, {bad:,} broken promises"

    def parted(self) -> dict[str, object]:
        """Whether slices of random length, measured apart and joined in random order, give the same bytes."""
        rng = np.random.default_rng(7)
        table = open_table(Path(sys.argv[2]))
        parts = []
        for batch in table.batches(self.plan.columns):
            ends = np.sort(rng.choice(batch.num_rows, 5, replace=False))
            for low, high in zip([0, *ends], [*ends, batch.num_rows], strict=True):
                parts.append(measure_batches(self.plan, [batch.slice(int(low), int(high - low))]))
        mixed = [parts[place] for place in rng.permutation(len(parts))]
        return {"same_bytes": join_all(self.plan, mixed).to_bytes() == self.states[1].to_bytes(), "parts": len(parts)}


if __name__ == "__main__":
    job = Job()
    report(job.run, version="this tree", after=job.parted)
