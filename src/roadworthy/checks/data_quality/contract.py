"""Production data against its contract, and the contract against eight kinds of damage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from roadworthy.base.errors import ManifestError, ParameterError
from roadworthy.base.interval import exact
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import AttachedFile, Check, Observation, Run, Watch
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.kit.params import higher
from roadworthy.measure.contract import load_contract
from roadworthy.measure.corrupt import Corruption, corrupt
from roadworthy.measure.quality import QualityReport, Verdict, assess, flagged_rows
from roadworthy.measure.rule import Contract, Field
from roadworthy.measure.table import Table, from_arrow, open_table

_PLANTED_SHARE = 0.2
_FLAGGED_SHOWN = 10_000
_SCHEMA = (Corruption.SCHEMA, Corruption.RETYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        planted_kinds: how many kinds of damage are planted; at least eight.
    """

    planted_kinds: int = higher(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The feed to judge, its contract, and clean rows in which damage is planted to judge the contract itself."""

    feed: Table
    clean: pa.Table
    contract: Contract
    cohort: str | None


class ContractCheck(Check[Subject, Params]):
    """Run every rule of the data contract on production data, then plant damage and see whether the contract finds it.

    Broken rules decide. What no rule asks for but looks wrong - a number that stands for "missing", a cohort that seems
    to use another unit - is shown as a suspicion for a person, and decides nothing.

    A baseline that has never found anything is no baseline: so each of eight kinds of damage (lost values, another
    unit, an old delivery, repeats, broken encoding, a changed schema, values out of range, dangling references) is
    planted in a copy of the clean pilot data, and must be found by a rule that the clean data keeps.
    """

    id: ClassVar[str] = "data_quality.contract"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Data against its contract"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA, Part.PILOT_DATA})
    budget_s: ClassVar[float] = 300.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a feed with a column in another unit, lost values and repeated rows"
    watch: ClassVar[Watch | None] = Watch(harm=False)

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The production feed, with the pilot set as the clean rows."""
        production, pilot = context.data["production"], context.data["pilot"]
        yield Subject(
            feed=open_table(production.pattern),
            clean=open_table(pilot.pattern).to_arrow(),
            contract=load_contract(_contract_path(production)),
            cohort=production.cohort,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Clean synthetic rows under a contract that knows them."""
        clean, contract = _specimen(context)
        yield Subject(feed=from_arrow(clean, "clean feed"), clean=clean, contract=contract, cohort="site")

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same rows, damaged in three ways."""
        clean, contract = _specimen(context)
        damaged = corrupt(clean, Corruption.UNIT_SWAP, "size_mm", seed=1, share=0.3).table
        damaged = corrupt(damaged, Corruption.NULL, "age_years", seed=2, share=0.3).table
        damaged = corrupt(damaged, Corruption.DUPLICATE, "id", seed=3, share=0.1).table
        yield Subject(feed=from_arrow(damaged, "damaged feed"), clean=clean, contract=contract, cohort="site")

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Assess the feed, then plant each kind of damage in the clean rows and assess again."""
        report = assess(subject.feed, subject.contract, at=run.at, cohort=_present(subject.cohort, subject.feed))
        broken = [result for result in report.results if result.verdict is not Verdict.MET]
        suspicions = [*(f.what for f in report.sentinels), *(f.what for f in report.unit_swaps)]
        planted = _plant(subject, params, run)
        found = sum(1 for row in planted if row["found"])
        flagged = flagged_rows(subject.feed, subject.contract, at=run.at, limit=_FLAGGED_SHOWN)
        return Observation(
            estimates=(
                Estimate(metric="rules_broken", interval=exact(len(broken), len(report.results)), unit="rule"),
                Estimate(metric="corruptions_found_share", interval=exact(found / len(planted), len(planted))),
                Estimate(metric="suspicions", interval=exact(len(suspicions), report.rows), unit="suspicion"),
            ),
            facts={
                "rows": report.rows,
                "rules": [_row(report, index) for index in range(len(report.results))],
                "suspicions": suspicions,
                "planted": planted,
                "undeclared columns": list(report.undeclared),
            },
            attachments=(AttachedFile(name="flagged-rows.csv", media_type="text/csv", data=_csv(flagged)),),
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per broken rule, per suspicion, and per kind of damage that went unseen."""
        facts = observation.facts
        findings = [
            Finding(what=f"{row['rule']}: {row['what']}", remedy=_remedy(row["dimension"]))
            for row in facts["rules"]
            if row["verdict"] != Verdict.MET.value
        ]
        findings += [
            Finding(what=text, remedy="Ask the site what it sends, and convert or null it before it reaches the model.")
            for text in facts["suspicions"]
        ]
        findings += [
            Finding(
                what=f"Damage of the kind {row['kind']} in {row['column']} goes unseen.",
                remedy="Add a rule to the contract that finds it.",
            )
            for row in facts["planted"]
            if not row["found"]
        ]
        return tuple(findings)


def _contract_path(source: DataSource) -> Path:
    if source.contract is None:
        raise ManifestError(
            "The production data has no contract.",
            remedy=f"Name an ODCS 3.1 file: data.{source.name}.contract.",
            where=f"data.{source.name}",
        )
    return source.contract


def _present(cohort: str | None, table: Table) -> str | None:
    return cohort if cohort in table.column_names else None


def _row(report: QualityReport, index: int) -> dict[str, Any]:
    result = report.results[index]
    return {
        "rule": result.rule.rule_id,
        "dimension": result.rule.dimension.value,
        "verdict": result.verdict.value,
        "bad rows": result.bad_rows,
        "what": result.what,
    }


def _csv(flagged: tuple[Any, ...]) -> bytes:
    lines = ["row,key,rules"]
    lines += [f"{each.row},{'|'.join(each.key)},{'|'.join(each.rules)}" for each in flagged]
    return ("\n".join(lines) + "\n").encode()


_REMEDIES = {
    "completeness": "Find out where the values get lost; admit them only when the model may impute them.",
    "validity": "Correct the values at their source, or the contract if the world has changed.",
    "uniqueness": "Drop the repeats before they count twice, and find out which delivery repeats itself.",
    "freshness": "Find out why the delivery is late; a model that sees old data answers old questions.",
    "timeliness": "Find out why the delivery is late; a model that sees old data answers old questions.",
    "consistency": "Reconcile the columns or tables that contradict each other.",
}


def _remedy(dimension: str) -> str:
    return _REMEDIES.get(dimension, "Correct the data at its source.")


def _plant(subject: Subject, params: Params, run: Run) -> list[dict[str, Any]]:
    """Plant each kind of damage in the clean rows; found means a rule newly breaks, or a new suspicion arises."""
    kinds = (
        Corruption.NULL,
        Corruption.UNIT_SWAP,
        Corruption.STALE,
        Corruption.DUPLICATE,
        Corruption.ENCODING,
        Corruption.SCHEMA,
        Corruption.RANGE,
        Corruption.REFERENTIAL,
        Corruption.RETYPE,
    )[: params.planted_kinds]
    before = _alarms(assess(from_arrow(subject.clean, "clean"), subject.contract, at=run.at))
    rows = []
    for kind in kinds:
        column = _victim(kind, subject)
        if column is None:
            rows.append({"kind": kind.value, "column": "no column", "found": False, "by": "no rule looks for it"})
            continue
        damaged = corrupt(subject.clean, kind, column, seed=run.seed, share=_PLANTED_SHARE).table
        after = _alarms(assess(from_arrow(damaged, kind.value), subject.contract, at=run.at))
        new = sorted(after - before)
        rows.append({"kind": kind.value, "column": column, "found": bool(new), "by": ", ".join(new[:3])})
    return rows


def _alarms(report: QualityReport) -> frozenset[str]:
    rules = {result.rule.rule_id for result in report.results if result.verdict is not Verdict.MET}
    sentinels = {f"sentinel {finding.column}" for finding in report.sentinels}
    return frozenset(rules | sentinels | {f"unit {finding.column}" for finding in report.unit_swaps})


def _victim(kind: Corruption, subject: Subject) -> str | None:
    """The first declared column that can suffer this damage; None when the contract has none."""
    for field in subject.contract.fields:
        if field.name in subject.clean.column_names and _suffers(kind, field, subject.clean):
            try:
                corrupt(subject.clean, kind, field.name, seed=1, share=_PLANTED_SHARE)
            except ParameterError:
                continue
            return field.name
    return None


def _suffers(kind: Corruption, field: Field, table: pa.Table) -> bool:
    stored = table.schema.field(field.name).type
    number = bool(pa.types.is_floating(stored) or pa.types.is_integer(stored))
    if kind in (Corruption.UNIT_SWAP, Corruption.RANGE):
        return number and not field.key and field.numeric and not _binary(table, field.name)
    if kind is Corruption.DUPLICATE:
        return field.key
    if kind is Corruption.STALE:
        return bool(pa.types.is_timestamp(stored))
    if kind is Corruption.ENCODING:
        return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))
    if kind is Corruption.REFERENTIAL:
        return bool(pa.types.is_string(stored)) and not field.key
    return kind in _SCHEMA or not field.key


