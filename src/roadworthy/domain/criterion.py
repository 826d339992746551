"""Criteria, the predicates that accept them, and profiles. Owns how numbers are judged against a bound.

The rule of the house: the bound of the interval decides, never the point, and what cannot be known is never a pass.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.base.interval import Interval
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part


class ReadinessDomain(Enum):
    """The four areas of readiness."""

    GOVERNANCE = "governance"
    TECHNICAL = "technical"
    DATA = "data"
    ADOPTION = "adoption"


class Kind(Enum):
    """What sort of proof a criterion takes."""

    EXECUTABLE = "executable"
    MEASURED = "measured"
    DOCUMENT = "document"
    SIGNATURE = "signature"


class Assurance(Enum):
    """How much a proof is worth, weakest first."""

    SELF_ATTESTED = "self_attested"
    THIRD_PARTY = "third_party"
    EXECUTED = "executed"

    @property
    def rank(self) -> int:
        """0 for the weakest."""
        return tuple(Assurance).index(self)


class Comparator(Enum):
    """Which side of the bound passes."""

    AT_LEAST = ">="
    AT_MOST = "<="


class Verdict(Enum):
    """What numbers say of a predicate."""

    MET = "met"
    NOT_MET = "not_met"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One measured number.

    Attributes:
        metric: its name, as predicates call it.
        interval: the number with its uncertainty.
        unit: unit of the number; ``1`` for a share, a ratio or a score.
        cohort: the part of the population it is about; None for all of it.
    """

    metric: str
    interval: Interval
    unit: str = "1"
    cohort: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """A bound on one metric.

    The side of the interval that decides follows from the comparator: the lower end must reach a minimum, the upper end
    must stay within a maximum.

    Attributes:
        metric: name of the estimate that it reads, taken over the whole population.
        comparator: which side of the bound passes.
        bound: in ``unit``.
        unit: must equal the unit of the estimate.
        n_min: fewest independent units that may decide.
        provenance: where the bound comes from.
    """

    metric: str
    comparator: Comparator
    bound: float
    unit: str
    n_min: int
    provenance: str


def judge(predicate: Predicate, estimates: Iterable[Estimate]) -> Verdict:
    """Judge one predicate; three-valued.

    1. exactly one estimate of that metric, over the whole population and in that unit, or nothing can be told;
    2. its three numbers are finite and it rests on at least ``n_min`` units, or nothing can be told;
    3. the deciding end of the interval meets the bound: met; the opposite end misses it too: not met;
    4. otherwise the interval straddles the bound: cannot tell.
    """
    # 1
    found = [e for e in estimates if e.metric == predicate.metric and e.cohort is None]
    if len(found) != 1 or found[0].unit != predicate.unit or not math.isfinite(predicate.bound):
        return Verdict.CANNOT_TELL
    # 2
    interval = found[0].interval
    if not interval.known or interval.n < predicate.n_min:
        return Verdict.CANNOT_TELL
    # 3, 4
    if predicate.comparator is Comparator.AT_LEAST:
        met, missed = interval.lower >= predicate.bound, interval.upper < predicate.bound
    else:
        met, missed = interval.upper <= predicate.bound, interval.lower > predicate.bound
    if met:
        return Verdict.MET
    return Verdict.NOT_MET if missed else Verdict.CANNOT_TELL


def judge_all(predicates: Iterable[Predicate], estimates: Iterable[Estimate]) -> Verdict:
    """All predicates together: one miss is a miss, then one doubt is a doubt; no predicate at all is a doubt."""
    numbers = tuple(estimates)
    verdicts = {judge(predicate, numbers) for predicate in predicates}
    if Verdict.NOT_MET in verdicts:
        return Verdict.NOT_MET
    return Verdict.MET if verdicts == {Verdict.MET} else Verdict.CANNOT_TELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Person-days to close a gap: optimistic, likely, pessimistic."""

    low_days: float
    likely_days: float
    high_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a criterion comes from: the document and the clause."""

    document: str
    clause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that must be true before going live.

    Attributes:
        id: short name, unique in its profile.
        domain: area of readiness.
        title: for people.
        kind: sort of proof.
        check: id of the check that proves it; None when signatures alone do.
        acceptance: predicates on what the check estimates; empty for pure signatures.
        depends_on: parts whose change makes evidence stale.
        max_age_days: validity of evidence, by tier.
        waivable: tiers at which a waiver may cover it.
        min_assurance: the least that its evidence must be worth.
        signer_roles: every one of these must have attested, freshly.
        may_not_apply: whether a signed rationale can make it not applicable.
        required_from: the lowest tier at which it is required.
        effort: default effort to close its gap.
        owner_role: who owns its gap unless somebody is assigned.
        gap_depends_on: criteria whose gaps must be closed first.
        sources: article and clause.
    """

    id: str
    domain: ReadinessDomain
    title: str
    kind: Kind
    check: str | None
    acceptance: tuple[Predicate, ...]
    depends_on: frozenset[Part]
    max_age_days: Mapping[Tier, float]
    waivable: frozenset[Tier]
    min_assurance: Assurance
    signer_roles: tuple[Role, ...]
    may_not_apply: bool
    required_from: Tier
    effort: Effort
    owner_role: Role
    gap_depends_on: tuple[str, ...]
    sources: tuple[Source, ...]

    @property
    def digest(self) -> str:
        """Changes whenever the criterion is revised."""
        return digest_of(to_json(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRef:
    """A pack by its exact bytes."""

    id: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumRule:
    """At least ``count`` different people must sign in ``role``."""

    role: Role
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Where a decision is due.

    Attributes:
        id: for example ``go-live``.
        title: for people.
        quorum: who must sign.
        independent_from: tier from which no builder may sign as approver.
        waiver_days: longest life of a waiver, by tier.
        max_waivers: most waivers that may be in force at once.
        conditional_wave_share: largest share of the population while waivers are in force, in [0, 1].
    """

    id: str
    title: str
    quorum: tuple[QuorumRule, ...]
    independent_from: Tier
    waiver_days: Mapping[Tier, float]
    max_waivers: int
    conditional_wave_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The criteria required for one use case at one tier, after overlays and parameters."""

    use_case_id: str
    tier: Tier
    gate: Gate
    criteria: tuple[Criterion, ...]
    packs: tuple[PackRef, ...]

    @property
    def digest(self) -> str:
        """Changes whenever anything that decides changes."""
        return digest_of(to_json(self))
