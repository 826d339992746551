"""What a scan counted. Owns the state: joining, canonical bytes, digest and reading back; draws no conclusion.

A state is a sum, so it can be computed wherever the rows are (a day, a site, a file) and joined later: the joined state
has the same bytes as that of all rows at once. A verdict is computed from a state, so a new tolerance needs no data.

Rules kept here:
1. A state holds whole numbers only, and nothing of the engine, the source or the time: those stand beside it.
2. States of different plans never join.
3. Groups without rows are not written, so that a site with no rows today leaves no trace.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roadworthy.base.canonical import canonical_bytes, parse_json
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, ParameterError
from roadworthy.measure.volume.accumulators import Accumulator, Extremes, Moments, Result, Rows, Whole
from roadworthy.measure.volume.plan import Plan

_FORMAT = 1
_MOST_DIGITS = 40
"""A sum of squares over 2**62 rows has fewer."""
_COUNT_UNTIL = 2**63


@dataclass(frozen=True, kw_only=True)
class State:
    """The results of a plan, by group.

    Attributes:
        plan: what was counted.
        groups: a result for each accumulator, in the order of the plan, for every group that had rows.
    """

    plan: Plan
    groups: Mapping[str, tuple[Result, ...]]

    def join(self, other: "State") -> "State":
        """The state of both sets of rows.

        Raises:
            ParameterError: the plans differ (RW-114).
        """
        if other.plan is not self.plan and other.plan.digest != self.plan.digest:
            raise ParameterError(
                "States of different plans do not join.", remedy="Measure both with the same plan and reference."
            )
        groups = dict(self.groups)
        for name, results in other.groups.items():
            mine = groups.get(name)
            groups[name] = results if mine is None else _join(self.plan.accumulators, mine, results)
        return State(plan=self.plan, groups=groups)

    def result(self, accumulator: Accumulator, group: str | None = None) -> Result:
        """What was counted, in one group or, when ``group`` is None, in all together.

        Raises:
            ParameterError: the plan does not have this accumulator (RW-114).
        """
        index = self.plan.position(accumulator)
        if index is None:
            raise ParameterError(
                f"The plan does not count {accumulator}.", remedy="Add it to the plan and measure again."
            )
        names = self.groups if group is None else (group,)
        total = accumulator.empty
        for name in names:
            if name in self.groups:
                total = accumulator.join(total, self.groups[name][index])
        return total

    @property
    def rows(self) -> int:
        """How many rows were looked at."""
        return self.result(Rows())[0] or 0

    def group_rows(self, group: str | None) -> int:
        """How many rows of one group, or of all when ``group`` is None, were looked at."""
        return self.result(Rows(), group)[0] or 0

    def to_bytes(self) -> bytes:
        """Canonical JSON. Numbers are written as decimal text, since a JSON number cannot hold more than 53 bits."""
        groups = {
            name: [["" if number is None else str(number) for number in result] for result in results]
            for name, results in self.groups.items()
        }
        return canonical_bytes({"format": _FORMAT, "plan": self.plan.digest, "groups": groups})

    @property
    def digest(self) -> str:
        """SHA-256 over ``to_bytes``: the address of the state."""
        return digest_bytes(self.to_bytes())


def no_rows(plan: Plan) -> State:
    """The state of nothing: joining with it changes nothing."""
    return State(plan=plan, groups={})


def join_all(plan: Plan, states: Iterable[State]) -> State:
    """The state of all rows of all states."""
    total = no_rows(plan)
    for state in states:
        total = total.join(state)
    return total


def state_of(plan: Plan, groups: Mapping[str, tuple[Result, ...]]) -> State:
    """A state from an engine's results; groups without rows are left out.

    Raises:
        ParameterError: the plan does not count rows, which every state needs (RW-114).
    """
    index = plan.position(Rows())
    if index is None:
        raise ParameterError("A plan must count rows.", remedy="Add Rows() to the accumulators.")
    return State(plan=plan, groups={name: results for name, results in groups.items() if results[index][0]})


def read_state(data: bytes, plan: Plan) -> State:
    """A state from its bytes.

    Raises:
        MalformedEvidence: not a state of this plan (RW-201).
        NotCanonical: not JSON (RW-111).
    """
    value = parse_json(data)
    if not isinstance(value, dict) or set(value) != {"format", "plan", "groups"} or value["format"] != _FORMAT:
        raise _malformed("it is not a state of a known format")
    if value["plan"] != plan.digest:
        raise _malformed("it was counted by another plan")
    if not isinstance(value["groups"], dict):
        raise _malformed("its groups are no object")
    groups = {name: _results(plan, results) for name, results in value["groups"].items()}
    unknown = sorted(set(groups) - set(plan.groups))
    if unknown:
        raise _malformed(f"the plan has no group {', '.join(unknown)}")
    index = plan.position(Rows())
    if index is not None and not all(results[index][0] for results in groups.values()):
        raise _malformed("a group without rows is written")
    return State(plan=plan, groups=groups)


def _results(plan: Plan, value: Any) -> tuple[Result, ...]:
    if not isinstance(value, list) or len(value) != len(plan.accumulators):
        raise _malformed("it does not have one result for each accumulator")
    return tuple(_result(item, result) for item, result in zip(plan.accumulators, value, strict=True))


def _result(accumulator: Accumulator, value: Any) -> Result:
    if not isinstance(value, list) or len(value) != len(accumulator.empty):
        raise _malformed(f"the result of {accumulator.kind} has not {len(accumulator.empty)} numbers")
    numbers = tuple(_number(item) for item in value)
    if not _possible(accumulator, numbers):
        raise _malformed(f"the result of {accumulator.kind} is one that no rows give")
    return numbers


def _possible(accumulator: Accumulator, numbers: Result) -> bool:
    """Whether counts are counts: there, not negative and of 64 bits. Extremes are signed, and sums as long as they are."""
    if any(number is None and none is not None for number, none in zip(numbers, accumulator.empty, strict=True)):
        return False
    if isinstance(accumulator, Moments):
        numbers = (numbers[0], numbers[3])
    least = -_COUNT_UNTIL if isinstance(accumulator, Extremes) else 0
    return all(number is None or least <= number < _COUNT_UNTIL for number in numbers)


def _number(text: Any) -> Whole:
    if text == "":
        return None
    if not isinstance(text, str) or len(text) > _MOST_DIGITS:
        raise _malformed(f"a number is no text of at most {_MOST_DIGITS} digits")
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise _malformed(f"{text!r} is no whole number")
    return int(text)


def _join(
    accumulators: tuple[Accumulator, ...], first: tuple[Result, ...], second: tuple[Result, ...]
) -> tuple[Result, ...]:
    return tuple(item.join(a, b) for item, a, b in zip(accumulators, first, second, strict=True))


def _malformed(why: str) -> MalformedEvidence:
    return MalformedEvidence(
        f"This state cannot be read: {why}.", remedy="Measure again, or use the plan it came from."
    )
