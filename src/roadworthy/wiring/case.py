"""From roadworthy.yaml to the vocabulary. Owns digests of what the manifest names, and the context that checks get.

Rules kept here: every path is checked before anything is written, and one digest covers a data set, however many files.
"""

from pathlib import Path
from typing import Any

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_file, digest_of
from roadworthy.base.errors import MissingFile
from roadworthy.domain.criterion import PackRef
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Release, Subject, UseCase
from roadworthy.gateway.load_config import load_config
from roadworthy.kit.context import DataSource, Gateway, Peak, Quality, Target
from roadworthy.measure.answers.prompt_file import prompt_digest
from roadworthy.measure.table import data_files, table_digest
from roadworthy.wiring.manifest import DataBlock, Manifest, SloBlock
from roadworthy.wiring.openslo import ServiceLevel, read_openslo

_LONGEST_NAME = 80
_GATEWAY_FILES = ("config", "samples", "access", "exposure", "transactions", "alerts")
_OWNER_ROLES = {
    "business": Role.BUSINESS_OWNER,
    "system": Role.SYSTEM_OWNER,
    "data": Role.DATA_OWNER,
    "validator": Role.VALIDATOR,
    "security": Role.SECURITY,
    "quality": Role.QUALITY,
    "legal": Role.LEGAL,
    "change_lead": Role.CHANGE_LEAD,
    "sponsor": Role.SPONSOR,
}


def use_case_of(manifest: Manifest, tier: Tier) -> UseCase:
    """The use case, with its computed tier."""
    block = manifest.use_case
    named = block.owners.model_dump(exclude_none=True)
    return UseCase(
        id=block.id,
        title=block.title,
        intended_use=block.intended_use,
        decision=block.decision,
        owners={_OWNER_ROLES[key]: value for key, value in named.items()},
        builders=tuple(sorted(block.builders)),
        tier=tier,
    )


def release_files(manifest: Manifest, root: Path) -> dict[Part, Path]:
    """Absolute path of every file of the release.

    Raises:
        MissingFile: a file that is named does not exist (RW-102).
    """
    named = manifest.release.model_dump(exclude_none=True)
    return {Part(key): existing(root, value, f"release.{key}") for key, value in named.items()}


def pinned_files(manifest: Manifest, root: Path) -> dict[Part, Path]:
    """The files that alone make the digest of their part; infrastructure has one with what the manifest declares.

    Raises:
        MissingFile: a file that is named does not exist (RW-102).
    """
    files = release_files(manifest, root)
    if manifest.fallback or manifest.target or manifest.gateway:
        files.pop(Part.INFRASTRUCTURE, None)
    return files


def existing(root: Path, name: str, key: str) -> Path:
    """The absolute path of a file that the manifest names.

    Raises:
        MissingFile: it does not exist, or cannot: too long, a NUL byte, links in a circle (RW-102).
    """
    try:
        path = (root / name).resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        said = f"{name[:_LONGEST_NAME]!r} is no name of a file."
        raise MissingFile(said, remedy=f"Correct {key} in roadworthy.yaml.", where=key) from error
    if not found:
        raise MissingFile(
            f"There is no file {name}.", remedy=f"Create it, or correct {key} in roadworthy.yaml.", where=key
        )
    return path


def subject_of(manifest: Manifest, root: Path, packs: tuple[PackRef, ...], level: ServiceLevel | None) -> Subject:
    """Digest of everything that evidence may depend on.

    Raises:
        MissingFile: a file or data set that is named does not exist (RW-102).
    """
    release = release_of(manifest, root, level)
    parts = dict(release.parts)
    parts[Part.PILOT_DATA] = data_digest(manifest.data.pilot, root)
    parts[Part.PRODUCTION_DATA] = data_digest(manifest.data.production, root)
    if manifest.data.training is not None:
        parts[Part.TRAINING_DATA] = data_digest(manifest.data.training, root)
    parts[Part.PEOPLE] = digest_of(
        {"owners": manifest.use_case.owners.model_dump(), "builders": sorted(manifest.use_case.builders)}
    )
    parts[Part.PACKS] = digest_of([to_json(pack) for pack in packs])
    return Subject(use_case_id=manifest.use_case.id, release_digest=release.digest, parts=parts)


def release_of(manifest: Manifest, root: Path, level: ServiceLevel | None) -> Release:
    """Digest of everything that makes the release; no data is read.

    Raises:
        MissingFile: a file that is named does not exist (RW-102).
        ManifestError: the prompt is a prompt set with problems (RW-101).
    """
    parts = {
        part: prompt_digest(path) if part is Part.PROMPT else digest_file(path)
        for part, path in release_files(manifest, root).items()
    }
    contracts = {
        name: digest_file(existing(root, block.contract, f"data.{name}.contract"))
        for name, block in _data_blocks(manifest).items()
        if block.contract is not None
    }
    if contracts:
        parts[Part.DATA_CONTRACT] = digest_of(contracts)
    thresholds = manifest.quality.model_dump() if manifest.quality else {}
    parts[Part.THRESHOLDS] = digest_of({"quality": thresholds, "slo": to_json(level) if level else None})
    if manifest.fallback or manifest.target or manifest.gateway:
        # Where it runs and which load it is built for: a load test says nothing about another peak.
        declared = {
            "fallback": manifest.fallback,
            "target": _declared_target(manifest, root),
            "file": parts.get(Part.INFRASTRUCTURE),
        }
        if manifest.gateway:
            declared["gateway"] = gateway_digests(manifest, root)
        parts[Part.INFRASTRUCTURE] = digest_of(declared)
    return Release(parts=parts)


