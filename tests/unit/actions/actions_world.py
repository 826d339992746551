"""A small world for the actions: a store in memory, people with real keys, one use case with three criteria."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from roadworthy.actions.evidence import Signer, attest, record_evidence
from roadworthy.actions.inspection import Due, Finished, run_check
from roadworthy.actions.policy import adopt_policy
from roadworthy.actions.registration import (
    register_person,
    register_producer,
    register_release,
    register_use_case,
)
from roadworthy.base.digest import digest_of
from roadworthy.base.interval import exact
from roadworthy.domain import criterion as c
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.decision import Decision
from roadworthy.domain.evidence import Claim, Finding
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.domain.record import Receipt
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject, UseCase
from roadworthy.gates.case import decide_case
from roadworthy.kit.check import AttachedFile, Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.testing.memory_store import MemoryDisk, MemoryStore
from roadworthy.ledger.keys import key_from_seed
from roadworthy.store.trust import LedgerTrust

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TIERS = (Tier.R1, Tier.R2, Tier.R3, Tier.R4)
PRODUCER = "runner"
KEYS = {
    name: key_from_seed(bytes([number]) * 32)
    for number, name in enumerate((PRODUCER, "ada", "ben", "chi", "stranger"), start=1)
}
ROLES = {
    "ada": (Role.BUSINESS_OWNER,),
    "ben": (Role.BUSINESS_OWNER, Role.SYSTEM_OWNER),
    "chi": (Role.QUALITY, Role.VALIDATOR),
}
PARTS = {Part.MODEL: digest_of("model"), Part.CONFIG: digest_of("config")}
SUBJECT = Subject(use_case_id="triage", release_digest=digest_of("release"), parts=PARTS)
USE_CASE = UseCase(
    id="triage",
    title="Triage",
    intended_use="sorts",
    decision="who is seen first",
    owners={Role.BUSINESS_OWNER: "ada"},
    builders=("ben",),
    tier=Tier.R3,
)
GATE = c.Gate(
    id="go-live",
    title="Go live",
    quorum=(c.QuorumRule(role=Role.BUSINESS_OWNER), c.QuorumRule(role=Role.VALIDATOR)),
    independent_from=Tier.R3,
    waiver_days=dict.fromkeys(TIERS, 30.0),
    max_waivers=2,
    conditional_wave_share=0.05,
)


def person(name: str) -> Person:
    """Somebody of this world."""
    return Person(id=name, printed_name=name.title(), roles=ROLES[name], public_key=KEYS[name].public.hex)


def signer(name: str, at: datetime = START) -> Signer:
    """Somebody who has just proven who they are."""
    return Signer(person=person(name), key=KEYS[name], components=("key file", "passphrase"), authenticated_at=at)


def criterion(id_: str, **changes: Any) -> c.Criterion:
    """A criterion that the check ``fake.share`` proves."""
    base = c.Criterion(
        id=id_,
        domain=c.ReadinessDomain.TECHNICAL,
        title=f"Title of {id_}",
        kind=c.Kind.EXECUTABLE,
        check="fake.share",
        acceptance=(
            c.Predicate(
                metric="faults", comparator=c.Comparator.AT_MOST, bound=0, unit="1", n_min=1, provenance="agreed"
            ),
        ),
        depends_on=frozenset({Part.MODEL}),
        max_age_days=dict.fromkeys(TIERS, 10.0),
        waivable=frozenset(TIERS),
        min_assurance=c.Assurance.EXECUTED,
        signer_roles=(),
        may_not_apply=False,
        required_from=Tier.R1,
        effort=c.Effort(low_days=1, likely_days=2, high_days=4),
        owner_role=Role.SYSTEM_OWNER,
        gap_depends_on=(),
        sources=(),
    )
    return replace(base, **changes)


def signed_criterion(id_: str, **changes: Any) -> c.Criterion:
    """A criterion that the business owner proves with a word."""
    fixed: dict[str, Any] = {
        "kind": c.Kind.SIGNATURE,
        "check": None,
        "acceptance": (),
        "signer_roles": (Role.BUSINESS_OWNER,),
        "min_assurance": c.Assurance.SELF_ATTESTED,
    }
    return criterion(id_, **{**fixed, **changes})


T1 = criterion("T1")
G1 = signed_criterion("G1", waivable=frozenset(), gap_depends_on=("T1",))
A1 = signed_criterion("A1", may_not_apply=True, depends_on=frozenset())
PROFILE = c.Profile(use_case_id="triage", tier=Tier.R3, gate=GATE, criteria=(T1, G1, A1), packs=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing to set."""


