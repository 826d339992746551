"""The one error tree. Owns every error that may cross a floor; raises none itself.

Families are sorted by *whose fault it is*, because that decides who must act and what the exit code says::

    RoadworthyError
    ├── InputError         RW-1xx  exit 2  HTTP 422   what the caller wrote: manifest, flags, files, data
    ├── EvidenceError      RW-2xx  exit 3  HTTP 422   what was observed cannot count as evidence
    ├── PolicyRefusal      RW-3xx  exit 1  HTTP 409   the rules say no
    ├── TargetError        RW-4xx  exit 4  HTTP 502   the AI system under inspection
    ├── IntegrityError     RW-5xx  exit 5  HTTP 500   signatures, ledger, store
    └── DependencyError    RW-6xx  exit 2  HTTP 501   an optional part is not installed

Rules kept here: a code is never reused (a retired one stays listed in ``RETIRED``), every code has a page
``docs/errors/<code>.md``, and every instance says what happened and the remedy.
"""

from typing import ClassVar

RETIRED: frozenset[str] = frozenset()


class RoadworthyError(Exception):
    """What happened, and what to do about it.

    Args:
        what: one sentence on what happened, with the offending value.
        remedy: one sentence on what to do now.
        where: the place, when there is one: ``file:line``, a key path, a URL, a ledger index.
    """

    code: ClassVar[str]
    exit_code: ClassVar[int]
    http_status: ClassVar[int]

    def __init__(self, what: str, *, remedy: str, where: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.where = where

    def __str__(self) -> str:
        """The form a person reads in a terminal, on one line."""
        place = f"{self.where}: " if self.where else ""
        return f"{self.code} {place}{self.what} Remedy: {self.remedy}"

    def problem(self) -> dict[str, object]:
        """The form a program reads: the members of an RFC 9457 problem document."""
        return {
            "type": f"https://roadworthy.dev/errors/{self.code}",
            "title": type(self).__name__,
            "status": self.http_status,
            "detail": self.what,
            "code": self.code,
            "remedy": self.remedy,
            "where": self.where,
            "exit_code": self.exit_code,
        }


class InputError(RoadworthyError):
    """What the caller wrote cannot be used."""

    code = "RW-100"
    exit_code = 2
    http_status = 422


class ManifestError(InputError):
    """roadworthy.yaml breaks its schema; all problems are listed at once."""

    code = "RW-101"


class MissingFile(InputError):
    """A file or folder that was named does not exist or cannot be opened."""

    code = "RW-102"


class UnreadableData(InputError):
    """A data file exists but cannot be parsed."""

    code = "RW-103"


class EmptyData(InputError):
    """A data set has no rows, or a column holds nothing but nulls."""

    code = "RW-104"


class UnitError(InputError):
    """A quantity lacks a unit, or carries one that does not fit."""

    code = "RW-105"


class ContractError(InputError):
    """A data contract is not ODCS, or does not fit its data."""

    code = "RW-106"


class UnknownCriterion(InputError):
    """No criterion of that id is in the profile."""

    code = "RW-107"


class UnknownPerson(InputError):
    """No person of that id is registered."""

    code = "RW-108"


class PackError(InputError):
    """A pack or overlay is malformed; all problems are listed at once."""

    code = "RW-109"


class InstantError(InputError):
    """A point in time is malformed, naive, or impossible."""

    code = "RW-110"


class NotCanonical(InputError):
    """A value has no canonical JSON form (NaN, infinity, an integer beyond 2**53, a lone surrogate)."""

    code = "RW-111"


class DependencyCycle(InputError):
    """Gaps or criteria depend on each other in a circle."""

    code = "RW-112"


class UnknownCheck(InputError):
    """No check of that id is in the catalogue."""

    code = "RW-113"


class ParameterError(InputError):
    """A parameter is unknown or outside its range."""

    code = "RW-114"


class NoWorkspace(InputError):
    """No roadworthy.yaml here, or nothing has been inspected yet."""

    code = "RW-115"


class TierAnswersError(InputError):
    """The tier answers are malformed."""

    code = "RW-116"


class EngineRefused(InputError):
    """An engine cannot compute something exactly, so it does not compute it at all."""

    code = "RW-117"


class EvidenceError(RoadworthyError):
    """What was observed cannot count as evidence."""

    code = "RW-200"
    exit_code = 3
    http_status = 422


class MalformedEvidence(EvidenceError):
    """An envelope or statement does not have the required members."""

    code = "RW-201"


class OtherRelease(EvidenceError):
    """The evidence is about another release."""

    code = "RW-202"


class GeneratorLagged(EvidenceError):
    """The load generator itself fell behind, so its figures would flatter the target."""

    code = "RW-203"


class NotEnoughData(EvidenceError):
    """Too few samples to compute an interval."""

    code = "RW-204"


class PolicyRefusal(RoadworthyError):
    """The rules say no."""

    code = "RW-300"
    exit_code = 1
    http_status = 409


class SelfApproval(PolicyRefusal):
    """Requester and approver, or builder and approver, are the same person."""

    code = "RW-301"


class WaiverRefused(PolicyRefusal):
    """A waiver lacks something mandatory, lasts too long, or is renewed in place."""

    code = "RW-302"


class NotWaivable(PolicyRefusal):
    """The criterion may never be waived at this tier."""

    code = "RW-303"


class LooseningRefused(PolicyRefusal):
    """A threshold, age or quorum got looser without a signed policy revision."""

    code = "RW-304"


class WrongRole(PolicyRefusal):
    """The person does not hold the role that must sign."""

    code = "RW-305"


class ReauthenticationFailed(PolicyRefusal):
    """The signer could not prove to be who they say."""

    code = "RW-306"


class DecisionChanged(PolicyRefusal):
    """What was to be signed is no longer what would be decided."""

    code = "RW-307"


class ProhibitedUse(PolicyRefusal):
    """The tier answers describe a prohibited use (R0)."""

    code = "RW-308"


class TargetError(RoadworthyError):
    """The AI system under inspection did not behave."""

    code = "RW-400"
    exit_code = 4
    http_status = 502


class TargetUnreachable(TargetError):
    """No connection, or no answer within the deadline."""

    code = "RW-401"


class TargetAnswer(TargetError):
    """The target answered something that its protocol does not allow."""

    code = "RW-402"


class IntegrityError(RoadworthyError):
    """Something that must not change has changed."""

    code = "RW-500"
    exit_code = 5
    http_status = 500


class BundleBroken(IntegrityError):
    """A bundle's bytes are not those that were exported."""

    code = "RW-501"


class SignatureBroken(IntegrityError):
    """A signature does not verify, or its key is not trusted."""

    code = "RW-502"


class LedgerBroken(IntegrityError):
    """Entries, tree and checkpoint of the ledger do not agree."""

    code = "RW-503"


class ClockWentBack(IntegrityError):
    """The clock shows an instant before the newest entry of the ledger."""

    code = "RW-504"


class StoreBroken(IntegrityError):
    """The store cannot be opened, or was written by a newer version."""

    code = "RW-505"


class DecisionMismatch(IntegrityError):
    """A recorded decision is not what its inputs decide."""

    code = "RW-506"


class DependencyError(RoadworthyError):
    """An optional part is not installed."""

    code = "RW-600"
    exit_code = 2
    http_status = 501
