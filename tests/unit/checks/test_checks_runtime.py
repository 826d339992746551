"""What runs against what was approved: the real gateway, and every way to be another one."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.base.digest import digest_bytes, digest_file
from roadworthy.base.errors import ManifestError, TargetUnreachable
from roadworthy.checks.rehearsed import specimen
from roadworthy.checks.release.runtime import RuntimeCheck, Subject
from roadworthy.domain.use_case import Part, Release
from roadworthy.kit.check import Run
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.answering import answering, table
from roadworthy.probes.rehearsal.small import USE_CASE, grant, small_gateway

AT = datetime(2026, 11, 21, tzinfo=UTC)
RUN = Run(at=AT, seed=1, cancelled=lambda: False)
RELEASE = digest_bytes(b"fault upstream")


def context(folder: Path, gateway: Gateway | None = None) -> CheckContext:
    """A use case with nothing but a gateway."""
    return CheckContext(
        use_case_id="heart", title="", intended_use="", root=folder, files={}, recorded={Part.MODEL: RELEASE},
        data={}, target=None, quality=None, at=AT, seed=1, workdir=folder, gateway=gateway,
    )  # fmt: skip


def differences(subject: Subject) -> list[str]:
    """What is not the same."""
    check = RuntimeCheck()
    seen = check.observe(subject, check.params(), RUN)
    found = [row["what"] for row in seen.facts["compared"] if not row["same"]]
    assert seen.estimates[0].interval.estimate == len(found) == len(check.explain(seen))
    return found


def told(**changed: object) -> dict[str, bytes]:
    """Answers of a gateway with these members changed."""
    state = {
        "ready": True,
        "in_force": {"config": "c", "policy": "p"},
        "certificates": {"heart": {"state": "valid", "release": "r"}},
        **changed,
    }
    return {"GET /health/ready": json.dumps(state).encode(), "GET /log/checkpoint": b"example.org/heart\n7\n"}


def subject(url: str, **changed: str) -> Subject:
    """What was approved, of a gateway at that address."""
    members = {"use_case": "heart", "config": "c", "policy": "p", "origin": "example.org/heart", "release": "r"}
    return Subject(admin_url=url, asked_url="", **{**members, **changed})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"ready": False}, ["ready"]),
        ({"in_force": {"config": "x", "policy": "p"}}, ["gateway.yaml"]),
        ({"in_force": {"config": "c"}}, ["policy"]),
        ({"certificates": {}}, ["release known to the gateway", "certificate"]),
        ({"certificates": {"heart": {"state": "bad_signature", "release": "r"}}}, ["certificate"]),
        ({"certificates": {"heart": {"state": "expired", "release": "r"}}}, []),
        ({"certificates": "none", "in_force": 3, "ready": "yes"},
         ["ready", "gateway.yaml", "policy", "release known to the gateway", "certificate"]),
    ],
)  # fmt: skip
def test_each_difference_is_named(changed: dict[str, object], expected: list[str]) -> None:
    """A certificate that is over is none: its renewal needs this very check."""
    with answering(table(told(**changed))) as url:
        assert differences(subject(url)) == expected


def test_another_log_is_another_gateway() -> None:
    """A rehearsal, for example; and one that publishes nothing."""
    answers = told()
    answers["GET /log/checkpoint"] = b"example.org/heart/rehearsal\n7\n"
    with answering(table(answers)) as url:
        assert differences(subject(url)) == ["name of the log"]
        del answers["GET /log/checkpoint"]
        assert differences(subject(url)) == ["name of the log"]


@pytest.mark.parametrize(("answer", "expected"), [(b'{"release": "r"}', []), (b'{"release": "q"}', 1), (b"<p>", 1)])
def test_the_ai_system_is_asked_itself(answer: bytes, expected: object) -> None:
    """Another release, or none that is told, is a difference."""
    with answering(table({**told(), "GET /release": answer})) as url:
        found = differences(replace(subject(url), asked_url=f"{url}/release"))
        assert found == (["release told by the AI system"] if expected else [])
        assert differences(replace(subject(url), asked_url=f"{url}/none")) == ["release told by the AI system"]


def test_a_gateway_that_does_not_answer_is_no_verdict() -> None:
    """It is an error of the run."""
    with pytest.raises(TargetUnreachable):
        differences(subject("http://127.0.0.1:9"))


def test_the_manifest_must_name_what_runs(tmp_path: Path) -> None:
    """A gateway, and where it is administered."""
    check = RuntimeCheck()
    with pytest.raises(ManifestError, match="no gateway"), check.subject(context(tmp_path)):
        pass
    gateway = Gateway(config=small_gateway(tmp_path / "small"), use_case=USE_CASE)
    with pytest.raises(ManifestError, match="admin_url is not declared"), check.subject(context(tmp_path, gateway)):
        pass
    with check.subject(context(tmp_path, replace(gateway, admin_url="http://127.0.0.1:1"))) as found:
        assert found.config == digest_file(gateway.config)
        assert found.policy == digest_file(tmp_path / "small" / "policy.json")
        assert found.origin == "example.org/specimen"
        assert found.release == Release(parts={Part.MODEL: RELEASE}).digest
        assert found.asked_url == ""


@pytest.mark.slow
def test_a_real_gateway_tells_what_it_read(tmp_path: Path) -> None:
    """Also after its policy was edited, and after it was told to read it again."""
    config = small_gateway(tmp_path / "small")
    members = json.loads(config.read_text())
    members["use_cases"][USE_CASE]["upstreams"]["main"]["release_from"] = "/release"
    config.write_text(json.dumps(members))
    policy = tmp_path / "small" / "policy.json"
    with specimen(context(tmp_path), config) as found:
        derived = found.rig.ledger.parent / "gateway.json"
        approved = Subject(
            admin_url=found.rig.admin_url,
            use_case=USE_CASE,
            config=digest_file(derived),
            policy=digest_file(policy),
            origin="example.org/specimen/rehearsal",
            release=RELEASE,
            asked_url=f"{found.stage.url}/release",
        )
        assert found.rig.wait_for(lambda: differences(approved) == [], 5)
        policy.write_text(json.dumps({"policy": 1, "grants": [grant("somebody")]}))
        assert differences(approved) == []
        edited = replace(approved, policy=digest_file(policy))
        assert differences(edited) == ["policy"]
        found.rig.process.reload()
        worker_reads = found.rig.wait_for(lambda: differences(edited) == [], 5)
        assert not worker_reads or differences(approved) == ["policy"]
        assert worker_reads
        assert differences(replace(edited, release="sha256:0"))[0] == "release known to the gateway"
