"""The file of business transactions: what is asked, and where its trace must show up. Owns its schema.

::

    transactions: 1
    items:
    - name: discharge letter
      path: /score
      body: {patient: "{{tag}}", age: 61}
      headers_file: headers.json                     # {"authorization": "Bearer ...", "x-purpose": "test"}
      arrives:
      - {answer: /id}                                # JSON pointer into the answer
      - {get: "http://archive:8080/letters?patient={{tag}}", within_s: 20}
      - {file: outbox/*.json, within_s: 20}

Rules kept here: ``{{tag}}`` stands for a text that is new in every run; paths are relative to the file; unknown keys are
errors; a secret is never in the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from roadworthy.kit.yaml_file import parse_model, read_text

TAG = "{{tag}}"
Name = Annotated[str, Field(min_length=1, max_length=128)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Block):
    """Where the tag must show up; exactly one of the first three."""

    answer: str | None = Field(default=None, pattern=r"^(/[^/]*)*$", description="JSON pointer into the answer.")
    get: Url | None = Field(default=None, description="What to ask afterwards.")
    file: str | None = Field(default=None, description="A file, or a pattern of files.")
    within_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    times: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="How often it stands there.")
    headers_file: Path | None = Field(default=None, description="JSON file of headers for get.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(each is not None for each in (self.answer, self.get, self.file)) != 1:
            raise ValueError("a place is exactly one of answer, get and file")
        return self

    @property
    def title(self) -> str:
        """The place in words."""
        kinds = {"answer": self.answer, "get": self.get, "file": self.file}
        return next(f"{kind} {value}" for kind, value in kinds.items() if value is not None)


class Transaction(_Block):
    """One transaction from its request to every system that must know of it."""

    name: Name
    method: Literal["POST", "PUT"] = "POST"
    path: str = Field(pattern=r"^/[^\s]*$", description="At the gateway.")
    body: Mapping[str, Any]
    headers_file: Path | None = Field(default=None, description="JSON file of headers, such as a credential.")
    arrives: list[Place] = Field(min_length=1)

    @model_validator(mode="after")
    def _tagged(self) -> Self:
        if TAG not in repr(self.body):
            raise ValueError(f"the body holds no {TAG}, so nothing could be found again")
        return self


class Transactions(_Block):
    """The file, version 1."""

    transactions: Literal[1]
    items: list[Transaction] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        if len({each.name for each in self.items}) != len(self.items):
            raise ValueError("two transactions have one name")
        return self


def read_transactions(path: Path) -> Transactions:
    """Read the file.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it breaks its schema; all problems are listed (RW-101).
    """
    return parse_model(read_text(path), path.name, Transactions)
