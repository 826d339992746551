"""Chat completions in the shape of OpenAI's interface, whole and streamed.

Owns the JSON of a question's reading and of an answer's writing, for every probe and demonstration that serves one.
Leaves alone: what is answered, and HTTP.

Rules kept here:
1. The pieces of a streamed answer, joined, are the whole answer to the byte.
2. The same arguments give the same bytes: no clock, no randomness.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

EVENT_STREAM = "text/event-stream"
DONE = b"data: [DONE]\n\n"
_PIECE = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What of a request is needed to answer it.

    Attributes:
        model: as asked for.
        text: of the last message of the user.
        stream: whether the answer shall come as server-sent events.
        include_usage: whether a stream shall end with the usage.
    """

    model: str
    text: str
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer.

    Attributes:
        id: of the completion.
        model: that answered.
        text: the answer.
        prompt_tokens: usage of the question.
        completion_tokens: usage of the answer.
        more: further members of the answer, and of the last event of a stream.
    """

    id: str
    model: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    more: Mapping[str, Any] = field(default_factory=dict)

    def usage(self) -> dict[str, int]:
        """The member ``usage``."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def whole(self) -> dict[str, Any]:
        """The answer as one object."""
        message = {"role": "assistant", "content": self.text}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": 0,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": self.usage(),
            **self.more,
        }

    def parts(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The answer as the objects of a stream: the role, every piece, the end, and the usage where it was asked for."""
        yield self._part({"role": "assistant", "content": ""}, None)
        for piece in pieces(self.text):
            yield self._part({"content": piece}, None)
        yield {**self._part({}, "stop"), **self.more}
        if include_usage:
            yield {**self._part({}, None), "choices": [], "usage": self.usage()}

    def _part(self, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        named = {"id": self.id, "object": "chat.completion.chunk", "created": 0, "model": self.model}
        return {**named, "choices": [choice]}


def read_question(body: bytes) -> Question | None:
    """The question of a request's body; None when it is not one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    messages = value.get("messages")
    texts = [_text(each) for each in messages if _is_user(each)] if isinstance(messages, list) else []
    if not texts or texts[-1] is None:
        return None
    options = value.get("stream_options")
    return Question(
        model=str(value.get("model", "")),
        text=texts[-1],
        stream=value.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def pieces(text: str) -> list[str]:
    """The text cut after its words, nothing lost."""
    return _PIECE.findall(text) or ([text] if text else [])


def encode(value: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(value) + b"\n\n"


def error_body(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """An error in OpenAI's shape."""
    return encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def models_body(names: tuple[str, ...]) -> bytes:
    """The answer to ``GET /v1/models``."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "roadworthy"} for name in names]
    return encode({"object": "list", "data": data})


def _is_user(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def _text(message: Mapping[str, Any]) -> str | None:
    """The text of a message, which is text or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(each for each in texts if isinstance(each, str))
