"""Every command, for a person and for a program."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import InputError
from roadworthy.cli.app import app, execute
from roadworthy.cli.evidence import find_envelope
from roadworthy.packs.tier import load_answers
from roadworthy.wiring.load_manifest import load_manifest
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.workspace import Workspace
from small_project import Project

READING = [
    ("inspect",),
    ("scorecard",),
    ("gaps",),
    ("gate",),
    ("gate", "--at", "2030-01-01"),
    ("evidence", "list"),
    ("evidence", "show", "T14"),
    ("person", "list"),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_each_command_speaks_to_a_person_and_to_a_program(
    opened: Project, answer: Any, capsys: Any, words: tuple[str, ...]
) -> None:
    """The same exit code both ways; the JSON is canonical and equal each time, the text is no JSON."""
    code, value = answer(opened.run, *words)
    capsys.readouterr()
    assert opened.run(*words) == code
    text = capsys.readouterr().out
    assert text.strip()
    with pytest.raises(ValueError):
        json.loads(text)
    # A scorecard bears its instant; everything else says the same each time.
    if words not in {("inspect",), ("scorecard",), ("gaps",)}:
        assert answer(opened.run, *words) == (code, value)


def walk(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command of the tree, with its words."""
    if names:
        yield " ".join(names), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, *names, name)


TREE = dict(walk(get_command(app)))


@pytest.mark.parametrize("words", TREE)
def test_each_command_and_each_option_explains_itself(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And each takes ``--json``, but for the demo, which tells a story, and mere groups."""
    command = TREE[words]
    assert command.help
    assert [each.name for each in command.params if not getattr(each, "help", None)] == []
    options = {option for each in command.params for option in each.opts}
    group = bool(getattr(command, "commands", None)) and not command.invoke_without_command
    assert "--json" in options or group or words == "demo"
    assert execute([*words.split(), "--help"]) == 0
    assert f"Usage: roadworthy {words}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gaps", "assign"), "person-days"),
        (("gaps", "defer"), "Person-days"),
        (("waive", "request"), "RFC 3339"),
        (("gate",), "instant"),
        (("inspect",), "0 gate open, 1 not met, 2 usage"),
    ],
)
def test_help_names_units_and_exit_codes(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number without its unit is a riddle."""
    execute([*words, "--help"])
    assert said in " ".join(capsys.readouterr().out.split())


def test_without_a_command_the_list_of_commands_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """And it is a usage error."""
    assert execute([]) == 2
    said = "".join(capsys.readouterr())
    assert "inspect" in said
    assert "verify" in said


def test_schema_is_the_schema_of_the_manifest(answer: Any, capsys: Any) -> None:
    """JSON with and without the flag."""
    code, value = answer(lambda *words: execute(list(words)), "schema")
    assert code == 0
    assert value["properties"]["roadworthy"]["const"] == 1
    assert execute(["schema"]) == 0
    assert capsys.readouterr().out.encode() == canonical_bytes(value) + b"\n"


def test_tier_names_the_rule(project: Project, answer: Any, capsys: Any) -> None:
    """R3 here, by the device class."""
    answers = str(project.folder / "answers/tier.yaml")
    code, value = answer(lambda *words: execute(list(words)), "tier", answers)
    assert (code, value["tier"]) == (0, "R3")
    assert execute(["tier", answers]) == 0
    assert "R3" in capsys.readouterr().out


def test_init_writes_a_valid_manifest_and_the_questions(tmp_path: Path, answer: Any) -> None:
    """In a folder that need not exist."""
    code, value = answer(lambda *words: execute(list(words)), "init", str(tmp_path / "new" / "here"))
    assert code == 0
    manifest, answers = (Path(name) for name in value["written"])
    assert load_manifest(manifest).use_case.id == "my-use-case"
    assert load_answers(answers) is not None


@pytest.mark.parametrize("title", ['Triage: "hearts" # first', "{a}", "Größe 測定", "- x", "yes"])
def test_init_takes_any_title(tmp_path: Path, title: str) -> None:
    """A colon in a title is no syntax."""
    assert execute(["init", str(tmp_path), "--id", "hearts", "--title", title, "--no-ask"]) == 0
    block = load_manifest(tmp_path / "roadworthy.yaml").use_case
    assert (block.id, block.title) == ("hearts", title)


def test_init_asks_for_what_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers stand in the file."""
    answers = iter(["hearts", "Heart triage"])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    assert execute(["init", str(tmp_path)]) == 0
    assert load_manifest(tmp_path / "roadworthy.yaml").use_case.title == "Heart triage"


def test_init_refuses_an_id_that_would_not_be_valid_and_writes_nothing(tmp_path: Path) -> None:
    """RW-101, exit code 2."""
    assert execute(["init", str(tmp_path / "new"), "--id", "My Hearts", "--no-ask"]) == 2
    assert not (tmp_path / "new").exists()


def test_init_overwrites_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """RW-100."""
    before = project.manifest.read_bytes()
    assert execute(["init", str(project.folder), "--no-ask"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert project.manifest.read_bytes() == before


def test_init_below_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RW-102, not a traceback."""
    (tmp_path / "file").write_text("x")
    assert execute(["init", str(tmp_path / "file" / "x"), "--no-ask"]) == 2
    assert "RW-102" in capsys.readouterr().err


def test_inspect_writes_junit_and_sarif(project: Project, tmp_path: Path, answer: Any) -> None:
    """One test case a criterion; one result for what is not satisfied."""
    junit, sarif = tmp_path / "j.xml", tmp_path / "s.sarif"
    code, value = answer(project.run, "inspect", "--junit", str(junit), "--sarif", str(sarif))
    assert code == 1
    assert [each["check"] for each in value["ran"]] == ["release.pinned"]
    assert {case.get("name", "")[:3].strip() for case in ET.parse(junit).iter("testcase")} == {"T14", "G2"}
    assert json.loads(sarif.read_bytes())["version"] == "2.1.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j.xml", "road", "s.sarif"]


