"""Waivers: asked for by one person, approved by another. One entry a call."""

from datetime import datetime, timedelta

from roadworthy.actions.evidence import Signer, find_criterion
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.clock import format_instant
from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import InputError, NotWaivable, SelfApproval, WaiverRefused, WrongRole
from roadworthy.base.ids import new_id
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.criterion import Profile
from roadworthy.domain.people import Role
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.signature import APPROVAL_MEDIA_TYPE, WAIVER_MEDIA_TYPE
from roadworthy.domain.use_case import Subject
from roadworthy.domain.waiver import Waiver, WaiverApproval
from roadworthy.gates.waiver import APPROVER_ROLES
from roadworthy.ledger.dsse import sign
from roadworthy.ports.trust import Trust
from roadworthy.ports.unit_of_work import UnitOfWork


def request_waiver(
    uow: UnitOfWork,
    *,
    profile: Profile,
    subject: Subject,
    criterion_id: str,
    signer: Signer,
    risk_owner: str,
    reason: str,
    obligation: str,
    compensating_evidence: tuple[str, ...],
    expires_at: datetime,
    at: datetime,
) -> Waiver:
    """Ask for a waiver.

    Raises:
        UnknownCriterion: no such criterion (RW-107).
        NotWaivable: never at this tier (RW-303).
        WaiverRefused: something mandatory is missing, already expired, or lasts too long (RW-302).
    """
    criterion = find_criterion(profile.criteria, criterion_id)
    if profile.tier not in criterion.waivable:
        raise NotWaivable(
            f"{criterion_id} may not be waived at tier {profile.tier.value}.", remedy="Close its gap: roadworthy gaps."
        )
    longest_until = at + timedelta(days=profile.gate.waiver_days[profile.tier])
    if not at < expires_at <= longest_until:
        raise WaiverRefused(
            f"The waiver would end at {format_instant(expires_at)}.",
            remedy=f"At tier {profile.tier.value} it must end after now and by {format_instant(longest_until)}.",
        )
    if not reason.strip() or not obligation.strip() or not compensating_evidence:
        raise WaiverRefused(
            "A waiver needs a reason, an obligation and compensating evidence.",
            remedy="Give --reason, --obligation and at least one --evidence DIGEST (see roadworthy evidence list).",
        )
    waiver = Waiver(
        id=new_id("waiver"),
        use_case_id=subject.use_case_id,
        gate_id=profile.gate.id,
        criterion_id=criterion_id,
        release_digest=subject.release_digest,
        reason=reason,
        risk_owner=risk_owner,
        requester=signer.person.id,
        compensating_evidence=compensating_evidence,
        obligation=obligation,
        requested_at=at,
        expires_at=expires_at,
    )
    envelope = sign(WAIVER_MEDIA_TYPE, canonical_bytes(to_json(waiver)), [signer.key])
    uow.append(
        Draft(
            kind=RecordKind.WAIVER_REQUESTED,
            at=at,
            actor=signer.person.id,
            use_case_id=subject.use_case_id,
            subject=waiver.id,
            payload={"envelope": envelope.to_json()},
        )
    )
    return waiver


def requested_waivers(case: CaseFile, trust: Trust) -> dict[str, Waiver]:
    """Every waiver ever asked for, by id."""
    waivers = (from_json(Waiver, trust.open(sealed.body).payload) for sealed in case.waiver_requests)
    return {waiver.id: waiver for waiver in waivers}


def approve_waiver(
    uow: UnitOfWork, *, waiver: Waiver, signer: Signer, role: Role, reason: str, at: datetime
) -> Receipt:
    """Say yes to somebody else's waiver.

    Raises:
        SelfApproval: the approver asked for it (RW-301).
        WrongRole: the approver does not hold the role, or it may not carry a risk (RW-305).
        WaiverRefused: the waiver has expired (RW-302).
        InputError: no reason (RW-100).
    """
    if signer.person.id == waiver.requester:
        raise SelfApproval(
            f"{signer.person.printed_name} asked for this waiver.", remedy="Let somebody else approve it."
        )
    if role not in APPROVER_ROLES:
        raise WrongRole(
            f"The role {role.value} may not approve a waiver.",
            remedy=f"These may: {', '.join(sorted(each.value for each in APPROVER_ROLES))}.",
        )
    if at >= waiver.expires_at:
        raise WaiverRefused("The waiver has expired.", remedy="Request a new one; waivers are never renewed in place.")
    if not reason.strip():
        raise InputError("An approval needs a reason.", remedy="Say in a sentence why: --reason TEXT.")
    approval = WaiverApproval(
        waiver_id=waiver.id,
        waiver_digest=waiver.digest,
        approver=signer.person.id,
        role=signer.acting_as(role),
        reason=reason,
        approved_at=at,
    )
    envelope = sign(APPROVAL_MEDIA_TYPE, canonical_bytes(to_json(approval)), [signer.key])
    return uow.append(
        Draft(
            kind=RecordKind.WAIVER_APPROVED,
            at=at,
            actor=signer.person.id,
            use_case_id=waiver.use_case_id,
            subject=waiver.id,
            payload={"envelope": envelope.to_json()},
        )
    )
