"""``roadworthy sign``: a person's word on a criterion, their signature on the gate, or on a looser policy.

Rules kept here:
1. what is signed is printed first, and only then the passphrase is asked for;
2. the digest in a signature is that of the printed bytes, so anybody who has them can show what the person saw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from roadworthy.actions.evidence import Signer, attest, find_criterion
from roadworthy.actions.gates import sign_decision
from roadworthy.actions.inspection import tool
from roadworthy.actions.policy import Revision, looser
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
    plain,
    print_json,
    print_view,
)
from roadworthy.domain.case_file import fold
from roadworthy.domain.criterion import Criterion, Predicate
from roadworthy.domain.decision import Decision
from roadworthy.domain.evidence import Claim, Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.record import Receipt
from roadworthy.gates.case import decide_case
from roadworthy.gates.explain import headline
from roadworthy.reports.words import state_word
from roadworthy.wiring.keyring import authenticate, read_passphrase
from roadworthy.wiring.workspace import Workspace, trust_of

GATE = "gate"
POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """Something to sign.

    Attributes:
        view: what the person is shown.
        sign: writes the signature of somebody who has proven who they are; returns its entry and a sentence.
    """

    view: bytes
    sign: Callable[[Signer], tuple[int, str]]


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
    """Sign with your key and passphrase: a criterion, the gate, or a policy that gets looser. It is shown first."""
    with opened(manifest) as workspace:
        case = workspace.case()
        if what == POLICY:
            act = _policy(workspace, reason)
        elif what == GATE:
            act = _gate(workspace, role, meaning, reason)
        else:
            act = _criterion(workspace, what, role, claim, reason)
        print_view(act.view, aside=json)
        passphrase = read_passphrase(passphrase_file, person)
        index, sentence = act.sign(authenticate(workspace.folder, case, person, passphrase, workspace.clock()))
    if json:
        print_json({"signed": what, "by": person, "entry": index})
    else:
        console().print(f"✓ {sentence}")


def _policy(workspace: Workspace, reason: str) -> _Act:
    proposal = workspace.proposal()
    changes = looser(workspace.case().profile, proposal.profile)

    def write(signer: Signer) -> tuple[int, str]:
        revision = Revision(person=signer.person, key=signer.key, reason=reason)
        case = workspace.synchronise(proposal, revision=revision)
        return case.size - 1, f"{signer.person.printed_name} signed the policy; {len(changes)} bound(s) got looser."

    return _Act(view=_as_view([f"  looser: {change}" for change in changes]), sign=write)


def _gate(workspace: Workspace, role: Role | None, meaning: Meaning, reason: str) -> _Act:
    shown = workspace.settle(workspace.clock())
    view = _gate_view(shown)

    def write(signer: Signer) -> tuple[int, str]:
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

    return _Act(view=view, sign=write)


def _criterion(workspace: Workspace, criterion_id: str, role: Role | None, claim: Claim, reason: str) -> _Act:
    case = workspace.case()
    if case.profile is None or case.subject is None:
        raise NoWorkspace("No release is on record here yet.", remedy="Run roadworthy inspect first.")
    criterion = find_criterion(case.profile.criteria, criterion_id)
    view = _criterion_view(criterion)

    def write(signer: Signer) -> tuple[int, str]:
        acting = role or _only_role(signer, criterion.signer_roles or (criterion.owner_role,))
        receipt = _attest(workspace, criterion, signer, acting, claim, reason, digest_bytes(view))
        return receipt.index, f"{signer.person.printed_name} signed {criterion_id} as {acting.value}: {claim.value}."

    return _Act(view=view, sign=write)


def _gate_view(decision: Decision) -> bytes:
    """What a gate decided, with everything that a signature on it answers for."""
    lines = [
        f"Gate {decision.gate_id} of {decision.use_case_id}: {decision.outcome.value}",
        headline(decision),
        f"Release {decision.release_digest}",
        f"Basis {decision.basis_digest}",
    ]
    lines += [f"  {each.criterion_id:<4} {state_word(each.state):<14} {each.reason}" for each in decision.readings]
    lines += [f"  obligation: {each}" for each in decision.obligations]
    for seat in decision.quorum:
        signed = ", ".join(seat.signed_by) or "nobody yet"
        lines.append(f"  seat: {seat.role.value}, {seat.count} needed, signed by {signed}")
    return _as_view(lines)


def _criterion_view(criterion: Criterion) -> bytes:
    """What a criterion asks, and why."""
    lines = [f"Criterion {criterion.id}: {criterion.title}"]
    lines += [f"  asks: {_bound_words(predicate)}" for predicate in criterion.acceptance]
    lines += [f"  asks: the signature of {role.value}" for role in criterion.signer_roles]
    lines += [f"  source: {source.document}, {source.clause}" for source in criterion.sources]
    return _as_view([*lines, f"  revision: {criterion.digest}"])


def _bound_words(predicate: Predicate) -> str:
    unit = "" if predicate.unit == "1" else f" {predicate.unit}"
    # Every digit of the bound: what is signed must not be rounded.
    bound = f"{predicate.metric} {predicate.comparator.value} {predicate.bound!r}{unit}"
    return f"{bound}, from at least {predicate.n_min} ({predicate.provenance})"


def _as_view(lines: list[str]) -> bytes:
    # A line break within a text would let its author write lines of the view.
    return "".join(plain(line.replace("\n", "\\n")) + "\n" for line in lines).encode()


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
