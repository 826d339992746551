"""OpenSLO v1 files. Owns reading the two service levels that checks use: p99 latency and the share of failures.

What is read: every document of ``kind: SLO``. An objective with ``op: lte``, a ``value`` and ``target: 0.99`` states the
latency at the 99th percentile (``timeSliceTarget`` does not matter here); an objective of a ratio metric states one
minus its target as the largest share of failures. Anything else in the file is left alone.
Source: OpenSLO v1, https://github.com/OpenSLO/OpenSLO.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.kit.schema_problems import NOT_YAML, aliases

_PERCENTILE = 0.99
_DEFAULT_ERROR_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """What users were promised.

    Attributes:
        p99_ms: latency at the 99th percentile, in milliseconds.
        error_share: largest share of failed requests, in [0, 1].
    """

    p99_ms: float
    error_share: float


def read_openslo(path: Path) -> ServiceLevel:
    """Read the latency and error objectives of an OpenSLO file.

    Raises:
        MissingFile: it cannot be read (RW-102).
        ManifestError: not YAML, aliases, or no latency objective at 0.99 (RW-101).
    """
    documents = _documents(path)
    p99_ms: float | None = None
    error_share = _DEFAULT_ERROR_SHARE
    for ratio, objective in _objectives(documents):
        target = objective.get("target")
        if ratio and isinstance(target, int | float):
            error_share = round(1 - _share(target), 12)
        elif objective.get("op") in ("lte", "lt") and target == _PERCENTILE:
            p99_ms = _milliseconds(objective.get("value"))
    if p99_ms is None:
        raise ManifestError(
            f"{path.name} states no latency objective.",
            remedy="Add an objective with op: lte, value in milliseconds and target: 0.99.",
            where="slo",
        )
    return ServiceLevel(p99_ms=p99_ms, error_share=error_share)


def _documents(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        unfolding = aliases(text)
        if unfolding:
            raise ManifestError(f"{path.name}: {unfolding[0]}", remedy="Write an OpenSLO v1 file.", where="slo")
        return list(yaml.safe_load_all(text))
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read: {error.strerror}.", remedy="Check that you may.") from error
    except NOT_YAML as error:
        raise ManifestError(f"{path.name} is not YAML: {error}", remedy="Write an OpenSLO v1 file.") from error


def _milliseconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise ManifestError(
            f"{value!r} is no latency.", remedy="Write value: as a positive number of milliseconds.", where="slo"
        )
    return float(value)


def _share(target: float) -> float:
    if not 0 <= target <= 1:
        raise ManifestError(
            f"The target {target!r} is no share.",
            remedy="Write target: as a share in [0, 1], for example 0.995.",
            where="slo",
        )
    return target


def _objectives(documents: list[Any]) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Every objective of every SLO, and whether it is about a ratio."""
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "SLO":
            continue
        shared = _member(document, "spec", "indicator", "spec")
        objectives = _member(document, "spec").get("objectives")
        for objective in objectives if isinstance(objectives, list) else []:
            if isinstance(objective, dict):
                own = _member(objective, "indicator", "spec")
                yield "ratioMetric" in shared or "ratioMetric" in own, objective


def _member(value: Any, *keys: str) -> dict[str, Any]:
    """The mapping at a path of keys; an empty one where the file has something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
