"""Problems of YAML files: line, key path, nearest known key, all at once."""

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roadworthy.kit.schema_problems import compose_lines, describe, duplicate_keys, nearest, render_path


class Inner(BaseModel):
    """A block."""

    model_config = ConfigDict(extra="forbid")
    bound: float = Field(ge=0, le=1)
    unit: str = "1"


class Outer(BaseModel):
    """A file."""

    model_config = ConfigDict(extra="forbid")
    title: str
    limits: list[Inner] = []
    level: str | Inner | None = None


TEXT = """\
titel: Heart
limits:
  - {bound: 0.5}
  - bound: 3
    unti: ms
"""


def problems(text: str) -> list[str]:
    """Every problem of a file, as text."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(yaml.safe_load(text))
    return [str(problem) for problem in describe(caught.value, Outer, compose_lines(text))]


def test_every_problem_is_listed_with_line_and_remedy() -> None:
    """One look at the list must be enough to correct the file."""
    found = problems(TEXT)
    assert found[0] == "line 1: titel: Unknown key. Did you mean title?"
    assert found[1] == "line 1: title: The key is missing. Add it."
    assert found[2].startswith("line 4: limits[1].bound: Input should be less than or equal to 1.")
    assert found[3] == "line 5: limits[1].unti: Unknown key. Did you mean unit?"


def test_a_key_inside_one_branch_of_a_union_is_found() -> None:
    """Pydantic's own name of the branch is no key of the file."""
    assert any(
        p == "line 3: level.bund: Unknown key. Did you mean bound?" for p in problems("title: x\nlevel:\n  bund: 1\n")
    )


def test_an_empty_file_lacks_everything() -> None:
    """No line to point at is no reason to crash."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({})
    assert [str(p) for p in describe(caught.value, Outer, compose_lines(""))] == [
        "line 1: title: The key is missing. Add it."
    ]


def test_keys_that_stand_twice_are_found_at_any_depth() -> None:
    """A plain loader would keep the last one in silence."""
    found = duplicate_keys("a: 1\nb:\n  - {c: 1, c: 2}\na: 3\n")
    assert [(problem.path, problem.line) for problem in found] == [("b[0].c", 3), ("a", 4)]
    assert duplicate_keys("") == []


def test_the_nearest_word_or_all_of_them() -> None:
    """A remedy names something that exists."""
    assert nearest("qualty", ["quality", "slo"]) == "Did you mean quality?"
    assert nearest("zzz", ["slo", "quality"]) == "Known here: quality, slo."


def test_paths_read_like_the_file() -> None:
    """Keys are joined by dots, positions stand in brackets."""
    assert render_path(("criteria", 3, "accept", 0, "bound")) == "criteria[3].accept[0].bound"
