"""Reading a YAML file into a model: what belongs to no one model."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.kit.schema_problems import Problem, line_of
from roadworthy.kit.yaml_file import parse_model, read_text


class Pair(BaseModel):
    """Two numbers."""

    low: int
    high: int


def _ordered(pair, lines):
    return [Problem(line_of(lines, ("low",)), "low", "It is above high.", "")] if pair.low > pair.high else []


def test_a_good_text_becomes_the_model() -> None:
    """Nothing is lost."""
    assert parse_model("low: 1\nhigh: 2\n", "f", Pair, also=_ordered) == Pair(low=1, high=2)


def test_what_no_key_shows_alone_has_its_line_too() -> None:
    """Asked once every key is right by itself."""
    with pytest.raises(ManifestError, match="line 2: low: It is above high") as caught:
        parse_model("high: 2\nlow: 3\n", "f", Pair, also=_ordered, remedy="Swap them.")
    assert caught.value.remedy == "Swap them."


def test_doubled_keys_are_named_beside_the_other_problems() -> None:
    """All at once."""
    with pytest.raises(ManifestError, match="3 problem") as caught:
        parse_model("low: 1\nlow: x\n", "f", Pair)
    assert "stands twice" in caught.value.what


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(MissingFile):
        read_text(tmp_path / "none.yaml")
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_text(tmp_path / "latin")
