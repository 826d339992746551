"""Verifying a bundle: what holds, what the report says, the command line, and the recorded vector."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger_story import ALICE, LOG, PRODUCER, LedgerStory, broken_steps, envelope, packed

from roadworthy.base.digest import sha256_hex
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.verify import SHOWN_PROBLEMS, Report, main, render, verify_bytes

Both = Callable[..., Report]
VECTORS = Path(__file__).parents[2] / "vectors"


def test_a_good_bundle_holds(story: LedgerStory, both: Both) -> None:
    """All eight steps, by both verifiers, with and without a pinned key."""
    data = packed(story.members())
    for vkey in (None, LOG.verifier.text()):
        report = both(data, vkey)
        assert [step.number for step in report.steps] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert report.checkpoint is not None
        assert (report.checkpoint.size, report.entries, report.erased, report.outside) == (8, 8, 1, ())
        assert report.pinned is (vkey is not None)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 513])
def test_ledgers_of_every_shape_hold(size: int, both: Both) -> None:
    """Empty, one entry, and around the edges of a tile."""
    told = LedgerStory()
    for index in range(size):
        told.record("note", {"n": index})
    assert both(packed(told.members())).holds


def test_the_recorded_vector_is_made_again(story: LedgerStory, both: Both) -> None:
    """Keys, salts and instants are fixed, so the bundle is too: a change of any format shows here."""
    data = packed(story.members())
    recorded = (VECTORS / "ledger_story.zip").read_bytes()
    facts = json.loads((VECTORS / "ledger_story.json").read_text())
    assert data == recorded
    assert facts == {"root": story.head.root.hex(), "size": story.head.size, "vkey": LOG.verifier.text()}
    assert both(recorded, facts["vkey"]).holds


def test_attachments_are_told_but_no_problem(story: LedgerStory, both: Both) -> None:
    """An attachment is listed in the manifest; the report says that the ledger does not vouch for it."""
    name = f"blobs/{sha256_hex(b'x')}"
    report = both(packed({**story.members(), name: b"x"}))
    assert report.holds
    assert report.outside == (name,)
    assert f"1 attachments are not in the ledger, such as {name}" in render(report)


def test_a_key_counts_only_after_its_registration(both: Both) -> None:
    """Evidence before the registration is a problem, after it none; the index is named."""
    told = LedgerStory().record("evidence.recorded", {"envelope": envelope(PRODUCER)}).register()
    told.record("evidence.recorded", {"envelope": envelope(PRODUCER)})
    report = both(packed(told.members()))
    assert broken_steps(report) == {7}
    assert [problem.index for problem in report.problems] == [0]


def test_a_person_without_a_key_cannot_sign(both: Both) -> None:
    """Registered without a key: no problem until a signature needs it."""
    told = LedgerStory().record("person.registered", {"person": {"id": "alice", "public_key": ""}})
    told.record("person.registered", {"person": {"id": "alice"}})
    assert both(packed(told.members())).holds
    told.record("signature.added", {"envelope": envelope(ALICE)})
    assert [problem.index for problem in both(packed(told.members())).problems] == [2]


def flipped(value: dict[str, Any]) -> dict[str, Any]:
    """The envelope with another payload under the same signatures."""
    return {**value, "payload": envelope(ALICE, payload=b"{}")["payload"]}


@pytest.mark.parametrize(
    ("kind", "payload", "steps"),
    [
        ("evidence.recorded", {"envelope": envelope(key_from_seed(b"\x09" * 32))}, {7}),
        ("evidence.recorded", {"envelope": envelope()}, {7}),
        ("evidence.recorded", {"envelope": envelope(PRODUCER, payload=b"{}")}, {8}),
        ("evidence.recorded", {"envelope": envelope(PRODUCER, kind="text/plain")}, {8}),
        ("evidence.recorded", {"envelope": flipped(envelope(PRODUCER))}, {7, 8}),
        ("evidence.recorded", {"envelope": None}, {7}),
        ("evidence.recorded", {"other": 1}, {7}),
        ("evidence.recorded", b"not json", {7}),
        ("evidence.recorded", b"[]", {7}),
        ("certificate.issued", {"envelope": envelope(key_from_seed(b"\x09" * 32))}, {7}),
        ("certificate.issued", {"envelope": envelope(PRODUCER, kind="text/plain")}, {8}),
        ("certificate.revoked", {"envelope": envelope(PRODUCER, payload=b"{}")}, {8}),
        ("certificate.revoked", {}, {7}),
        ("signature.added", {"envelope": {**envelope(ALICE), "signatures": []}}, {7}),
        ("waiver.approved", {"envelope": flipped(envelope(ALICE, kind="text/plain"))}, {7}),
        ("policy.adopted", {"envelope": flipped(envelope(ALICE, kind="text/plain"))}, {7}),
        ("person.registered", {"person": {"public_key": "ab"}}, {7}),
        ("person.registered", {"person": {"public_key": 1}}, {7}),
        ("person.registered", {"person": []}, {7}),
        ("producer.registered", {}, {7}),
    ],
)
def test_what_was_recorded_wrongly_is_found(kind: str, payload: Any, steps: set[int], both: Both) -> None:
    """The ledger itself is whole, but what it holds is not signed as it must be; the index is named."""
    told = LedgerStory().register().record(kind, payload).record("note", {})
    report = both(packed(told.members()))
    assert broken_steps(report) == steps
    assert {problem.index for problem in report.problems} == {2}


def test_the_report_of_many_problems_is_cut() -> None:
    """Only the first are printed; the number of the others is said."""
    told = LedgerStory()
    for _ in range(SHOWN_PROBLEMS + 5):
        told.record("evidence.recorded", {})
    text = render(verify_bytes(packed(told.members())))
    assert "... and 5 more" in text
    assert "✗ 7. the envelopes are signed by registered keys" in text
    assert text.endswith(f"BROKEN: {SHOWN_PROBLEMS + 5} problems")


def test_what_is_no_bundle_at_all(both: Both) -> None:
    """Nothing, noise, and an empty container break every outer step without a crash."""
    for data in (b"", b"noise", packed({})):
        report = both(data)
        assert {2, 3} <= broken_steps(report)
        assert report.checkpoint is None
        assert "key      none" in render(report)


def test_the_command_line(story: LedgerStory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 when it holds, 5 when it is broken, 2 when there is no file; the steps are printed."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(packed(story.members()))
    assert main([str(path), "--vkey", LOG.verifier.text()]) == 0
    shown = capsys.readouterr().out
    assert shown.count("✓") == 8
    assert f"root     {story.head.root.hex()}" in shown
    assert "given by you" in shown
    assert "origin   ledger.example" in shown
    other = CheckpointSigner("ledger.example", key_from_seed(b"\x08" * 32)).verifier.text()
    assert main([str(path), "--vkey", other]) == 5
    assert "not the pinned one" in capsys.readouterr().out
    assert main([str(tmp_path / "none.zip")]) == 2
    assert "RW-102" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2


def test_both_programs_run_alone(story: LedgerStory, tmp_path: Path, repo_root: Path) -> None:
    """As an auditor starts them: a module, and a script that needs no package."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(packed(story.members()))
    run = [sys.executable, "-m", "roadworthy.ledger.verify", str(path)]
    script = [sys.executable, "-I", str(repo_root / "tests" / "second_verifier.py"), LOG.verifier.text()]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    first = subprocess.run(run, capture_output=True, text=True, check=False, env=environment, encoding="utf-8")
    assert (first.returncode, first.stdout.splitlines()[-1]) == (0, "VERIFIED")
    other = subprocess.run(script, input=path.read_bytes(), capture_output=True, check=False, env=environment)
    assert (other.returncode, other.stdout.strip()) == (0, b"OK")
    path.write_bytes(path.read_bytes()[:-1])
    assert subprocess.run(run, capture_output=True, check=False, env=environment).returncode == 5
    other = subprocess.run(script, input=path.read_bytes(), capture_output=True, check=False, env=environment)
    assert other.returncode == 1


def test_the_verifier_needs_only_the_standard_library_and_cryptography(repo_root: Path) -> None:
    """An auditor installs one package: nothing else is imported."""
    code = (
        "import sys, roadworthy.ledger.verify\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    environment = {"PYTHONPATH": str(repo_root / "src")}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    allowed = {"roadworthy", "cryptography", "_cffi_backend", "cffi", "__main__"}
    found = {name for name in json.loads(shown.stdout.replace("'", '"')) if not name.startswith(("_", "sitecustom"))}
    assert found <= allowed