class FakeCheck(Check[float, Params]):
    """Counts the faults that its subject says it has."""

    id: ClassVar[str] = "fake.share"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Fake"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 30.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "three faults"

    def __init__(self, faults: float = 0, *, planted: float = 3, act: Callable[[Run], None] = lambda run: None) -> None:
        self.faults, self.planted, self.act = faults, planted, act

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[float]:
        yield self.faults

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[float]:
        yield 0

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[float]:
        yield self.planted

    def observe(self, subject: float, params: Params, run: Run) -> Observation:
        self.act(run)
        return Observation(
            estimates=(c.Estimate(metric="faults", interval=exact(subject, 5)),),
            facts={"faults": subject},
            attachments=(AttachedFile(name="faults.txt", media_type="text/plain", data=b"counted"),),
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        faults = observation.facts["faults"]
        return (Finding(what=f"{faults:g} faults.", remedy="Fix them."),) if faults else ()


class World:
    """A store with everything registered, and a clock that goes on by a second with every look at it."""

    def __init__(self, folder: Path, profile: c.Profile = PROFILE, *, registered: bool = True) -> None:
        self.folder, self.profile, self.at = folder, profile, START
        self.store = MemoryStore(MemoryDisk(), sign=lambda size, root: f"note {size}", lay_out=lambda *_: {})
        if registered:
            self.register()

    def clock(self) -> datetime:
        """A second later than before."""
        self.at += timedelta(seconds=1)
        return self.at

    def register(self) -> None:
        """Producer, people, use case, release, policy."""
        producer = Producer(id=PRODUCER, public_key=KEYS[PRODUCER].public.hex)
        self.write(register_producer, producer=producer, actor=PRODUCER)
        for name in ROLES:
            self.write(register_person, person=person(name), actor=PRODUCER)
        self.write(register_use_case, use_case=USE_CASE, actor=PRODUCER)
        self.write(register_release, subject=SUBJECT, actor=PRODUCER)
        self.write(adopt_policy, current=None, proposed=self.profile, actor=PRODUCER, revision=None)

    def write(self, verb: Callable[..., Any], **arguments: Any) -> Any:
        """One verb in a unit of its own, now unless ``at`` is given."""
        with self.store.unit_of_work() as uow:
            return verb(uow, **{"at": self.clock(), **arguments})

    def write_undated(self, verb: Callable[..., Receipt], **arguments: Any) -> Receipt:
        """As ``write``, for a verb whose instant stands in what it writes."""
        with self.store.unit_of_work() as uow:
            return verb(uow, **arguments)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return len(self.store.records())

    def case(self) -> CaseFile:
        """Everything on record."""
        return fold(self.store.records())

    def trust(self) -> LedgerTrust:
        """In the keys on record."""
        case = self.case()
        return LedgerTrust(case.people, case.producers)

    def decide(self) -> Decision:
        """The gate now."""
        return decide_case(self.case(), self.store.head(), self.clock(), self.trust())

    def context(self) -> CheckContext:
        """What checks may know here: next to nothing."""
        return CheckContext(
            use_case_id="triage",
            title="Triage",
            intended_use="sorts",
            root=self.folder,
            files={},
            recorded={},
            data={},
            target=None,
            quality=None,
            at=self.clock(),
            seed=1,
            workdir=self.folder,
        )

    def run(self, check: FakeCheck, *, cancelled: Callable[[], bool] = lambda: False) -> Finished:
        """Run a check for all criteria that it proves."""
        proven = tuple(each for each in self.profile.criteria if each.check == check.id)
        due = Due(check=check, criteria=proven, params=Params(), reason="never run")
        return run_check(
            due,
            self.context(),
            SUBJECT,
            environment="test",
            producer=PRODUCER,
            clock=self.clock,
            cancelled=cancelled,
        )

    def record(self, finished: Finished) -> Receipt:
        """Put a run on record."""
        return self.write(record_evidence, evidence=finished.evidence, files=finished.files, key=KEYS[PRODUCER])

    def attest(self, criterion_: c.Criterion, name: str = "ada", **changes: Any) -> Receipt:
        """Somebody's word."""
        arguments: dict[str, Any] = {
            "criterion": criterion_,
            "subject": SUBJECT,
            "signer": signer(name, self.at),
            "role": Role.BUSINESS_OWNER,
            "claim": Claim.MET,
            "reason": "I answer for it.",
            "shown_digest": digest_of("shown"),
            "environment": "test",
            "tool": {},
        }
        return self.write(attest, **{**arguments, **changes})
