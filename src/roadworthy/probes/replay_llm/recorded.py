"""Recorded answers of a language model, with the verdict that a person gave.

Owns the reading of two formats, one record a line; serving them belongs to ``server``.

``{"prompt": ..., "answer": ..., "marked": true | false | null}``
    the plain form. ``marked`` says whether a person marked the answer as wrong; null or absent when nobody judged it.
``{"user_query": ..., "chatgpt_response": ..., "hallucination": "yes" | "no", ...}``
    the general part of the public HaluEval data.

Rule kept here: a file is read whole or refused. A prompt that occurs twice would have two answers, so it is refused too.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import EmptyData, MissingFile, UnreadableData

_VERDICTS = {"yes": True, "no": False}
_REMEDY = 'Write one object a line: {"prompt": "...", "answer": "...", "marked": true}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """One answer as it was recorded.

    Attributes:
        prompt: to which it was the answer.
        answer: the text.
        marked: whether a person marked it as wrong; None when nobody judged it.
    """

    prompt: str
    answer: str
    marked: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All answers of a file.

    Attributes:
        answers: by prompt, in the order of the file.
        digest: of the file's bytes.
    """

    answers: dict[str, RecordedAnswer]
    digest: str

    def find(self, prompt: str) -> RecordedAnswer | None:
        """The answer to a prompt, white space around it aside."""
        return self.answers.get(prompt.strip())

    @property
    def marked_count(self) -> int:
        """How many answers were marked as wrong."""
        return sum(each.marked is True for each in self.answers.values())


def read_recording(path: Path) -> Recording:
    """Read a file of recorded answers.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        UnreadableData: a line is not a record of either form, or its prompt occurs twice (RW-103).
        EmptyData: it holds no record (RW-104).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingFile(
            f"The recording cannot be opened: {error.strerror}.", remedy="Give a file of records.", where=str(path)
        ) from error
    answers: dict[str, RecordedAnswer] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        record = _record(line, where)
        if record.prompt in answers:
            raise UnreadableData(
                "The prompt occurs a second time, so its answer is not known.", remedy="Keep one of them.", where=where
            )
        answers[record.prompt] = record
    if not answers:
        raise EmptyData("The recording is empty.", remedy=_REMEDY, where=str(path))
    return Recording(answers=answers, digest=digest_bytes(content))


def _record(line: bytes, where: str) -> RecordedAnswer:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableData(f"This line is not JSON: {error}.", remedy=_REMEDY, where=where) from error
    fields = _fields(value) if isinstance(value, dict) else None
    if fields is None:
        raise UnreadableData("This line is not a record of an answer.", remedy=_REMEDY, where=where)
    prompt, answer, marked = fields
    return RecordedAnswer(prompt=prompt.strip(), answer=answer, marked=marked)


def _fields(value: dict[str, Any]) -> tuple[str, str, bool | None] | None:
    """Prompt, answer and verdict of either form."""
    if "user_query" in value:
        verdict = value.get("hallucination")
        if verdict not in _VERDICTS:
            return None
        return _checked(value["user_query"], value.get("chatgpt_response"), _VERDICTS[verdict])
    return _checked(value.get("prompt"), value.get("answer"), value.get("marked"))


def _checked(prompt: object, answer: object, marked: object) -> tuple[str, str, bool | None] | None:
    if isinstance(prompt, str) and isinstance(answer, str) and (marked is None or isinstance(marked, bool)):
        return prompt, answer, marked
    return None
