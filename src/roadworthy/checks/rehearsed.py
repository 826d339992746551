"""Rehearsals as subjects of checks: the operator's gateway before stand-ins, and small ones that are known to be good or bad.

Owns what the checks of the gateway have in common. Leaves alone the rehearsal itself (``probes.rehearsal``) and what is
asked of it.

Rules kept here:
1. Every upstream of a rehearsal is a stand-in, so no check sends a canary to the AI system itself. The first stands behind
   a stage on which every fault can be brought about.
2. A subject says nothing of which of the three it is.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roadworthy.base.errors import ManifestError
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.fault.faults import Sizes
from roadworthy.probes.fault.stage import FaultStage
from roadworthy.probes.fault.upstream import FaultUpstream
from roadworthy.probes.rehearsal.bypass import Bypass
from roadworthy.probes.rehearsal.declared import read_declared
from roadworthy.probes.rehearsal.identities import Identity
from roadworthy.probes.rehearsal.requests import Request, requests_of
from roadworthy.probes.rehearsal.rig import Rig, rehearse
from roadworthy.probes.rehearsal.small import USE_CASE

_LONGER_S = 2.0
_DEADLINES = {"first_byte_s": 30.0, "idle_s": 15.0, "total_s": 120.0}
"""As in gateway.yaml where nothing is declared."""
_MOST_ANSWER_BYTES = 64 * 1024 * 1024
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A gateway to be looked at.

    Attributes:
        rig: the rehearsal.
        stage: in place of the primary upstream, with its faults.
        others: in place of the other upstreams, by name.
        requests: one for every declared route.
    """

    rig: Rig
    stage: FaultStage
    others: Mapping[str, FaultUpstream]
    requests: tuple[Request, ...]

    @property
    def forwarded(self) -> tuple[Request, ...]:
        """The requests that reach an upstream."""
        return tuple(each for each in self.requests if each.forwarded)

    def around(self, url: str) -> "Rehearsed":
        """The same, asked at another address."""
        return replace(self, rig=self.rig.seen_at(url))


def required_gateway(context: CheckContext) -> Gateway:
    """The declared gateway.

    Raises:
        ManifestError: there is none (RW-101).
    """
    if context.gateway is None:
        what = "The manifest names no gateway."
        raise ManifestError(what, remedy="Add gateway: {config: gateway.yaml}.", where="gateway")
    return context.gateway


@contextmanager
def rehearsed(context: CheckContext, *, extra: Sequence[Identity] = ()) -> Iterator[Rehearsed]:
    """The operator's own gateway, rehearsed.

    Args:
        context: of the check.
        extra: further callers.

    Raises:
        ManifestError: no gateway is named, or its files cannot be rehearsed (RW-101).
        MissingFile: a file is not there (RW-102).
        TargetUnreachable: the rehearsal does not start (RW-401).
    """
    gateway = required_gateway(context)
    with _on_stage(gateway.config, gateway.use_case, context.workdir / "rehearsal", gateway.samples, extra) as found:
        yield found


@contextmanager
def specimen(context: CheckContext, config: Path, *, extra: Sequence[Identity] = ()) -> Iterator[Rehearsed]:
    """A rehearsal of a small gateway whose files lie at ``config``."""
    with _on_stage(config, USE_CASE, context.workdir / "specimen", None, extra) as found:
        yield found


@contextmanager
def with_bypass(found: Rehearsed, path: str) -> Iterator[Rehearsed]:
    """The rehearsal with a way around it: one path is answered by the upstream itself."""
    with Bypass(found.rig.url, found.stage.url, path) as bypass:
        yield found.around(bypass.url)


@contextmanager
def _on_stage(
    config: Path, use_case: str, workdir: Path, samples: Path | None, extra: Sequence[Identity]
) -> Iterator[Rehearsed]:
    declared = read_declared(config, use_case)
    requests = requests_of(declared, samples)
    sizes = _sizes(declared.use_case["upstreams"][declared.upstreams[0]])
    with contextlib.ExitStack() as held:
        stage = held.enter_context(FaultStage(sizes=sizes))
        others = {name: held.enter_context(FaultUpstream()) for name in declared.upstreams[1:]}
        urls = {declared.upstreams[0]: stage.url, **{name: each.url for name, each in others.items()}}
        rig = held.enter_context(rehearse(config, use_case=use_case, workdir=workdir, upstreams=urls, extra=extra))
        yield Rehearsed(rig=rig, stage=stage, others=others, requests=requests)


def longest_answer_s(use_case: Mapping[str, Any]) -> float:
    """How long an answer may take by the declared deadlines of all upstreams and the waiting for a person, in seconds."""
    waits = [float(rung.get("wait_s", 0)) for rung in use_case.get("fallback") or ()]
    return sum(deadline_s(upstream, "total_s") for upstream in use_case["upstreams"].values()) + sum(waits)


def deadline_s(upstream: Mapping[str, Any], name: str) -> float:
    """A deadline of an upstream's block in gateway.yaml, in seconds."""
    return float((upstream.get("deadlines") or {}).get(name, _DEADLINES[name]))


def _sizes(primary: Mapping[str, Any]) -> Sizes:
    """Faults that are slower than the declared deadlines where they shall be, and quicker where they shall not."""
    idle_s, first_byte_s = deadline_s(primary, "idle_s"), deadline_s(primary, "first_byte_s")
    return Sizes(
        slow_s=min(0.2, idle_s / 3, first_byte_s / 3),
        stall_s=max(idle_s, first_byte_s) + _LONGER_S,
        body_bytes=int(primary.get("most_answer_bytes", _MOST_ANSWER_BYTES)) + _MIB,
    )
