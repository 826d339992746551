"""The file format of a pack. Owns the schema at the border; references inside a file, composition and strictness belong to ``packs``.

A pack is a versioned catalogue of criteria with their sources. An overlay file is a pack too: it holds operations instead
of criteria, and every operation can only tighten.

Rules kept here: unknown keys are errors, every bound states its provenance, ages and quorums are given for all four
tiers, and numbers are finite.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from roadworthy.domain.criterion import Assurance, Comparator, Kind, ReadinessDomain
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part


class ParamKind(Enum):
    """What a parameter stands for."""

    NUMBER = "number"
    COMPARATOR = "comparator"


KNOWN_PARAMS = {
    "quality.bound": ParamKind.NUMBER,
    "quality.op": ParamKind.COMPARATOR,
    "quality.margin": ParamKind.NUMBER,
    "slo.p99_ms": ParamKind.NUMBER,
    "slo.error_share": ParamKind.NUMBER,
}
"""What ``{param: name}`` may name: values that the use case itself declares in its manifest."""

TIERS = (Tier.R1, Tier.R2, Tier.R3, Tier.R4)
"""The tiers for which a pack can ask for something; R0 is not to be made ready."""

Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Days: TypeAlias = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
PackId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
CriterionId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z]+(-?[0-9]+)?$", max_length=16)]


def _real(tier: Tier) -> Tier:
    if tier not in TIERS:
        raise PydanticCustomError("tier", "R0 is prohibited: nothing is required or allowed there. Use R1 to R4")
    return tier


RealTier: TypeAlias = Annotated[Tier, AfterValidator(_real)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParamRef(_Block):
    """A value that the use case declares."""

    param: Text


def _or_param(wanted: str) -> WrapValidator:
    """One message instead of one for each branch of the union."""

    def read(value: Any, accept: ValidatorFunctionWrapHandler) -> Any:
        try:
            return accept(value)
        except ValidationError as error:
            form = "{param: name}"
            if isinstance(value, Mapping):
                raise PydanticCustomError("param", "A reference reads {form}", {"form": form}) from error
            raise PydanticCustomError("value", "Write {wanted}, or {form}", {"wanted": wanted, "form": form}) from error

    return WrapValidator(read)


class SourceDocument(_Block):
    """A document that criteria cite."""

    document: Text = Field(description="Title, as criteria cite it.")
    url: str | None = Field(default=None, pattern=r"^https?://")
    checked_on: date = Field(
        description="As of when its status was looked up; no claim that every clause was confirmed."
    )


class Citation(_Block):
    """Where a criterion comes from."""

    document: Text
    clause: Text


class DaysByTier(_Block):
    """Days, for each of the four tiers."""

    R1: Days
    R2: Days
    R3: Days
    R4: Days

    def by_tier(self) -> dict[Tier, float]:
        """The same as a mapping."""
        return {tier: getattr(self, tier.value) for tier in TIERS}


class AcceptModel(_Block):
    """A bound on one metric."""

    metric: Text
    op: Annotated[Comparator | ParamRef, _or_param('">=" or "<="')]
    bound: Annotated[Number | ParamRef, _or_param("a finite number")]
    unit: Text
    n_min: Annotated[Count | ParamRef, _or_param("a whole number from 1 on")]
    provenance: Text = Field(description="Where the bound comes from; never left out.")

    def params(self) -> Iterator[tuple[str, str, ParamKind]]:
        """Every reference: the key that holds it, the name, and what it must stand for."""
        wanted = (("op", self.op, ParamKind.COMPARATOR), ("bound", self.bound, ParamKind.NUMBER))
        for key, value, kind in (*wanted, ("n_min", self.n_min, ParamKind.NUMBER)):
            if isinstance(value, ParamRef):
                yield key, value.param, kind


class EffortModel(_Block):
    """Person-days to close the gap."""

    low: Days
    likely: Days
    high: Days


class CriterionModel(_Block):
    """One criterion, as a pack states it."""

    id: CriterionId
    domain: ReadinessDomain
    title: Text
    kind: Kind
    check: str | None = Field(description="Id of the check that proves it; null when none does.")
    accept: tuple[AcceptModel, ...]
    depends_on: tuple[Part, ...]
    max_age_days: DaysByTier
    waivable_at: tuple[RealTier, ...]
    min_assurance: Assurance
    signer_roles: tuple[Role, ...]
    may_not_apply: bool = Field(strict=True)
    required_from: RealTier
    effort: EffortModel
    owner_role: Role
    gap_depends_on: tuple[CriterionId, ...]
    sources: tuple[Citation, ...] = Field(min_length=1)


class QuorumModel(_Block):
    """At least ``count`` people must sign in ``role``."""

    role: Role
    count: Count


class QuorumByTier(_Block):
    """Who must sign, for each of the four tiers."""

    R1: tuple[QuorumModel, ...] = Field(min_length=1)
    R2: tuple[QuorumModel, ...] = Field(min_length=1)
    R3: tuple[QuorumModel, ...] = Field(min_length=1)
    R4: tuple[QuorumModel, ...] = Field(min_length=1)

    def at(self, tier: Tier) -> tuple[QuorumModel, ...]:
        """The quorum of one tier."""
        quorum: tuple[QuorumModel, ...] = getattr(self, tier.value)
        return quorum


class GateModel(_Block):
    """A gate, as a pack states it."""

    id: PackId
    title: Text
    quorum: QuorumByTier
    independent_from: RealTier = Field(description="Tier from which no builder may sign.")
    waiver_days: DaysByTier
    max_waivers: int = Field(strict=True, ge=0)
    conditional_wave_share: Share


class AddOperation(_Block):
    """Require a criterion that no pack defines."""

    op: Literal["add"]
    criterion: CriterionModel


class TightenAccept(_Block):
    """A stricter bound, or more data, for one metric of a criterion."""

    metric: Text
    bound: Number | None = None
    n_min: Count | None = None
    provenance: Text


class TightenDays(_Block):
    """Shorter ages, for some tiers."""

    R1: Days | None = None
    R2: Days | None = None
    R3: Days | None = None
    R4: Days | None = None

    def by_tier(self) -> dict[Tier, float]:
        """The tiers that are given."""
        return {tier: days for tier in TIERS if (days := getattr(self, tier.value)) is not None}


class TightenOperation(_Block):
    """Make one criterion stricter."""

    op: Literal["tighten"]
    criterion: CriterionId
    accept: tuple[TightenAccept, ...] = ()
    max_age_days: TightenDays = TightenDays()
    add_signer_roles: tuple[Role, ...] = ()
    min_assurance: Assurance | None = None
    not_waivable_at: tuple[RealTier, ...] = ()


class TightenQuorum(_Block):
    """More signatures, for some tiers; a role that is not named keeps what it has."""

    R1: tuple[QuorumModel, ...] = ()
    R2: tuple[QuorumModel, ...] = ()
    R3: tuple[QuorumModel, ...] = ()
    R4: tuple[QuorumModel, ...] = ()

    def at(self, tier: Tier) -> tuple[QuorumModel, ...]:
        """What is given for one tier."""
        quorum: tuple[QuorumModel, ...] = getattr(self, tier.value)
        return quorum


class TightenGateOperation(_Block):
    """Ask for more signatures at a gate."""

    op: Literal["tighten_gate"]
    gate: PackId
    quorum: TightenQuorum


class RequireOperation(_Block):
    """Require a criterion from a lower tier on."""

    op: Literal["require_at_tier"]
    criterion: CriterionId
    tier: RealTier


Operation: TypeAlias = Annotated[
    AddOperation | TightenOperation | TightenGateOperation | RequireOperation, Field(discriminator="op")
]


class PackModel(_Block):
    """A whole pack file."""

    id: PackId
    version: Count
    title: Text
    status: Literal["active", "draft"]
    sources: tuple[SourceDocument, ...] = ()
    gates: tuple[GateModel, ...] = ()
    criteria: tuple[CriterionModel, ...] = ()
    overlays: tuple[Operation, ...] = ()
