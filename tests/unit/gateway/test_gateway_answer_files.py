"""Answers without AI: approved ones, rules, and the JSON places that both look at."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from fault_server import asked

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.gateway.cached_answers import CachedAnswers
from roadworthy.gateway.json_place import parse_pointer, prompt_of, values_at
from roadworthy.gateway.rule_answers import RuleAnswers

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = "2027-01-01T00:00:00Z"
EARLIER = "2026-11-21T00:00:00Z"


def chat(*contents, **more):
    messages = [{"role": role, "content": content} for role, content in contents]
    return json.dumps({"model": "m", "messages": messages, **more}).encode()


def cached(folder, *entries):
    path = folder / "cached.yaml"
    filled = [{"approved_by": "person-7", "expires_at": LATER, "body": "x"} | each for each in entries]
    path.write_text(json.dumps({"cached": 1, "answers": filled}))
    return CachedAnswers(path)


def find(answers, body, *, stream=False, at=NOW):
    found = answers.find(asked(body, stream=stream), hashlib.sha256(body).digest(), at)
    return found and found.body


def test_a_digest_fits_the_body_or_its_canonical_form(tmp_path):
    """Layout and order do not matter, another value does."""
    canonical = "sha256:" + hashlib.sha256(b'{"a":1,"b":2}').hexdigest()
    raw = "sha256:" + hashlib.sha256(b"no json").hexdigest()
    answers = cached(tmp_path, {"question": canonical, "body": {"yes": 1}}, {"question": raw, "body": "raw"})
    assert find(answers, b'{"b": 2,  "a": 1}') == b'{"yes":1}'
    assert find(answers, b'{"a":1,"b":2}') == b'{"yes":1}'
    assert find(answers, b'{"a":1,"b":3}') is None
    assert find(answers, b"no json") == b"raw"
    assert find(answers, b'{"a":9007199254740993}') is None


def test_a_prompt_fits_a_question_that_is_nothing_else(tmp_path):
    """Blanks do not matter; another conversation does."""
    answers = cached(tmp_path, {"prompt": "When do  you open?", "body": "at nine"})
    assert find(answers, chat(("system", "be kind"), ("user", " When do you\nopen? "))) == b"at nine"
    assert find(answers, json.dumps({"prompt": "When do you open?"}).encode()) == b"at nine"
    assert find(answers, json.dumps({"input": "When do you open?"}).encode()) == b"at nine"
    assert find(answers, chat(("user", "Mars"), ("assistant", "?"), ("user", "When do you open?"))) is None
    assert find(answers, chat(("user", [{"type": "text", "text": "When do you open?"}]))) is None
    assert find(answers, chat(("assistant", "When do you open?"))) is None
    assert find(answers, b"[1]") is None


def test_what_has_expired_is_not_there(tmp_path):
    """The end is exclusive; of several the one that holds longest answers."""
    answers = cached(
        tmp_path,
        {"prompt": "q", "body": "old", "expires_at": EARLIER},
        {"prompt": "q", "body": "soon", "expires_at": "2026-12-01T00:00:00Z"},
        {"prompt": "q", "body": "long"},
    )
    body = chat(("user", "q"))
    assert find(answers, body) == b"long"
    assert find(answers, body, at=datetime(2027, 1, 1, tzinfo=UTC)) is None


def test_streams_get_streams(tmp_path):
    """An answer of events for a question for events, and for no other."""
    answers = cached(tmp_path, {"prompt": "q", "body": "data: 1\n\n", "content_type": "text/event-stream"})
    body = chat(("user", "q"))
    assert find(answers, body) is None
    assert find(answers, body, stream=True) == b"data: 1\n\n"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"prompt": "q", "question": "sha256:" + "0" * 64},
        {"question": "sha256:1"},
        {"prompt": "q", "approved_by": ""},
        {"prompt": "q", "expires_at": "2027-01-01"},
        {"prompt": "q", "content_type": "a\nb"},
        {"prompt": "q", "more": 1},
    ],
)
def test_bad_entries_are_refused(tmp_path, entry):
    """RW-101."""
    with pytest.raises(ManifestError):
        cached(tmp_path, entry)


def rules(folder, *entries):
    path = folder / "rules.yaml"
    path.write_text(json.dumps({"rules": 1, "answers": [{"body": {}} | each for each in entries]}))
    return RuleAnswers(path)


@pytest.mark.parametrize(
    ("comparator", "value", "fits", "fails"),
    [
        ("equals", 18, [18, 18.0], ["18", True, 17, None]),
        ("equals", True, [True], [1, "true"]),
        ("differs", 18, [17, "18"], [18]),
        ("at_least", 18, [18, 18.5], [17.9, "19", True]),
        ("at_most", 18, [18, -1], [18.1, "1"]),
        ("contains", "Rash", ["a RASH on"], ["rush", 5, ["rash"]]),
        ("contains", 3, [[1, 3]], [3, [13], "3"]),
        ("one_of", ["a", 1], ["a", 1], ["b", True]),
        ("one_of", "abc", [], ["a"]),
        ("present", None, [1, None, ""], []),
    ],
)
def test_comparators(tmp_path, comparator, value, fits, fails):
    """Each accepts what it says and converts nothing; a place that is not there satisfies none."""
    entry = {"name": "r", "when": [{"pointer": "/a/0", "comparator": comparator, "value": value}]}
    answers = rules(tmp_path, entry)
    for found in fits:
        assert answers.find(asked(json.dumps({"a": [found]}).encode())), found
    for found in fails:
        assert answers.find(asked(json.dumps({"a": [found]}).encode())) is None, found
    assert answers.find(asked(b'{"a":[]}')) is None


def test_the_first_rule_that_holds_answers(tmp_path):
    """All conditions of it; a rule without conditions always holds, but not for what is no JSON, nor for a stream."""
    answers = rules(
        tmp_path,
        {
            "name": "both",
            "when": [
                {"pointer": "/age", "comparator": "at_least", "value": 18},
                {"pointer": "/messages/*/content", "comparator": "contains", "value": "dose"},
            ],
            "body": {"say": "ask"},
        },
        {"name": "rest", "when": [], "body": "rest", "content_type": "text/plain"},
    )
    assert answers.find(asked(chat(("user", "x"), ("user", "Dose?"), age=18))).body == b'{"say":"ask"}'
    found = answers.find(asked(chat(("user", "dose"), age=17)))
    assert (found.rule, found.body, found.content_type) == ("rest", b"rest", "text/plain")
    assert answers.find(asked(b"text")) is None
    assert answers.find(asked(b"{}", stream=True)) is None


@pytest.mark.parametrize(
    "condition",
    [
        {"pointer": "a", "comparator": "present"},
        {"pointer": "/a~2", "comparator": "present"},
        {"pointer": "/a", "comparator": "like", "value": 1},
    ],
)
def test_bad_rules_are_refused(tmp_path, condition):
    """RW-101; and RW-102 for a file that is not there."""
    with pytest.raises(ManifestError):
        rules(tmp_path, {"name": "r", "when": [condition]})
    with pytest.raises(MissingFile):
        RuleAnswers(tmp_path / "none.yaml")


def test_pointers_of_the_standard():
    """The examples of RFC 6901, section 5, and the star."""
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "*": 9}
    expected = {
        "": [document], "/foo": [["bar", "baz"]], "/foo/0": ["bar"], "/": [0], "/a~1b": [1], "/m~0n": [8], "/ ": [7],
        "/*": [9], "/foo/*": ["bar", "baz"], "/foo/2": [], "/foo/01": [], "/foo/-": [], "/a~1b/x": [],
    }  # fmt: skip
    for pointer, values in expected.items():
        assert values_at(document, parse_pointer(pointer)) == values, pointer


def test_prompts_of_other_shapes():
    """No document, no messages, no text."""
    for document in (None, [], {}, {"messages": "x"}, {"messages": [1]}, {"prompt": 5}):
        assert prompt_of(document) is None
