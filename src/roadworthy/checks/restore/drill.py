"""A restore is carried out, and everything that was acknowledged before the backup is there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from roadworthy.base.codec import to_json
from roadworthy.base.interval import exact, unknown
from roadworthy.checks.rehearsed import Rehearsed, rehearsed, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher
from roadworthy.probes.ledger_copy import copy_ledger
from roadworthy.probes.rehearsal.small import small_gateway
from roadworthy.probes.restore import Backup, drill


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        traffic_s: how long callers ask before the backup begins, in seconds.
        least_records: acknowledged by then.
    """

    traffic_s: float = higher(1.0)
    least_records: int = higher(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A rehearsal, and how its ledger is backed up.

    Attributes:
        rehearsed: the rehearsal.
        backup: copies its ledger's folder.
        folder: for the copy.
    """

    rehearsed: Rehearsed
    backup: Backup
    folder: Path


class RestoreCheck(Check[Subject, Params]):
    """Copy the ledger of a rehearsal under traffic, start a second gateway on the copy, and look for every record.

    What counts as kept is a record at its own index in a log that verifies, with the same content. The way of copying is
    the one that the ledger documents for a backup in use; an operator's own tool is not seen by this.
    """

    id: ClassVar[str] = "restore.drill"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Restore drill from a backup under traffic"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 300.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "the newest backup is older than the records that were acknowledged"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The operator's own gateway, rehearsed."""
        with rehearsed(context) as found:
            yield Subject(rehearsed=found, backup=copy_ledger, folder=context.workdir / "restored")

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A small gateway with a backup under traffic."""
        with specimen(context, small_gateway(context.workdir / "small")) as found:
            yield Subject(rehearsed=found, backup=copy_ledger, folder=context.workdir / "restored")

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but what is restored is yesterday's backup."""
        with specimen(context, small_gateway(context.workdir / "small")) as found:
            yesterday = context.workdir / "yesterday"
            copy_ledger(found.rig.ledger, yesterday)

            def late(_folder: Path, copy: Path) -> None:
                shutil.copytree(yesterday, copy)

            yield Subject(rehearsed=found, backup=late, folder=context.workdir / "restored")

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Carry the drill out once."""
        found = drill(
            subject.rehearsed.rig,
            subject.rehearsed.forwarded,
            backup=subject.backup,
            folder=subject.folder,
            before_s=params.traffic_s,
            least=params.least_records,
        )
        faults = int(bool(found.fault)) + found.changed
        restore = exact(found.restore_s, 1) if found.restore_s >= 0 else unknown()
        return Observation(
            estimates=(
                Estimate(metric="lost_records", interval=exact(found.lost, found.acknowledged), unit="record"),
                Estimate(metric="lost_payloads", interval=exact(found.lost_payloads, found.payloads), unit="payload"),
                Estimate(metric="log_faults", interval=exact(faults, found.acknowledged), unit="fault"),
                Estimate(metric="restore_s", interval=restore, unit="s"),
            ),
            facts={"drill": to_json(found), "changes": list(subject.rehearsed.rig.changes)},
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What did not come back."""
        found = observation.facts["drill"]
        findings = []
        if found["fault"]:
            remedy = "Copy the published log first, keys and state next, segments last; see the ledger's documentation."
            findings.append(Finding(what=f"The copy could not be put to use: {found['fault']}", remedy=remedy))
        elif found["lost"]:
            what = f"{found['lost']} of {found['acknowledged']} acknowledged records are not in the copy."
            findings.append(Finding(what=what, remedy="Back up more often, or copy the segments last."))
        if found["lost_payloads"]:
            what = f"{found['lost_payloads']} of {found['payloads']} payloads are not what they were."
            findings.append(Finding(what=what, remedy="Back up the segments and the key of the payloads together."))
        if found["changed"]:
            what = f"{found['changed']} entries differ between the copy and the ledger."
            findings.append(Finding(what=what, remedy="Find out which of the two was changed; trust neither."))
        return tuple(findings)
