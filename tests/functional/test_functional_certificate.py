"""A certificate from the open gate to the file that a gateway reads, and its end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.canonical import parse_canonical
from roadworthy.base.clock import now
from roadworthy.cli.app import execute
from roadworthy.domain.certificate import Caps, Certificate
from roadworthy.domain.exchange import Caller
from roadworthy.domain.risk import Tier
from roadworthy.gates.certificate import certificate_of, revocation_of
from roadworthy.gateway.admission import Admit
from roadworthy.gateway.config import Admission
from roadworthy.gateway.exchange import Refused
from roadworthy.ledger.dsse import envelope_from_bytes, verify
from roadworthy.ledger.keys import PublicKey
from small_project import Project, write_small


def said(capsys: pytest.CaptureFixture[str], project: Project, *words: str) -> tuple[int, Any]:
    """Exit code and JSON of one command."""
    capsys.readouterr()
    code = project.run(*words, "--json")
    return code, json.loads(capsys.readouterr().out)


def opened(data: bytes, public_key: str) -> Any:
    """The statement in an envelope, once the printed key verifies it and nothing else is known."""
    envelope, key = envelope_from_bytes(data), PublicKey.from_hex(public_key)
    assert verify(envelope, {key.keyid: key}) == (key.keyid,)
    return parse_canonical(envelope.payload)


def read(path: Path, public_key: str) -> Certificate:
    return certificate_of(opened(path.read_bytes(), public_key))


def test_issued_verified_and_revoked(road: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the printed key alone the file proves the release, the caps and the end; then it is revoked, for good."""
    file, ended = tmp_path / "certificate.json", tmp_path / "revocations.jsonl"
    _, decision = said(capsys, road, "gate")
    words = ("--cohort", "ward", "--scope", "vitals", "--share", "0.25", "--rate-rps", "5", "--out", str(file))
    code, made = said(capsys, road, "certificate", "issue", *words)
    assert code == 0
    certificate = read(file, made["public_key"])
    assert certificate.caps == Caps(cohorts=("ward",), data_scopes=("vitals",), wave_share=0.25, rate_rps=5)
    assert certificate.release_digest == decision["release_digest"]
    assert certificate.valid_from <= now() < certificate.valid_until
    # Nothing was revoked yet, and a file says so.
    assert road.run("certificate", "show", "--revocations", str(ended)) == 0
    assert ended.read_bytes() == b""
    assert f"{certificate.id}: in force" in capsys.readouterr().out
    # Evidence is signed by another key.
    assert made["public_key"] not in (road.folder / ".roadworthy/keys/producer.key").read_text()
    code, _ = said(capsys, road, "certificate", "revoke", certificate.id, "--reason", "Drift.", "--out", str(ended))
    assert code == 0
    (line,) = ended.read_bytes().splitlines()
    assert revocation_of(opened(line, made["public_key"])).certificate_id == certificate.id
    _, shown = said(capsys, road, "certificate", "show")
    assert [each["state"] for each in shown["certificates"]] == ["revoked"]
    assert shown["public_key"] == made["public_key"]
    assert road.run("certificate", "revoke", certificate.id, "--reason", "Again.") == 1
    assert road.run("certificate", "revoke", "certificate-0", "--reason", "Drift.") == 2
    # Whoever has the bundle sees that all of it was allowed.
    bundle = str(tmp_path / "bundle.zip")
    assert road.run("export", bundle) == 0
    assert execute(["verify", bundle]) == 0


def test_a_gateway_admits_by_the_files(road: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stage that admits traffic reads what these commands write: in force, then revoked."""
    file, ended = tmp_path / "certificate.json", tmp_path / "revocations.jsonl"
    words = ("--cohort", "ward", "--out", str(file))
    _, made = said(capsys, road, "certificate", "issue", *words)
    assert road.run("certificate", "show", "--revocations", str(ended)) == 0
    admission = Admission(certificate=file, trusted_keys=[made["public_key"]], revocations=ended, refresh_s=1)
    certificate = made["certificate"]
    admit = Admit("road", Tier(certificate["tier"]), admission, release=certificate["release_digest"])
    at_s = now().timestamp()
    caller = Caller(
        id="a",
        credential="k",
        roles=frozenset(),
        cohort="ward",
        scopes=frozenset(),
        purposes=frozenset(),
        expires_at_s=at_s + 60,
    )
    name = made["certificate"]["id"]
    assert admit.check(caller, "any", at_s) == f"certificate:{name}"
    with pytest.raises(Refused):
        admit.check(replace(caller, cohort="other"), "any", at_s)
    assert road.run("certificate", "revoke", name, "--reason", "Drift.", "--out", str(ended)) == 0
    with pytest.raises(Refused):
        admit.check(caller, "any", at_s + 5)
    assert admit.status()["state"] == "revoked"


def test_people_read_what_a_certificate_allows(
    road: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Release, limits, end and key, in the terminal, and where the files went."""
    file = tmp_path / "c.json"
    capsys.readouterr()
    assert road.run("certificate", "issue", "--cohort", "ward", "--rate-rps", "5", "--out", str(file)) == 0
    told = capsys.readouterr().out
    for words in ("cohorts    ward", "scopes     every one", "share      1, 5 requests a second", "✓ certificate-"):
        assert words in told
    key = told.partition("control plane's key ")[2].split()[0]
    name = read(file, key).id
    assert road.run("certificate", "revoke", name, "--reason", "Drift.") == 0
    assert "certificate show --revocations" in capsys.readouterr().out
    assert road.run("certificate", "show") == 0
    assert f"{name}: revoked" in capsys.readouterr().out


def test_a_second_certificate_needs_no_second_key(road: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The end may be brought forward, never put off; both are listed."""
    _, first = said(capsys, road, "certificate", "issue")
    size = road.size()
    _, second = said(capsys, road, "certificate", "issue", "--share", "0.5")
    assert (second["public_key"], road.size()) == (first["public_key"], size + 1)
    assert second["certificate"]["id"] != first["certificate"]["id"]
    assert road.run("certificate", "issue", "--until", "2999-01-01") == 1
    assert road.run("certificate", "issue", "--until", "2020-01-01") == 2
    assert road.run("certificate", "issue", "--share", "2") == 2
    assert road.size() == size + 1
    capsys.readouterr()
    assert road.run("certificate", "show") == 0
    assert capsys.readouterr().out.count("in force") == 2


def test_a_closed_gate_issues_nothing(road: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the release changed behind the open gate: exit 1, RW-300, no file, no certificate on record."""
    road.edit("models/model.json", "1", "2")
    capsys.readouterr()
    assert road.run("certificate", "issue", "--out", str(tmp_path / "c.json")) == 1
    told = capsys.readouterr().err
    assert "RW-300" in told
    assert "No certificate: the gate go-live is lapsed" in told
    assert not (tmp_path / "c.json").exists()
    _, shown = said(capsys, road, "certificate", "show")
    assert shown == {"certificates": [], "public_key": None}


def test_what_cannot_be_done_is_said_before_anything_is_signed(
    road: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder for the file, and a project that was never inspected: exit 2, nothing on record."""
    size = road.size()
    assert road.run("certificate", "issue", "--out", str(tmp_path / "none" / "c.json")) == 2
    assert road.size() == size
    write_small(tmp_path / "fresh")
    fresh = Project(tmp_path / "fresh")
    capsys.readouterr()
    assert fresh.run("certificate", "issue") == 2
    assert "RW-115" in capsys.readouterr().err
    assert not (tmp_path / "fresh/.roadworthy/store.db").exists()