def _declared_target(manifest: Manifest, root: Path) -> dict[str, Any] | None:
    """What is declared of the endpoint; recorded arrivals by their content, and not at all where there are none.

    Headers are left out: another credential is not another release.
    """
    if manifest.target is None:
        return None
    declared = manifest.target.model_dump(exclude={"arrivals", "headers_file"})
    if manifest.target.arrivals is not None:
        declared["arrivals"] = digest_file(existing(root, manifest.target.arrivals, "target.arrivals"))
    return declared


def gateway_of(manifest: Manifest, root: Path) -> Gateway | None:
    """The gateway as checks see it; None when the manifest names none.

    Raises:
        MissingFile: a file that is named does not exist (RW-102).
    """
    block = manifest.gateway
    if block is None:
        return None
    files = {
        key: existing(root, name, f"gateway.{key}")
        for key in _GATEWAY_FILES
        if (name := getattr(block, key)) is not None
    }
    return Gateway(
        use_case=block.use_case or manifest.use_case.id, url=block.url or "", admin_url=block.admin_url or "", **files
    )


def gateway_digests(manifest: Manifest, root: Path) -> dict[str, str]:
    """Digests of what decides how the gateway behaves: its file, its policy, and what was declared about it.

    Keys, certificates and revocations are left out: they change without making another release.

    Raises:
        MissingFile: a file that is named does not exist (RW-102).
        ManifestError: gateway.yaml breaks its schema (RW-101).
    """
    gateway = gateway_of(manifest, root)
    if gateway is None:
        return {}
    files = {key: path for key in _GATEWAY_FILES if (path := getattr(gateway, key)) is not None}
    files["policy"] = load_config(gateway.config).policy
    return {key: digest_file(path) for key, path in sorted(files.items())}


def _data_blocks(manifest: Manifest) -> dict[str, DataBlock]:
    blocks = {"pilot": manifest.data.pilot, "production": manifest.data.production}
    return blocks if manifest.data.training is None else {**blocks, "training": manifest.data.training}


def data_digest(block: DataBlock, root: Path) -> str:
    """Digest of one data set, however many files it has.

    Raises:
        MissingFile: it does not exist (RW-102).
    """
    return f"sha256:{table_digest(data_files(root.resolve() / block.path))}"


def data_sources(manifest: Manifest, root: Path) -> dict[str, DataSource]:
    """The data sets, by name, as checks see them."""
    return {
        name: DataSource(
            name=name,
            pattern=root.resolve() / block.path,
            contract=existing(root, block.contract, f"data.{name}.contract") if block.contract else None,
            label=block.label,
            cohort=block.cohort,
            features=tuple(block.features),
            key=block.key,
            known_at=dict(block.known_at),
            cluster=block.cluster,
            acquisition=tuple(block.acquisition),
            time=block.time,
            lineage=tuple(existing(root, each, f"data.{name}.lineage") for each in block.lineage),
        )
        for name, block in _data_blocks(manifest).items()
    }


def service_level(manifest: Manifest, root: Path) -> ServiceLevel | None:
    """The declared service level, from the manifest itself or from its OpenSLO file."""
    if manifest.slo is None:
        return None
    if isinstance(manifest.slo, SloBlock):
        return ServiceLevel(p99_ms=manifest.slo.p99_ms, error_share=manifest.slo.error_share)
    return read_openslo(existing(root, manifest.slo, "slo"))


def target_of(manifest: Manifest, level: ServiceLevel | None) -> Target | None:
    """The endpoint with its peak and service level, or None when none is declared."""
    block = manifest.target
    if block is None:
        return None
    return Target(
        protocol=block.protocol,
        url=block.url.rstrip("/"),
        peak=Peak(**block.peak.model_dump()) if block.peak else None,
        p99_ms=level.p99_ms if level else None,
        error_share=level.error_share if level else 0.01,
        arrivals=Path(block.arrivals) if block.arrivals else None,
        headers_file=Path(block.headers_file) if block.headers_file else None,
    )


def quality_of(manifest: Manifest) -> Quality | None:
    """The quality that is needed, or None when none is declared."""
    block = manifest.quality
    if block is None:
        return None
    return Quality(
        metric=block.metric,
        bound=block.bound,
        threshold=block.threshold,
        margin_from_pilot=block.margin_from_pilot,
    )


def policy_parameters(manifest: Manifest, level: ServiceLevel | None) -> dict[str, float | int | str]:
    """What packs may refer to as ``{param: name}``; a name that is absent leaves its bound undefined."""
    values: dict[str, float | int | str] = {}
    if manifest.quality is not None:
        values["quality.bound"] = manifest.quality.bound
        values["quality.op"] = ">=" if manifest.quality.side == "lower" else "<="
        values["quality.margin"] = manifest.quality.margin_from_pilot
    if level is not None:
        values["slo.p99_ms"] = level.p99_ms
        values["slo.error_share"] = level.error_share
    return values
