"""``roadworthy sign``: a person's word on a criterion, their signature on the gate, or on a looser policy."""

from typing import Annotated

import typer

from roadworthy.actions.evidence import Signer, attest, find_criterion
from roadworthy.actions.gates import sign_decision
from roadworthy.actions.inspection import tool
from roadworthy.actions.policy import Revision, looser
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import NoWorkspace
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    PassphraseOption,
    PersonOption,
    ReasonOption,
    console,
    opened,
    print_json,
)
from roadworthy.domain.case_file import fold
from roadworthy.domain.criterion import Criterion
from roadworthy.domain.evidence import Claim, Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.record import Receipt
from roadworthy.gates.case import decide_case
from roadworthy.wiring.keyring import authenticate, read_passphrase
from roadworthy.wiring.workspace import Workspace, trust_of

GATE = "gate"
POLICY = "policy"


def sign(
    what: Annotated[str, typer.Argument(help="A criterion id, or 'gate', or 'policy'.")],
    person: PersonOption,
    reason: ReasonOption,
    role: Annotated[
        Role | None, typer.Option("--role", help="The role to sign in; needed when you hold several.")
    ] = None,
    claim: Annotated[Claim, typer.Option("--claim", help="What you attest of a criterion.")] = Claim.MET,
    meaning: Annotated[
        Meaning, typer.Option("--meaning", help="What your signature on the gate means.")
    ] = Meaning.APPROVED,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Sign with your key and passphrase: a criterion, the gate, or a policy that gets looser."""
    with opened(manifest) as workspace:
        case = workspace.case()
        at = workspace.clock()
        signer = authenticate(workspace.folder, case, person, read_passphrase(passphrase_file, person), at)
        if what == POLICY:
            index, sentence = _sign_policy(workspace, signer, reason)
        elif what == GATE:
            index, sentence = _sign_gate(workspace, signer, role, meaning, reason)
        else:
            index, sentence = _sign_criterion(workspace, what, signer, role, claim, reason)
    if json:
        print_json({"signed": what, "by": person, "entry": index})
    else:
        console().print(f"✓ {sentence}")


def _sign_policy(workspace: Workspace, signer: Signer, reason: str) -> tuple[int, str]:
    proposal = workspace.proposal()
    changes = looser(workspace.case().profile, proposal.profile)
    for change in changes:
        console().print(f"  looser: {change}", markup=False)
    revision = Revision(person=signer.person, key=signer.key, reason=reason)
    case = workspace.synchronise(proposal, revision=revision)
    return case.size - 1, f"{signer.person.printed_name} signed the policy; {len(changes)} bound(s) got looser."


def _sign_gate(
    workspace: Workspace, signer: Signer, role: Role | None, meaning: Meaning, reason: str
) -> tuple[int, str]:
    shown = workspace.settle(workspace.clock())
    view = canonical_bytes(to_json(shown))
    acting = role or _only_role(signer, tuple(seat.role for seat in shown.quorum))
    with workspace.store.unit_of_work() as uow:
        inside = fold(uow.records())
        at = workspace.clock()
        receipt = sign_decision(
            uow,
            case=inside,
            decision=decide_case(inside, uow.head(), at, trust_of(inside)),
            shown_basis_digest=shown.basis_digest,
            signer=signer,
            role=acting,
            meaning=meaning,
            reason=reason,
            shown_digest=digest_bytes(view),
            at=at,
        )
    return receipt.index, f"{signer.person.printed_name} signed the gate as {acting.value}: {meaning.value}."


def _sign_criterion(
    workspace: Workspace, criterion_id: str, signer: Signer, role: Role | None, claim: Claim, reason: str
) -> tuple[int, str]:
    case = workspace.case()
    if case.profile is None or case.subject is None:
        raise NoWorkspace("No release is on record here yet.", remedy="Run roadworthy inspect first.")
    criterion = find_criterion(case.profile.criteria, criterion_id)
    view = canonical_bytes(to_json(criterion))
    acting = role or _only_role(signer, criterion.signer_roles or (criterion.owner_role,))
    receipt = _attest(workspace, criterion, signer, acting, claim, reason, digest_bytes(view))
    return receipt.index, f"{signer.person.printed_name} signed {criterion_id} as {acting.value}: {claim.value}."


def _attest(
    workspace: Workspace, criterion: Criterion, signer: Signer, role: Role, claim: Claim, reason: str, shown: str
) -> Receipt:
    with workspace.store.unit_of_work() as uow:
        inside = fold(uow.records())
        if inside.subject is None:
            raise NoWorkspace("No release is on record here yet.", remedy="Run roadworthy inspect first.")
        return attest(
            uow,
            criterion=criterion,
            subject=inside.subject,
            signer=signer,
            role=role,
            claim=claim,
            reason=reason,
            shown_digest=shown,
            environment=workspace.manifest.environment,
            tool=tool(),
            at=workspace.clock(),
        )


def _only_role(signer: Signer, asked: tuple[Role, ...]) -> Role:
    """The one role that is asked for and held; else the first asked for, which the action then refuses by name."""
    held = [role for role in asked if role in signer.person.roles]
    return (held or list(asked))[0]