def test_report_is_one_page(opened: Project, tmp_path: Path, answer: Any, capsys: Any) -> None:
    """Its digest is what is printed."""
    page = tmp_path / "report.html"
    code, value = answer(opened.run, "report", str(page))
    assert code == 0
    assert value["size_bytes"] == page.stat().st_size
    assert page.read_text().lower().startswith("<!doctype html>")
    assert opened.run("report", str(page)) == 0
    assert "report.html" in capsys.readouterr().out.replace("\n", "")


def test_export_and_verify(opened: Project, tmp_path: Path, answer: Any, capsys: Any) -> None:
    """Both speak to people and to programs."""
    bundle = str(tmp_path / "b.zip")
    code, value = answer(opened.run, "export", bundle)
    assert (code, value["size_bytes"]) == (0, Path(bundle).stat().st_size)
    code, value = answer(lambda *words: execute(list(words)), "verify", bundle)
    assert (code, value["holds"], value["problems"]) == (0, True, [])
    assert value["newest"]["outcome"] == "open"
    assert execute(["verify", bundle]) == 0
    assert "now: OPEN." in capsys.readouterr().out


def test_gaps_are_assigned_and_deferred(project: Project, answer: Any, capsys: Any) -> None:
    """What is not given keeps its value; '' clears the dependencies."""
    project.run("inspect")
    words = ("gaps", "assign", "G2", "--as", "ada", "--owner", "desk", "--effort-days", "1,2,3", "--depends-on", "T14")
    code, value = answer(project.run, *words)
    assert (code, value["assigned"]) == (0, "G2")
    assert project.run("gaps", "assign", "G2", "--as", "ada", "--deadline", "2027-01-01", "--depends-on", "") == 0
    words = ("gaps", "defer", "G2", "--as", "ada", "--reason", "later", "--work", "sign", "--cost-days", "1")
    code, value = answer(project.run, *words, "--stage", "adopt")
    assert (code, value["deferred"]) == (0, "G2")
    code, value = answer(project.run, "gaps")
    (gap,) = value["gaps"]
    assert (gap["owner"], gap["criterion_id"], gap["depends_on"]) == ("desk", "G2", [])
    assert gap["deferred"]
    capsys.readouterr()
    assert project.run("gaps") == 0
    assert "deferred" in capsys.readouterr().out


