"""Prompt sets in a file: what is one, what its digest covers, and every problem with its key path."""

import json
from pathlib import Path

import pytest

from roadworthy.base.digest import digest_file
from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.domain.use_case import Part
from roadworthy.measure.answers.prompt_file import prompt_digest, read_prompts
from roadworthy.measure.answers.prompts import Prompt, release_parts

SET = """\
# How mail is sorted.
roadworthyPrompts: 1
prompts:
  - name: triage
    model: assistant-2026-05-01
    variables: [mail]
    parameters: {temperature: 0, max_tokens: 20}
    text: "Sort this mail: {{mail}}"
  - {name: reply, model: assistant-2026-05-01, file: texts/reply.txt}
"""
PROMPTS = (
    Prompt(
        name="triage",
        model="assistant-2026-05-01",
        variables=frozenset({"mail"}),
        parameters={"temperature": 0, "max_tokens": 20},
        text="Sort this mail: {{mail}}",
    ),
    Prompt(name="reply", model="assistant-2026-05-01", text="Reply.\r\n"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A set of two prompts, one of them in a file of its own."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/reply.txt").write_bytes(b"Reply.\r\n")
    (tmp_path / "prompts.yaml").write_text(SET, encoding="utf-8")
    return tmp_path / "prompts.yaml"


def changed(path: Path, old: str, new: str) -> Path:
    """The set with one text replaced."""
    assert old in SET
    path.write_text(SET.replace(old, new), encoding="utf-8")
    return path


def test_a_set_is_read_and_digested_as_its_prompts(path: Path) -> None:
    """In the order of the file, line ends of a text file included."""
    assert read_prompts(path) == PROMPTS
    assert prompt_digest(path) == release_parts(PROMPTS)[Part.PROMPT] != digest_file(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("temperature: 0", "temperature: 0.7"),
        ("Sort this mail: ", "Sort this mail:  "),
        ("model: assistant-2026-05-01\n", "model: assistant-2026-06-01\n"),
        ("name: reply", "name: answer"),
        (", max_tokens: 20", ""),
    ],
)
def test_whatever_can_change_an_answer_changes_the_digest(path: Path, old: str, new: str) -> None:
    """A parameter, one blank, a model, the name under which a prompt is called."""
    before = prompt_digest(path)
    assert prompt_digest(changed(path, old, new)) != before


def test_a_changed_text_file_changes_the_digest(path: Path) -> None:
    """The set itself is the same, what it says is not."""
    before = prompt_digest(path)
    (path.parent / "texts/reply.txt").write_bytes(b"Reply.\n")
    assert prompt_digest(path) != before


def test_layout_comments_and_order_do_not_change_the_digest(path: Path, tmp_path: Path) -> None:
    """Nor does writing the same as JSON."""
    before = prompt_digest(path)
    assert prompt_digest(changed(path, "# How mail is sorted.", "# Mail.\n")) == before
    assert (
        prompt_digest(changed(path, "{temperature: 0, max_tokens: 20}", "{max_tokens: 20, temperature: 0.0}")) == before
    )
    entries = [
        {"name": "reply", "model": "assistant-2026-05-01", "text": "Reply.\r\n"},
        {
            "name": "triage",
            "model": "assistant-2026-05-01",
            "text": "Sort this mail: {{mail}}",
            "variables": ["mail"],
            "parameters": {"max_tokens": 20, "temperature": 0},
        },
    ]
    path.write_text(json.dumps({"prompts": entries, "roadworthyPrompts": 1}, indent=2), encoding="utf-8")
    assert prompt_digest(path) == before


@pytest.mark.parametrize(
    "data",
    [
        b"Sort this mail: {{mail}}",
        b"prompts: [a]\n",
        b"\xff\xfe",
        b"- roadworthyPrompts: 1\n",
        b"nested:\n  roadworthyPrompts: 1\n",
        b"",
    ],
)
def test_any_other_file_counts_by_its_bytes(tmp_path: Path, data: bytes) -> None:
    """Only the key at the top makes a set."""
    path = tmp_path / "prompt.yaml"
    path.write_bytes(data)
    assert read_prompts(path) is None
    assert prompt_digest(path) == digest_file(path)


@pytest.mark.parametrize(
    "data", [b"roadworthyPrompts: [1\n", b"roadworthyPrompts: 1\n\xff", b"{{mail}} roadworthyPrompts: x: y"]
)
def test_a_broken_file_that_says_the_key_is_refused(tmp_path: Path, data: bytes) -> None:
    """Its bytes would hide the texts that it names (RW-101)."""
    path = tmp_path / "prompts.yaml"
    path.write_bytes(data)
    with pytest.raises(ManifestError, match="is not YAML"):
        prompt_digest(path)


PROBLEMS = [
    ("roadworthyPrompts: 1", "roadworthyPrompts: 2", "roadworthyPrompts"),
    ("name: triage", "title: triage", "prompts[0].title: Unknown key"),
    ("text: ", "file: a.txt\n    text: ", "prompts[0]"),
    (", file: texts/reply.txt", "", "prompts[1]"),
    ("name: reply", "name: triage", "prompts[1].name: Another prompt has this name"),
    ("[mail]", "[letter]", "prompts[0]: The placeholders of prompt 'triage'"),
    ("[mail]", "[1x]", "prompts[0].variables[0]"),
    ("temperature: 0", "temperature: .nan", "prompts[0]: "),
    ("temperature: 0", "temperature: 2026-01-01", "prompts[0].parameters"),
    ("model: assistant-2026-05-01\n", "model: 4.1\n", "prompts[0].model"),
    ("texts/reply.txt", "texts/none.txt", "prompts[1].file: none.txt cannot be read"),
    ("texts/reply.txt", "../reply.txt", "prompts[1].file: '../reply.txt' lies outside"),
    ("texts/reply.txt", '"a\\0b"', "prompts[1].file: 'a\\x00b' lies outside"),
    ("texts/reply.txt", "binary", "prompts[1].file: binary is not UTF-8"),
    ("parameters:", "model: again\n    parameters:", "The key stands twice"),
    ("[mail]", "&v [mail]\n    parameters: *v", "Aliases are not allowed"),
]


@pytest.mark.parametrize(("old", "new", "said"), PROBLEMS)
def test_a_problem_is_told_with_line_and_key_path(path: Path, old: str, new: str, said: str) -> None:
    """RW-101, and where to look."""
    (path.parent / "binary").write_bytes(b"\xff")
    with pytest.raises(ManifestError) as caught:
        read_prompts(changed(path, old, new))
    assert said in caught.value.what
    assert "line " in caught.value.what
    assert caught.value.where == "prompts.yaml"


def test_all_problems_are_told_at_once(path: Path) -> None:
    """Of two prompts."""
    path.write_text(SET.replace("[mail]", "[]").replace("texts/reply", "texts/none"), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"2 problem\(s\) in prompts.yaml"):
        read_prompts(path)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """RW-102."""
    with pytest.raises(MissingFile, match="cannot be read"):
        prompt_digest(tmp_path / "none.yaml")
