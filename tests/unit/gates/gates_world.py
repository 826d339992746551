"""A small world for the gates: one use case, its people, and envelopes that a trusting stand-in opens.

The envelopes are unsigned JSON. Who signed is written inside, so a test says in one argument whose signature it means.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.base.interval import Interval
from roadworthy.domain import criterion as c
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.evidence import (
    PREDICATE_TYPE,
    STATEMENT_MEDIA_TYPE,
    Attestation,
    Claim,
    Control,
    CriterionRef,
    Evidence,
    Meaning,
    RunOutcome,
    Sealed,
)
from roadworthy.domain.people import Person, Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.signature import APPROVAL_MEDIA_TYPE, SIGNATURE_MEDIA_TYPE, WAIVER_MEDIA_TYPE, Signature
from roadworthy.domain.use_case import Part, Subject, UseCase
from roadworthy.domain.waiver import Waiver, WaiverApproval
from roadworthy.gates.evaluate import decide
from roadworthy.ports.trust import Opened

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HEAD = LedgerHead(size=99, root="r", note="n")
RELEASE = digest_of("release")
PARTS = {Part.MODEL: digest_of("model"), Part.PRODUCTION_DATA: digest_of("production")}
SUBJECT = Subject(use_case_id="triage", release_digest=RELEASE, parts=PARTS)
LIVE_TIERS = (Tier.R1, Tier.R2, Tier.R3, Tier.R4)


def person(id_, *roles):
    return Person(id=id_, printed_name=id_.title(), roles=roles, public_key=id_)


PEOPLE = {
    "olga": person("olga", Role.BUSINESS_OWNER, Role.SYSTEM_OWNER),
    "sam": person("sam", Role.SYSTEM_OWNER),
    "quinn": person("quinn", Role.QUALITY),
    "dana": person("dana", Role.DATA_OWNER),
    "bob": person("bob", Role.SYSTEM_OWNER, Role.BUSINESS_OWNER),
}
USE_CASE = UseCase(
    id="triage",
    title="Triage",
    intended_use="sorts",
    decision="who is seen first",
    owners={Role.DATA_OWNER: "Dana's team"},
    builders=("bob",),
    tier=Tier.R3,
)
GATE = c.Gate(
    id="go-live",
    title="Go live",
    quorum=(c.QuorumRule(role=Role.BUSINESS_OWNER), c.QuorumRule(role=Role.SYSTEM_OWNER)),
    independent_from=Tier.R3,
    waiver_days=dict.fromkeys(LIVE_TIERS, 30.0),
    max_waivers=2,
    conditional_wave_share=0.05,
)


class FakeTrust:
    """Believes what the envelope says of its signers; {"broken": true} is one whose signature does not verify."""

    def open(self, body):
        try:
            envelope = json.loads(body)
        except ValueError as error:
            raise MalformedEvidence("not JSON", remedy="-", where="$") from error
        if isinstance(envelope, dict) and envelope.get("broken"):
            raise SignatureBroken("a signature does not verify", remedy="-")
        if not isinstance(envelope, dict) or not envelope.keys() >= {"payloadType", "payload", "signers"}:
            raise MalformedEvidence("not an envelope", remedy="-")
        return Opened(
            payload_type=envelope["payloadType"], payload=envelope["payload"], signers=tuple(envelope["signers"])
        )


TRUST = FakeTrust()


def sealed(body, *, index=0, received_at=AT - HOUR):
    data = body if isinstance(body, bytes) else canonical_bytes(body)
    return Sealed(index=index, received_at=received_at, body=data, digest=digest_bytes(data))


def envelope(payload_type, payload, *signers, index=0, received_at=AT - HOUR):
    body = {"payloadType": payload_type, "payload": payload, "signers": list(signers)}
    return sealed(body, index=index, received_at=received_at)


def predicate(metric="auc", bound=0.8, comparator=c.Comparator.AT_LEAST, n_min=10, unit="1"):
    return c.Predicate(metric=metric, comparator=comparator, bound=bound, unit=unit, n_min=n_min, provenance="agreed")


def criterion(id_="T1", **changes):
    base = c.Criterion(
        id=id_,
        domain=c.ReadinessDomain.TECHNICAL,
        title=f"Title of {id_}",
        kind=c.Kind.EXECUTABLE,
        check="quality",
        acceptance=(predicate(),),
        depends_on=frozenset({Part.MODEL}),
        max_age_days=dict.fromkeys(LIVE_TIERS, 10.0),
        waivable=frozenset(LIVE_TIERS),
        min_assurance=c.Assurance.EXECUTED,
        signer_roles=(),
        may_not_apply=False,
        required_from=Tier.R1,
        effort=c.Effort(low_days=1, likely_days=2, high_days=4),
        owner_role=Role.DATA_OWNER,
        gap_depends_on=(),
        sources=(),
    )
    return replace(base, **changes)


def signed_criterion(id_="G1", *roles, **changes):
    return criterion(
        id_,
        kind=c.Kind.SIGNATURE,
        check=None,
        acceptance=(),
        signer_roles=roles or (Role.QUALITY,),
        domain=c.ReadinessDomain.GOVERNANCE,
        **changes,
    )


def profile(*criteria, gate=GATE, tier=Tier.R3):
    return c.Profile(use_case_id="triage", tier=tier, gate=gate, criteria=criteria or (criterion(),), packs=())


def auc(lower=0.85, upper=0.95, n=100, metric="auc", unit="1"):
    return c.Estimate(
        metric=metric, unit=unit, interval=Interval(estimate=(lower + upper) / 2, lower=lower, upper=upper, n=n)
    )


PASS = (auc(),)
FAIL = (auc(0.5, 0.6),)
CONTROL = Control(fixture="shuffled labels", failed=True, detail="auc 0.5")


def observation(*criteria, until=AT - DAY, span=HOUR, estimates=PASS, **changes):
    """Evidence of a complete run that passes."""
    base = Evidence(
        use_case_id="triage",
        release_digest=RELEASE,
        environment="production-like",
        criteria=tuple(CriterionRef(id=k.id, digest=k.digest, verdict=c.Verdict.MET) for k in criteria),
        check="quality",
        check_version=1,
        parameters={},
        inputs=PARTS,
        outcome=RunOutcome.COMPLETED,
        problem=None,
        estimates=estimates,
        control=CONTROL,
        findings=(),
        facts={},
        attachments=(),
        attestation=None,
        tool={},
        seed=0,
        observed_from=until - span,
        observed_until=until,
        produced_at=until,
        producer="inspector",
        assurance=c.Assurance.EXECUTED,
    )
    return replace(base, **changes)


def statement(evidence, **changes):
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "triage", "digest": {"sha256": evidence.release_digest.removeprefix("sha256:")}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": to_json(evidence),
    } | changes


def seal(evidence, *, index=0, signers=None, received_at=None):
    """An envelope around evidence, signed by whom it names."""
    word = evidence.attestation
    named = evidence.producer if word is None else word.person_id
    return envelope(
        STATEMENT_MEDIA_TYPE,
        statement(evidence),
        *((named,) if signers is None else signers),
        index=index,
        received_at=evidence.produced_at if received_at is None else received_at,
    )


def run(*criteria, index=0, **changes):
    return seal(observation(*criteria, **changes), index=index)


def attestation(
    *criteria,
    who="quinn",
    role=Role.QUALITY,
    claim=Claim.MET,
    meaning=Meaning.RESPONSIBLE,
    until=AT - DAY,
    said=None,
    **changes,
):
    """A person's word in due form; ``said`` changes the word itself."""
    said = {} if said is None else said
    word = Attestation(
        person_id=who,
        printed_name=who.title(),
        role=role,
        claim=claim,
        meaning=meaning,
        reason="I looked.",
        shown_digest=digest_of("view"),
        components=("key file", "passphrase"),
        authenticated_at=until,
    )
    values = {
        "attestation": replace(word, **said),
        "until": until,
        "check": "attestation",
        "control": None,
        "estimates": (),
        "producer": who,
        "assurance": c.Assurance.SELF_ATTESTED,
        "span": timedelta(0),
    }
    return observation(*criteria, **(values | changes))


