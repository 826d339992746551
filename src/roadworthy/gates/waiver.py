"""Which waivers are in force. Owns every condition on a waiver; what one changes in a decision is ``evaluate``'s.

A waiver is permission to pass one gate now, for one release, in spite of one criterion. Here a mistake opens a gate, so
each condition is one line with its own reason, and whatever does not fit is refused.

Rules kept here:
1. Two people: one asks and signs, another approves and signs, in a role that may carry a risk and with a reason. From
   the gate's tier of independence on no builder approves. Whoever carries the risk is a registered person.
2. The approval names the digest of the request, so the request cannot change under it.
3. An end is mandatory and near; nothing is renewed in place: a second request under one id is refused.
4. Something else keeps the risk down meanwhile: evidence that proves another criterion at present. With it the waiver
   ends.
5. No more than the gate's maximum at once; the first in the ledger come first.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

from roadworthy.base.clock import SECONDS_PER_DAY
from roadworthy.domain.criterion import Profile
from roadworthy.domain.decision import Refused
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.people import Person, Role
from roadworthy.domain.signature import APPROVAL_MEDIA_TYPE, WAIVER_MEDIA_TYPE
from roadworthy.domain.use_case import Subject
from roadworthy.domain.waiver import Waiver, WaiverApproval
from roadworthy.gates.envelope import SKEW, Letter, in_order, read_letter, refuse, stamp
from roadworthy.ports.trust import Trust

APPROVER_ROLES = frozenset({Role.BUSINESS_OWNER, Role.QUALITY, Role.SPONSOR})


class InForce(NamedTuple):
    """Waivers that count, by criterion id, and the envelopes that do not.

    Attributes:
        waivers: by the id of the criterion that each covers.
        ends: exclusive end by criterion id: of the waiver, or of what keeps the risk down, whichever comes first.
        refused: envelopes that do not count.
    """

    waivers: Mapping[str, Waiver]
    ends: Mapping[str, datetime]
    refused: tuple[Refused, ...]


T = TypeVar("T")
ProvenBy = Callable[[str], Mapping[str, datetime] | None]
"""What evidence of a digest proves at present: exclusive end by criterion id; None when no such evidence is admitted."""


def waivers_in_force(
    requests: Iterable[Sealed],
    approvals: Iterable[Sealed],
    *,
    profile: Profile,
    subject: Subject,
    people: Mapping[str, Person],
    barred: Collection[str],
    trust: Trust,
    proven_by: ProvenBy,
    at: datetime,
) -> InForce:
    """The waivers that count at ``at``.

    1. read the requests; an id that is used a second time is refused; 2. read the approvals and keep the valid ones;
    3. keep the requests that meet every condition and are approved; 4. cut at the gate's maximum, in ledger order; 5. of
    several for one criterion the one that ends last covers it.

    Args:
        requests: envelopes of waivers.
        approvals: envelopes of approvals.
        profile: what is waivable, for how long, and how many at once.
        subject: the release at hand.
        people: registered, by id.
        barred: ids of those who may not approve, because they built the system.
        trust: verifies signatures.
        proven_by: what evidence proves at present.
        at: the instant of the evaluation.
    """
    refused: list[Refused] = []
    # 1
    asked: dict[str, Letter[Waiver]] = {}
    for letter in _read(Waiver, requests, trust, WAIVER_MEDIA_TYPE, refused):
        if letter.content.id in asked:
            refused.append(refuse(letter.sealed, "its id was used before; an extension is a new request"))
        else:
            asked[letter.content.id] = letter
    # 2
    approved: set[str] = set()
    for approval in _read(WaiverApproval, approvals, trust, APPROVAL_MEDIA_TYPE, refused):
        fault = _approval_fault(approval, asked.get(approval.content.waiver_id), people, barred, at)
        if fault is None:
            approved.add(approval.content.waiver_id)
        else:
            refused.append(refuse(approval.sealed, fault))
    # 3
    counting: list[Letter[Waiver]] = []
    for letter in asked.values():
        reason = (
            _scope_fault(letter.content, profile, subject)
            or _terms_fault(letter, people)
            or _time_fault(letter, profile, at)
            or _proof_fault(letter.content, proven_by)
            or (None if letter.content.id in approved else "nobody has validly approved it")
        )
        if reason is None and len(counting) >= profile.gate.max_waivers:
            # 4
            reason = f"{profile.gate.max_waivers} waivers are in force already, the most that this gate allows"
        if reason is None:
            counting.append(letter)
        else:
            refused.append(refuse(letter.sealed, reason))
    # 5
    covering: dict[str, Waiver] = {}
    for letter in counting:
        known = covering.get(letter.content.criterion_id)
        if known is None or letter.content.expires_at > known.expires_at:
            covering[letter.content.criterion_id] = letter.content
    ends = {id_: _end(waiver, proven_by) for id_, waiver in covering.items()}
    return InForce(covering, ends, tuple(refused))


def _read(
    kind: type[T], sealed: Iterable[Sealed], trust: Trust, media_type: str, refused: list[Refused]
) -> Iterator[Letter[T]]:
    for each in in_order(set(sealed)):
        letter = read_letter(kind, each, trust, media_type)
        if isinstance(letter, Refused):
            refused.append(letter)
        else:
            yield letter


def _approval_fault(
    letter: Letter[WaiverApproval],
    asked: Letter[Waiver] | None,
    people: Mapping[str, Person],
    barred: Collection[str],
    at: datetime,
) -> str | None:
    approval = letter.content
    if asked is None or approval.waiver_digest != asked.content.digest:
        return f"no waiver {approval.waiver_id!r} of that digest is on record"
    if approval.approver not in letter.signers:
        return f"it names {approval.approver!r} as approver, who did not sign it"
    if approval.approver == asked.content.requester:
        return f"{approval.approver} asked for this waiver and cannot approve it"
    if approval.approver in barred:
        return f"{approval.approver} built this system and cannot approve a waiver of its gate"
    return _authority_fault(approval, asked.content, people, at)


def _authority_fault(
    approval: WaiverApproval, waiver: Waiver, people: Mapping[str, Person], at: datetime
) -> str | None:
    person = people.get(approval.approver)
    if person is None or approval.role not in person.roles:
        return f"{approval.approver} does not hold the role {approval.role.value}"
    if approval.role not in APPROVER_ROLES:
        return f"the role {approval.role.value} may not approve a waiver"
    if approval.approved_at > at:
        return f"it is dated in the future ({stamp(approval.approved_at)})"
    if approval.approved_at >= waiver.expires_at:
        return "it was approved after it had expired"
    if not approval.reason.strip():
        return "it gives no reason"
    return None


def _scope_fault(waiver: Waiver, profile: Profile, subject: Subject) -> str | None:
    if waiver.use_case_id != subject.use_case_id or waiver.gate_id != profile.gate.id:
        return f"it is about the gate {waiver.gate_id!r} of the use case {waiver.use_case_id!r}"
    if waiver.release_digest != subject.release_digest:
        return "it was given for another release"
    criterion = next((c for c in profile.criteria if c.id == waiver.criterion_id), None)
    if criterion is None:
        return f"the profile has no criterion {waiver.criterion_id!r}"
    if profile.tier not in criterion.waivable:
        return f"{waiver.criterion_id} may not be waived at tier {profile.tier.value}"
    return None


def _terms_fault(letter: Letter[Waiver], people: Mapping[str, Person]) -> str | None:
    waiver = letter.content
    if waiver.requester not in letter.signers or waiver.requester not in people:
        return f"it names {waiver.requester!r} as requester, who did not sign it as a registered person"
    if not (waiver.reason.strip() and waiver.risk_owner.strip() and waiver.obligation.strip()):
        return "it lacks its reason, its risk owner or its obligation"
    if waiver.risk_owner not in people:
        return f"its risk owner {waiver.risk_owner!r} is not a registered person"
    return None


def _proof_fault(waiver: Waiver, proven_by: ProvenBy) -> str | None:
    if not waiver.compensating_evidence:
        return "nothing shows what keeps the risk down meanwhile"
    for digest in waiver.compensating_evidence:
        proven = proven_by(digest)
        if proven is None:
            return "its compensating evidence is not among the admitted evidence"
        if not proven.keys() - {waiver.criterion_id}:
            return "its compensating evidence does not prove another criterion of the profile at present"
    return None


def _end(waiver: Waiver, proven_by: ProvenBy) -> datetime:
    """When a waiver in force ends: each piece of evidence keeps the risk down while it proves another criterion."""
    proofs = [proven_by(digest) or {} for digest in waiver.compensating_evidence]
    ends = [max(end for id_, end in proof.items() if id_ != waiver.criterion_id) for proof in proofs]
    return min(waiver.expires_at, *ends)


def _time_fault(letter: Letter[Waiver], profile: Profile, at: datetime) -> str | None:
    waiver = letter.content
    if waiver.requested_at > at or waiver.requested_at - letter.sealed.received_at > SKEW:
        return f"it is dated in the future ({stamp(waiver.requested_at)})"
    if at >= waiver.expires_at:
        return f"it expired on {stamp(waiver.expires_at)}"
    days = profile.gate.waiver_days.get(profile.tier, 0)
    if not (waiver.expires_at - waiver.requested_at).total_seconds() <= days * SECONDS_PER_DAY:
        return f"it lasts longer than the {days:g} days that this gate allows at tier {profile.tier.value}"
    return None
