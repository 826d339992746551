"""What a check may know of the case at hand. Owns the shapes; ``wiring`` fills them from roadworthy.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadworthy.domain.use_case import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One data set.

    Attributes:
        name: ``pilot``, ``production`` or ``training``.
        pattern: absolute path; may hold wildcards.
        contract: absolute path of its ODCS file; None when it has none.
        label: column that holds the true outcome; None when there is none.
        cohort: column that names the site or group; None when there is none.
        features: columns that the model takes, in its order.
        key: column that identifies a row; None when none does.
        known_at: by column, the step of the workflow at which its value is known.
        cluster: column that names the independent unit (patient, document); None when every row is one.
        acquisition: columns that tell where and how a row was made (site, scanner, batch), whether or not the model
            takes them.
        time: column with the instant of a row; None when there is none.
        lineage: absolute paths of files with OpenLineage run events; empty when the manifest names none.
    """

    name: str
    pattern: Path
    contract: Path | None
    label: str | None
    cohort: str | None
    features: tuple[str, ...]
    key: str | None
    known_at: Mapping[str, str]
    cluster: str | None = None
    acquisition: tuple[str, ...] = ()
    time: str | None = None
    lineage: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Expected peak load, as the highest rate in sliding windows of 1, 10 and 60 seconds."""

    per_1_s: float
    per_10_s: float
    per_60_s: float
    derived_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The endpoint under inspection.

    Attributes:
        protocol: ``open-inference``.
        url: of the model, for example ``http://127.0.0.1:8080/v2/models/heart``.
        peak: expected peak load; None when it was not declared.
        p99_ms: latency objective at the 99th percentile, in milliseconds; None when none was declared.
        error_share: largest share of failed requests, in [0, 1].
        arrivals: CSV file with recorded arrivals, relative to ``CheckContext.root``; None when none was declared.
        headers_file: JSON file with headers of every request, relative as above; their values never stand in evidence.
    """

    protocol: str
    url: str
    peak: Peak | None
    p99_ms: float | None
    error_share: float
    arrivals: Path | None = None
    headers_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The gateway in front of the endpoint. Checks rehearse with a copy of it; they never disturb the one that serves.

    Attributes:
        config: absolute path of gateway.yaml.
        use_case: its block in that file.
        url: where it serves; "" when it does not yet.
        admin_url: where it tells its state; "" as above.
        samples: one request for every route that needs its own; None when none does.
        access: who may do what, as the data owner approved it; None when nothing was declared.
        exposure: ports, encryption and outbound connections as declared; None as above.
        transactions: business transactions through all systems; None as above.
        alerts: rules, and who must answer within which time; None as above.
    """

    config: Path
    use_case: str
    url: str = ""
    admin_url: str = ""
    samples: Path | None = None
    access: Path | None = None
    exposure: Path | None = None
    transactions: Path | None = None
    alerts: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The quality that the use case needs.

    Attributes:
        metric: ``auc``, ``accuracy``, ``sensitivity``, ``specificity`` or ``brier``.
        bound: in the metric's own unit.
        threshold: score from which a row counts as positive, in [0, 1].
        margin_from_pilot: largest acceptable loss against the pilot, in the metric's own unit.
    """

    metric: str
    bound: float
    threshold: float
    margin_from_pilot: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Everything a check may use. It gets nothing else: no store, no clock, no settings.

    Attributes:
        use_case_id: whose inspection.
        title: of the use case.
        intended_use: as the manifest states it.
        root: folder of the manifest; relative paths start here.
        files: absolute path of every file of the release, by part.
        recorded: digest of every part as registered.
        data: data sets by name.
        target: the endpoint, or None.
        gateway: the gateway before it, or None.
        quality: the quality needed, or None.
        at: the one instant of this inspection.
        steps: of a case's life, in order; empty when the manifest names none.
        decided_at: the step at which the output is used; "" when the manifest names none.
        seed: of every random choice.
        workdir: an empty folder for temporary files.
    """

    use_case_id: str
    title: str
    intended_use: str
    root: Path
    files: Mapping[Part, Path]
    recorded: Mapping[Part, str]
    data: Mapping[str, DataSource]
    target: Target | None
    quality: Quality | None
    at: datetime
    seed: int
    workdir: Path
    steps: tuple[str, ...] = ()
    decided_at: str = ""
    gateway: Gateway | None = None
