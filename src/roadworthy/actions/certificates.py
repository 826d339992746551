"""Certificates: issued on a gate that is open, revoked before their time. One entry a call.

A certificate is what a gateway admits production traffic by, offline. So it says no more than the decision that it rests
on: the same release, no larger share, every obligation, no longer. It is signed by the key of the control plane, which is
registered as a producer of its own; evidence is signed by others.

Rules kept here:
1. What may be issued is asked of the case file by one function, ``certificate_fault``: here before the write, and by
   ``replay`` of a ledger that somebody else wrote.
2. A certificate rests on the newest recorded decision of its gate, never on an older one that was kinder.
3. A revocation is for good: there is no way back but another certificate.
"""

from collections.abc import Mapping
from datetime import datetime

from roadworthy.actions.gates import standing
from roadworthy.base.clock import format_instant
from roadworthy.base.errors import InputError, MalformedEvidence, ParameterError, PolicyRefusal, SignatureBroken
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY, Caps, Certificate, Revocation
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.gates.case import decide_case
from roadworthy.gates.certificate import (
    StatementParts,
    certificate_of,
    certificate_statement,
    revocation_of,
    revocation_statement,
)
from roadworthy.gates.evaluate import decision_digest
from roadworthy.ledger.dsse import Envelope, sign
from roadworthy.ledger.keys import SigningKey
from roadworthy.ledger.statement import PAYLOAD_TYPE, statement
from roadworthy.ports.trust import Trust
from roadworthy.ports.unit_of_work import UnitOfWork

_PASSED = (Outcome.OPEN, Outcome.CONDITIONAL)


def issue_certificate(
    uow: UnitOfWork,
    *,
    case: CaseFile,
    trust: Trust,
    decision: Decision,
    caps: Caps,
    key: SigningKey,
    certificate_id: str,
    at: datetime,
    valid_until: datetime | None = None,
) -> tuple[Receipt, Envelope]:
    """Issue a certificate for the release of a decision.

    Args:
        uow: the unit whose one entry it becomes.
        case: everything on record in this unit.
        trust: in the keys on record; the gate is computed again.
        decision: the newest recorded one of its gate.
        caps: how far the permission reaches; the share at most that of the decision.
        key: of the control plane.
        certificate_id: not used before.
        at: first instant of the certificate, and of the entry.
        valid_until: exclusive end; that of the decision when None.

    Raises:
        PolicyRefusal: the gate is not open at ``at``, the decision is not the newest on record, or less was allowed
            (RW-300).
        ParameterError: a cap that no traffic could have, or an end before the beginning (RW-114).
    """
    if decision.outcome not in _PASSED or decision.valid_until is None:
        raise _refused(f"the gate {decision.gate_id} is {decision.outcome.value}")
    end = decision.valid_until if valid_until is None else valid_until
    _require_possible(caps, at, end)
    certificate = Certificate(
        id=certificate_id,
        use_case_id=decision.use_case_id,
        release_digest=decision.release_digest,
        decision_digest=decision_digest(decision),
        gate_id=decision.gate_id,
        tier=decision.tier,
        caps=caps,
        obligations=decision.obligations,
        valid_from=at,
        valid_until=end,
        # The head of this moment, not the decision's own: that one ends before the decision.
        checkpoint=uow.head().note,
    )
    fault = certificate_fault(certificate, case, trust, at)
    if fault is not None:
        raise _refused(fault)
    envelope = _signed(certificate_statement(certificate), key)
    return _append(uow, RecordKind.CERTIFICATE_ISSUED, certificate, envelope, at), envelope


def revoke_certificate(
    uow: UnitOfWork,
    *,
    case: CaseFile,
    certificate: Certificate,
    reason: str,
    key: SigningKey,
    at: datetime,
) -> tuple[Receipt, Envelope]:
    """End a certificate before its time.

    Raises:
        InputError: no reason, or the certificate is not on record (RW-100).
        PolicyRefusal: it is revoked already (RW-300).
    """
    if not reason.strip():
        raise InputError("A revocation needs a reason.", remedy="Say in a sentence why: --reason TEXT.")
    if certificate.id not in case.certificates:
        raise InputError(
            f"The certificate {certificate.id} is not on record.", remedy="List them: roadworthy certificate show."
        )
    if certificate.id in case.revocations:
        raise PolicyRefusal(f"{certificate.id} is revoked already.", remedy="Hand its revocation to the gateways.")
    revocation = Revocation(certificate_id=certificate.id, at=at, reason=reason)
    envelope = _signed(revocation_statement(revocation), key)
    return _append(uow, RecordKind.CERTIFICATE_REVOKED, certificate, envelope, at), envelope


