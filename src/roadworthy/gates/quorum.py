"""Who has signed this decision. Owns the conditions on a signature and the seats of the quorum.

Signatures are necessary, never sufficient: nothing here looks at criteria.

Rules kept here:
1. A signature covers one basis digest. Moved to another decision it counts for nothing.
2. The person held the role, signed in due form (``esign``) and with their own key.
3. A later "rejected" by the same person withdraws an approval.
4. One person fills one seat, whatever roles they hold; from the gate's tier of independence on, builders fill none.
5. No gate and no number of signers is too large to be decided on: seats beyond ``MOST_SEATS`` stay empty.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from roadworthy.domain.criterion import Gate, Profile, QuorumRule
from roadworthy.domain.decision import Refused, Seat
from roadworthy.domain.evidence import Meaning, Sealed
from roadworthy.domain.people import Person, Role
from roadworthy.domain.signature import SIGNATURE_MEDIA_TYPE, Signature
from roadworthy.domain.use_case import UseCase
from roadworthy.gates.envelope import Letter, in_order, read_letter, refuse, stamp
from roadworthy.gates.esign import barred_builders, form_fault
from roadworthy.ports.trust import Trust

MOST_SEATS = 100
"""How many people a gate can ask to sign."""


class Quorum(NamedTuple):
    """The seats, the roles whose seats are empty (once for each), and the envelopes that fill none."""

    seats: tuple[Seat, ...]
    waiting_for: tuple[Role, ...]
    refused: tuple[Refused, ...]

    @property
    def complete(self) -> bool:
        """Whether somebody was asked to sign, and everybody who was did."""
        return bool(self.seats) and any(seat.count > 0 for seat in self.seats) and not self.waiting_for


def fill_seats(
    signatures: Iterable[Sealed],
    *,
    profile: Profile,
    use_case: UseCase,
    basis_digest: str,
    people: Mapping[str, Person],
    trust: Trust,
    at: datetime,
) -> Quorum:
    """Seat the people who validly approved.

    1. read the envelopes and keep the signatures for this gate and this basis, signed by whom they name; 2. an approval
    that its signer rejected later is void; 3. the other conditions on an approval; 4. seat as many people as possible,
    the first in the ledger first.

    Args:
        signatures: envelopes, in any order.
        profile: whose gate names the quorum.
        use_case: whose builders may not sign.
        basis_digest: of the decision at hand.
        people: registered, by id.
        trust: verifies signatures.
        at: the instant of the evaluation.
    """
    refused: list[Refused] = []
    # 1
    bound: list[Letter[Signature]] = []
    for each in in_order(set(signatures)):
        letter = read_letter(Signature, each, trust, SIGNATURE_MEDIA_TYPE)
        fault = letter if isinstance(letter, Refused) else _binding_fault(letter, profile.gate.id, basis_digest, at)
        if isinstance(letter, Letter) and fault is None:
            bound.append(letter)
        else:
            refused.append(fault if isinstance(fault, Refused) else refuse(each, f"{fault}"))
    # 2
    rejected: dict[str, datetime] = {}
    for letter in bound:
        if letter.content.meaning is Meaning.REJECTED:
            known = rejected.get(letter.content.person_id, letter.content.signed_at)
            rejected[letter.content.person_id] = max(known, letter.content.signed_at)
    # 3
    barred = barred_builders(profile, use_case)
    counting: list[Letter[Signature]] = []
    for letter in bound:
        if letter.content.meaning is Meaning.REJECTED:
            continue
        reason = _rejection_fault(letter.content, rejected) or _approval_fault(letter.content, profile, barred, people)
        if reason is None:
            counting.append(letter)
        else:
            refused.append(refuse(letter.sealed, reason))
    # 4
    seats, surplus = _seat(profile.gate, counting)
    waiting = [seat.role for seat in seats for _ in range(min(seat.count, MOST_SEATS) - len(seat.signed_by))]
    return Quorum(seats, tuple(waiting), (*refused, *surplus))


def overfull(gate: Gate) -> tuple[QuorumRule, ...]:
    """The rules whose seats would bring the gate above ``MOST_SEATS``: nobody is seated by these."""
    asked, beyond = 0, []
    for rule in gate.quorum:
        if asked + max(rule.count, 0) > MOST_SEATS:
            beyond.append(rule)
        else:
            asked += max(rule.count, 0)
    return tuple(beyond)


def _binding_fault(letter: Letter[Signature], gate_id: str, basis_digest: str, at: datetime) -> str | None:
    signature = letter.content
    if signature.gate_id != gate_id:
        return f"it was given for the gate {signature.gate_id!r}"
    if signature.basis_digest != basis_digest:
        return "it was given for another decision; what was decided on has changed since"
    if signature.person_id not in letter.signers:
        return f"it names {signature.person_id!r}, who did not sign it"
    if signature.signed_at > at:
        return f"it is dated in the future ({stamp(signature.signed_at)})"
    return None


def _rejection_fault(signature: Signature, rejected: Mapping[str, datetime]) -> str | None:
    withdrawn_at = rejected.get(signature.person_id)
    # At one instant, no beats yes.
    if withdrawn_at is not None and withdrawn_at >= signature.signed_at:
        return f"{signature.person_id} withdrew it on {stamp(withdrawn_at)}"
    return None


def _approval_fault(
    signature: Signature, profile: Profile, barred: Collection[str], people: Mapping[str, Person]
) -> str | None:
    person = people.get(signature.person_id)
    if signature.meaning is not Meaning.APPROVED:
        return f"its meaning is {signature.meaning.value}; only approved fills a seat"
    if person is None or signature.role not in person.roles:
        return f"{signature.person_id} does not hold the role {signature.role.value}"
    if signature.person_id in barred:
        return f"{signature.person_id} built this system and cannot approve its gate at tier {profile.tier.value}"
    return form_fault(signature, signature.signed_at, person)


class _Chair(NamedTuple):
    rule: int
    role: Role


def _seat(gate: Gate, counting: Sequence[Letter[Signature]]) -> tuple[tuple[Seat, ...], list[Refused]]:
    """A largest matching of people to seats, found by augmenting paths (H. W. Kuhn, 1955)."""
    beyond = overfull(gate)
    chairs = [
        _Chair(number, rule.role)
        for number, rule in enumerate(gate.quorum)
        if rule not in beyond
        for _ in range(rule.count)
    ]
    roles: dict[str, set[Role]] = {}
    for letter in counting:
        roles.setdefault(letter.content.person_id, set()).add(letter.content.role)
    taken: dict[int, str] = {}
    for person_id in roles:
        _sit(person_id, chairs, roles, taken)
    seats = tuple(
        Seat(
            role=rule.role,
            count=rule.count,
            signed_by=tuple(
                taken[chair] for chair, each in enumerate(chairs) if each.rule == number and chair in taken
            ),
        )
        for number, rule in enumerate(gate.quorum)
    )
    seated = {(person_id, chairs[chair].role) for chair, person_id in taken.items()}
    surplus = [
        refuse(letter.sealed, f"{letter.content.person_id} fills no seat as {letter.content.role.value}")
        for letter in counting
        if (letter.content.person_id, letter.content.role) not in seated
    ]
    return seats, surplus


def _sit(person_id: str, chairs: Sequence[_Chair], roles: Mapping[str, set[Role]], taken: dict[int, str]) -> None:
    """Seat one more person, moving others when that makes room; nobody loses a seat by it. Changes ``taken``.

    1. breadth first from the person: every chair that may be theirs, then those of the people who sit there; 2. at the
    first empty chair everybody on the way to it moves up by one. A queue, for a recursion would be as deep as the gate.
    """
    chair_of = {sitting: chair for chair, sitting in taken.items()}
    wanted_by: dict[int, str] = {}
    queue = deque([person_id])
    while queue:
        # 1
        asking = queue.popleft()
        for chair, (_, role) in enumerate(chairs):
            if chair in wanted_by or role not in roles[asking]:
                continue
            wanted_by[chair] = asking
            if chair in taken:
                queue.append(taken[chair])
                continue
            # 2
            free: int | None = chair
            while free is not None:
                taken[free] = wanted_by[free]
                free = chair_of.get(wanted_by[free])
            return
