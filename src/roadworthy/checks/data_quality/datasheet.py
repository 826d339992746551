"""The seven questions about a data set, each answered by a test that runs.

The contract says what to test. Where it carries a passport (``roadworthyPassport``), its claims, codes and directions are
counted again and a licence is asked for; where the manifest names lineage events, the run that wrote these very bytes must
be among them, and everything that reads the data must read one version of it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from roadworthy.base.clock import SECONDS_PER_DAY
from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import exact
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import lower
from roadworthy.measure.contract import load_contract
from roadworthy.measure.datasheet import Subject as Questions
from roadworthy.measure.datasheet import answer_datasheet
from roadworthy.measure.passport.declared import Declarations, read_declarations
from roadworthy.measure.passport.lineage import Lineage
from roadworthy.measure.passport.openlineage import (
    DatasetUse,
    EventType,
    Name,
    RunEvent,
    read_events,
    run_id_of,
    to_openlineage,
)
from roadworthy.measure.quality import assess
from roadworthy.measure.rule import Contract
from roadworthy.measure.table import Table, data_files, file_digest, open_table, table_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened: all seven questions must be answered, whatever stands here.

    Attributes:
        lineage_max_age_days: how old the newest run that wrote the data may be, where lineage is given.
    """

    lineage_max_age_days: float = lower(3_650.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A data set, its contract and its lineage, and what it is wanted for; ``events`` are the files of the lineage."""

    table: Table
    contract: Contract
    declared: Declarations | None
    lineage: Lineage | None
    events: tuple[Path, ...]
    use_case_id: str
    intended_use: str
    registered_sha256: str


class DatasheetCheck(Check[Subject, Params]):
    """Ask the seven questions about the pilot data: origin, author, transformations, version, checks, use, limits."""

    id: ClassVar[str] = "data_quality.datasheet"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "The datasheet's seven questions"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA})
    budget_s: ClassVar[float] = 120.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = (
        "a contract that names no origin, no author, no use and no limits, claims a row too many, and rows that no run wrote"
    )

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The pilot data with its contract."""
        source = context.data["pilot"]
        if source.contract is None:
            raise ManifestError(
                "The pilot data has no contract.",
                remedy="Name an ODCS 3.1 file: data.pilot.contract.",
                where="data.pilot",
            )
        declared = read_declarations(source.contract)
        if source.lineage and declared.dataset is None:
            raise ManifestError(
                "Nothing says what the lineage events call the pilot data.",
                remedy="Declare dataset with namespace and name in the contract's roadworthyPassport.",
                where="data.pilot.lineage",
            )
        events = [event for path in source.lineage for event in read_events(path)]
        yield Subject(
            table=open_table(source.pattern),
            contract=load_contract(source.contract),
            # A contract without a passport is asked what it was asked before there were any.
            declared=declared if declared != Declarations() else None,
            lineage=Lineage.of(events) if source.lineage else None,
            events=source.lineage,
            use_case_id=context.use_case_id,
            intended_use=context.intended_use,
            registered_sha256=context.recorded[Part.PILOT_DATA].removeprefix("sha256:"),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Ten rows whose contract answers everything, its claims hold, and a run on record wrote them."""
        yield _specimen(context, good=True)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same rows, whose contract answers nothing and claims eleven; the run on record wrote others."""
        yield _specimen(context, good=False)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Run the seven tests, now."""
        report = assess(subject.table, subject.contract, at=run.at)
        answers = answer_datasheet(
            Questions(
                table=subject.table,
                contract=subject.contract,
                report=report,
                at=run.at,
                use_case_id=subject.use_case_id,
                intended_use=subject.intended_use,
                release_data_sha256=subject.registered_sha256,
                declared=subject.declared,
                lineage=subject.lineage,
                lineage_max_age_s=params.lineage_max_age_days * SECONDS_PER_DAY,
            )
        )
        lineage = [{"file": path.name, "sha256": file_digest(path)} for path in subject.events]
        answered = sum(1 for answer in answers if answer.answered)
        return Observation(
            estimates=(Estimate(metric="questions_answered", interval=exact(answered, len(answers)), unit="question"),),
            facts={
                "questions": [
                    {"question": a.question, "answered": a.answered, "what": a.what, "remedy": a.remedy}
                    for a in answers
                ],
                # An event file is no part of the release: this says which one was read.
                **({"lineage": lineage} if lineage else {}),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per question without an answer."""
        return tuple(
            Finding(what=f"{row['question']} {row['what']}", remedy=row["remedy"])
            for row in observation.facts["questions"]
            if not row["answered"]
        )


_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: specimen
version: 1.0.0
status: active
schema:
  - name: specimen
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true, unique: true, primaryKey: true, primaryKeyPosition: 1}
"""
_ANSWERS = """\
contractCreatedTs: "2026-01-01T00:00:00Z"
description: {purpose: Ten rows for a self-test., usage: Self-test., limitations: Ten rows only.}
team: [{username: ada, name: Ada, role: data owner}]
customProperties:
  - property: roadworthy
    value:
      sources: [{origin: written by the self-test, path: rows.parquet, sha256: "FILE"}]
      transformations: none
      outputSha256: "TABLE"
      suitableFor: [self-test]
      limitations: [{text: Ten rows only., slice: "id=1"}]
  - property: roadworthyPassport
    value:
      licence: CC0-1.0
      dataset: {namespace: self-test, name: rows}
      claims: [{rows: 10}, {noNulls: id}]
"""
_NO_ANSWERS = """\
customProperties:
  - property: roadworthyPassport
    value: {dataset: {namespace: self-test, name: rows}, claims: [{rows: 11}]}
"""
_NAMESPACE = "self-test"


def _specimen(context: CheckContext, *, good: bool) -> Subject:
    rows = context.workdir / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(10))}), rows)
    digest = table_digest(data_files(rows))
    path = context.workdir / "rows.odcs.yaml"
    said = _ANSWERS.replace("FILE", file_digest(rows)).replace("TABLE", digest) if good else _NO_ANSWERS
    path.write_text(_CONTRACT + said, encoding="utf-8")
    events = context.workdir / "events.jsonl"
    written = _written(digest if good else "0" * 64, context.at)
    events.write_text(json.dumps(to_openlineage(written)) + "\n", encoding="utf-8")
    return Subject(
        table=open_table(rows),
        contract=load_contract(path),
        declared=read_declarations(path),
        lineage=Lineage.of(read_events(events)),
        events=(events,),
        use_case_id="self-test",
        intended_use="Self-test.",
        registered_sha256=digest if good else "",
    )


def _written(digest: str, at: datetime) -> RunEvent:
    """The run that wrote the specimen's rows."""
    return RunEvent(
        type=EventType.COMPLETE,
        at=at,
        run_id=run_id_of(digest.encode()),
        job=Name(namespace=_NAMESPACE, name="write"),
        inputs=(DatasetUse(dataset=Name(namespace=_NAMESPACE, name="numbers")),),
        outputs=(DatasetUse(dataset=Name(namespace=_NAMESPACE, name="rows"), version=f"sha256:{digest}"),),
        producer="https://roadworthy.dev",
    )