def certificate_fault(certificate: Certificate, case: CaseFile, trust: Trust, at: datetime) -> str | None:
    """Why a certificate may not be issued on what is on record, as half a sentence; None when it may.

    1. its id is new, and the control plane's key is registered for a program; 2. it rests on the newest recorded decision
    of its gate; 3. by that decision the gate is open, whole or under conditions, and computed again at the instant it says
    the same; 4. it is about the same release at the same tier; 5. it carries every obligation and allows no larger share;
    6. it begins now and ends no later.

    Args:
        certificate: that is to be issued, or was.
        case: everything on record before it.
        trust: in the keys on record.
        at: the instant of issuing.

    Raises:
        NoWorkspace: there is a decision on record but no policy or release (RW-115).
    """
    # 1
    if CERTIFICATE_AUTHORITY not in case.producers:
        return f"no program is registered as {CERTIFICATE_AUTHORITY}"
    if certificate.id in case.certificates:
        return f"the id {certificate.id} was used before"
    # 2
    decision = _newest(case, certificate)
    if decision is None or decision_digest(decision) != certificate.decision_digest:
        return "it does not rest on the newest recorded decision of its gate"
    # 3
    if decision.outcome not in _PASSED or decision.valid_until is None or at >= decision.valid_until:
        return f"the gate {decision.gate_id} is not open at {format_instant(at)}"
    now = decide_case(case, decision.head, at, trust)
    if standing(case, now) is None:
        return f"the gate {decision.gate_id} is {now.outcome.value} by now"
    # 4
    if (certificate.release_digest, certificate.tier) != (decision.release_digest, decision.tier):
        return "its release or its tier is not that of the decision"
    # 5
    if set(decision.obligations) - set(certificate.obligations):
        return "it lacks an obligation of the decision"
    if certificate.caps.wave_share > decision.max_wave_share:
        return f"the decision allows a share of {decision.max_wave_share:g}, not {certificate.caps.wave_share:g}"
    # 6
    if certificate.valid_from != at or certificate.valid_until > decision.valid_until:
        return f"it must begin now and end by {format_instant(decision.valid_until)}, as the decision does"
    return None


def read_certificate(sealed: Sealed, trust: Trust) -> Certificate:
    """The certificate in an envelope on record.

    Raises:
        SignatureBroken: it is not signed by the control plane (RW-502).
        MalformedEvidence: it is no certificate (RW-201).
    """
    return certificate_of(_opened(sealed, trust))


def read_revocation(sealed: Sealed, trust: Trust) -> Revocation:
    """The revocation in an envelope on record.

    Raises:
        SignatureBroken: it is not signed by the control plane (RW-502).
        MalformedEvidence: it is no revocation (RW-201).
    """
    return revocation_of(_opened(sealed, trust))


def issued(case: CaseFile, trust: Trust) -> Mapping[str, Certificate]:
    """Every certificate on record, revoked ones too, by id.

    Raises:
        SignatureBroken: one is not signed by the control plane (RW-502).
        MalformedEvidence: one is no certificate (RW-201).
    """
    return {name: read_certificate(sealed, trust) for name, sealed in case.certificates.items()}


def _newest(case: CaseFile, certificate: Certificate) -> Decision | None:
    about = (certificate.use_case_id, certificate.gate_id)
    return next(
        (
            each.decision
            for each in reversed(case.decisions)
            if (each.decision.use_case_id, each.decision.gate_id) == about
        ),
        None,
    )


def _opened(sealed: Sealed, trust: Trust) -> object:
    opened = trust.open(sealed.body)
    if CERTIFICATE_AUTHORITY not in opened.signers:
        raise SignatureBroken(
            f"Entry {sealed.index} is signed by {', '.join(opened.signers)}, not by {CERTIFICATE_AUTHORITY}.",
            remedy="Do not rely on it; find out who wrote the entry.",
            where=f"entry {sealed.index}",
        )
    if opened.payload_type != PAYLOAD_TYPE:
        raise MalformedEvidence(
            f"The envelope holds {opened.payload_type!r}, not an in-toto statement.",
            remedy="Do not rely on it; find out who wrote the entry.",
            where=f"entry {sealed.index}",
        )
    return opened.payload


def _signed(parts: StatementParts, key: SigningKey) -> Envelope:
    return sign(PAYLOAD_TYPE, statement(parts.subjects, parts.predicate_type, parts.predicate), [key])


def _append(uow: UnitOfWork, kind: RecordKind, certificate: Certificate, envelope: Envelope, at: datetime) -> Receipt:
    return uow.append(
        Draft(
            kind=kind,
            at=at,
            actor=CERTIFICATE_AUTHORITY,
            use_case_id=certificate.use_case_id,
            subject=certificate.id,
            payload={"envelope": envelope.to_json()},
        )
    )


def _require_possible(caps: Caps, at: datetime, end: datetime) -> None:
    if not 0 < caps.wave_share <= 1:
        raise ParameterError(
            f"A share of {caps.wave_share:g} serves nobody or more than everybody.", remedy="Give 0.05, for example."
        )
    if caps.rate_rps is not None and not 0 < caps.rate_rps < float("inf"):
        raise ParameterError(f"A rate of {caps.rate_rps:g} a second is none.", remedy="Give a number above 0.")
    if not all(name.strip() for name in (*caps.cohorts, *caps.data_scopes)):
        raise ParameterError("A cohort or a data scope has no name.", remedy="Leave it out to allow every one.")
    if end <= at:
        raise ParameterError(
            f"The certificate would end at {format_instant(end)}.", remedy="Give an end in the future: --until."
        )


def _refused(fault: str) -> PolicyRefusal:
    return PolicyRefusal(
        f"No certificate: {fault}.", remedy="Look at what the gate asks: roadworthy gate; then issue it again."
    )
