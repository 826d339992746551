"""The file of alerts: which figure of the gateway raises one, and who must answer within which time. Owns its schema.

::

    alerts: 1
    notify: https://oncall.internal/alerts                 # gets a POST when an alert fires
    acknowledged: https://oncall.internal/alerts/{{id}}    # 200 once somebody took it, 404 before
    headers_file: oncall.json
    rules:
    - name: ledger away
      when: roadworthy_ledger_up < 1
      for_s: 1
      cause: ledger
      acknowledge_within_s: 300
    - name: fallback in use
      when: increase(roadworthy_exchanges_total{rung!="primary"}[30s]) > 5
      cause: upstream

Rules kept here: a condition is one comparison of one figure, in the form of Prometheus, so that the same line can stand in
its rules; ``cause`` names the fault by which a drill brings it about; unknown keys are errors.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from roadworthy.kit.yaml_file import parse_model, read_text

ID = "{{id}}"
_LABEL = r'[a-zA-Z_]\w*(?:=~|!=|=)"[^"\\]*"'
_SERIES = rf"[a-zA-Z_:][\w:]*(?:\{{(?:{_LABEL}(?:,\s*{_LABEL})*)?\}})?"
CONDITION = re.compile(
    rf"(?:increase\((?P<counter>{_SERIES})\[(?P<window_s>\d{{1,4}})s\]\)|(?P<gauge>{_SERIES}))"
    r"\s*(?P<comparator><=|>=|==|!=|<|>)\s*(?P<value>[-+]?\d+(?:\.\d+)?)"
)
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AlertRule(_Block):
    """One alert."""

    name: str = Field(min_length=1, max_length=128)
    when: str = Field(description="metric{labels} < value, or increase(metric{labels}[30s]) > value")
    for_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    cause: Literal["ledger", "upstream"] = Field(description="What a drill does to bring it about.")
    acknowledge_within_s: Annotated[float, Field(gt=0, le=3_600)] = 300.0

    @field_validator("when")
    @classmethod
    def _condition(cls, value: str) -> str:
        if CONDITION.fullmatch(value) is None:
            raise ValueError('not one comparison, such as name{label="value"} < 1 or increase(name[30s]) > 5')
        return value


class Alerts(_Block):
    """The file, version 1."""

    alerts: Literal[1]
    notify: Url
    acknowledged: Url = Field(description="Holds {{id}}, or is asked as it stands.")
    headers_file: Path | None = Field(default=None, description="JSON file of headers for both.")
    rules: list[AlertRule] = Field(min_length=1)


def read_alerts(path: Path) -> Alerts:
    """Read the file.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it breaks its schema; all problems are listed (RW-101).
    """
    return parse_model(read_text(path), path.name, Alerts)
