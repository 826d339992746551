import json

import pytest

from roadworthy.probes.chat import (
    DONE,
    Completion,
    Question,
    encode,
    error_body,
    event,
    models_body,
    pieces,
    read_question,
)

COMPLETION = Completion(id="c1", model="m", text=" Two  words.\n", prompt_tokens=3, completion_tokens=2, more={"x": 1})


def asked(messages, **more):
    return read_question(json.dumps({"model": "m", "messages": messages, **more}).encode())


def test_the_last_message_of_the_user_is_the_question():
    """What the system or the assistant said is not."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert asked(messages) == Question(model="m", text="b", stream=False, include_usage=False)


def test_parts_of_text_are_joined():
    """Pictures are left out."""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}, {"type": "text"}]
    assert asked([{"role": "user", "content": parts}]).text == "a\nb"


def test_a_stream_is_asked_for_by_true_only():
    """And its usage by its option."""
    user = [{"role": "user", "content": "a"}]
    assert asked(user, stream=True, stream_options={"include_usage": True}).include_usage
    assert not asked(user, stream="yes", stream_options=[]).stream


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"messages": 3}',
        b'{"messages": []}',
        b'{"messages": ["a", {"role": "system", "content": "a"}]}',
        b'{"messages": [{"role": "user", "content": 5}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_question_is_none(body):
    """Never an error: servers must answer it."""
    assert read_question(body) is None


def test_the_stream_is_the_whole_answer():
    """Joined to the byte, with the further members at its end."""
    parts = list(COMPLETION.parts(include_usage=True))
    assert (
        "".join(each["choices"][0]["delta"].get("content", "") for each in parts if each["choices"]) == COMPLETION.text
    )
    assert parts[-1]["usage"] == COMPLETION.whole()["usage"]
    assert parts[-2]["x"] == COMPLETION.whole()["x"] == 1
    assert "usage" not in list(COMPLETION.parts(include_usage=False))[-1]


@pytest.mark.parametrize("text", ["", "  ", "a", " a b ", "a\n\nb", "\u00a0x"])
def test_pieces_lose_nothing(text):
    """White space stays with its word."""
    assert "".join(pieces(text)) == text


def test_the_wire_forms():
    """One event, the error's shape, the list of models; a lone surrogate does not break the answer."""
    assert event({"a": 1}) == b'data: {"a":1}\n\n'
    assert DONE == b"data: [DONE]\n\n"
    assert json.loads(error_body("no", kind="k"))["error"] == {
        "message": "no",
        "type": "k",
        "param": None,
        "code": None,
    }
    assert [each["id"] for each in json.loads(models_body(("a", "b")))["data"]] == ["a", "b"]
    assert encode({"a": "\ud800"}) == b'{"a":"?"}'
