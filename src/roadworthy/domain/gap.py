"""Gaps: what stands between a use case and its gate. Owns their fields; opening and planning belong to ``gates``."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from roadworthy.domain.criterion import Effort
from roadworthy.domain.decision import State


class GapKind(Enum):
    """What it takes to close a gap."""

    RUN = "run"
    """Only a check has to run (again)."""
    FIX = "fix"
    """Something measured is not good enough."""
    DATA = "data"
    """More samples are needed before anything can be told."""
    SIGN = "sign"
    """A person has to decide."""
    BUILD = "build"
    """No instrument has ever produced evidence for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What people set for a gap; every field may stay at its default from the pack.

    Attributes:
        criterion_id: whose gap.
        owner: person or team.
        effort: person-days.
        depends_on: criteria whose gaps come first.
        deadline_at: when it must be closed.
        assigned_by: person.
        assigned_at: when.
    """

    criterion_id: str
    owner: str | None
    effort: Effort | None
    depends_on: tuple[str, ...] | None
    deadline_at: datetime | None
    assigned_by: str
    assigned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One open gap. It closes when newer evidence satisfies its criterion, and in no other way.

    Attributes:
        criterion_id: whose gap.
        title: of the criterion.
        state: why it is open.
        reason: in one sentence.
        kind: what it takes.
        remedy: what to do first.
        owner: person or team.
        effort: person-days.
        depends_on: open gaps that come first.
        deadline_at: when it must be closed.
        deferred: why later, when somebody decided so.
    """

    criterion_id: str
    title: str
    state: State
    reason: str
    kind: GapKind
    remedy: str
    owner: str
    effort: Effort
    depends_on: tuple[str, ...]
    deadline_at: datetime | None
    deferred: str | None