def _binary(table: pa.Table, name: str) -> bool:
    return len(table.column(name).unique()) <= 2  # a flag has no unit and no range


_SPECIMEN = """\
apiVersion: v3.1.0
kind: DataContract
id: specimen
version: 1.0.0
status: active
schema:
  - name: specimen
    logicalType: object
    properties:
      - {name: id, logicalType: string, required: true, unique: true, primaryKey: true, primaryKeyPosition: 1}
      - name: site
        logicalType: string
        required: true
        quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [north, south]}}]
      - name: size_mm
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 5, maximum: 25}
      - name: age_years
        logicalType: number
        required: true
        logicalTypeOptions: {minimum: 18, maximum: 100}
      - name: measured_at
        logicalType: timestamp
        required: true
        customProperties: [{property: roadworthy, value: {maxAge: 14 d}}]
"""


def _specimen(context: CheckContext) -> tuple[pa.Table, Contract]:
    """200 clean synthetic rows and the contract that they keep."""
    path = context.workdir / "specimen.odcs.yaml"
    path.write_text(_SPECIMEN, encoding="utf-8")
    rng = np.random.default_rng(7)
    count = 200
    instants = np.datetime64(context.at.replace(tzinfo=None), "us") - rng.integers(1, 5, count).astype("timedelta64[h]")
    table = pa.table(
        {
            "id": [f"p{index:04d}" for index in range(count)],
            "site": ["north" if index % 2 else "south" for index in range(count)],
            "size_mm": rng.normal(14.0, 1.5, count).clip(8.0, 20.0),
            "age_years": rng.normal(60.0, 8.0, count).clip(25.0, 95.0),
            "measured_at": pa.array(instants, type=pa.timestamp("us", tz="UTC")),
        }
    )
    return table, load_contract(path)
