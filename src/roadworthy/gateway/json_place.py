"""Places in a JSON body. Owns JSON pointers (RFC 6901) with one addition, and what the question in a body is.

The addition: ``*`` stands for every item of an array, as in the rest of gateway.yaml. Reading a body that is not JSON
gives no document instead of an error, because a rung of the ladder that does not understand a question has no answer.
"""

from typing import Any

import orjson

_MISSING = object()


def parse_body(body: bytes) -> Any:
    """The document in a body; None when it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """The names along a pointer; "" is the whole document.

    Raises:
        ValueError: it does not begin with a slash, or has a tilde that escapes nothing.
    """
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"the pointer {pointer!r} does not begin with /")
    if "~" in pointer.replace("~0", "").replace("~1", ""):
        raise ValueError(f"the pointer {pointer!r} has a ~ that is neither ~0 nor ~1")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def values_at(document: Any, path: tuple[str, ...]) -> list[Any]:
    """Every value at the path; empty when there is none."""
    found = [document]
    for name in path:
        found = [inner for each in found for inner in _step(each, name)]
    return found


def prompt_of(document: Any) -> str | None:
    """The one text that a question consists of, with its blanks made single; None when it has more to it.

    Known are ``prompt`` and ``input`` of the OpenAI interface, and a chat whose only message from the user, after any
    number of system messages, is plain text: the same words after another conversation are another question.
    """
    if not isinstance(document, dict):
        return None
    text = document.get("prompt", document.get("input", _MISSING))
    if text is _MISSING:
        messages = [each for each in values_at(document, ("messages", "*")) if isinstance(each, dict)]
        asked = [each for each in messages if each.get("role") not in {"system", "developer"}]
        text = asked[0].get("content") if len(asked) == 1 and asked[0].get("role") == "user" else None
    return single_blanks(text) if isinstance(text, str) else None


def single_blanks(text: str) -> str:
    """The text without blanks at its ends, and one blank for every run of them."""
    return " ".join(text.split())


def _step(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        return [value[name]] if name in value else []
    if isinstance(value, list):
        if name == "*":
            return value
        # RFC 6901, section 4: digits without a leading zero.
        if name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < len(value):
            return [value[int(name)]]
    return []
