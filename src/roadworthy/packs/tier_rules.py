"""The tier questionnaire as data. Owns the schema of ``library/tier.yaml``; evaluating it belongs to ``tier``.

Rules kept here: answers are ordered from the mildest to the worst, and what decides the tier can only ask for "at least
as bad as", so that the evaluation is monotone by construction.
"""

from functools import cache
from importlib import resources
from typing import Annotated, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field

from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import RealTier

QuestionId: TypeAlias = Annotated[str, Field(pattern=r"^Q[0-9]+$")]
AtLeast: TypeAlias = dict[QuestionId, str]
"""Conditions: each named answer, or a worse one."""


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Block):
    """One question of fact; its answers stand from the mildest to the worst."""

    id: QuestionId
    text: str
    answers: tuple[str, ...] = Field(min_length=2)


class TierRule(_Block):
    """Asks for a tier at least."""

    id: str
    when: AtLeast
    tier: Tier
    why: str


class Matrix(_Block):
    """Two answers choose the tier."""

    id: str
    when: AtLeast
    rows: QuestionId
    columns: QuestionId
    tiers: dict[str, dict[str, RealTier]]
    why: str


class Raise(_Block):
    """One tier more than the rules gave."""

    id: str
    when: AtLeast
    why: str


class BlockRule(_Block):
    """Turns a tier into R0."""

    id: str
    when: AtLeast
    at_tier: RealTier
    why: str


class ObligationRule(_Block):
    """Something to be done, whatever the tier; every named answer must be among those given."""

    id: str
    given: dict[QuestionId, tuple[str, ...]]
    what: str


class TierRules(_Block):
    """The whole questionnaire."""

    version: int
    questions: tuple[Question, ...]
    rules: tuple[TierRule, ...]
    matrices: tuple[Matrix, ...]
    raises: tuple[Raise, ...]
    blocks: tuple[BlockRule, ...]
    obligations: tuple[ObligationRule, ...]

    def question(self, name: str) -> Question:
        """A question by its id, which must exist."""
        return next(each for each in self.questions if each.id == name)


@cache
def tier_rules() -> TierRules:
    """The questionnaire that comes with Roadworthy."""
    path = resources.files("roadworthy.packs") / "library" / "tier.yaml"
    return TierRules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
