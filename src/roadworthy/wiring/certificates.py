"""Certificates of a workspace. Owns the order of steps: what lies on disk now, what the gate says now, then the signature.

Rules kept here:
1. A file that changed since the inspection makes another release, so it is looked at before a certificate is issued.
2. The control plane's key is registered before the first certificate, by an entry of its own.
"""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.actions.certificates import (
    issue_certificate,
    issued,
    read_certificate,
    revoke_certificate,
)
from roadworthy.actions.registration import PRODUCER_ID, register_producer
from roadworthy.base.errors import InputError
from roadworthy.base.ids import new_id
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY, Caps, Certificate
from roadworthy.domain.decision import Outcome
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.people import Producer
from roadworthy.ledger.dsse import Envelope
from roadworthy.ledger.keys import SigningKey
from roadworthy.wiring.keyring import certificate_key
from roadworthy.wiring.workspace import Workspace, trust_of

_PASSED = (Outcome.OPEN, Outcome.CONDITIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate on record.

    Attributes:
        certificate: what it says.
        envelope: for the gateways; its bytes are the file.
        index: of its entry.
        public_key: of the control plane, 64 hex digits; gateways are told to trust it.
    """

    certificate: Certificate
    envelope: Envelope
    index: int
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A certificate with what became of it: ``in force``, ``ended`` or ``revoked``."""

    certificate: Certificate
    state: str


def issue(
    workspace: Workspace,
    *,
    cohorts: tuple[str, ...] = (),
    data_scopes: tuple[str, ...] = (),
    wave_share: float | None = None,
    rate_rps: float | None = None,
    valid_until: datetime | None = None,
) -> Issued:
    """Issue a certificate for the release on disk.

    Args:
        workspace: inspected and decided.
        cohorts: groups that may be served; every one when empty.
        data_scopes: data that may be reached; every one when empty.
        wave_share: largest share of the population, in [0, 1]; what the decision allows when None.
        rate_rps: largest rate of requests, per second; no limit when None.
        valid_until: exclusive end; that of the decision when None.

    Raises:
        NoWorkspace: nothing was ever inspected here (RW-115).
        PolicyRefusal: the gate is not open, or it allows less (RW-300); no certificate is written then.
        ParameterError: a cap that no traffic could have (RW-114).
    """
    workspace.require_begun()
    workspace.synchronise(workspace.proposal())
    decision = workspace.settle(workspace.clock())
    key = certificate_key(workspace.folder, workspace.case())
    if decision.outcome in _PASSED:
        _register(workspace, key)
    share = decision.max_wave_share if wave_share is None else wave_share
    caps = Caps(cohorts=cohorts, data_scopes=data_scopes, wave_share=share, rate_rps=rate_rps)
    name = new_id("certificate")
    with workspace.store.unit_of_work() as uow:
        inside = fold(uow.records())
        receipt, envelope = issue_certificate(
            uow,
            case=inside,
            trust=trust_of(inside),
            decision=decision,
            caps=caps,
            key=key,
            certificate_id=name,
            at=workspace.clock(),
            valid_until=valid_until,
        )
    case = workspace.case()
    certificate = read_certificate(case.certificates[name], trust_of(case))
    return Issued(certificate=certificate, envelope=envelope, index=receipt.index, public_key=key.public.hex)


def revoke(workspace: Workspace, certificate_id: str, reason: str) -> Envelope:
    """Revoke a certificate, for good.

    Raises:
        InputError: no such certificate, or no reason (RW-100).
        PolicyRefusal: it is revoked already (RW-300).
    """
    case = workspace.case()
    known = issued(case, trust_of(case))
    if certificate_id not in known:
        listed = ", ".join(known) or "none"
        raise InputError(f"There is no certificate {certificate_id!r}.", remedy=f"On record: {listed}.")
    key = certificate_key(workspace.folder, case)
    with workspace.store.unit_of_work() as uow:
        _, envelope = revoke_certificate(
            uow,
            case=fold(uow.records()),
            certificate=known[certificate_id],
            reason=reason,
            key=key,
            at=workspace.clock(),
        )
    return envelope


def certificates(case: CaseFile, at: datetime) -> tuple[Listed, ...]:
    """Every certificate on record with its state at an instant, oldest first.

    Raises:
        SignatureBroken: one is not signed by the control plane (RW-502).
    """
    return tuple(
        Listed(certificate=each, state=_state(each, case, at)) for each in issued(case, trust_of(case)).values()
    )


def revocations(case: CaseFile) -> tuple[Sealed, ...]:
    """Every revocation whose envelope is still on record, oldest first: what gateways are handed."""
    return tuple(sealed for sealed in case.revocations.values() if sealed is not None)


def authority_key(case: CaseFile) -> str | None:
    """The control plane's registered public key, 64 hex digits; None before the first certificate."""
    authority = case.producers.get(CERTIFICATE_AUTHORITY)
    return None if authority is None else authority.public_key


def _register(workspace: Workspace, key: SigningKey) -> None:
    if CERTIFICATE_AUTHORITY in workspace.case().producers:
        return
    producer = Producer(id=CERTIFICATE_AUTHORITY, public_key=key.public.hex)
    with workspace.store.unit_of_work() as uow:
        register_producer(uow, producer=producer, actor=PRODUCER_ID, at=workspace.clock())


def _state(certificate: Certificate, case: CaseFile, at: datetime) -> str:
    if certificate.id in case.revocations:
        return "revoked"
    return "in force" if certificate.valid_from <= at < certificate.valid_until else "ended"
