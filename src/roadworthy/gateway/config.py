"""gateway.yaml: the file an operator writes. Owns its schema; reading it belongs to ``load_config``.

Rules kept here: unknown keys are errors, every unit stands in the key, paths are relative to the file, secrets are never
in it (a key file holds hashes; a password comes from a file of its own).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from roadworthy.domain.exchange import RecordMode
from roadworthy.domain.risk import Tier

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Address = Annotated[str, Field(pattern=r"^[^\s/]+:\d{1,5}$", description="host:port")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Block):
    """Certificate and key of the listener, in PEM."""

    certificate: Path
    key: Path


class Ledger(_Block):
    """Where the runtime's ledger lies, and how it is called."""

    folder: Path
    origin: str = Field(min_length=1, description="Name of the log, unique in the world: example.org/heart.")
    socket: Path | None = Field(default=None, description="Unix socket; ledgerd.sock in the folder when not given.")
    witnesses: list[Url] = Field(default=[], description="Witnesses that cosign checkpoints (C2SP tlog-witness).")
    witness_keys: list[str] = Field(default=[], description="Their keys as vkey lines.")
    witness_quorum: int = Field(default=0, ge=0, description="How many cosignatures a checkpoint needs.")
    operator_keys: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default=[], description="Public keys of those who may sign for bytes that are lost, 64 hex digits each."
    )
    most_waiting: int = Field(default=4_096, ge=1, description="Records under way before new requests are refused.")