def word(*criteria, index=0, **changes):
    return seal(attestation(*criteria, **changes), index=index)


def waiver(criterion_id="T1", **changes):
    base = Waiver(
        id="waiver-1",
        use_case_id="triage",
        gate_id="go-live",
        criterion_id=criterion_id,
        release_digest=RELEASE,
        reason="small risk",
        risk_owner="olga",
        requester="sam",
        compensating_evidence=("sha256:x",),
        obligation="Watch it daily.",
        requested_at=AT - DAY,
        expires_at=AT + 5 * DAY,
    )
    return replace(base, **changes)


def request(asked, *signers, index=0):
    return envelope(WAIVER_MEDIA_TYPE, to_json(asked), *(signers or (asked.requester,)), index=index)


def approval(asked, *signers, index=0, approver="quinn", **changes):
    base = WaiverApproval(
        waiver_id=asked.id,
        waiver_digest=asked.digest,
        approver=approver,
        role=Role.QUALITY,
        reason="agreed",
        approved_at=AT - HOUR,
    )
    return envelope(APPROVAL_MEDIA_TYPE, to_json(replace(base, **changes)), *(signers or (approver,)), index=index)


def signature(basis_digest, who="olga", role=Role.BUSINESS_OWNER, *, index=0, signers=None, **changes):
    base = Signature(
        gate_id="go-live",
        basis_digest=basis_digest,
        shown_digest=digest_of("view"),
        person_id=who,
        printed_name=who.title(),
        role=role,
        meaning=Meaning.APPROVED,
        reason="ready",
        signed_at=AT - HOUR,
        components=("key file", "passphrase"),
        authenticated_at=AT - HOUR,
    )
    return envelope(SIGNATURE_MEDIA_TYPE, to_json(replace(base, **changes)), *(signers or (who,)), index=index)


def both_seats(basis_digest, **changes):
    return [
        signature(basis_digest, "olga", Role.BUSINESS_OWNER, index=50, **changes),
        signature(basis_digest, "sam", Role.SYSTEM_OWNER, index=51, **changes),
    ]


def judge(rules, evidence=(), *, waivers=(), signatures=(), at=AT, **changes):
    values = {"use_case": USE_CASE, "subject": SUBJECT, "people": PEOPLE, "trust": TRUST}
    return decide(rules, evidence, waivers, signatures, HEAD, at, **(values | changes))


def judge_signed(rules, evidence=(), **changes):
    """What the gate says when everybody who is asked signs whatever was found."""
    basis_digest = judge(rules, evidence, **changes).basis_digest
    # Signed late enough for every instant that tests look at: whether signatures are missing is not what they test.
    at = changes.get("at", AT)
    signatures = both_seats(basis_digest, signed_at=at, authenticated_at=at)
    return judge(rules, evidence, signatures=signatures, **changes)
