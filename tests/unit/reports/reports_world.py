"""A ledger in memory: people, criteria, envelopes with real signatures, and the real gate that decides on them."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import from_json, to_json
from roadworthy.base.interval import Interval, exact
from roadworthy.domain.case_file import fold
from roadworthy.domain.criterion import (
    Assurance,
    Comparator,
    Criterion,
    Effort,
    Estimate,
    Gate,
    Kind,
    PackRef,
    Predicate,
    Profile,
    QuorumRule,
    ReadinessDomain,
    Source,
    Verdict,
    judge_all,
)
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.evidence import (
    PREDICATE_TYPE,
    STATEMENT_MEDIA_TYPE,
    Attestation,
    Control,
    CriterionRef,
    Evidence,
    Meaning,
    RunOutcome,
)
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.risk import Tier
from roadworthy.domain.signature import APPROVAL_MEDIA_TYPE, SIGNATURE_MEDIA_TYPE, WAIVER_MEDIA_TYPE, Signature
from roadworthy.domain.use_case import Part, Subject, UseCase
from roadworthy.domain.waiver import Waiver, WaiverApproval
from roadworthy.gates.case import decide_case
from roadworthy.gates.gaps import open_gaps
from roadworthy.gates.plan import plan
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.statement import statement
from roadworthy.reports.scorecard import build_scorecard
from roadworthy.store.trust import LedgerTrust

AT = datetime(2026, 11, 21, 10, 42, tzinfo=UTC)
RELEASE = "sha256:7f3ac91e" + "5" * 56
OLD_RELEASE = "sha256:11d0aa42" + "6" * 56
PARTS = {
    Part.MODEL: "sha256:" + "a1" * 32,
    Part.CONFIG: "sha256:" + "b2" * 32,
    Part.DATA_CONTRACT: "sha256:" + "c3" * 32,
    Part.PRODUCTION_DATA: "sha256:" + "d4" * 32,
}
OLD_PARTS = PARTS | {Part.CONFIG: "sha256:" + "0e" * 32}
AGES = {Tier.R1: 365.0, Tier.R2: 180.0, Tier.R3: 90.0, Tier.R4: 45.0}
EVERYBODY = frozenset(Tier) - {Tier.R0}
S1 = "Pilot to production, readiness framework"
GATE = Gate(
    id="go-live",
    title="Go live",
    quorum=(QuorumRule(role=Role.BUSINESS_OWNER), QuorumRule(role=Role.SYSTEM_OWNER), QuorumRule(role=Role.VALIDATOR)),
    independent_from=Tier.R3,
    waiver_days={Tier.R1: 90.0, Tier.R2: 60.0, Tier.R3: 30.0, Tier.R4: 14.0},
    max_waivers=3,
    conditional_wave_share=0.05,
)
USE_CASE = UseCase(
    id="breast-mass-triage",
    title="Breast-mass triage",
    intended_use="Orders biopsies for review by a radiologist, who decides.",
    decision="order of review",
    owners={
        Role.BUSINESS_OWNER: "radiology lead",
        Role.SYSTEM_OWNER: "platform team",
        Role.DATA_OWNER: "registry office",
        Role.VALIDATOR: "biostatistics",
        Role.CHANGE_LEAD: "adoption team",
    },
    builders=("bob",),
    tier=Tier.R3,
)
NAMES = {
    "ada": ("Ada Okonjo", (Role.BUSINESS_OWNER, Role.SPONSOR)),
    "sam": ("Sam Lindqvist", (Role.SYSTEM_OWNER,)),
    "val": ("Valentina Ruiz-Keller", (Role.VALIDATOR, Role.QUALITY)),
    "dan": ("Dan O'Neill <data>", (Role.DATA_OWNER, Role.LEGAL)),
}
CONTROL = Control(fixture="a third of one column is in another unit", failed=True, detail="rules broken 3")
TOOL = {"roadworthy": "0.1.0", "python": "3.11.2", "machine": "x86_64", "environment": "sha256:" + "e5" * 32}


def key_of(name):
    """A fixed key for each name."""
    return key_from_seed(name.encode().ljust(32, b"."))


def predicate(metric, comparator, bound, unit, n_min=1):
    return Predicate(
        metric=metric,
        comparator=Comparator(comparator),
        bound=bound,
        unit=unit,
        n_min=n_min,
        provenance="declared in roadworthy.yaml",
    )


def criterion(
    name, domain, title, *, check=None, accept=(), signers=(), owner=Role.SYSTEM_OWNER, effort=(1, 2, 5), **more
):
    kind = Kind.EXECUTABLE if check else Kind.SIGNATURE if signers else Kind.MEASURED
    fields = {
        "kind": kind,
        "depends_on": frozenset({Part.MODEL, Part.PRODUCTION_DATA}) if check else frozenset(),
        "waivable": EVERYBODY,
        "min_assurance": Assurance.EXECUTED if check else Assurance.SELF_ATTESTED,
        "may_not_apply": False,
        "gap_depends_on": (),
    } | more
    return Criterion(
        id=name,
        domain=domain,
        title=title,
        check=check,
        acceptance=tuple(accept),
        max_age_days=AGES,
        signer_roles=tuple(signers),
        required_from=Tier.R1,
        effort=Effort(low_days=effort[0], likely_days=effort[1], high_days=effort[2]),
        owner_role=owner,
        sources=(Source(document=S1, clause=domain.value),),
        **fields,
    )


GOVERNANCE = (
    criterion("G1", ReadinessDomain.GOVERNANCE, "Data access scope reviewed and approved by data owner", owner=Role.DATA_OWNER, effort=(1, 3, 8)),
    criterion("G2", ReadinessDomain.GOVERNANCE, "Model accountability assigned to a named business owner", signers=[Role.BUSINESS_OWNER], owner=Role.BUSINESS_OWNER),
    criterion("G3", ReadinessDomain.GOVERNANCE, "Output audit logging active and tested", gap_depends_on=("T1",), effort=(2, 4, 9)),
    criterion("G5", ReadinessDomain.GOVERNANCE, "Regulatory obligations mapped and compliance confirmed", signers=[Role.LEGAL], owner=Role.LEGAL, effort=(2, 4, 10)),
)  # fmt: skip
TECHNICAL = (
    criterion("T1", ReadinessDomain.TECHNICAL, "Production environment deployed — not sandbox or development", effort=(3, 6, 15)),
    criterion(
        "T3", ReadinessDomain.TECHNICAL, "Load testing completed at 150% of expected peak volume", check="load.peak",
        accept=[predicate("p99_ms", "<=", 50.0, "ms", 500), predicate("error_share", "<=", 0.01, "1", 500), predicate("offered_share_of_peak", ">=", 1.5, "1")],
        depends_on=frozenset({Part.MODEL, Part.CONFIG}), gap_depends_on=("T1",),
    ),
    criterion("T5", ReadinessDomain.TECHNICAL, "Monitoring and alerting active with defined response SLAs", gap_depends_on=("T1",), effort=(2, 3, 6)),
    criterion("T16", ReadinessDomain.TECHNICAL, "Endpoint answers its health and contract probes", check="endpoint.health", accept=[predicate("probes_failed", "<=", 0.0, "probe", 3)]),
)  # fmt: skip
DATA = (
    criterion(
        "D1", ReadinessDomain.DATA, "Model performance validated against production-representative data", check="performance.production",
        accept=[predicate("worst_cohort_quality", ">=", 0.8, "1", 30)], owner=Role.VALIDATOR, gap_depends_on=("D4",), effort=(5, 7, 14), waivable=frozenset(),
    ),
    criterion(
        "D2", ReadinessDomain.DATA, "Output quality threshold defined and currently being met", check="performance.threshold",
        accept=[predicate("quality", ">=", 0.88, "1", 100)], owner=Role.VALIDATOR, gap_depends_on=("D1",),
    ),
    criterion("D3", ReadinessDomain.DATA, "Grounding sources approved, scoped, and access-controlled", signers=[Role.DATA_OWNER], owner=Role.DATA_OWNER, may_not_apply=True),
    criterion(
        "D4", ReadinessDomain.DATA, "Data quality baseline documented and monitoring active", check="data_quality.contract",
        accept=[predicate("rules_broken", "<=", 0.0, "rule"), predicate("corruptions_found_share", ">=", 0.95, "1", 8)], owner=Role.DATA_OWNER, effort=(2, 3, 8),
        depends_on=frozenset({Part.DATA_CONTRACT, Part.PRODUCTION_DATA}),
    ),
    criterion(
        "D13", ReadinessDomain.DATA, "Messy input is refused or handled, never a crash", check="endpoint.messy_input",
        accept=[predicate("cases_unhandled", "<=", 0.0, "case", 10)],
    ),
    criterion(
        "D14", ReadinessDomain.DATA, "The datasheet's seven questions are answered by a check that runs", check="data_quality.datasheet",
        accept=[predicate("questions_answered", ">=", 7.0, "question", 7)], owner=Role.DATA_OWNER,
    ),
)  # fmt: skip
ADOPTION = (
    criterion("A1", ReadinessDomain.ADOPTION, "Change program active — awareness and desire stages complete", owner=Role.CHANGE_LEAD, effort=(5, 10, 20)),
    criterion("A2", ReadinessDomain.ADOPTION, "Role-based training delivered to all target user cohorts", owner=Role.CHANGE_LEAD, gap_depends_on=("A1",), effort=(4, 8, 16)),
    criterion("A4", ReadinessDomain.ADOPTION, "Managers equipped with reinforcement tools and talking points", signers=[Role.CHANGE_LEAD], owner=Role.CHANGE_LEAD, gap_depends_on=("A2",)),
)  # fmt: skip


def profile(*criteria):
    packs = tuple(PackRef(id=name, version=1, digest="sha256:" + "f6" * 32) for name in ("enterprise", "hardening"))
    return Profile(use_case_id=USE_CASE.id, tier=Tier.R3, gate=GATE, criteria=criteria, packs=packs)


class World:
    """A ledger in memory, with the people who write to it."""

    def __init__(self, *criteria):
        self.records = []
        self.profile = profile(*criteria)
        self.at = AT - timedelta(days=9)
        for name, (printed, roles) in NAMES.items():
            person = Person(id=name, printed_name=printed, roles=roles, public_key=key_of(name).public.hex)
            self.add(RecordKind.PERSON_REGISTERED, {"person": to_json(person)})
        producer = Producer(id="roadworthy-cli", public_key=key_of("cli").public.hex)
        self.add(RecordKind.PRODUCER_REGISTERED, {"producer": to_json(producer)})
        self.add(RecordKind.USE_CASE_REGISTERED, {"use_case": to_json(USE_CASE)})
        self.release(OLD_RELEASE, OLD_PARTS)
        self.add(RecordKind.POLICY_ADOPTED, {"profile": to_json(self.profile), "loosenings": [], "envelope": None})

    def add(self, kind, payload):
        index = len(self.records)
        self.records.append(
            Record(
                index=index, kind=kind, at=self.at, actor="ada", use_case_id=USE_CASE.id, subject="", payload=payload
            )
        )

    def release(self, digest, parts):
        self.parts, self.digest = parts, digest
        subject = Subject(use_case_id=USE_CASE.id, release_digest=digest, parts=parts)
        self.add(RecordKind.RELEASE_REGISTERED, {"subject": to_json(subject)})

    def envelope(self, kind, media_type, content, signer):
        sealed = sign(media_type, canonical_bytes(to_json(content)), [key_of(signer)])
        self.add(kind, {"envelope": sealed.to_json()})
        return sealed.digest()

    def evidence(self, evidence, signer="cli"):
        subject = (USE_CASE.id, evidence.release_digest.removeprefix("sha256:"))
        body = statement([subject], PREDICATE_TYPE, to_json(evidence))
        sealed = sign(STATEMENT_MEDIA_TYPE, body, [key_of(signer)])
        self.add(RecordKind.EVIDENCE_RECORDED, {"envelope": sealed.to_json()})
        return sealed.digest()

    def run(self, check, estimates, *, control=True, findings=(), facts=None, seconds=12.5, signer="cli", **more):
        refs = [c for c in self.profile.criteria if c.check == check]
        fields = {
            "use_case_id": USE_CASE.id,
            "release_digest": self.digest,
            "environment": "production-like",
            "criteria": tuple(
                CriterionRef(id=c.id, digest=c.digest, verdict=judge_all(c.acceptance, estimates)) for c in refs
            ),
            "check": check,
            "check_version": 1,
            "parameters": {"duration_s": 60, "confidence": 0.95},
            "inputs": dict(self.parts),
            "outcome": RunOutcome.COMPLETED,
            "problem": None,
            "estimates": tuple(estimates),
            "control": CONTROL if control else replace(CONTROL, failed=False),
            "findings": tuple(findings),
            "facts": facts or {},
            "attachments": (),
            "attestation": None,
            "tool": TOOL,
            "seed": 20_261_121,
            "observed_from": self.at - timedelta(seconds=seconds),
            "observed_until": self.at,
            "produced_at": self.at,
            "producer": "roadworthy-cli",
            "assurance": Assurance.EXECUTED,
        } | more
        fields["control"] = None if fields["attestation"] else fields["control"]
        return self.evidence(Evidence(**fields), signer)

    def attest(self, criterion_id, person, role, claim, reason):
        attestation = Attestation(
            person_id=person,
            printed_name=NAMES[person][0],
            role=role,
            claim=claim,
            meaning=Meaning.APPROVED,
            reason=reason,
            shown_digest="sha256:" + "9a" * 32,
            components=("key file", "passphrase"),
            authenticated_at=self.at - timedelta(minutes=1),
        )
        ref = next(c for c in self.profile.criteria if c.id == criterion_id)
        return self.run(
            "attestation",
            (),
            signer=person,
            criteria=(CriterionRef(id=ref.id, digest=ref.digest, verdict=Verdict.MET),),
            parameters={},
            seconds=0,
            attestation=attestation,
            producer=person,
            assurance=Assurance.SELF_ATTESTED,
        )

    def waive(self, criterion_id, evidence):
        waiver = Waiver(
            id="W-1",
            use_case_id=USE_CASE.id,
            gate_id=GATE.id,
            criterion_id=criterion_id,
            release_digest=self.digest,
            reason="Two clauses wait for the notified body; nothing patient-facing depends on them.",
            risk_owner="ada",
            requester="dan",
            compensating_evidence=(evidence,),
            obligation="Weekly report to legal until both clauses are closed",
            requested_at=self.at,
            expires_at=self.at + timedelta(days=14),
        )
        self.envelope(RecordKind.WAIVER_REQUESTED, WAIVER_MEDIA_TYPE, waiver, "dan")
        approval = WaiverApproval(
            waiver_id=waiver.id,
            waiver_digest=waiver.digest,
            approver="ada",
            role=Role.BUSINESS_OWNER,
            reason="Acceptable for two weeks.",
            approved_at=self.at,
        )
        self.envelope(RecordKind.WAIVER_APPROVED, APPROVAL_MEDIA_TYPE, approval, "ada")

    def sign(self, person, role, meaning=Meaning.APPROVED):
        signature = Signature(
            gate_id=GATE.id,
            basis_digest=self.decide().basis_digest,
            shown_digest="sha256:" + "8b" * 32,
            person_id=person,
            printed_name=NAMES[person][0],
            role=role,
            meaning=meaning,
            reason="I looked at every number that decides.",
            signed_at=self.at,
            components=("key file", "passphrase"),
            authenticated_at=self.at - timedelta(minutes=2),
        )
        self.envelope(RecordKind.SIGNATURE_ADDED, SIGNATURE_MEDIA_TYPE, signature, person)

    def case(self):
        return fold(self.records)

    def trust(self, case):
        return LedgerTrust(case.people, case.producers)

    def decide(self, at=None):
        case, size = self.case(), len(self.records)
        root = bytes([size]) * 32
        note = CheckpointSigner("roadworthy/breast-mass-triage", key_of("log")).sign(size, root)
        head = LedgerHead(size=size, root=base64.b64encode(root).decode(), note=note)
        return decide_case(case, head, at or self.at, self.trust(case))

    def settle(self):
        self.add(RecordKind.DECISION_RECORDED, {"decision": to_json(self.decide())})

    def view(self, at=None):
        at = at or self.at
        case, decision = self.case(), self.decide(at)
        trust = self.trust(case)
        opened = {}
        for sealed in case.evidence:
            opened[sealed.digest] = (_predicate(trust.open(sealed.body).payload), sealed.index)
        newest = {ref.id: seen.findings for seen, _ in opened.values() for ref in seen.criteria}
        gaps = open_gaps(self.profile, decision, case.assignments, case.deferrals, newest, owners=case.use_case.owners)
        planned = plan(gaps, start=at.date(), seed=7, draws=500)
        return case, decision, gaps, planned, opened, at

    def scorecard(self, at=None):
        return build_scorecard(*self.view(at))


def _predicate(payload):
    return from_json(Evidence, payload["predicate"])


def measured(metric, value, lower, upper, n, unit="1", cohort=None):
    interval = Interval(estimate=value, lower=lower, upper=upper, n=n)
    return Estimate(metric=metric, interval=interval, unit=unit, cohort=cohort)


def count(metric, value, n, unit):
    return Estimate(metric=metric, interval=exact(value, n), unit=unit)
