"""Approved answers for when no AI system answers. Owns the file of them and when one fits; approving is people's work.

The file::

    cached: 1
    answers:
      - prompt: What are your opening hours?      # or question: sha256:<digest of the body>
        body: {...}                               # or text, which is sent as it stands
        content_type: application/json
        approved_by: person-7
        expires_at: 2027-01-01T00:00:00Z

Rules kept here:
1. A digest fits the body as it came, or its canonical JSON (RFC 8785), so that layout does not matter.
2. A prompt fits a question that consists of nothing else; see ``json_place.prompt_of``.
3. Who asked for a stream gets an answer of server-sent events, and nobody else does.
4. An answer that has expired is not there.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import sha256_hex
from roadworthy.base.errors import NotCanonical
from roadworthy.gateway.exchange import Question
from roadworthy.gateway.json_place import parse_body, prompt_of, single_blanks
from roadworthy.kit.yaml_file import parse_model, read_text

EVENT_STREAM = "text/event-stream"


class _CachedAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    prompt: Annotated[str, Field(min_length=1)] | None = None
    body: str | dict[str, Any] | list[Any]
    content_type: Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")] = "application/json"
    approved_by: str = Field(min_length=1)
    expires_at: AwareDatetime

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.question is None) == (self.prompt is None):
            raise ValueError("an answer has either question or prompt")
        return self


class _CachedFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cached: Literal[1]
    answers: list[_CachedAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedAnswer:
    """One answer.

    Attributes:
        body: as it is sent.
        content_type: of the body.
        approved_by: who stands for it.
        expires_at: from then on it is not used.
    """

    body: bytes
    content_type: str
    approved_by: str
    expires_at: datetime


class CachedAnswers:
    """All approved answers of one file.

    Args:
        path: of the file, in YAML.

    Raises:
        MissingFile: it cannot be read (RW-102).
        ManifestError: it breaks the schema; all problems are listed (RW-101).
    """

    def __init__(self, path: Path) -> None:
        model = parse_model(read_text(path), path.name, _CachedFile)
        self._by_digest: dict[tuple[str, bool], list[ApprovedAnswer]] = {}
        self._by_prompt: dict[tuple[str, bool], list[ApprovedAnswer]] = {}
        for entry in model.answers:
            answer = ApprovedAnswer(
                body=body_bytes(entry.body),
                content_type=entry.content_type,
                approved_by=entry.approved_by,
                expires_at=entry.expires_at,
            )
            stream = is_stream(entry.content_type)
            if entry.question is not None:
                self._by_digest.setdefault((entry.question.removeprefix("sha256:"), stream), []).append(answer)
            elif entry.prompt is not None:
                self._by_prompt.setdefault((single_blanks(entry.prompt), stream), []).append(answer)

    def find(self, question: Question, key: bytes, at: datetime) -> ApprovedAnswer | None:
        """The answer that fits and holds longest; None when there is none.

        Args:
            question: what was asked.
            key: SHA-256 of its body.
            at: now.
        """
        # 1. The digest of the body as it came.
        found = list(self._by_digest.get((key.hex(), question.stream), ()))
        document = parse_body(question.body)
        if document is not None:
            # 2. The digest of its canonical form.
            found += self._by_digest.get((_canonical_digest(document), question.stream), ())
            # 3. The prompt.
            prompt = prompt_of(document)
            if prompt is not None:
                found += self._by_prompt.get((prompt, question.stream), ())
        # 4. What has expired is not there.
        return max((each for each in found if at < each.expires_at), key=lambda each: each.expires_at, default=None)


def body_bytes(body: str | dict[str, Any] | list[Any]) -> bytes:
    """What is sent for a body in a file: text as it stands, anything else as JSON."""
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def is_stream(content_type: str) -> bool:
    """Whether it is one of server-sent events."""
    return content_type.lower().startswith(EVENT_STREAM)


def _canonical_digest(document: Any) -> str:
    try:
        return sha256_hex(canonical_bytes(document))
    except NotCanonical:
        return ""  # an integer beyond 2**53: no file can name it
