"""Messy input against the live endpoint: what production sends and pilots do not."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from roadworthy.base.errors import EmptyData
from roadworthy.base.interval import exact
from roadworthy.checks.scoring import feature_rows, required_target, target_headers
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher, lower
from roadworthy.measure.table import open_table
from roadworthy.probes.messy import Verdict, run_messy
from roadworthy.probes.messy_cases import good_case, messy_cases
from roadworthy.probes.open_inference import OpenInference, Row
from roadworthy.probes.stand_in import COLUMNS, Manner, stand_in

_EXAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        answer_s: after how many seconds without an answer a case counts as hung.
        huge_rows: size of the huge batch, in rows.
    """

    answer_s: float = lower(5.0)
    huge_rows: int = higher(5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An endpoint with the headers that it needs, and good rows to spoil."""

    url: str
    rows: Sequence[Row]
    columns: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class MessyInputCheck(Check[Subject, Params]):
    """Spoil one thing of a good request at a time; each must be rejected, flagged or, where it makes sense, answered.

    Never acceptable: a crash, a hang, an answer that is not JSON, or a confident score for an impossible input.
    """

    id: ClassVar[str] = "endpoint.messy_input"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Messy input against the live endpoint"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 200.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that answers every request with the same confident score"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target, with complete rows of the pilot set."""
        source = context.data["pilot"]
        complete = [
            row
            for row in feature_rows(open_table(source.pattern), source)
            if not any(value is None or (isinstance(value, float) and math.isnan(value)) for value in row.values())
        ]
        if not complete:
            raise EmptyData("No row of the pilot set is complete.", remedy="Give at least one row without gaps.")
        yield Subject(
            url=required_target(context).url,
            rows=complete[:_EXAMPLES],
            columns=source.features,
            headers=target_headers(context),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that validates its input."""
        with stand_in(Manner.SOUND) as it:
            yield Subject(url=it.model_url, rows=_rows(), columns=COLUMNS)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that believes everything."""
        with stand_in(Manner.GULLIBLE) as it:
            yield Subject(url=it.model_url, rows=_rows(), columns=COLUMNS)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Send every case once."""
        model = OpenInference(subject.url, timeout_s=params.answer_s, headers=subject.headers)
        metadata = model.metadata()
        columns = list(subject.columns)
        cases = messy_cases(metadata, subject.rows, seed=run.seed, columns=columns, huge_rows=params.huge_rows)
        report = run_messy(model, good_case(metadata, subject.rows, columns=columns), cases)
        described = {case.id: case.description for case in cases}
        rows = [
            {
                "case": each.case,
                "input": described[each.case],
                "verdict": each.verdict.value,
                "status": each.status,
                "detail": each.detail,
            }
            for each in report.outcomes
        ]
        unhandled = len(rows) - report.count(Verdict.HANDLED) + (0 if report.alive_after else 1)
        return Observation(
            estimates=(Estimate(metric="cases_unhandled", interval=exact(unhandled, len(rows)), unit="case"),),
            facts={"alive afterwards": report.alive_after, "cases": rows},
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per case that was not handled."""
        remedies = {
            Verdict.CRASHED.value: "Validate the request before the model sees it, and answer 400 with a JSON error.",
            Verdict.SILENT.value: "Reject or flag it: the caller takes this answer for a result.",
            Verdict.HUNG.value: "Set a deadline inside the server, and answer before it.",
        }
        findings = [
            Finding(
                what=f"{row['input']} The endpoint: {row['verdict']}, {row['detail']}.", remedy=remedies[row["verdict"]]
            )
            for row in observation.facts["cases"]
            if row["verdict"] in remedies
        ]
        if not observation.facts["alive afterwards"]:
            findings.append(
                Finding(
                    what="Afterwards a good row got no answer.", remedy="Find the case that the server did not survive."
                )
            )
        return tuple(findings)


def _rows() -> list[Row]:
    return [dict.fromkeys(COLUMNS, 0.5)]