class Oidc(_Block):
    """Tokens of an identity provider."""

    issuer: Url
    audience: str
    algorithms: list[Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"]] = ["RS256", "ES256"]
    jwks_refresh_s: Seconds = 300
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30
    roles_claim: str = "roles"
    cohort_claim: str = "cohort"
    scopes_claim: str = "data_scopes"
    purposes_claim: str = "purposes"
    revoked: Path | None = Field(default=None, description="File with ids (jti) and subjects that count no more.")


class Identity(_Block):
    """Who may ask. Without any of the two nobody may."""

    keys: Path | None = Field(default=None, description="File of hashed API keys.")
    oidc: Oidc | None = None


class Deadlines(_Block):
    """How long an upstream may take."""

    connect_s: Seconds = 2
    first_byte_s: Seconds = 30
    idle_s: Seconds = 15
    total_s: Seconds = 55


class Breaker(_Block):
    """When an upstream is left alone for a while."""

    failure_share: Share = 0.5
    window_s: Seconds = 10
    least_requests: int = Field(default=10, ge=1)
    open_s: Seconds = 5


class Upstream(_Block):
    """One AI system, or one replica of it."""

    url: Url
    release: str | None = Field(default=None, description="Digest of the release that runs there; see certificates.")
    release_from: str | None = Field(default=None, description="Path whose JSON answer names the release digest.")
    deadlines: Deadlines = Deadlines()
    breaker: Breaker = Breaker()
    most_connections: int = Field(default=128, ge=1, le=10_000)
    most_answer_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    headers: dict[str, Path] = Field(default={}, description="Headers to add; each value is read from a file.")
    ca: Path | None = Field(default=None, description="Certificates to trust instead of the system's, in PEM.")


class Retries(_Block):
    """Asking the same upstream again."""

    most: int = Field(default=2, ge=0, le=5)
    budget_share: Share = Field(default=0.1, description="Retries and hedges as a share of all requests.")
    backoff_s: Seconds = 0.05
    idempotent: bool = Field(default=False, description="Whether a request may be sent again after bytes went out.")
    hedge_after_s: Seconds | None = None


class Rung(_Block):
    """One step of the fallback ladder; exactly one of the first five."""

    alternate: Name | None = Field(default=None, description="Name of another upstream.")
    cached: Path | None = Field(default=None, description="File of approved answers by question.")
    rule: Path | None = Field(default=None, description="File of rules that answer without AI.")
    human: Name | None = Field(default=None, description="Name of a review queue.")
    refuse: str | None = Field(default=None, description="What the caller is told.")
    evidence: str | None = Field(default=None, description="Digest of the evaluation by which the rung was armed.")
    notice: str = Field(default="", description="What the caller is told beside the answer.")
    wait_s: Annotated[float, Field(ge=0, le=600)] = Field(
        default=0, description="How long a caller waits for a person."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [self.alternate, self.cached, self.rule, self.human, self.refuse]
        if sum(each is not None for each in kinds) != 1:
            raise ValueError("a rung is exactly one of alternate, cached, rule, human and refuse")
        if self.refuse is None and self.evidence is None:
            raise ValueError("a rung is armed by the evaluation that it passed: evidence: sha256:...")
        return self


class OpenAiRoute(_Block):
    """The OpenAI interface: models, chat completions, completions, embeddings, responses."""

    protocol: Literal["openai"]
    prefix: str = Field(default="/v1", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    models: list[str] = Field(min_length=1)


class OpenInferenceRoute(_Block):
    """The Open Inference Protocol, version 2, for one model."""

    protocol: Literal["open-inference"]
    prefix: str = Field(default="/v2", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    model: str


class JsonRoute(_Block):
    """One declared path that takes and gives JSON."""

    protocol: Literal["json"]
    path: str = Field(pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    method: Literal["POST", "PUT"] = "POST"


Route = Annotated[OpenAiRoute | OpenInferenceRoute | JsonRoute, Field(discriminator="protocol")]


class InputFilter(_Block):
    """A data contract as a filter of what comes in."""

    contract: Path
    records_at: str = Field(
        description="Where the records lie in the body: JSON pointer, or tensor for Open Inference."
    )
    columns: list[str] = Field(default=[], description="Names of the columns of a tensor, in its order.")


class Citations(_Block):
    """Where an answer names its sources, and the scope of each."""

    ids_at: str = Field(description="JSON pointer to a list of source ids in the answer; * stands for every item.")
    scopes: Path = Field(description="File that names the data scope of each source id.")


class Admission(_Block):
    """The certificate that production traffic needs."""

    certificate: Path
    trusted_keys: list[str] = Field(min_length=1, description="Control plane keys, 64 hex digits each.")
    revocations: Path | None = None
    refresh_s: Seconds = 30
    pilot_cohorts: list[str] = Field(default=[], description="Cohorts that stay served when there is no certificate.")


class Limits(_Block):
    """Bounds of one request and of all."""

    body_bytes: int = Field(default=10 * 1024 * 1024, ge=1)
    in_flight: int = Field(default=512, ge=1)
    caller_rps: Annotated[float, Field(gt=0)] | None = None


class UseCase(_Block):
    """One AI system put to one use."""

    tier: Tier
    title: str = ""
    record: RecordMode = RecordMode.STRICT
    keep_payloads: bool = True
    purposes: list[Name] = Field(min_length=1)
    scope_header: str = Field(default="x-data-scope", description="Header by which a caller names the data scope.")
    purpose_header: str = Field(default="x-purpose", description="Header by which a caller names the purpose.")
    routes: list[Route] = Field(min_length=1)
    upstreams: dict[Name, Upstream] = Field(min_length=1, description="The first is the primary.")
    retries: Retries = Retries()
    fallback: list[Rung] = []
    filter: InputFilter | None = None
    citations: Citations | None = None
    admission: Admission | None = None
    limits: Limits = Limits()

    @property
    def lacks_certificate(self) -> bool:
        """Whether its tier, from R3 on, asks for a certificate and none is named."""
        return self.admission is None and self.tier.at_least(Tier.R3)

    @model_validator(mode="after")
    def _low_tiers_only(self) -> Self:
        if self.record is RecordMode.INTENT_ONLY and self.tier.at_least(Tier.R2):
            raise ValueError("intent-only recording is for tier R1 only")
        unknown = [rung.alternate for rung in self.fallback if rung.alternate and rung.alternate not in self.upstreams]
        if unknown:
            raise ValueError(f"the ladder names upstreams that are not declared: {', '.join(unknown)}")
        return self


class Telemetry(_Block):
    """Traces to an OpenTelemetry collector; metrics are always there."""

    otlp_url: Url | None = None
    sample_share: Share = 1.0


class GatewayConfig(_Block):
    """gateway.yaml, version 1."""

    gateway: Literal[1]
    node: Name = "node-1"
    listen: Address = "127.0.0.1:8400"
    admin: Address = "127.0.0.1:8401"
    tls: Tls | None = None
    workers: int = Field(default=1, ge=1, le=64)
    drain_s: Seconds = 20
    ledger: Ledger
    identity: Identity
    policy: Path = Field(description="File of grants: role by use case, purpose, data scope and cohort.")
    use_cases: dict[Name, UseCase] = Field(min_length=1)
    telemetry: Telemetry = Telemetry()
    admin_keys: Path | None = Field(default=None, description="File of hashed keys of those who may switch and erase.")
