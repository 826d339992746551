"""What every engine must count, and count alike. Owns hostile tables, plans over them, and the comparison with numpy.

An engine's suite is a subclass named ``Test...`` with a fixture ``engine``, an ``Engine``. numpy is the reference: it is
held to counting by hand in ``tests/property/test_measure_volume_laws.py``, and its rules to single records in
``test_conformance_engines_numpy.py``. One broad table holds many cases, since each question to Spark takes a second.
"""

import importlib.util
import shutil
import sys
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine_cases import (
    AT,
    AT_US,
    EDGES,
    EVERYTHING,
    FOREIGN_RULES,
    KINDS,
    PORTABLE_RULES,
    hostile,
    plan_of,
    rule,
)

from roadworthy.base.errors import ContractError, EngineRefused
from roadworthy.demo.materials import write_demo
from roadworthy.measure.contract import load_contract
from roadworthy.measure.quality import assess
from roadworthy.measure.reading import is_missing
from roadworthy.measure.references import read_reference
from roadworthy.measure.rule import Contract, Kind, Reference, Rule
from roadworthy.measure.table import open_table
from roadworthy.measure.volume.accumulators import (
    ROW_KINDS,
    Accumulator,
    Broken,
    Cells,
    Extremes,
    LabelledCells,
    Lengths,
    Moments,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.plan import OTHER_GROUP, ColumnKind, Plan, Split, make_plan
from roadworthy.measure.volume.plan import Kind as Reads
from roadworthy.measure.volume.reference import column_kinds
from roadworthy.measure.volume.state import State


def expected(plan: Plan, table: pa.Table) -> State:
    """What numpy counts."""
    return measure_batches(plan, table.combine_chunks().to_batches())


def differences(found: State, wanted: State) -> list[tuple[str, Accumulator, Any, Any]]:
    """Each result that is not numpy's, by group."""
    places = {item: place for place, item in enumerate(wanted.plan.accumulators)}
    groups = sorted({*found.groups, *wanted.groups})
    missing = [(group, Rows(), group in found.groups, group in wanted.groups) for group in groups]
    return [row for row in missing if row[2] != row[3]] + [
        (group, item, found.groups[group][place], wanted.groups[group][place])
        for group in groups
        if group in found.groups and group in wanted.groups
        for item, place in places.items()
        if found.groups[group][place] != wanted.groups[group][place]
    ]


class Odd(Accumulator):
    """An accumulator that no engine knows."""

    kind = "odd"

    def columns(self):
        return ("d",)

    @property
    def empty(self):
        return (0,)


class Engine(ABC):
    """An engine under test.

    Attributes:
        splits: whether statements are split at a limit on columns, which ``measure`` takes.
        foreign: whether it counts ``FOREIGN_RULES``; otherwise it refuses each by name.
    """

    splits: ClassVar[bool] = True
    foreign: ClassVar[bool] = True

    @abstractmethod
    def load(self, name: str, table: pa.Table) -> Any:
        """The rows where the engine finds them."""

    @abstractmethod
    def measure(self, plan: Plan, source: Any, limit: int | None = None) -> State:
        """The state."""

    @abstractmethod
    def repeated(self, rule: Rule, source: Any) -> int:
        """Rows that repeat a key."""

    @abstractmethod
    def unreferenced(self, rule: Rule, source: Any, other: Any) -> int:
        """Rows that point to nothing."""


class EngineSuite:
    """The suite. A subclass gives the fixture ``engine``; without it no test of the suite can begin."""

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls, engine: Engine) -> Any:
        """The hostile table, loaded once."""
        return engine.load("hostile", hostile())

    def agrees(self, engine: Engine, plan: Plan, table: pa.Table, source: Any, limit: int | None = None) -> None:
        """The same results, and the same bytes."""
        found, wanted = engine.measure(plan, source, limit), expected(plan, table)
        assert differences(found, wanted) == []
        assert found.to_bytes() == wanted.to_bytes()

    def test_every_accumulator_over_hostile_columns(self, engine, world) -> None:
        """NaN, infinities, zeros of both signs, denormals, one-ulp edges, 2**53 + 1, decimals, instants, Unicode."""
        self.agrees(engine, EVERYTHING, hostile(), world)

    @pytest.mark.parametrize(
        "split",
        [
            Split(column="t", values=("a", "", "it's", "never", "é")),
            Split(column="s", values=("1", "32767", "9")),
            Split(column="b", values=("true",)),
        ],
        ids=["text", "whole number", "flag"],
    )
    def test_groups_are_counted_apart(self, engine, world, split) -> None:
        """Known groups, one without rows, and all others with the nulls among them."""
        items = [
            *(Cells(column="d", edges=EDGES), Moments(column="d", centre=0.1, unit_exponent=-20), Extremes(column="i")),
            *(Special(column="t"), Lengths(column="u"), Values(column="u", known=("a", ""))),
            *(LabelledCells(score="d", label="y", edges=(0.0, 1.0)), Broken(rule=rule(Kind.NULL, "z"))),
        ]
        plan = plan_of(*items, split=split)
        self.agrees(engine, plan, hostile(), world)
        assert OTHER_GROUP in expected(plan, hostile()).groups

    def test_every_rule_about_rows(self, engine, world) -> None:
        """Each kind of rule, on each type that all engines read alike."""
        self.agrees(engine, plan_of(*(Broken(rule=each, at_us=AT_US) for each in PORTABLE_RULES)), hostile(), world)

    def test_other_rules_are_counted_or_refused_by_name(self, engine, world) -> None:
        """Never approximated: numbers in text, the text of numbers, patterns that look for words."""
        if engine.foreign:
            self.agrees(engine, plan_of(*(Broken(rule=each, at_us=AT_US) for each in FOREIGN_RULES)), hostile(), world)
            return
        for each in FOREIGN_RULES:
            with pytest.raises(EngineRefused, match=rf"\({each.columns[-1]}\)"):
                engine.measure(plan_of(Broken(rule=each, at_us=AT_US)), world)

    def test_every_bit_of_an_edge_arrives(self, engine) -> None:
        """Values of all sizes, each an edge too: one in every cell but the first."""
        bits = np.random.default_rng(5).integers(0, 2**64, 300, dtype=np.uint64)
        near = np.random.default_rng(6).lognormal(size=300)
        values = np.unique([*(value for value in bits.view(np.float64) if np.isfinite(value)), *near])
        item = Cells(column="d", edges=tuple(values.tolist()))
        found = engine.measure(plan_of(item), engine.load("bits", pa.table({"d": values}))).result(item)
        assert found == (0, *(1 for _ in values))

    def test_small_tables(self, engine) -> None:
        """One row; no row; a row of nulls."""
        names = ["d", "t", "b", "z"]
        items = [item for item in EVERYTHING.accumulators if set(item.columns()) <= set(names)]
        plan = make_plan(KINDS, items)
        for name, start, size in (("one", 11, 1), ("none", 0, 0), ("nulls", 3, 1)):
            table = hostile().select(names).slice(start, size)
            self.agrees(engine, plan, table, engine.load(f"small_{name}", table))

    def test_many_columns(self, engine) -> None:
        """Sixty-four columns of numbers: more than one statement may hold."""
        draws = np.random.default_rng(11).normal(size=(64, 300))
        table = pa.table({f"x{place}": column for place, column in enumerate(draws)})
        kinds = [ColumnKind(name=name, kind=Reads.NUMBER) for name in table.column_names]
        items: list[Accumulator] = []
        for place, name in enumerate(table.column_names):
            items += [Special(column=name), Extremes(column=name)]
            # What costs most to compile is counted of every fourth; its edges are values, so that ties are met.
            if place % 4 == 0:
                edges = tuple(np.sort(draws[place])[19::40].tolist())
                items += [Moments(column=name, centre=0.0, unit_exponent=-24), Cells(column=name, edges=edges)]
        plan, source = make_plan(kinds, [Rows(), *items]), engine.load("wide", table)
        self.agrees(engine, plan, table, source)
        if engine.splits:
            self.agrees(engine, plan, table, source, limit=150)

    def test_what_is_not_there_or_not_known_is_refused(self, engine, world) -> None:
        """A column that the table lacks, an accumulator that nobody compiled."""
        absent = make_plan([ColumnKind(name="absent", kind=Reads.NUMBER)], [Rows(), Extremes(column="absent")])
        with pytest.raises(ContractError, match="absent"):
            engine.measure(absent, world)
        with pytest.raises(EngineRefused, match="odd"):
            engine.measure(Plan(kinds=KINDS[:1], accumulators=(Rows(), Odd())), world)

    def test_a_list_is_no_number(self, engine, world) -> None:
        """It is refused, or it is not converted: never counted as something else."""
        misread = make_plan([ColumnKind(name="l", kind=Reads.NUMBER)], [Rows(), Extremes(column="l")])
        with pytest.raises((ContractError, EngineRefused)):
            engine.measure(misread, world)

    @pytest.mark.parametrize(
        "names", [("d",), ("t",), ("i", "b"), ("n", "m"), ("z",), ("f", "s"), ("silent",)], ids="+".join
    )
    def test_repeated_keys(self, engine, world, names) -> None:
        """Rows beyond the first of each key; zeros of both signs are one key, Unicode forms are two, NaN is no key."""
        keys = Counter(
            tuple("".join(each) if isinstance(each, str) else each for each in row)
            for row in zip(*(hostile()[name].to_pylist() for name in names), strict=True)
            if not any(each is None or each != each for each in row)  # noqa: PLR0124  # NaN alone differs
        )
        wanted = sum(keys.values()) - len(keys)
        assert engine.repeated(rule(Kind.DUPLICATE, *names), world) == wanted
        assert wanted > 0 or names == ("silent",)

    @pytest.mark.parametrize(
        ("own", "theirs"),
        [
            (("t",), ("t",)),
            (("d",), ("d",)),
            (("i",), ("d",)),
            (("d",), ("m",)),
            (("z",), ("w",)),
            (("u", "s"), ("t", "y")),
        ],
    )
    def test_keys_that_point_to_nothing(self, engine, world, tmp_path, own, theirs) -> None:
        """Compared as the other table stores them; a missing part of a key points nowhere."""
        others = hostile().slice(4, 3)
        path = tmp_path / "others.parquet"
        pq.write_table(others.select(list(dict.fromkeys(theirs))), path)
        asked = rule(Kind.REFERENCE, *own, reference=Reference(path=path, columns=theirs))
        known = read_reference(asked)
        rows = list(zip(*(hostile()[name].to_pylist() for name in own), strict=True))
        wanted = sum(not any(map(is_missing, row)) and not known.has(row) for row in rows)
        assert 0 < wanted < len(rows)
        assert engine.unreferenced(asked, world, engine.load(f"others_{'_'.join(theirs)}", others)) == wanted

    def test_the_demonstrations_contract_gives_the_same_counts(self, engine, tmp_path) -> None:
        """Late and repeated rows, lost values, zeros, another unit, a foreign site: as many as the assessment finds."""
        paths = write_demo(tmp_path, at=AT, seed=7, port=8080)
        feed = paths.feed / "*.parquet"
        self.keeps_contract(engine, load_contract(paths.contract), feed, "demo_feed")

    def test_the_hearts_contract_gives_the_same_counts(self, engine, repo_root, shared_data, tmp_path) -> None:
        """The three other hospitals break it in many ways."""
        example = repo_root / "examples" / "heart-four-hospitals"
        shutil.copytree(example / "contracts", tmp_path / "contracts")
        spec = importlib.util.spec_from_file_location("heart_prepare_for_engines", example / "prepare.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        module.prepare(tmp_path, shared_data)
        contract = load_contract(tmp_path / "contracts" / "heart.odcs.yaml")
        self.keeps_contract(engine, contract, tmp_path / "data" / "feed" / "*.parquet", "heart_feed")

    def keeps_contract(self, engine: Engine, contract: Contract, path: Path, name: str) -> None:
        """Every rule about rows, duplicates and references against the assessment in DuckDB."""
        table = open_table(path)
        assessed = {result.rule.rule_id: result.bad_rows for result in assess(table, contract, at=AT).results}
        rows = [each for each in contract.rules if each.kind in ROW_KINDS and assessed[each.rule_id] is not None]
        source = engine.load(name, table.to_arrow())
        items = {each.rule_id: Broken(rule=each, at_us=AT_US) for each in rows}
        state = engine.measure(make_plan(column_kinds(table), [Rows(), *items.values()]), source)
        found = {rule_id: state.result(item)[0] for rule_id, item in items.items()}
        for each in contract.rules:
            if each.kind is Kind.DUPLICATE:
                found[each.rule_id] = engine.repeated(each, source)
            if each.kind is Kind.REFERENCE:
                others = engine.load(f"{name}_others", open_table(each.reference.path).to_arrow())
                found[each.rule_id] = engine.unreferenced(each, source, others)
        assert found == {rule_id: bad for rule_id, bad in assessed.items() if bad is not None}
        assert sum(bad > 0 for bad in found.values()) >= 3
