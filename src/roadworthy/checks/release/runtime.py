"""What runs is what was approved: release, configuration, policy, certificate and log of the gateway that serves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_file, digest_of
from roadworthy.base.errors import TargetError
from roadworthy.base.interval import exact
from roadworthy.checks.declared import required_url
from roadworthy.checks.rehearsed import required_gateway
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part, Release
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.probes.answering import answering, table
from roadworthy.probes.http import Endpoint
from roadworthy.probes.rehearsal.declared import read_declared

_TIMEOUT_S = 5.0
_NOT_TOLD = "not told"
# A certificate that is missing or over must not keep the inspection from passing by which the next one is issued.
_HARMLESS = frozenset({"none", "not_asked", "missing", "valid", "expired", "revoked", "other_release", "not_yet_valid"})
_REMEDIES = {
    "gateway.yaml": "Reload or restart the gateway with the file that was inspected, or inspect what runs.",
    "policy": "Reload the gateway with the policy that was inspected, or inspect the one that runs.",
    "release known to the gateway": "Deploy the inspected release; name release_from, so that the gateway can see it.",
    "release told by the AI system": "Deploy the inspected release, or inspect the one that runs.",
    "certificate": "Put the certificate of this use case there as the control plane wrote it, or take it away.",
    "name of the log": "Name the admin address of the production gateway, with the ledger that gateway.yaml names.",
    "ready": "Look at the gateway's own log: it serves nobody now.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing to tighten: everything must be the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was approved, and where to ask what runs.

    Attributes:
        admin_url: of the gateway that serves.
        use_case: its name there.
        config: digest of gateway.yaml.
        policy: digest of its policy file.
        origin: name of the ledger.
        release: digest of the release.
        asked_url: where the AI system tells its release, as ``release_from``; "" when it does not.
    """

    admin_url: str
    use_case: str
    config: str
    policy: str
    origin: str
    release: str
    asked_url: str


class RuntimeCheck(Check[Subject, Params]):
    """Ask the gateway that serves, and the AI system behind it, what they run, and compare it with what was inspected.

    The gateway tells the digests of the bytes that it read, so a file that was edited after its start is found as well
    as a start with another file. An AI system that tells its release nowhere is a difference: nobody can know it.
    """

    id: ClassVar[str] = "release.runtime"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "What runs equals what was approved"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 30.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a gateway that still works by yesterday's policy, before yesterday's release"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The gateway that serves. Raises when none does."""
        gateway = required_gateway(context)
        declared = read_declared(gateway.config, gateway.use_case)
        primary = declared.use_case["upstreams"][declared.upstreams[0]]
        asked = primary.get("release_from")
        yield Subject(
            admin_url=required_url(gateway.admin_url, "admin_url"),
            use_case=gateway.use_case,
            config=digest_file(gateway.config),
            policy=digest_file(gateway.config.parent / str(declared.config["policy"])),
            origin=str(_member(declared.config, "ledger").get("origin")),
            release=Release(parts=context.recorded).digest,
            asked_url=str(primary["url"]).rstrip("/") + str(asked) if asked else "",
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A gateway that tells what was approved."""
        with _specimen(_APPROVED["release"], _APPROVED["policy"]) as subject:
            yield subject

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """One that tells something else."""
        with _specimen(digest_of("yesterday's release"), digest_of("yesterday's policy")) as subject:
            yield subject

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Ask for everything, and compare it fact by fact.

        Raises:
            TargetError: the gateway does not answer (RW-400).
        """
        admin = Endpoint(subject.admin_url)
        told = admin.request_json("GET", "/health/ready", None, _TIMEOUT_S, statuses=(200, 503)).body
        in_force = _member(told, "in_force")
        admission = _member(_member(told, "certificates"), subject.use_case)
        state = admission.get("state", _NOT_TOLD)
        rows = [
            _row("ready", "true", str(_member(told).get("ready") is True).lower()),
            _row("gateway.yaml", subject.config, in_force.get("config")),
            _row("policy", subject.policy, in_force.get("policy")),
            _row("release known to the gateway", subject.release, admission.get("release")),
            _row("certificate", state if state in _HARMLESS else "a sound one, or none", state),
            _row("name of the log", subject.origin, _origin(admin)),
        ]
        if subject.asked_url:
            rows.append(_row("release told by the AI system", subject.release, _told_release(subject.asked_url)))
        differences = sum(1 for row in rows if not row["same"])
        estimate = Estimate(metric="differences", interval=exact(differences, len(rows)), unit="difference")
        facts = {"compared": rows, "certificate": admission.get("certificate", ""), "use_case": subject.use_case}
        return Observation(estimates=(estimate,), facts=facts)

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per difference."""
        return tuple(
            Finding(
                what=f"{row['what']}: {row['running']} runs, {row['approved']} was approved.",
                remedy=_REMEDIES[row["what"]],
            )
            for row in observation.facts["compared"]
            if not row["same"]
        )


def _row(what: str, approved: str, running: object) -> dict[str, Any]:
    told = running if isinstance(running, str) and running else _NOT_TOLD
    return {"what": what, "approved": approved, "running": told, "same": told == approved}


def _member(value: object, name: str | None = None) -> dict[str, Any]:
    """A JSON object, or the object that is its member; an empty one when it is something else."""
    found = value.get(name) if isinstance(value, dict) and name is not None else value
    return found if isinstance(found, dict) else {}


def _origin(admin: Endpoint) -> str:
    """The name of the log by its published checkpoint; "" when none is published."""
    answer = admin.exchange("GET", "/log/checkpoint", None, _TIMEOUT_S)
    return answer.content.decode("utf-8", "replace").partition("\n")[0] if answer.status == 200 else ""


def _told_release(url: str) -> str:
    """What the AI system says of itself; "" when it does not."""
    try:
        return str(_member(Endpoint(url).request_json("GET", "", None, _TIMEOUT_S).body).get("release", ""))
    except TargetError:
        return ""


_APPROVED = {name: digest_of(name) for name in ("config", "policy", "release")}
_ORIGIN = "example.org/specimen"


@contextmanager
def _specimen(release: str, policy: str) -> Iterator[Subject]:
    """A stand-in that tells of itself as a gateway does."""
    state = {
        "ready": True,
        "in_force": {"config": _APPROVED["config"], "policy": policy},
        "certificates": {"specimen": {"state": "valid", "release": release, "certificate": "specimen"}},
    }
    answers = {
        "GET /health/ready": canonical_bytes(state),
        "GET /log/checkpoint": f"{_ORIGIN}\n1\n".encode(),
        "GET /release": canonical_bytes({"release": release}),
    }
    with answering(table(answers)) as url:
        yield Subject(
            admin_url=url,
            use_case="specimen",
            config=_APPROVED["config"],
            policy=_APPROVED["policy"],
            origin=_ORIGIN,
            release=_APPROVED["release"],
            asked_url=f"{url}/release",
        )
