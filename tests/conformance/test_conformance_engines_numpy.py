"""numpy counts the same however the rows arrive, and its rules are those of single records."""

import pyarrow as pa
import pytest
from engine_cases import AT, AT_US, FOREIGN_RULES, PORTABLE_RULES, hostile, plan_of
from engine_suite import Engine, EngineSuite

from roadworthy.measure.inline import compile_inline
from roadworthy.measure.rule import Contract, Field, Provenance, Rule
from roadworthy.measure.table import Table, from_arrow
from roadworthy.measure.volume.accumulators import Broken
from roadworthy.measure.volume.compile.grouped import repeated_duckdb, unreferenced_duckdb
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.state import State

PIECE = 7


class NumpyEngine(Engine):
    """The rows cut into small pieces, last ones first; what groups rows is DuckDB's to do."""

    splits = False

    def load(self, name: str, table: pa.Table) -> pa.Table:
        return table

    def measure(self, plan, source, limit=None) -> State:
        pieces = [source.slice(start, PIECE) for start in range(0, source.num_rows, PIECE)]
        return measure_batches(plan, [batch for piece in reversed(pieces) for batch in piece.to_batches()])

    def table(self, source: pa.Table) -> Table:
        return from_arrow(source, "rows")

    def repeated(self, rule, source) -> int:
        return repeated_duckdb(rule, self.table(source))

    def unreferenced(self, rule, source, other) -> int:
        return unreferenced_duckdb(rule, self.table(source))


def contract_of(rules: tuple[Rule, ...]) -> Contract:
    """A contract with these rules."""
    return Contract(
        path=None,
        contract_id="c",
        version="1",
        status="active",
        table="t",
        fields=tuple(Field(name=name) for name in hostile().column_names),
        rules=rules,
        notes=(),
        provenance=Provenance(),
    )


class TestNumpy(EngineSuite):
    """The suite on Arrow batches."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls):
        return NumpyEngine()

    def test_a_rule_counts_the_records_that_the_inline_filter_finds(self) -> None:
        """Every rule of the suite, record by record, in Python."""
        rules = (*PORTABLE_RULES, *FOREIGN_RULES)
        state = measure_batches(plan_of(*(Broken(rule=each, at_us=AT_US) for each in rules)), hostile().to_batches())
        records = hostile().to_pylist()
        for each in rules:
            inline = compile_inline(contract_of((each,)))
            assert inline.batch_only == (), each
            bad = sum(bool(inline.decide(record, at=AT).reasons) for record in records)
            assert state.result(Broken(rule=each, at_us=AT_US)) == (bad,), each
