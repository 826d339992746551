"""The passport of a data set as documents for others: Croissant, and a run event with what our own tests found.

Owns the one look that both are made from, so that they cannot disagree; the formats belong to ``croissant`` and
``openlineage``. The event says that our job read this version of the data set, whose columns and figures these are, and
which rules and claims held. A rule that could not be told was not tested, and is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from roadworthy.base.canonical import canonical_bytes
from roadworthy.measure.contract import load_contract
from roadworthy.measure.passport.claims import ClaimResult, run_claims, run_codings
from roadworthy.measure.passport.croissant import to_croissant
from roadworthy.measure.passport.declared import read_declarations
from roadworthy.measure.passport.fingerprint import fingerprint
from roadworthy.measure.passport.openlineage import (
    Assertion,
    DatasetUse,
    EventType,
    Name,
    RunEvent,
    run_id_of,
    to_openlineage,
)
from roadworthy.measure.quality import QualityReport, Verdict, assess
from roadworthy.measure.table import data_files, open_table, table_digest

PRODUCER = "https://roadworthy.dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What others may read about a data set.

    Attributes:
        dataset: what it is called in lineage events.
        version: ``sha256:`` and the digest of its files.
        rows: how many there are.
        tested: how many rules and claims were tested.
        broken: how many of them do not hold.
        croissant: its description, plain JSON.
        event: the run event, plain JSON.
    """

    dataset: Name
    version: str
    rows: int
    tested: int
    broken: int
    croissant: dict[str, Any]
    event: dict[str, Any]


def passport_documents(data: Path, contract: Path, *, fallback: Name, job: Name, at: datetime) -> Documents:
    """Look at a data set once, and describe it.

    Args:
        data: its files; may hold wildcards.
        contract: its ODCS file.
        fallback: what the data set is called where the contract's passport gives it no name.
        job: under which name the look is reported.
        at: the instant of looking, aware.

    Raises:
        MissingFile: data or contract are not there (RW-102).
        UnreadableData: the data cannot be read, or has a column without a fingerprint (RW-103).
        ContractError: the contract is malformed (RW-106).
    """
    table, promised, declared = open_table(data), load_contract(contract), read_declarations(contract)
    digest = f"sha256:{table_digest(data_files(data))}"
    print_ = fingerprint(table)
    claims = (*run_claims(table, declared.claims), *run_codings(table, declared.codings, declared.outcome))
    assertions = (*_of_rules(assess(table, promised, at=at)), *_of_claims(claims))
    dataset = declared.dataset or fallback
    event = RunEvent(
        type=EventType.COMPLETE,
        at=at,
        # The same look at the same data is the same run.
        run_id=run_id_of(canonical_bytes([job.text, dataset.text, digest, at.isoformat()])),
        job=job,
        inputs=(DatasetUse(dataset=dataset, version=digest, assertions=assertions, fingerprint=print_),),
        outputs=(),
        producer=PRODUCER,
    )
    return Documents(
        dataset=dataset,
        version=digest,
        rows=print_.rows,
        tested=len(assertions),
        broken=sum(not each.success for each in assertions),
        croissant=to_croissant(table, promised, declared, print_),
        event=to_openlineage(event),
    )


def _of_rules(report: QualityReport) -> Iterator[Assertion]:
    for result in report.results:
        if result.verdict is not Verdict.UNKNOWN:
            # The facet has room for one column; a rule on several is one on the whole table.
            column = result.rule.columns[0] if len(result.rule.columns) == 1 else ""
            yield Assertion(
                assertion=result.rule.rule_id,
                success=result.verdict is Verdict.MET,
                column=column,
                description=result.what,
            )


def _of_claims(results: tuple[ClaimResult, ...]) -> Iterator[Assertion]:
    for result in results:
        if result.verdict is not Verdict.UNKNOWN:
            yield Assertion(
                assertion="claim",
                success=result.verdict is Verdict.MET,
                actual=result.found,
                description=result.claim,
            )
