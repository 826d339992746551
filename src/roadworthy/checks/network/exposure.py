"""Where the gateway can be reached and what it reaches, compared with what was declared."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from roadworthy.base.clock import days, monotonic_s
from roadworthy.base.interval import exact
from roadworthy.checks.declared import required_file
from roadworthy.checks.rehearsed import Rehearsed, rehearsed, required_gateway, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.declared.exposure import Door, Exposure, read_exposure
from roadworthy.kit.params import higher
from roadworthy.probes.network import Sampler, reachable
from roadworthy.probes.rehearsal.requests import tagged
from roadworthy.probes.rehearsal.small import small_gateway
from roadworthy.probes.tls import look_at_tls

_LISTEN, _ADMIN = "127.0.0.1:8400", "127.0.0.1:8401"
"""As in gateway.yaml where nothing is declared."""
_BLOCKED_S = 3.0
_NOT_MEASURED = (
    "connections that were opened and closed between two samples",
    "firewalls, security groups and networks other than that of the machine where the check runs",
    "connections of what a rehearsal leaves out: identity provider, collector, witnesses; their addresses are compared",
)


class _Address(NamedTuple):
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        certificate_days: how long a certificate must still hold.
        samples: how often the sockets are looked at while callers ask.
    """

    certificate_days: int = higher(14)
    samples: int = higher(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A rehearsal, what was declared, and the gateway that serves.

    Attributes:
        rehearsed: the rehearsal.
        exposure: as declared.
        url: of the gateway that serves; "" when none does.
    """

    rehearsed: Rehearsed
    exposure: Exposure
    url: str


class ExposureCheck(Check[Subject, Params]):
    """Look at every socket of a rehearsed gateway while it answers, and compare it with the declaration.

    The two addresses of the rehearsal stand for those of gateway.yaml, and its stand-ins for the upstreams that are named
    there; whatever else it listens on or connects to is nobody's. Further addresses of gateway.yaml (identity provider,
    collector, witnesses) are compared by name. Where TLS is declared the port is asked for it: 1.2 or newer, nothing
    older, nothing plain, a certificate that holds. What cannot be seen from one machine is listed in the facts.
    """

    id: ClassVar[str] = "network.exposure"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Open ports, TLS and outbound connections"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 300.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an admin port and an upstream that nobody declared, and TLS that is not spoken"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The operator's own gateway, rehearsed, and its declaration."""
        gateway = required_gateway(context)
        exposure = read_exposure(required_file(gateway.exposure, "exposure"))
        with rehearsed(context) as found:
            yield Subject(rehearsed=found, exposure=exposure, url=gateway.url)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A small gateway of which everything is declared."""
        doors = [Door(address=_LISTEN), Door(address=_ADMIN)]
        exposure = Exposure(exposure=1, listen=doors, egress=["127.0.0.1:9"])
        with specimen(context, small_gateway(context.workdir / "small")) as found:
            yield Subject(rehearsed=found, exposure=exposure, url="")

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, of which less is declared, and more promised."""
        exposure = Exposure(exposure=1, listen=[Door(address=_LISTEN, tls=True)])
        with specimen(context, small_gateway(context.workdir / "small")) as found:
            yield Subject(rehearsed=found, exposure=exposure, url="")

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Watch the sockets while every route is asked, then ask the ports."""
        rig = subject.rehearsed.rig
        requests, began_s, number = subject.rehearsed.requests, monotonic_s(), 0
        with Sampler(rig.process.pid) as sampler:
            while (sampler.samples < params.samples or number < len(requests)) and not run.cancelled():
                rig.ask(tagged(requests[number % len(requests)], f"look-{number}"))
                number += 1
        every_s = (monotonic_s() - began_s) / sampler.samples
        config = rig.declared.config
        places = {_of(rig.url).port: str(config.get("listen", _LISTEN))}
        places |= {_of(rig.admin_url).port: str(config.get("admin", _ADMIN))}
        declared = {door.address: door for door in subject.exposure.listen}
        ports = [_port_row(each.protocol, each.local, places, declared) for each in sorted(sampler.listening)]
        connections = [*_connections(subject, sampler), *_blocked(subject.exposure.blocked)]
        asked = [(_of(rig.url), places[_of(rig.url).port]), (_of(rig.admin_url), places[_of(rig.admin_url).port])]
        doors = [(at, name) for at, name in asked if name in declared and declared[name].tls]
        if subject.url:
            live = _of(subject.url)
            doors += [(live, f"{live.host}:{live.port}")] if _tls_promised(subject, live.port) else []
        until_s = (run.at + days(params.certificate_days)).timestamp()
        tls = [_tls_row(at, name, until_s) for at, name in doors]
        return Observation(
            estimates=(
                _count("undeclared_ports", "port", ports),
                _count("undeclared_connections", "connection", connections),
                Estimate(
                    metric="weak_tls",
                    interval=exact(sum(1 for row in tls if row["weak"]), max(len(asked), len(tls))),
                    unit="port",
                ),
            ),
            facts={
                "ports": ports,
                "connections": connections,
                "tls": tls,
                "samples": sampler.samples,
                "seconds between samples": round(every_s, 4),
                "not measured": list(_NOT_MEASURED),
                "changes": list(rig.changes),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding for each port and each connection that is not as declared."""
        facts = observation.facts
        findings = [
            Finding(
                what=f"{row['address']} ({row['protocol']}) is listened on and not declared.",
                remedy="Close it, or declare it under listen and have it reviewed.",
            )
            for row in facts["ports"]
            if not row["declared"]
        ]
        findings += [
            Finding(
                what=f"{row['target']} is in reach and not declared ({row['seen']}).",
                remedy="Remove it from gateway.yaml, block it, or declare it under egress and have it reviewed.",
            )
            for row in facts["connections"]
            if not row["declared"]
        ]
        findings += [
            Finding(
                what=f"{row['address']}: {row['weak']}.",
                remedy="Give the listener a certificate that holds, and let it speak TLS 1.2 or newer only.",
            )
            for row in facts["tls"]
            if row["weak"]
        ]
        return tuple(findings)


