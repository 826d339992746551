"""Exposure: what is declared, what is seen, and what only the file says."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.network.exposure import ExposureCheck
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.answering import answering, table
from roadworthy.probes.rehearsal.small import USE_CASE, small_gateway
from server_certificates import certificate

AT = datetime.now(UTC)
RUN = Run(at=AT, seed=1, cancelled=lambda: False)


def context(folder: Path, gateway: Gateway | None) -> CheckContext:
    """A use case with nothing but a gateway."""
    return CheckContext(
        use_case_id="heart", title="", intended_use="", root=folder, files={}, recorded={Part.MODEL: "sha256:0"},
        data={}, target=None, quality=None, at=AT, seed=1, workdir=folder, gateway=gateway,
    )  # fmt: skip


def seen(folder: Path, exposure: dict[str, object], config: Path, *, url: str = "", days: int = 14) -> Observation:
    """What the check sees of a gateway with a declaration."""
    declared = folder / "exposure.yaml"
    declared.write_text(json.dumps({"exposure": 1, **exposure}))
    gateway = Gateway(config=config, use_case=USE_CASE, exposure=declared, url=url)
    check = ExposureCheck()
    with check.subject(context(folder, gateway)) as subject:
        return check.observe(subject, check.params(samples=6, certificate_days=days), RUN)


def numbers(observation: Observation) -> list[float]:
    """Ports, connections, TLS."""
    return [estimate.interval.estimate for estimate in observation.estimates]


def test_the_declaration_is_needed(tmp_path: Path) -> None:
    """Nothing is guessed."""
    gateway = Gateway(config=small_gateway(tmp_path / "small"), use_case=USE_CASE)
    with pytest.raises(ManifestError, match="exposure is not declared"):
        ExposureCheck().subject(context(tmp_path, gateway)).__enter__()


@pytest.mark.slow
def test_what_the_file_names_and_what_is_blocked(tmp_path: Path) -> None:
    """Identity provider and collector count by name; an address that should be out of reach is tried."""
    config = small_gateway(tmp_path / "small")
    members = json.loads(config.read_text())
    members |= {"listen": "0.0.0.0:8400", "telemetry": {"otlp_url": "https://collector.internal/v1"}}
    members["identity"]["oidc"] = {"issuer": "https://login.internal:8443/x", "audience": "a"}
    config.write_text(json.dumps(members))
    doors = [{"address": "127.0.0.1:8400"}, {"address": "127.0.0.1:8401"}]
    with answering(table({})) as url:
        port = int(url.rpartition(":")[2])
        exposure = {
            "listen": [*doors, {"address": f"0.0.0.0:{port}", "tls": True}],
            "egress": ["127.0.0.1:9", "login.internal:8443"],
            "blocked": [f"127.0.0.1:{port}", "127.0.0.1:1"],
        }
        found = seen(tmp_path, exposure, config, url=url)
    # Declared on the loopback only, but it listens everywhere; the one that serves speaks no TLS.
    assert numbers(found) == [1, 2, 1]
    assert [row["address"] for row in found.facts["tls"]] == [f"127.0.0.1:{port}"]
    rows = {row["target"]: row["declared"] for row in found.facts["connections"]}
    assert rows == {
        "127.0.0.1:9": True,
        "login.internal:8443": True,
        "collector.internal:443": False,
        f"127.0.0.1:{port}": False,
        "127.0.0.1:1": True,
    }
    assert len(ExposureCheck().explain(found)) == 4


@pytest.mark.slow
def test_tls_of_a_real_gateway(tmp_path: Path) -> None:
    """Its own certificate, with and without enough days left."""
    config = small_gateway(tmp_path / "small")
    members = json.loads(config.read_text())
    path = certificate(tmp_path / "small", until=AT + timedelta(days=20))
    members["tls"] = {"certificate": path.name, "key": path.name}
    config.write_text(json.dumps(members))
    exposure = {
        "listen": [{"address": "127.0.0.1:8400", "tls": True}, {"address": "127.0.0.1:8401"}],
        "egress": ["127.0.0.1:9"],
    }
    good = seen(tmp_path, exposure, config)
    assert (numbers(good), good.facts["tls"]) == (
        [0, 0, 0],
        [{"address": "127.0.0.1:8400", "version": "TLSv1.3", "weak": ""}],
    )
    assert ExposureCheck().explain(good) == ()
    late = tmp_path / "late"
    late.mkdir()
    short = seen(late, exposure, config, days=30)
    assert numbers(short) == [0, 0, 1]
    assert "certificate ends at 20" in ExposureCheck().explain(short)[0].what
