"""Statements: the written form, and every malformed one."""

import json
from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import MalformedEvidence, NotCanonical
from roadworthy.ledger.statement import STATEMENT_TYPE, Statement, Subject, parse_statement, statement

SHA = "0123456789abcdef" * 4
GOOD: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": "release", "digest": {"sha256": SHA}}],
    "predicateType": "https://example/p",
    "predicate": {"n": 1},
}


def test_there_and_back() -> None:
    """Two subjects, a type and a predicate."""
    data = statement([("release", SHA), ("environment", SHA)], "https://example/p", {"share": 0.5})
    assert json.loads(data)["_type"] == "https://in-toto.io/Statement/v1"
    assert parse_statement(data) == Statement(
        subjects=(Subject("release", SHA), Subject("environment", SHA)),
        predicate_type="https://example/p",
        predicate={"share": 0.5},
    )
    assert statement([("release", SHA)], "https://example/p", {"n": 1}) == canonical_bytes(GOOD)


@pytest.mark.parametrize(
    ("subjects", "kind"),
    [
        ([], "t"),
        ([("a", SHA)], ""),
        ([("a", "sha256:" + SHA)], "t"),
        ([("a", SHA.upper())], "t"),
        ([("a", SHA[1:])], "t"),
    ],
)
def test_what_cannot_be_stated(subjects: list[tuple[str, str]], kind: str) -> None:
    """No subject, no type, or a digest that is none."""
    with pytest.raises(MalformedEvidence):
        statement(subjects, kind, {})


def test_a_predicate_must_have_a_canonical_form() -> None:
    """NaN has none."""
    with pytest.raises(NotCanonical):
        statement([("a", SHA)], "t", {"x": float("nan")})


@pytest.mark.parametrize(
    "value",
    [
        [],
        {**GOOD, "more": 1},
        {**GOOD, "_type": "https://in-toto.io/Statement/v0.1"},
        {**GOOD, "predicateType": 1},
        {**GOOD, "predicateType": ""},
        {**GOOD, "predicate": []},
        {**GOOD, "subject": {}},
        {**GOOD, "subject": []},
        {**GOOD, "subject": ["release"]},
        {**GOOD, "subject": [{"name": "release"}]},
        {**GOOD, "subject": [{"name": 1, "digest": {"sha256": SHA}}]},
        {**GOOD, "subject": [{"name": "r", "digest": {"sha256": 1}}]},
        {**GOOD, "subject": [{"name": "r", "digest": {"sha512": SHA}}]},
        {**GOOD, "subject": [{"name": "r", "digest": {"sha256": "ab"}}]},
    ],
)
def test_what_is_no_statement_is_refused(value: Any) -> None:
    """Every member must be there, alone, and of its type."""
    with pytest.raises(MalformedEvidence):
        parse_statement(canonical_bytes(value))


def test_the_bytes_must_be_canonical() -> None:
    """Another layout is refused."""
    with pytest.raises(MalformedEvidence, match="not canonical JSON"):
        parse_statement(json.dumps(GOOD).encode())
