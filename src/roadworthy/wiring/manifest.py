"""roadworthy.yaml: the file a user writes. Owns its schema; reading it into the vocabulary belongs to ``case``.

Rules kept here: unknown keys are errors, every unit stands in the key or the value, paths are relative to the file, and
digests are computed, never typed.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Owners(_Block):
    """Person or team by role."""

    business: str
    system: str
    data: str | None = None
    validator: str | None = None
    security: str | None = None
    quality: str | None = None
    legal: str | None = None
    change_lead: str | None = None
    sponsor: str | None = None


class UseCaseBlock(_Block):
    """What the system is for and who answers for it."""

    id: Name = Field(description="Short name, unique in its store.")
    title: str = Field(min_length=1, description="For people.")
    intended_use: str = Field(min_length=1, description="What it does, for whom, and who decides.")
    decision: str = Field(min_length=1, description="The decision that its output supports.")
    steps: list[str] = Field(
        default=[], description="Steps in the life of a case, in order; data.*.known_at uses them."
    )
    decided_at: str | None = Field(default=None, description="The step at which the output is used.")
    owners: Owners
    builders: list[str] = Field(
        default=[], description="Ids of the people who built it; from R3 on they cannot approve it."
    )
    tier: str = Field(description="File with the 24 factual answers; the tier is computed from them.")

    @model_validator(mode="after")
    def _decision_is_a_step(self) -> Self:
        if self.decided_at is not None and self.decided_at not in self.steps:
            raise ValueError("decided_at is none of steps")
        return self


class ReleaseBlock(_Block):
    """Files that make the release; their digests are computed."""

    model: str
    prompt: str | None = Field(
        default=None,
        description="Any file, which counts by its bytes; or a prompt set, a YAML file with roadworthyPrompts: 1 at its "
        "top, which counts by the texts, models and parameters of its prompts.",
    )
    tools: str | None = None
    index: str | None = None
    config: str | None = None
    infrastructure: str | None = None


class DataBlock(_Block):
    """One data set."""

    path: str = Field(description="CSV or Parquet; may hold wildcards.")
    contract: str | None = Field(default=None, description="ODCS 3.1 data contract.")
    label: str | None = Field(default=None, description="Column with the true outcome, 0 or 1.")
    cohort: str | None = Field(default=None, description="Column that names the site or group.")
    key: str | None = Field(default=None, description="Column that identifies a row.")
    features: list[str] = Field(default=[], description="Columns that the model takes, in its order.")
    known_at: dict[str, str] = Field(default={}, description="By column, the step at which its value is known.")
    cluster: str | None = Field(default=None, description="Column with the independent unit, such as the patient.")
    acquisition: list[str] = Field(default=[], description="Columns that tell where and how a row was made.")
    time: str | None = Field(default=None, description="Column with the instant of the row.")
    lineage: list[str] = Field(default=[], description="Files of OpenLineage run events, one a line.")


class DataSets(_Block):
    """The curated pilot set, the production-representative set and, where it is known, what the model learnt from."""

    pilot: DataBlock
    production: DataBlock
    training: DataBlock | None = None


class PeakBlock(_Block):
    """Highest expected request rates, in requests per second over sliding windows."""

    per_1_s: Positive
    per_10_s: Positive
    per_60_s: Positive
    derived_from: str = Field(min_length=1, description="How the peak was derived.")


class TargetBlock(_Block):
    """The endpoint under inspection."""

    protocol: Literal["open-inference"] = "open-inference"
    url: str = Field(pattern=r"^https?://")
    peak: PeakBlock | None = None
    arrivals: str | None = Field(
        default=None, description="CSV of recorded arrivals: a column TIMESTAMP, or one column only."
    )
    headers_file: str | None = Field(
        default=None,
        description="JSON file with headers of every request, such as a credential; it is no part of the release.",
    )


class GatewayBlock(_Block):
    """The gateway in front of the endpoint. Checks rehearse with a copy of it."""

    config: str = Field(description="gateway.yaml.")
    use_case: str | None = Field(default=None, description="Its block there; use_case.id when not given.")
    url: str | None = Field(default=None, pattern=r"^https?://", description="Where it serves.")
    admin_url: str | None = Field(default=None, pattern=r"^https?://", description="Where it tells its state.")
    samples: str | None = Field(default=None, description="One request for every route that needs its own.")
    access: str | None = Field(default=None, description="Who may do what, as the data owner approved it.")
    exposure: str | None = Field(default=None, description="Ports, encryption and outbound connections, as declared.")
    transactions: str | None = Field(default=None, description="Business transactions through all systems.")
    alerts: str | None = Field(default=None, description="Alert rules, and who must answer within which time.")


class QualityBlock(_Block):
    """The quality that the use case needs."""

    metric: Literal["auc", "accuracy", "sensitivity", "specificity", "brier"]
    bound: Share
    side: Literal["lower", "upper"] = Field(description="Which end of the interval must meet the bound.")
    margin_from_pilot: Share = Field(description="Largest acceptable loss against the pilot, in the metric's unit.")
    threshold: Share = Field(default=0.5, description="Score from which a row counts as positive.")

    @model_validator(mode="after")
    def _side_fits_metric(self) -> Self:
        wanted = "upper" if self.metric == "brier" else "lower"
        if self.side != wanted:
            raise ValueError(f"for {self.metric} the side is {wanted}: that end of the interval must meet the bound")
        return self


class SloBlock(_Block):
    """Service levels, written inline instead of in an OpenSLO file."""

    p99_ms: Positive
    error_share: Share = 0.01


class MonitorBlock(_Block):
    """How production is watched, window by window."""

    windows: str | None = Field(
        default=None, description="Files of production rows to watch; those of data.production when not given."
    )
    windows_per_false_alarm: int = Field(
        default=100, ge=2, description="At most one false alarm is expected in that many windows."
    )
    tolerance: Positive = Field(default=0.02, description="Largest drift of an input that nobody has to look at.")
    effect: Literal["psi", "jensen_shannon", "total_variation", "wasserstein", "kolmogorov_smirnov"] = Field(
        default="psi", description="What is measured of drift; the tolerance is in its unit."
    )


class Manifest(_Block):
    """roadworthy.yaml, version 1."""

    roadworthy: Literal[1]
    use_case: UseCaseBlock
    packs: list[str] = Field(min_length=1, description="Packs as id@version, or paths of pack files.")
    overlays: list[str] = Field(default=[], description="Overlay files; they can only tighten.")
    release: ReleaseBlock
    data: DataSets
    target: TargetBlock | None = None
    gateway: GatewayBlock | None = None
    quality: QualityBlock | None = None
    slo: str | SloBlock | None = Field(default=None, description="OpenSLO file, or p99_ms and error_share.")
    fallback: list[dict[str, str]] = Field(default=[], description="Declared fallback ladder, first rung first.")
    environment: str = Field(default="production-like", description="Where the inspection runs.")
    monitor: MonitorBlock = Field(default=MonitorBlock(), description="How production is watched.")
    checks: dict[str, dict[str, Any]] = Field(default={}, description="Parameters of single checks; they only tighten.")
