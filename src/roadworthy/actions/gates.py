"""Gate decisions on record, and the signatures that they wait for. One entry a call, and none when nothing changed."""

from collections.abc import Callable
from datetime import datetime

from roadworthy.actions.evidence import Signer
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import DecisionChanged, DecisionMismatch, InputError, SelfApproval
from roadworthy.domain.case_file import CaseFile, RecordedDecision, fold
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.signature import SIGNATURE_MEDIA_TYPE, Signature
from roadworthy.gates.case import decide_case
from roadworthy.gates.evaluate import decision_digest
from roadworthy.ledger.dsse import sign
from roadworthy.ports.trust import Trust
from roadworthy.ports.unit_of_work import Reader, UnitOfWork

TrustOf = Callable[[CaseFile], Trust]


def standing(case: CaseFile, decision: Decision) -> RecordedDecision | None:
    """The newest recorded decision of the gate, when the decision computed now says the same; else None.

    What must be equal is what a reader acts upon. The instant and the checkpoint differ in every computation.
    """
    recorded = [each for each in case.decisions if each.decision.gate_id == decision.gate_id]
    if not recorded:
        return None
    newest = recorded[-1]
    return newest if _meaning(newest.decision) == _meaning(decision) else None


def _meaning(decision: Decision) -> tuple[object, ...]:
    # A decision on a gate that lapsed stays lapsed; only its pointer to the open decision is history.
    outcome = Outcome.CLOSED if decision.outcome is Outcome.LAPSED else decision.outcome
    return (decision.basis_digest, outcome, decision.quorum, decision.waiting_for, decision.refused)


def record_decision(uow: UnitOfWork, *, decision: Decision, actor: str, at: datetime) -> Receipt:
    """Put a decision on record."""
    return uow.append(
        Draft(
            kind=RecordKind.DECISION_RECORDED,
            at=at,
            actor=actor,
            use_case_id=decision.use_case_id,
            subject=decision_digest(decision),
            payload={"decision": to_json(decision)},
        )
    )


def sign_decision(
    uow: UnitOfWork,
    *,
    case: CaseFile,
    decision: Decision,
    shown_basis_digest: str,
    signer: Signer,
    role: Role,
    meaning: Meaning,
    reason: str,
    shown_digest: str,
    at: datetime,
) -> Receipt:
    """Sign what a gate decided.

    Args:
        decision: computed in this unit of work.
        shown_basis_digest: of the decision that the person was shown.

    Raises:
        DecisionChanged: what was shown is no longer what would be decided (RW-307).
        WrongRole: the person does not hold the role (RW-305).
        SelfApproval: a builder approves at a tier that forbids it (RW-301).
        InputError: no reason (RW-100).
    """
    if decision.basis_digest != shown_basis_digest:
        raise DecisionChanged("Something changed since the decision was shown.", remedy="Look at it again, then sign.")
    if not reason.strip():
        raise InputError("A signature needs a reason.", remedy="Say in a sentence why: --reason TEXT.")
    _refuse_builder(case, decision, signer, meaning)
    signature = Signature(
        gate_id=decision.gate_id,
        basis_digest=decision.basis_digest,
        shown_digest=shown_digest,
        person_id=signer.person.id,
        printed_name=signer.person.printed_name,
        role=signer.acting_as(role),
        meaning=meaning,
        reason=reason,
        signed_at=at,
        components=signer.components,
        authenticated_at=signer.authenticated_at,
    )
    envelope = sign(SIGNATURE_MEDIA_TYPE, canonical_bytes(to_json(signature)), [signer.key])
    return uow.append(
        Draft(
            kind=RecordKind.SIGNATURE_ADDED,
            at=at,
            actor=signer.person.id,
            use_case_id=decision.use_case_id,
            subject=decision.basis_digest,
            payload={"envelope": envelope.to_json()},
        )
    )


def _refuse_builder(case: CaseFile, decision: Decision, signer: Signer, meaning: Meaning) -> None:
    if case.profile is None or case.use_case is None or meaning is not Meaning.APPROVED:
        return
    independent = decision.tier.at_least(case.profile.gate.independent_from)
    if independent and signer.person.id in case.use_case.builders:
        raise SelfApproval(
            f"{signer.person.printed_name} built this system.",
            remedy=f"At tier {decision.tier.value} somebody else must approve.",
        )


def recompute(reader: Reader, recorded: RecordedDecision, trust_of: TrustOf) -> Decision:
    """Compute a recorded decision again, from the entries that it had seen.

    Raises:
        DecisionMismatch: other bytes come out (RW-506), with the ledger index.
    """
    case = fold(reader.records(until=recorded.decision.head.size))
    again = decide_case(case, recorded.decision.head, recorded.decision.at, trust_of(case))
    if canonical_bytes(to_json(again)) != canonical_bytes(to_json(recorded.decision)):
        raise DecisionMismatch(
            f"The recorded decision {recorded.decision.outcome.value} is not what its inputs decide "
            f"({again.outcome.value}).",
            remedy="Do not rely on this record; ask for a fresh export, and find out who wrote it.",
            where=f"entry {recorded.index}",
        )
    return again
