"""Every error code has its page, and every page its error."""

import inspect
import re

import pytest

from roadworthy.base import errors

SECTIONS = ["## What it means", "## Why it happens", "## How to fix it", "## Example"]
CLASSES = {
    kind.code: kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.RoadworthyError) and kind is not errors.RoadworthyError
}


@pytest.fixture(scope="session")
def pages(repo_root):
    """Code -> text of its page."""
    folder = repo_root / "docs" / "errors"
    return {page.stem: page.read_text(encoding="utf-8") for page in folder.glob("RW-*.md")}


def test_codes_are_unique():
    """Two classes with one code could not be told apart in a log."""
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.RoadworthyError)
    ]
    assert len(CLASSES) == len(kinds) - 1


def test_no_retired_code_is_used_again():
    """A code means the same for ever."""
    assert not errors.RETIRED & set(CLASSES)


def test_each_code_has_a_page_and_each_page_a_code(pages):
    """Retired codes keep theirs."""
    assert set(pages) == set(CLASSES) | errors.RETIRED


@pytest.mark.parametrize("code", sorted(CLASSES))
def test_the_page_says_the_same_as_the_class(pages, code):
    """Title, summary, exit code, HTTP status and the four sections."""
    kind, text = CLASSES[code], pages[code]
    assert text.splitlines()[0] == f"# {code} {kind.__name__}"
    assert inspect.getdoc(kind).splitlines()[0] in text
    assert f"Exit code {kind.exit_code} · HTTP status {kind.http_status}" in text
    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    assert code in text[text.index("## Example") :]


@pytest.mark.parametrize("code", sorted(CLASSES))
def test_families_share_their_hundred(code):
    """The first digit says whose fault it is, so the exit code follows from it."""
    family = next(kind for kind in CLASSES.values() if kind.code == f"{code[:4]}00")
    assert issubclass(CLASSES[code], family)
    assert CLASSES[code].exit_code == family.exit_code


def test_the_index_lists_every_code(repo_root):
    """docs/errors/README.md is the list that a person searches."""
    text = (repo_root / "docs" / "errors" / "README.md").read_text(encoding="utf-8")
    assert {code for code in CLASSES if f"[{code}]({code}.md) {CLASSES[code].__name__}" not in text} == set()
