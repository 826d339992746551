"""The seven questions about a data set, each answered by a test that runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import exact
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.measure.contract import load_contract
from roadworthy.measure.datasheet import Subject as Questions
from roadworthy.measure.datasheet import answer_datasheet
from roadworthy.measure.quality import assess
from roadworthy.measure.rule import Contract
from roadworthy.measure.table import Table, data_files, file_digest, open_table, table_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing to tighten: all seven questions must be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A data set, its contract, and what it is wanted for."""

    table: Table
    contract: Contract
    use_case_id: str
    intended_use: str
    registered_sha256: str


class DatasheetCheck(Check[Subject, Params]):
    """Ask the seven questions about the pilot data: origin, author, transformations, version, checks, use, limits."""

    id: ClassVar[str] = "data_quality.datasheet"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "The datasheet's seven questions"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA})
    budget_s: ClassVar[float] = 120.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a contract that names no origin, no author, no use and no limits"

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
        yield Subject(
            table=open_table(source.pattern),
            contract=load_contract(source.contract),
            use_case_id=context.use_case_id,
            intended_use=context.intended_use,
            registered_sha256=context.recorded[Part.PILOT_DATA].removeprefix("sha256:"),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Ten rows whose contract answers everything."""
        yield _specimen(context, _ANSWERS)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same rows, whose contract answers nothing."""
        yield _specimen(context, "")

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
            )
        )
        answered = sum(1 for answer in answers if answer.answered)
        return Observation(
            estimates=(Estimate(metric="questions_answered", interval=exact(answered, len(answers)), unit="question"),),
            facts={
                "questions": [
                    {"question": a.question, "answered": a.answered, "what": a.what, "remedy": a.remedy}
                    for a in answers
                ]
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
"""


def _specimen(context: CheckContext, answers: str) -> Subject:
    rows = context.workdir / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(10))}), rows)
    digest = table_digest(data_files(rows))
    path = context.workdir / "rows.odcs.yaml"
    path.write_text(_CONTRACT + answers.replace("FILE", file_digest(rows)).replace("TABLE", digest), encoding="utf-8")
    return Subject(
        table=open_table(rows),
        contract=load_contract(path),
        use_case_id="self-test",
        intended_use="Self-test.",
        registered_sha256=digest if answers else "",
    )
