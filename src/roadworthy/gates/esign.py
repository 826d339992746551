"""The form of an e-signature, on a criterion and on a gate alike. Owns what makes a person's yes valid in form.

It leaves alone whose key signed (``Trust``), which role is asked for and what was signed (``state``, ``quorum``).

Rules kept here:
1. A yes says why, under the name by which its signer is registered.
2. Two different components proved who signed, shortly before: a session alone never signs.
3. Only who approves or takes responsibility says yes; who wrote or reviewed something has not.
4. Only a yes needs form. A no counts however it was given, or a slip in its form would open a gate.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from roadworthy.domain.criterion import Profile
from roadworthy.domain.evidence import Attestation, Claim, Meaning
from roadworthy.domain.people import Person
from roadworthy.domain.signature import Signature
from roadworthy.domain.use_case import UseCase

REAUTHENTICATION = timedelta(minutes=15)
"""How long before a signature its signer may have proven who they are."""

FEWEST_COMPONENTS = 2
"""Different things that prove an identity, such as a key file and its passphrase."""

_LIMIT_MINUTES = REAUTHENTICATION // timedelta(minutes=1)
_YES = (Meaning.APPROVED, Meaning.RESPONSIBLE)


def form_fault(signed: Attestation | Signature, signed_at: datetime, person: Person) -> str | None:
    """Why a yes is not valid in form, as a clause; None when it is.

    Args:
        signed: the word on a criterion, or the signature on a gate.
        signed_at: when; for a word, the instant at which its evidence was produced.
        person: registered under the id that ``signed`` names.
    """
    # 1
    if not signed.reason.strip():
        return "it gives no reason"
    if signed.printed_name != person.printed_name:
        return f"it shows the name {signed.printed_name!r}, but {person.id} is registered as {person.printed_name!r}"
    # 2. A difference of instants, never a sum: a sum can leave the calendar.
    if len({component.strip() for component in signed.components} - {""}) < FEWEST_COMPONENTS:
        return f"fewer than {FEWEST_COMPONENTS} components proved its signer's identity"
    if not timedelta(0) <= signed_at - signed.authenticated_at <= REAUTHENTICATION:
        return f"its signer's identity was not proven within the {_LIMIT_MINUTES} minutes before signing"
    # 3
    if signed.meaning not in _YES:
        return f"its meaning is {signed.meaning.value}, which is no yes"
    return None


def says_no(word: Attestation) -> bool:
    """Whether a word is a no: who signs "rejected" has said no, whatever claim stands there."""
    return word.claim is Claim.NOT_MET or word.meaning is Meaning.REJECTED


def barred_builders(profile: Profile, use_case: UseCase) -> Collection[str]:
    """Ids of the people who may say yes to nothing here: the builders, from the gate's tier of independence on."""
    return frozenset(use_case.builders) if profile.tier.at_least(profile.gate.independent_from) else frozenset()