def _count(metric: str, unit: str, rows: list[dict[str, Any]]) -> Estimate:
    undeclared = sum(1 for row in rows if not row["declared"])
    return Estimate(metric=metric, interval=exact(undeclared, len(rows)), unit=unit)


def _of(url: str) -> _Address:
    parts = urlsplit(url)
    return _Address(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _target(url: str) -> str:
    at = _of(url)
    return f"[{at.host}]:{at.port}" if ":" in at.host else f"{at.host}:{at.port}"


def _port_row(protocol: str, local: str, places: Mapping[int, str], declared: Mapping[str, Door]) -> dict[str, Any]:
    """A socket of the rehearsal under the address that it stands for; one that stands for none under its own."""
    port = int(local.rpartition(":")[2])
    address = places.get(port, local) if protocol == "tcp" else local
    return {"protocol": protocol, "address": address, "declared": address in declared}


def _connections(subject: Subject, sampler: Sampler) -> list[dict[str, Any]]:
    """Targets that gateway.yaml names, and connections that were seen and go to none of the stand-ins."""
    found, rig = subject.rehearsed, subject.rehearsed.rig
    stand_ins = {_target(found.stage.url), *(_target(each.url) for each in found.others.values())}
    named = [(target, "gateway.yaml") for target in sorted(set(_named(rig.declared.config, rig.declared.use_case)))]
    seen = [(each.remote, f"a connection by {each.protocol}") for each in sorted(sampler.outbound)]
    egress = frozenset(subject.exposure.egress)
    return [
        {"target": target, "seen": how, "declared": target in egress}
        for target, how in (*named, *(each for each in seen if each[0] not in stand_ins))
    ]


def _named(config: Mapping[str, Any], use_case: Mapping[str, Any]) -> Iterator[str]:
    """``host:port`` of whatever the file names as a target, for this use case and for the node."""
    for upstream in use_case["upstreams"].values():
        yield _target(str(upstream["url"]))
    oidc = (config.get("identity") or {}).get("oidc") or {}
    collector = (config.get("telemetry") or {}).get("otlp_url")
    for url in (oidc.get("issuer"), collector, *((config.get("ledger") or {}).get("witnesses") or ())):
        if url:
            yield _target(str(url))


def _blocked(targets: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"target": target, "seen": "declared as blocked", "declared": not reachable(target, _BLOCKED_S)}
        for target in targets
    ]


def _tls_promised(subject: Subject, port: int) -> bool:
    """Whether the address that serves was declared with TLS, by its port; it may have another name from here."""
    if subject.url.startswith("https"):
        return True
    return any(door.tls and int(door.address.rpartition(":")[2]) == port for door in subject.exposure.listen)


def _tls_row(at: _Address, name: str, until_s: float) -> dict[str, Any]:
    found = look_at_tls(at.host, at.port)
    weak = []
    if not found.version:
        weak.append("speaks no TLS of today")
    elif found.certificate_until_s < until_s:
        weak.append(f"certificate ends at {_instant(found.certificate_until_s)}")
    weak += [f"agrees to {version}" for version in found.old_versions]
    if found.plain:
        weak.append("answers without TLS")
    return {"address": name, "version": found.version, "weak": "; ".join(weak)}


def _instant(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, tz=UTC).isoformat() if at_s else "an unknown instant, or it is not in force"