@pytest.mark.parametrize("effort", ["1,2", "a,b,c", "1;2;3", "1,2,3,4", "3,2,1"])
def test_an_effort_that_is_not_three_numbers_is_refused(
    project: Project, effort: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """RW-100 with an example, exit code 2."""
    project.run("inspect")
    size = project.size()
    assert project.run("gaps", "assign", "G2", "--as", "ada", "--effort-days", effort) == 2
    assert "2,3,8" in capsys.readouterr().err
    assert project.size() == size


def test_a_circle_of_gaps_is_refused_and_the_register_still_works(project: Project) -> None:
    """RW-112, exit code 2."""
    project.run("inspect")
    assert project.run("gaps", "assign", "T14", "--as", "ada", "--depends-on", "G2") == 0
    assert project.run("gaps", "assign", "G2", "--as", "ada", "--depends-on", "T14") == 2
    assert project.run("gaps") == 0


def test_evidence_is_found_by_index_criterion_and_digest(opened: Project, answer: Any, capsys: Any) -> None:
    """An index that looks like the beginning of a digest is an index."""
    _, listed = answer(opened.run, "evidence", "list")
    for each in listed["evidence"]:
        shown = [answer(opened.run, "evidence", "show", name)[1] for name in _names(each)]
        assert all(value == shown[0] for value in shown)
        assert shown[0]["payloadType"] == "application/vnd.in-toto+json"
    assert opened.run("evidence", "show", "G2") == 0
    text = capsys.readouterr().out
    assert "I answer for it." in text
    for unknown in ("zz", "", "sha256:", "99"):
        assert opened.run("evidence", "show", unknown) == 2


def _names(each: dict[str, Any]) -> tuple[str, ...]:
    digest = each["digest"]
    return (str(each["index"]), digest, digest.removeprefix("sha256:"), digest.removeprefix("sha256:")[:12])


def test_a_beginning_that_several_digests_share_is_refused(opened: Project) -> None:
    """Better none than the wrong one."""
    workspace = Workspace(opened.manifest)
    first, second = envelopes(workspace.case())
    workspace.close()
    alike = (replace(first, digest="sha256:abc1"), replace(second, digest="sha256:abc2"))
    with pytest.raises(InputError, match="2 envelopes begin with 'abc'"):
        find_envelope(alike, "abc")
    assert find_envelope(alike, "abc2") is alike[1]
    # What looks like a digest and is an index is an index.
    index = str(alike[0].index)
    assert find_envelope((alike[0], replace(alike[1], digest=f"sha256:{index}f")), index) is alike[0]


def test_people_are_listed_also_when_there_are_none(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that adds one."""
    project.run("inspect")
    capsys.readouterr()
    assert project.run("person", "list") == 0
    assert "roadworthy person add" in capsys.readouterr().out


def test_a_person_that_cannot_be_added_leaves_neither_key_nor_entry(opened: Project) -> None:
    """Taken, not plain, or with a short passphrase."""
    size = opened.size()
    secret, short = str(opened.folder / "passphrase.txt"), opened.folder / "short.txt"
    short.write_text("short")
    keys = sorted((opened.folder / ".roadworthy/people").iterdir())
    rest = ("--name", "X", "--role", "quality", "--passphrase-file")
    for words in (("ada", *rest, secret), ("../eve", *rest, secret), ("eve", *rest, str(short))):
        assert opened.run("person", "add", *words) == 2
    assert opened.size() == size
    assert sorted((opened.folder / ".roadworthy/people").iterdir()) == keys


def test_a_lost_key_does_not_free_the_id(opened: Project) -> None:
    """Otherwise whoever deletes Ada's key could become Ada."""
    (opened.folder / ".roadworthy/people/ada.key").unlink()
    secret = str(opened.folder / "passphrase.txt")
    words = ("person", "add", "ada", "--name", "Mallory", "--role", "business_owner", "--passphrase-file", secret)
    assert opened.run(*words) == 2
    assert not (opened.folder / ".roadworthy/people/ada.key").exists()


@pytest.mark.parametrize(
    "words", [("report", "{}/none/r.html"), ("export", "{}/none/b.zip"), ("inspect", "--junit", "{}/none/j.xml")]
)
def test_a_result_that_cannot_be_written_is_said(
    opened: Project, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """RW-102 with a remedy, exit code 2; an inspection says so before it starts."""
    size = opened.size()
    assert opened.run(*(word.format(tmp_path) for word in words)) == 2
    said = capsys.readouterr().err
    assert "RW-102" in said
    assert "→" in said
    assert opened.size() == size
