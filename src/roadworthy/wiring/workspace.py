"""The local workspace: one folder beside roadworthy.yaml, embedded, no server. Owns putting the rooms together.

``.roadworthy/`` holds the store and the keys. Everything else is computed from the manifest and the ledger.

Rules kept here: the whole manifest is read and checked before the first write, and what has not changed is not written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from roadworthy.actions.gates import record_decision, standing
from roadworthy.actions.inspection import due_reasons
from roadworthy.actions.policy import Revision, adopt_policy
from roadworthy.actions.registration import PRODUCER_ID, register_producer, register_release, register_use_case
from roadworthy.base.clock import Clock, format_instant, now
from roadworthy.base.errors import ClockWentBack, NoWorkspace, ProhibitedUse, TierAnswersError
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.criterion import Profile
from roadworthy.domain.decision import Decision
from roadworthy.domain.people import Producer
from roadworthy.domain.record import Receipt, Record
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Subject, UseCase
from roadworthy.gates.case import decide_case
from roadworthy.kit.context import CheckContext
from roadworthy.packs.load import Pack
from roadworthy.packs.profile import profile
from roadworthy.packs.tier import classify, load_answers
from roadworthy.ports.unit_of_work import UnitOfWork
from roadworthy.store.engine import SqlStore, StoreKeys, open_store
from roadworthy.store.trust import LedgerTrust
from roadworthy.wiring import case as reading
from roadworthy.wiring.keyring import MachineKeys, machine_keys
from roadworthy.wiring.load_manifest import load_manifest
from roadworthy.wiring.manifest import Manifest
from roadworthy.wiring.packs import find_overlays, find_packs

MANIFEST_NAME = "roadworthy.yaml"
FOLDER_NAME = ".roadworthy"


def trust_of(case: CaseFile) -> LedgerTrust:
    """Trust in exactly the keys that the case file has on record."""
    return LedgerTrust(case.people, case.producers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the manifest says now, read and checked, not yet written."""

    use_case: UseCase
    subject: Subject
    profile: Profile


