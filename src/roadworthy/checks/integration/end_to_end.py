"""Business transactions carried from the gateway to every system that must know of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.base.ids import new_id
from roadworthy.base.interval import exact
from roadworthy.checks.declared import required_file, required_url
from roadworthy.checks.rehearsed import required_gateway
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.declared.transactions import Transaction, Transactions, read_transactions
from roadworthy.kit.params import higher
from roadworthy.probes.answering import answering
from roadworthy.probes.http_server import Asked
from roadworthy.probes.transaction import Carried, carry

_RECORD = "record of the gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        repeats: how often each transaction is carried through.
        settle_s: how long a second arrival is waited for.
    """

    repeats: int = higher(2)
    settle_s: float = higher(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Transactions, and the gateway that takes them.

    Attributes:
        url: of the gateway.
        transactions: as declared.
        folder: where their relative paths start.
    """

    url: str
    transactions: tuple[Transaction, ...]
    folder: Path


class EndToEndCheck(Check[Subject, Params]):
    """Send every declared transaction with a tag of its own, and look for the tag in every place that was declared.

    It goes through the gateway that serves, since a copy is connected to no production system; the declared body must
    be one that these systems know to be a test. An answer without the gateway's record did not come through it.
    """

    id: ClassVar[str] = "integration.end_to_end"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Tagged transactions through all systems"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 3_600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "one system never hears of a transaction, and another hears of it twice"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared transactions and the gateway that serves."""
        gateway = required_gateway(context)
        file = required_file(gateway.transactions, "transactions")
        url = required_url(gateway.url, "url")
        yield Subject(url=url, transactions=tuple(read_transactions(file).items), folder=file.parent)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A gateway before two systems that both hear of everything once."""
        with _specimen(context.workdir, sound=True) as subject:
            yield subject

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but one system hears of nothing, and the other of everything twice."""
        with _specimen(context.workdir, sound=False) as subject:
            yield subject

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Carry each through, one after the other, and count what is missing and what is there too often."""
        rows: list[dict[str, Any]] = []
        salt = new_id("tag")  # a run that is repeated must not find the tags of the one before it
        for number in range(params.repeats):
            for transaction in subject.transactions:
                if run.cancelled():
                    break
                tag = "rw" + digest_of([salt, run.seed, transaction.name, number])[-24:]
                done = carry(transaction, url=subject.url, tag=tag, folder=subject.folder, settle_s=params.settle_s)
                rows += [{"number": number, **row} for row in _places(done)]
        carried = {(row["transaction"], row["number"]) for row in rows}
        broken = {(row["transaction"], row["number"]) for row in rows if row["found"] != row["expected"]}
        lost = sum(1 for row in rows if row["found"] < row["expected"])
        duplicated = sum(1 for row in rows if row["found"] > row["expected"])
        share = (len(carried) - len(broken)) / len(carried) if carried else 0.0
        return Observation(
            estimates=(
                Estimate(metric="completed_share", interval=exact(share, len(carried)), unit="1"),
                Estimate(metric="lost", interval=exact(lost, len(rows)), unit="place"),
                Estimate(metric="duplicated", interval=exact(duplicated, len(rows)), unit="place"),
            ),
            facts={"places": rows},
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding for each transaction and place that is not as declared, however often it was seen."""
        findings: dict[tuple[str, str], Finding] = {}
        for row in observation.facts["places"]:
            if row["found"] == row["expected"]:
                continue
            told = f" The answer was {row['status']}. {row['fault']}".rstrip()
            what = f"{row['transaction']}: found {row['found']} times, not {row['expected']}, in {row['place']}.{told}"
            missing = row["found"] < row["expected"]
            findings.setdefault(
                (row["transaction"], row["place"]), Finding(what=what, remedy=_remedy(row, missing=missing))
            )
        return tuple(findings.values())


def _remedy(row: Mapping[str, Any], *, missing: bool) -> str:
    if row["place"] == _RECORD:
        return "Let callers reach the AI system through the gateway only, and look why it refused."
    if missing:
        return "Follow the transaction from its record in the ledger to the system that should know of it."
    return "Make the receiving system take one record id once; look for retries on the way."


def _places(done: Carried) -> list[dict[str, Any]]:
    told = {"transaction": done.name, "tag": done.tag, "status": done.status, "fault": done.fault}
    recorded = {"place": _RECORD, "found": 1 if done.record_id else 0, "expected": 1, "after_s": 0.0}
    return [{**told, **row} for row in (recorded, *(to_json(each) for each in done.arrivals))]


@contextmanager
def _specimen(folder: Path, *, sound: bool) -> Iterator[Subject]:
    """A gateway that gives the tag back, an archive that may forget, and a folder in which files may lie twice."""
    archive: list[str] = []

    def respond(asked: Asked) -> tuple[int, bytes]:
        if asked.method == "GET":
            return 200, json.dumps(archive).encode()
        tag = str(json.loads(asked.body)["tag"])
        if sound:
            archive.append(tag)
        for copy in range(1 if sound else 2):
            (folder / f"{tag}-{copy}.txt").write_text(tag, encoding="utf-8")
        return 200, json.dumps({"id": tag}).encode()

    with answering(respond, headers=b"x-roadworthy-record: specimen\r\n") as url:
        item = {
            "name": "specimen",
            "path": "/score",
            "body": {"tag": "{{tag}}"},
            "arrives": [
                {"answer": "/id"},
                {"get": f"{url}/archive", "within_s": 0.2},
                {"file": "{{tag}}-*.txt", "within_s": 0.2},
            ],
        }
        file = Transactions.model_validate({"transactions": 1, "items": [item]})
        yield Subject(url=url, transactions=tuple(file.items), folder=folder)
