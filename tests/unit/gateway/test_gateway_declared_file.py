"""YAML by people, JSON by programs: the name decides, and both are read strictly."""

import pytest
from pydantic import BaseModel, ConfigDict

from roadworthy.base.errors import ManifestError
from roadworthy.gateway.declared_file import parse_declared


class Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: list[str]


def test_both_forms_say_the_same():
    """In the same words."""
    assert parse_declared(b"names: [a]", "f.yaml", Facts) == parse_declared(b'{"names": ["a"]}', "f.json", Facts)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("f.yaml", b"\xff"),
        ("f.yaml", b"names: [a]\nnames: [b]"),
        ("f.yaml", b"name: [a]"),
        ("f.yaml", b"names: &a [*a]"),
        ("f.yaml", b"["),
        ("f.json", b"\xff"),
        ("f.json", b'{"names": ["a"], "names": ["b"]}'),
        ("f.json", b'{"names": 5, "more": 1}'),
        ("f.json", b"names: [a]"),
        ("f.json", b""),
    ],
)
def test_a_mistake_is_told_with_the_file(name, data):
    """Not text, repeated and unknown keys, aliases, another form than the name says."""
    with pytest.raises(ManifestError, match=name):
        parse_declared(data, name, Facts)
