"""Worlds for the gates: profiles, and evidence, waivers and events about them, good and bad, all dated before ``AT``."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from roadworthy.domain.criterion import Assurance, Kind, ReadinessDomain
from roadworthy.domain.evidence import Claim, Meaning, RunOutcome
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.domain.waiver import Invalidation
from unit.gates.gates_world import (
    AT,
    CONTROL,
    DAY,
    FAIL,
    GATE,
    HOUR,
    PARTS,
    PASS,
    approval,
    attestation,
    auc,
    criterion,
    envelope,
    observation,
    profile,
    request,
    seal,
    sealed,
    signature,
    waiver,
)

SIGNERS = {Role.QUALITY: "quinn", Role.DATA_OWNER: "dana"}
IDS = ("C1", "C2", "C3")
ESTIMATES = (PASS, FAIL, (auc(0.7, 0.9),), (auc(n=2),), (auc(float("nan")),), (), PASS + FAIL)


@st.composite
def criteria(draw, id_="C1"):
    kind = draw(st.sampled_from([Kind.EXECUTABLE, Kind.MEASURED, Kind.SIGNATURE]))
    fewest = 1 if kind is Kind.SIGNATURE else 0
    signers = draw(st.sets(st.sampled_from(sorted(SIGNERS, key=str)), min_size=fewest, max_size=2))
    return criterion(
        id_,
        kind=kind,
        check=draw(st.sampled_from([*["quality"] * 6, None])),
        signer_roles=tuple(sorted(signers, key=str)),
        may_not_apply=draw(st.booleans()),
        waivable=frozenset(Tier) if draw(st.booleans()) else frozenset(),
        max_age_days={Tier.R3: draw(st.integers(5, 25))},
        gap_depends_on=tuple(draw(st.lists(st.sampled_from(IDS), max_size=2))),
        domain=draw(st.sampled_from(ReadinessDomain)),
        min_assurance=draw(st.sampled_from(Assurance)),
    )


@st.composite
def profiles(draw):
    count = draw(st.integers(1, len(IDS)))
    gate = replace(GATE, max_waivers=draw(st.integers(0, 3)))
    return profile(*(draw(criteria(id_)) for id_ in IDS[:count]), gate=gate)


def windows(*, apart=False):
    """Keyword arguments for a window that ends before AT; ``apart`` keeps different windows from overlapping."""
    until = st.integers(1, 20).map(lambda half_days: AT - half_days * DAY / 2)
    span = st.just(HOUR) if apart else st.sampled_from([timedelta(0), HOUR, DAY, 3 * DAY])
    return st.fixed_dictionaries({"until": until, "span": span})


@st.composite
def runs(draw, rules, *, estimates=None, plain=False, apart=False):
    """A run for one criterion. Plain: complete, controlled, for this subject."""
    changes = draw(windows(apart=apart)) | {"estimates": estimates or draw(st.sampled_from(ESTIMATES))}
    if not plain:
        changes |= {
            "outcome": draw(st.sampled_from([*[RunOutcome.COMPLETED] * 4, RunOutcome.ERROR, RunOutcome.TERMINATED])),
            "control": draw(st.sampled_from([CONTROL, CONTROL, CONTROL, None, replace(CONTROL, failed=False)])),
            "inputs": draw(st.sampled_from([PARTS, PARTS, PARTS, {}])),
            "assurance": draw(st.sampled_from([*[Assurance.EXECUTED] * 3, Assurance.SELF_ATTESTED])),
            "check": draw(st.sampled_from(["quality", "quality", "quality", "other"])),
        }
    evidence = observation(draw(st.sampled_from(rules.criteria)), **changes)
    return seal(evidence, index=draw(st.integers(0, 9)))


@st.composite
def words(draw, rules, *, claims=tuple(Claim), plain=False):
    """A person's word on one criterion. Plain: by somebody who may give it."""
    role = draw(st.sampled_from(sorted(SIGNERS, key=str)))
    changes = {"until": draw(windows())["until"], "claim": draw(st.sampled_from(claims)), "role": role}
    changes["who"] = SIGNERS[role] if plain else draw(st.sampled_from([SIGNERS[role], SIGNERS[role], "sam"]))
    if not plain:
        changes["meaning"] = draw(st.sampled_from([*[Meaning.RESPONSIBLE] * 4, Meaning.REJECTED]))
    return seal(attestation(draw(st.sampled_from(rules.criteria)), **changes), index=draw(st.integers(0, 9)))


JUNK = st.one_of(
    st.binary(max_size=20).map(sealed),
    st.sampled_from([sealed({"broken": True}), sealed({})]),
    st.sampled_from(
        [envelope("application/vnd.in-toto+json", {}, "inspector"), envelope("text/plain", [], "inspector")]
    ),
)


def support(rule, **window):
    """Evidence that satisfies every leg that a criterion can have, observed in one window."""
    yield seal(observation(rule, **window))
    for role in rule.signer_roles:
        yield seal(attestation(rule, who=SIGNERS[role], role=role, until=window["until"]))


@st.composite
def evidence(draw, rules):
    """Envelopes of every sort; for most criteria there is all that they need somewhere among them."""
    supported = [rule for rule in rules.criteria if draw(st.sampled_from([True, True, True, False]))]
    found = [each for rule in supported for each in support(rule, **draw(windows(apart=True)))]
    return found + draw(st.lists(st.one_of(runs(rules), words(rules), JUNK), max_size=4))


@st.composite
def waivers(draw, rules, given):
    """Keyword arguments for a decision: requests and approvals, most of them in order."""
    proof = tuple(each.digest for each in given[:1]) or ("sha256:none",)
    asked = [
        waiver(
            each.id,
            id=f"waiver-{draw(st.integers(0, 4))}",
            compensating_evidence=proof,
            expires_at=AT + draw(st.integers(-1, 40)) * DAY / 2,
            requester=draw(st.sampled_from(["sam", "sam", "sam", "quinn"])),
        )
        for each in draw(st.lists(st.sampled_from(rules.criteria), max_size=4))
    ]
    approved = [each for each in asked if draw(st.sampled_from([True, True, False]))]
    return {
        "waivers": [request(each, index=20 + n) for n, each in enumerate(asked)],
        "waiver_approvals": [approval(each, index=30 + n) for n, each in enumerate(approved)],
    }


def events():
    """Invalidating events."""
    return st.lists(
        st.builds(
            Invalidation,
            happened_at=st.integers(-30, 2).map(lambda days: AT + days * DAY),
            criterion_ids=st.lists(st.sampled_from(IDS), max_size=1).map(tuple),
            parts=st.frozensets(st.sampled_from([Part.MODEL, Part.PROMPT]), max_size=1),
            reason=st.sampled_from(["an incident", "drift"]),
        ),
        max_size=2,
    )


def signatures(basis_digest):
    """Signatures of every sort, for this basis or another."""
    one = st.builds(
        signature,
        st.sampled_from([basis_digest, basis_digest, "sha256:other"]),
        who=st.sampled_from(["olga", "sam", "bob", "nobody"]),
        role=st.sampled_from([Role.BUSINESS_OWNER, Role.SYSTEM_OWNER, Role.QUALITY]),
        index=st.integers(40, 60),
        meaning=st.sampled_from([Meaning.APPROVED, Meaning.APPROVED, Meaning.REJECTED, Meaning.REVIEWED]),
        signed_at=st.integers(0, 3).map(lambda hours: AT - hours * HOUR),
        authenticated_at=st.integers(0, 3).map(lambda hours: AT - hours * HOUR),
    )
    return st.lists(st.one_of(one, JUNK), max_size=6)