class Workspace:
    """A manifest with its store.

    Args:
        manifest_path: roadworthy.yaml.
        clock: what time it is.
    """

    def __init__(self, manifest_path: Path, *, clock: Clock = now) -> None:
        if not manifest_path.is_file():
            raise NoWorkspace(
                f"There is no {manifest_path.name} here.",
                remedy="Write one with roadworthy init, or name it with --manifest FILE.",
                where=str(manifest_path.parent),
            )
        self.path = manifest_path.resolve()
        self.root = self.path.parent
        self.folder = self.root / FOLDER_NAME
        self.manifest: Manifest = load_manifest(self.path)
        self.clock = clock
        self._store: SqlStore | None = None
        self._keys: MachineKeys | None = None

    @property
    def keys(self) -> MachineKeys:
        """Keys of this installation, made at first use."""
        if self._keys is None:
            self._keys = machine_keys(self.folder)
        return self._keys

    @property
    def store(self) -> SqlStore:
        """The store, made at first use."""
        if self._store is None:
            keys = StoreKeys(
                log=self.keys.log, payload=self.keys.payload, origin=f"roadworthy/{self.manifest.use_case.id}"
            )
            self._store = open_store(self.folder / "store.db", keys=keys)
        return self._store

    @property
    def begun(self) -> bool:
        """Whether anything has ever been written here."""
        return (self.folder / "store.db").exists()

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def case(self) -> CaseFile:
        """Everything on record.

        Raises:
            NoWorkspace: nothing was ever inspected here (RW-115).
        """
        self.require_begun()
        return fold(self.store.records())

    def require_begun(self) -> None:
        """Refuse to go on before anything was written, rather than to make an empty store by the way.

        Raises:
            NoWorkspace: nothing was ever inspected here (RW-115).
        """
        if not self.begun:
            raise NoWorkspace("Nothing is on record here yet.", remedy="Run roadworthy inspect first.")

    def proposal(self) -> Proposal:
        """Read what the manifest says now; writes nothing.

        Raises:
            TierAnswersError: questions are open on which a prohibition hangs (RW-116).
            ProhibitedUse: the tier answers describe a prohibited use (RW-308).
            InputError: something in the manifest, or a file that it names, cannot be used (RW-1xx).
        """
        answers = load_answers(reading.existing(self.root, self.manifest.use_case.tier, "use_case.tier"))
        classified = classify(answers)
        if classified.tier is Tier.R0 and classified.unanswered:
            raise TierAnswersError(
                f"{len(classified.unanswered)} questions are not answered; at their worst they make this use R0.",
                remedy=f"Answer {', '.join(classified.unanswered)} in {self.manifest.use_case.tier}.",
                where="use_case.tier",
            )
        if classified.tier is Tier.R0:
            raise ProhibitedUse(
                f"The tier answers make this use R0: {classified.reasons[0].why}",
                remedy="Do not deploy it; if an answer is wrong, correct it with a link to the evidence.",
            )
        level = reading.service_level(self.manifest, self.root)
        packs = self.packs()
        composed = profile(
            packs,
            find_overlays(self.manifest.overlays, self.root),
            use_case_id=self.manifest.use_case.id,
            tier=classified.tier,
            params=reading.policy_parameters(self.manifest, level),
        )
        subject = reading.subject_of(self.manifest, self.root, composed.packs, level)
        return Proposal(use_case=reading.use_case_of(self.manifest, classified.tier), subject=subject, profile=composed)

    def packs(self) -> Sequence[Pack]:
        """The packs that the manifest names."""
        return find_packs(self.manifest.packs, self.root)

    def synchronise(self, proposal: Proposal, *, revision: Revision | None = None) -> CaseFile:
        """Put on record what the manifest changed: producer, use case, release, policy; one entry each.

        The clock is read inside each unit of work: another command may write while this one waits for its turn.

        Raises:
            LooseningRefused: the policy got looser and nobody signed it (RW-304); nothing is written then.
            ClockWentBack: the clock shows an instant before the newest entry (RW-504); nothing is written then.
        """
        records = self.store.records() if self.begun else ()
        self._require_forward(records)
        case = fold(records)
        writes: list[Callable[[UnitOfWork], Receipt]] = []
        actor = PRODUCER_ID
        if case.profile is None or case.profile.digest != proposal.profile.digest:
            # The policy goes first: when it is refused, nothing else of this manifest is on record either. It is
            # compared with what is in force inside the unit, where nobody else can adopt another one meanwhile.
            writes.append(
                lambda uow: adopt_policy(
                    uow,
                    current=fold(uow.records()).profile,
                    proposed=proposal.profile,
                    actor=actor,
                    at=self.clock(),
                    revision=revision,
                )
            )
        if PRODUCER_ID not in case.producers:
            producer = Producer(id=PRODUCER_ID, public_key=self.keys.producer.public.raw.hex())
            writes.append(lambda uow: register_producer(uow, producer=producer, actor=actor, at=self.clock()))
        if _says_more(proposal.use_case, case.use_case):
            writes.append(lambda uow: register_use_case(uow, use_case=proposal.use_case, actor=actor, at=self.clock()))
        if case.subject is None or not case.subject.same(proposal.subject):
            writes.append(lambda uow: register_release(uow, subject=proposal.subject, actor=actor, at=self.clock()))
        for write in writes:
            with self.store.unit_of_work() as uow:
                write(uow)
        return self.case() if writes else case

    def _require_forward(self, records: Sequence[Record]) -> None:
        """Say now what the ledger would say after the checks have run for minutes in vain."""
        at = self.clock()
        if records and at < records[-1].at:
            raise ClockWentBack(
                f"The clock shows {format_instant(at)}, before the newest entry ({format_instant(records[-1].at)}).",
                remedy="Set the clock of this machine, or wait.",
                where=f"entry {records[-1].index}",
            )

    def due(
        self, case: CaseFile, at: datetime, parameters: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, str]:
        """Why a criterion's check has to run, by criterion id; ``parameters`` by check id, as the manifest has them."""
        return due_reasons(case, trust_of(case), at, parameters or {})

    def context(self, at: datetime, seed: int, workdir: Path, subject: Subject) -> CheckContext:
        """What checks may know."""
        block = self.manifest.use_case
        level = reading.service_level(self.manifest, self.root)
        return CheckContext(
            use_case_id=block.id,
            title=block.title,
            intended_use=block.intended_use,
            root=self.root,
            files=reading.pinned_files(self.manifest, self.root),
            recorded=dict(subject.parts),
            data=reading.data_sources(self.manifest, self.root),
            target=reading.target_of(self.manifest, level),
            gateway=reading.gateway_of(self.manifest, self.root),
            quality=reading.quality_of(self.manifest),
            at=at,
            seed=seed,
            workdir=workdir,
            steps=tuple(self.manifest.use_case.steps),
            decided_at=self.manifest.use_case.decided_at or "",
        )

    def decide(self, at: datetime) -> Decision:
        """The decision at an instant, from what is on record; writes nothing."""
        case = self.case()
        return decide_case(case, self.store.head(), at, trust_of(case))

    def settle(self, at: datetime) -> Decision:
        """The decision that stands: the recorded one while it still says the same, else a new one, put on record.

        Args:
            at: the instant to ask for; a new decision bears the instant at which its turn to be written came.
        """
        case = self.case()
        decision = decide_case(case, self.store.head(), at, trust_of(case))
        recorded = standing(case, decision)
        if recorded is not None:
            return recorded.decision
        with self.store.unit_of_work() as uow:
            inside, turn_at = fold(uow.records()), self.clock()
            decision = decide_case(inside, uow.head(), turn_at, trust_of(inside))
            record_decision(uow, decision=decision, actor=PRODUCER_ID, at=turn_at)
        return decision


def _says_more(proposed: UseCase, recorded: UseCase | None) -> bool:
    """Whether the manifest says anything of the use case that is not on record; builders only ever become more there."""
    if recorded is None:
        return True
    builders = tuple(sorted({*recorded.builders, *proposed.builders}))
    return recorded != replace(proposed, builders=builders)
