"""The restore drill against backups that go wrong."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.checks.rehearsed import specimen
from roadworthy.checks.restore.drill import RestoreCheck, Subject
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.probes.ledger_copy import copy_ledger
from roadworthy.probes.rehearsal.small import small_gateway

AT = datetime(2026, 11, 21, tzinfo=UTC)


def context(folder: Path) -> CheckContext:
    """A use case with nothing."""
    return CheckContext(
        use_case_id="heart", title="", intended_use="", root=folder, files={}, recorded={},
        data={}, target=None, quality=None, at=AT, seed=1, workdir=folder,
    )  # fmt: skip


def without_segments(folder: Path, copy: Path) -> None:
    """What anybody may read, and the keys."""
    copy_ledger(folder, copy)
    shutil.rmtree(copy / "segments")


def without_payload_key(folder: Path, copy: Path) -> None:
    """A key that was forgotten, and made anew."""
    copy_ledger(folder, copy)
    (copy / "keys" / "payload.key").write_bytes(bytes(32))


def another_log_key(folder: Path, copy: Path) -> None:
    """The published files and the key of the log were forgotten."""
    copy_ledger(folder, copy)
    shutil.rmtree(copy / "log")
    (copy / "keys" / "log.key").unlink()


def test_each_loss_is_told() -> None:
    """Records, content and entries that differ, each with its remedy."""
    drill = {"acknowledged": 60, "lost": 2, "lost_payloads": 1, "payloads": 20, "changed": 3, "fault": ""}
    findings = RestoreCheck().explain(Observation(estimates=(), facts={"drill": drill}))
    assert [finding.what.split()[0] for finding in findings] == ["2", "1", "3"]


@pytest.mark.slow
@pytest.mark.parametrize("backup", [without_segments, without_payload_key, another_log_key])
def test_a_bad_backup_is_found(tmp_path: Path, backup) -> None:
    """Whatever is missing, the drill does not pass, and says why."""
    check = RestoreCheck()
    with specimen(context(tmp_path), small_gateway(tmp_path / "small")) as found:
        subject = Subject(rehearsed=found, backup=backup, folder=tmp_path / "restored")
        seen: Observation = check.observe(subject, check.params(), Run(at=AT, seed=1, cancelled=lambda: False))
    numbers = {estimate.metric: estimate.interval for estimate in seen.estimates}
    assert numbers["lost_records"].n >= 60
    assert numbers["log_faults"].estimate == 1
    assert numbers["lost_records"].estimate == numbers["lost_records"].n
    (finding,) = check.explain(seen)
    assert finding.remedy
    json.dumps(seen.facts)
