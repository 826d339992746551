"""Prompts: what their digest covers, how they are filled, and which part of a release they are."""

import pytest

from roadworthy.base.digest import is_digest
from roadworthy.base.errors import NotCanonical, ParameterError
from roadworthy.domain.use_case import Part, Release
from roadworthy.measure.answers.prompts import Prompt, prompt_change, release_parts


def prompt(**changes) -> Prompt:
    values = {
        "name": "triage",
        "text": 'Sort this mail: {{ mail }}\nAnswer as {"class": ...}.',
        "variables": frozenset({"mail"}),
        "model": "assistant-2026-05-01",
        "parameters": {"temperature": 0, "max_tokens": 20},
    }
    return Prompt(**(values | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"text": 'Sort this mail: {{ mail }}\nAnswer as {"class": ...}. '},
        {"text": "Sort {{mail}} {{extra}}", "variables": frozenset({"mail", "extra"})},
        {"model": "assistant-2026-06-01"},
        {"parameters": {"temperature": 0.7, "max_tokens": 20}},
        {"parameters": {"temperature": 0}},
    ],
)
def test_all_that_can_change_an_answer_changes_the_digest(changes):
    """One blank, a variable, the model, a parameter."""
    assert is_digest(prompt().digest)
    assert prompt(**changes).digest != prompt().digest
    assert release_parts([prompt(**changes)]) != release_parts([prompt()])


def test_order_does_not_change_the_digest():
    """Neither the order of parameters nor a name is something that the model sees."""
    turned = prompt(parameters={"max_tokens": 20, "temperature": 0}, name="sorting")
    assert turned.digest == prompt().digest
    assert release_parts([turned]) != release_parts([prompt()])


def test_a_set_is_one_part_of_a_release():
    """A changed prompt makes another release, and only its prompt part is another."""
    second = prompt(name="reply", text="Reply.", variables=frozenset())
    before = {Part.MODEL: "sha256:" + "0" * 64, **release_parts([prompt(), second])}
    after = {Part.MODEL: "sha256:" + "0" * 64, **release_parts([prompt(model="other"), second])}
    assert Release(parts=before).digest != Release(parts=after).digest
    assert {part for part in before if before[part] != after[part]} == {Part.PROMPT}
    assert release_parts([second, prompt()]) == release_parts([prompt(), second])
    assert release_parts([]) == {}


def test_changes_are_named():
    """Added, removed and changed prompts by name."""
    same, gone, new = prompt(name="same"), prompt(name="gone"), prompt(name="new")
    found = prompt_change([same, gone, prompt()], [same, new, prompt(model="other")])
    assert (found.added, found.removed, found.changed) == (("new",), ("gone",), ("triage",))
    assert found.new_release
    assert not prompt_change([same, gone], [gone, same]).new_release


def test_values_are_put_in_once():
    """A placeholder inside a value stays text, and JSON braces of the template stay as they are."""
    filled = prompt().fill({"mail": "{{mail}} \\1"})
    assert filled == 'Sort this mail: {{mail}} \\1\nAnswer as {"class": ...}.'


@pytest.mark.parametrize("values", [{}, {"mail": "a", "tone": "b"}])
def test_values_must_fit(values):
    """Neither a missing nor a stray value is passed over."""
    with pytest.raises(ParameterError, match="do not fit"):
        prompt().fill(values)


@pytest.mark.parametrize("variables", [frozenset(), frozenset({"mail", "tone"})])
def test_placeholders_are_declared(variables):
    """An undeclared and an unused variable are errors."""
    with pytest.raises(ParameterError, match="are not its variables"):
        prompt(variables=variables)


def test_two_of_one_name():
    """A set in which a name means two things has no digest."""
    with pytest.raises(ParameterError, match="one name"):
        release_parts([prompt(), prompt(model="other")])


def test_a_parameter_without_canonical_form():
    """NaN has no digest."""
    with pytest.raises(NotCanonical):
        _ = prompt(parameters={"temperature": float("nan")}).digest
