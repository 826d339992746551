"""What changed since the gate last said something else. Owns comparing two decisions criterion by criterion."""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Decision, Outcome, State
from roadworthy.reports.words import state_word

_RANK = {
    State.SATISFIED: 2,
    State.NOT_APPLICABLE: 2,
    State.WAIVED: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A criterion whose state is another than before.

    Attributes:
        criterion_id: which.
        title: of the criterion.
        before, after: words of its states; ``not required`` where it was not part of the decision.
        direction: 1 nearer to passing, -1 farther from it, 0 neither.
    """

    criterion_id: str
    title: str
    before: str
    after: str
    direction: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The decision that is compared with, and what is different now."""

    decided_at: datetime
    outcome: Outcome
    changes: tuple[Change, ...]


def since_last(case: CaseFile, decision: Decision) -> Since | None:
    """Compare with the newest recorded decision on this gate that rests on something else; None when there is none."""
    earlier = [
        recorded.decision
        for recorded in case.decisions
        if recorded.decision.gate_id == decision.gate_id
        and recorded.decision.basis_digest != decision.basis_digest
        and recorded.decision.at <= decision.at
    ]
    if not earlier:
        return None
    last = earlier[-1]
    before = {reading.criterion_id: reading.state for reading in last.readings}
    after = {reading.criterion_id: reading.state for reading in decision.readings}
    criteria = case.profile.criteria if case.profile is not None else ()
    titles = {criterion.id: criterion.title for criterion in criteria}
    changes = tuple(
        _change(criterion_id, titles.get(criterion_id, criterion_id), before.get(criterion_id), after.get(criterion_id))
        for criterion_id in dict.fromkeys((*after, *before))
        if before.get(criterion_id) is not after.get(criterion_id)
    )
    return Since(decided_at=last.at, outcome=last.outcome, changes=changes)


def _change(criterion_id: str, title: str, before: State | None, after: State | None) -> Change:
    rank_before, rank_after = (_rank(state) for state in (before, after))
    return Change(
        criterion_id=criterion_id,
        title=title,
        before=_word(before),
        after=_word(after),
        direction=(rank_after > rank_before) - (rank_after < rank_before),
    )


def _rank(state: State | None) -> int:
    """A criterion that is not required stands in no way, like a passed one."""
    return 2 if state is None else _RANK.get(state, 0)


def _word(state: State | None) -> str:
    return "not required" if state is None else state_word(state).lower()
