"""Alerts that go wrong in other ways than the specimen's."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.alert.fires import FiresCheck
from roadworthy.kit.check import Run
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.answering import answering, table
from roadworthy.probes.rehearsal.small import USE_CASE, small_gateway

AT = datetime(2026, 11, 21, tzinfo=UTC)


def context(folder: Path, alerts: Path | None) -> CheckContext:
    """A use case with nothing but a gateway."""
    gateway = Gateway(config=small_gateway(folder / "small"), use_case=USE_CASE, alerts=alerts)
    return CheckContext(
        use_case_id="heart", title="", intended_use="", root=folder, files={}, recorded={},
        data={}, target=None, quality=None, at=AT, seed=1, workdir=folder, gateway=gateway,
    )  # fmt: skip


def test_the_declaration_is_needed(tmp_path: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(ManifestError, match="alerts is not declared"):
        FiresCheck().subject(context(tmp_path, None)).__enter__()


@pytest.mark.slow
def test_an_alert_that_always_fires_and_one_that_is_not_delivered(tmp_path: Path, monkeypatch) -> None:
    """False alarm, refused call, no end, and a cause that has no alert: each is told."""
    monkeypatch.setattr("roadworthy.checks.alert.fires._OVER_S", 1.0)
    check, path = FiresCheck(), tmp_path / "alerts.yaml"
    with answering(table({})) as url:
        rules = [{"name": "asked", "when": "roadworthy_exchanges_total > 0", "cause": "upstream"}]
        file = {"alerts": 1, "notify": url, "acknowledged": url, "rules": rules}
        path.write_text(json.dumps(file))
        with check.subject(context(tmp_path, path)) as subject:
            seen = check.observe(subject, check.params(), Run(at=AT, seed=1, cancelled=lambda: False))
    numbers = {estimate.metric: estimate.interval.estimate for estimate in seen.estimates}
    assert numbers == {
        "false_alarms": 1,
        "alerts_silent": 0,
        "alerts_stuck": 1,
        "alerts_unacknowledged": 1,
        "causes_without_alert": 1,
    }
    said = " ".join(finding.what for finding in check.explain(seen))
    for words in ("although all is well", "did not take the call", "did not end", "No alert has the cause ledger"):
        assert words in said
