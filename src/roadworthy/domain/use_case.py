"""Use case, release and subject: what is to be judged. Owns the digests by which they are known.

A release is never edited; a change makes a new one. The subject adds what is not part of a release but what evidence
may depend on all the same: the data it was measured on, the people who answer for it, the packs in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier


class Part(Enum):
    """What a criterion can depend on. The first eight make a release; the others complete the subject."""

    MODEL = "model"
    PROMPT = "prompt"
    TOOLS = "tools"
    INDEX = "index"
    DATA_CONTRACT = "data_contract"
    CONFIG = "config"
    THRESHOLDS = "thresholds"
    INFRASTRUCTURE = "infrastructure"
    PILOT_DATA = "pilot_data"
    PRODUCTION_DATA = "production_data"
    TRAINING_DATA = "training_data"
    PEOPLE = "people"
    PACKS = "packs"


RELEASE_PARTS = (
    Part.MODEL,
    Part.PROMPT,
    Part.TOOLS,
    Part.INDEX,
    Part.DATA_CONTRACT,
    Part.CONFIG,
    Part.THRESHOLDS,
    Part.INFRASTRUCTURE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """An AI system put to one use.

    Attributes:
        id: short name, unique in its store.
        title: for people.
        intended_use: what it does, for whom, and who decides.
        decision: the decision that its output supports.
        owners: person or team by role.
        builders: ids of the people who built it; from R3 on none of them may approve its gate.
        tier: computed from the answers, never typed.
    """

    id: str
    title: str
    intended_use: str
    decision: str
    owners: Mapping[Role, str]
    builders: tuple[str, ...]
    tier: Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An immutable manifest of digests, by part of the release."""

    parts: Mapping[Part, str]

    @property
    def digest(self) -> str:
        """``release_digest``: the subject that evidence is about."""
        return digest_of({part.value: self.parts[part] for part in RELEASE_PARTS if part in self.parts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a gate decides on: one release of one use case, with everything that evidence may depend on.

    Attributes:
        use_case_id: whose release it is.
        release_digest: the release.
        parts: digest by part, the parts of the release and the others.
    """

    use_case_id: str
    release_digest: str
    parts: Mapping[Part, str]

    def same(self, other: "Subject") -> bool:
        """Whether both have one digest of everything."""
        return digest_of(to_json(self)) == digest_of(to_json(other))
