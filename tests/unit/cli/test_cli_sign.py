"""What is signed is shown, and what is shown is signed."""

import json
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_bytes
from roadworthy.cli import sign as signing
from roadworthy.domain.case_file import CaseFile
from roadworthy.ledger.dsse import envelope_from_bytes
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.workspace import Workspace
from small_project import Project


def case_of(project: Project) -> CaseFile:
    workspace = Workspace(project.manifest)
    try:
        return workspace.case()
    finally:
        workspace.close()


def newest_shown(project: Project) -> str:
    """What the newest attestation on record says of the view."""
    words = [each.evidence.attestation for each in envelopes(case_of(project))]
    return next(word.shown_digest for word in reversed(words) if word)


def without_last_line(said: str) -> str:
    """The view, without the sentence that confirms."""
    return "".join(said.splitlines(keepends=True)[:-1])


def test_the_gate_is_shown_and_the_digest_is_of_what_was_printed(opened: Project, capsys: Any) -> None:
    """Headline, basis, every reading with its reason, and the seats."""
    capsys.readouterr()
    assert opened.as_person("sign", "gate") == 0
    view = without_last_line(capsys.readouterr().out)
    case = case_of(opened)
    decision = case.decisions[-1].decision
    for part in ("Yes. The go-live gate is open.", decision.basis_digest, "T14", "G2", "Satisfied"):
        assert part in view
    assert all(reading.reason in view for reading in decision.readings)
    assert "seat: validator, 1 needed, signed by chi" in view
    assert json.loads(envelope_from_bytes(case.signatures[-1].body).payload)["shown_digest"] == digest_bytes(
        view.encode()
    )


def test_a_criterion_is_shown_and_the_digest_is_of_what_was_printed(opened: Project, capsys: Any) -> None:
    """Title, what it asks, and its sources; with ``--json`` on stderr, so that stdout is one JSON value."""
    capsys.readouterr()
    assert opened.as_person("sign", "G2") == 0
    view = without_last_line(capsys.readouterr().out)
    for part in ("G2: Somebody answers for it", "asks: the signature of business_owner", "source: House rules, 2"):
        assert part in view
    assert newest_shown(opened) == digest_bytes(view.encode())
    assert opened.as_person("sign", "G2", "--json") == 0
    said = capsys.readouterr()
    assert said.err == view
    assert said.out.encode() == canonical_bytes(json.loads(said.out)) + b"\n"


def test_bounds_are_shown_whole(opened: Project, capsys: Any) -> None:
    """Also for a criterion that a check proves: the view comes before the refusal."""
    capsys.readouterr()
    assert opened.as_person("sign", "T14", person="ben") == 2
    assert "asks: parts_unpinned <= 0.0 part, from at least 1 (House rule.)" in capsys.readouterr().out


def test_the_view_comes_before_the_passphrase(
    opened: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever types it has seen what for."""
    capsys.readouterr()
    seen: list[str] = []

    def typed(source: Path | None, person_id: str) -> bytes:
        seen.append(capsys.readouterr().out)
        return b"correct horse battery"

    monkeypatch.setattr(signing, "read_passphrase", typed)
    assert opened.as_person("sign", "gate") == 0
    assert seen[0].startswith("Gate go-live of road: open\n")


def test_a_title_cannot_write_lines_of_the_view_nor_move_the_cursor(opened: Project, capsys: Any) -> None:
    """Line breaks and control characters of a pack are written out, and so they are signed."""
    opened.edit("packs/road.yaml", "title: Somebody answers for it", 'title: "Fine\\n  seat: all\\e[2J"')
    opened.run("inspect")
    capsys.readouterr()
    assert opened.as_person("sign", "G2") == 0
    view = without_last_line(capsys.readouterr().out)
    assert "G2: Fine\\n  seat: all\\x1b[2J\n" in view
    assert newest_shown(opened) == digest_bytes(view.encode())
