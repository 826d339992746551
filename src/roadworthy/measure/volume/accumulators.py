"""What a scan can count. Owns the accumulators: what each one means for a row and how two results join; runs none.

Every accumulator maps a row to whole numbers by operations that all engines do alike (comparison, one IEEE addition or
multiplication, rounding to even), and adds those numbers or keeps their extremes. So a result does not depend on how
the rows are cut, in which order they come or which engine reads them: it joins to the same bits. Floating sums, whose
last digits depend on all three, do not occur.

Rules kept here:
1. A number is read as a double, an instant as the double of its microseconds since 1970 (UTC).
2. Null, NaN and the infinities have cells of their own and are in no other cell.
3. Cells are closed on the left: cell i holds edge[i-1] <= x < edge[i]. -0.0 is 0.0.
4. A result is a tuple of whole numbers, or None where there was no row to look at; ``join`` is associative and
   commutative, and joining with the result of no rows changes nothing.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, TypeAlias

from roadworthy.base.errors import ParameterError
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Limits, Rule, Severity, Value
from roadworthy.measure.rule import Kind as RuleKind

Whole: TypeAlias = int | None
Result: TypeAlias = tuple[Whole, ...]

FAR = 2**43
"""Units from the centre beyond which ``Moments`` counts a value apart, so that a square fits 64 bits after scaling."""
SQUARE_SHIFT = 24
"""``Moments`` keeps squares in units of ``unit**2 * 2**SQUARE_SHIFT``."""
ROW_KINDS = frozenset(
    {
        RuleKind.NULL, RuleKind.MISSING_TEXT, RuleKind.TYPE, RuleKind.RANGE, RuleKind.SET, RuleKind.PATTERN,
        RuleKind.LENGTH, RuleKind.ENCODING, RuleKind.SENTINEL, RuleKind.UNIT, RuleKind.AGE, RuleKind.LATENESS,
        RuleKind.COMPARISON,
    }
)  # fmt: skip
"""The rules of a contract that can be told from a row alone."""


class Accumulator(ABC):
    """One thing to count. Subclasses are frozen dataclasses: equal accumulators are counted once."""

    __slots__ = ()
    kind: ClassVar[str]

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""

    @property
    @abstractmethod
    def empty(self) -> Result:
        """The result of no rows."""

    def join(self, first: Result, second: Result) -> Result:
        """The result of both sets of rows; sums unless a subclass keeps extremes."""
        return tuple((a or 0) + (b or 0) for a, b in zip(first, second, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Accumulator):
    """(rows,)."""

    kind: ClassVar[str] = "rows"

    def columns(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def empty(self) -> Result:
        """(0,)."""
        return (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Special(Accumulator):
    """(nulls, NaN, -infinity, +infinity) of a column; the last three are 0 where the type has no such values."""

    kind: ClassVar[str] = "special"
    column: str

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """Four zeros."""
        return (0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes(Accumulator):
    """(smallest, largest) finite value of a number or instant, as ``ordered`` numbers; (None, None) without one."""

    kind: ClassVar[str] = "extremes"
    column: str

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """No value yet."""
        return (None, None)

    def join(self, first: Result, second: Result) -> Result:
        """The smaller of the smallest, the larger of the largest."""
        lows = [low for low in (first[0], second[0]) if low is not None]
        highs = [high for high in (first[1], second[1]) if high is not None]
        return (min(lows, default=None), max(highs, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments(Accumulator):
    """(n, sum of q, sum of s, far) of a column's finite values, in units that the plan froze.

    ``q = rint((x - centre) * 2**-unit_exponent)`` and ``s = rint(q * q * 2**-SQUARE_SHIFT)``, every operation in doubles.
    A value with ``abs(q) > FAR`` is counted in ``far`` and in nothing else: it says that the frozen units do not fit,
    and the reader is told. The mean is exact for values rounded to the unit, the variance to a share of 2**-24.

    Attributes:
        column: a number.
        centre: in the column's unit.
        unit_exponent: the resolution is ``2**unit_exponent`` of the column's unit.
    """

    kind: ClassVar[str] = "moments"
    column: str
    centre: float
    unit_exponent: int

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """Four zeros."""
        return (0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells(Accumulator):
    """Counts of a column's finite values in the k + 1 cells that k edges cut; shape (k + 1,).

    Attributes:
        column: a number or an instant.
        edges: strictly increasing and finite; at least one.
    """

    kind: ClassVar[str] = "cells"
    column: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse edges that are not strictly increasing (RW-114)."""
        check_edges(self.column, self.edges)

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """A zero for each cell."""
        return (0,) * (len(self.edges) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values(Accumulator):
    """Counts of a column's known values, in their order, then of all others; shape (k + 1,).

    Attributes:
        column: a text or a flag (``true`` and ``false``).
        known: distinct, compared code point by code point.
    """

    kind: ClassVar[str] = "values"
    column: str
    known: tuple[str, ...]

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """A zero for each known value and one for the rest."""
        return (0,) * (len(self.known) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths(Accumulator):
    """(empty texts, shortest, longest) of a text column, in code points; nulls are not looked at."""

    kind: ClassVar[str] = "lengths"
    column: str

    def columns(self) -> tuple[str, ...]:
        """Its one column."""
        return (self.column,)

    @property
    def empty(self) -> Result:
        """No text yet."""
        return (0, None, None)

    def join(self, first: Result, second: Result) -> Result:
        """Empty texts add; the rest keeps extremes."""
        lows = [low for low in (first[1], second[1]) if low is not None]
        highs = [high for high in (first[2], second[2]) if high is not None]
        return ((first[0] or 0) + (second[0] or 0), min(lows, default=None), max(highs, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCells(Accumulator):
    """Counts of finite scores by cell and label: k + 1 for label 0, k + 1 for label 1, k + 1 without a label.

    Performance, calibration and the label-free estimate all follow from these counts.

    Attributes:
        score: a number; a row whose score is null or not finite is in no cell.
        label: a number or a flag; 1 and true are positive, null is no label, any other value counts as negative.
        edges: strictly increasing and finite; at least one.
    """

    kind: ClassVar[str] = "labelled_cells"
    score: str
    label: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse edges that are not strictly increasing (RW-114)."""
        check_edges(self.score, self.edges)

    def columns(self) -> tuple[str, ...]:
        """The score and the label."""
        return (self.score, self.label)

    @property
    def empty(self) -> Result:
        """Three zeros for each cell."""
        return (0,) * (3 * (len(self.edges) + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Accumulator):
    """(bad rows,): the rows that break a rule of a contract.

    The rule is kept as what makes a row bad and no more: its id, line, bound and wording are taken off. So rules that
    ask the same of a row are counted once, and rewording a contract does not part its states.

    Attributes:
        rule: of one of ``ROW_KINDS``.
        at_us: the instant that ages are counted to, in microseconds since 1970; 0 for a rule without an age, so that
            the states of different instants join.
    """

    kind: ClassVar[str] = "broken"
    rule: Rule
    at_us: int = 0

    def __post_init__(self) -> None:
        """Refuse a rule that one row cannot answer (RW-114), and take off what does not make a row bad."""
        if self.rule.kind not in ROW_KINDS:
            raise ParameterError(
                f"The rule {self.rule.rule_id} ({self.rule.kind.value}) cannot be told from a row alone.",
                remedy="Count duplicates and references by the grouping queries.",
            )
        object.__setattr__(self, "rule", _bare(self.rule))
        if self.rule.kind is not RuleKind.AGE:
            object.__setattr__(self, "at_us", 0)

    def columns(self) -> tuple[str, ...]:
        """The columns of the rule."""
        return self.rule.columns

    @property
    def empty(self) -> Result:
        """(0,)."""
        return (0,)


def _bare(rule: Rule) -> Rule:
    limits, comparison = rule.limits, rule.comparison
    return replace(
        rule,
        rule_id="",
        dimension=Dimension.VALIDITY,
        bound=NONE_ALLOWED,
        line=0,
        severity=Severity.WARNING,
        under="",
        description="",
        values=tuple(_plain(value) for value in rule.values),
        limits=None if limits is None else _plain_limits(limits),
        comparison=None if comparison is None else replace(comparison, source=""),
    )


def _plain(value: Value) -> Value:
    # Python holds 1, 1.0 and True for equal; a rule looks for the first two among numbers, for the last among texts.
    if isinstance(value, bool):
        return str(value).lower()
    return float(value) if isinstance(value, int) else value


def _plain_limits(limits: Limits) -> Limits:
    lower, upper = (end if end is None or isinstance(end, str) else float(end) for end in (limits.lower, limits.upper))
    return replace(limits, lower=lower, upper=upper)


def check_edges(column: str, edges: tuple[float, ...]) -> None:
    """Refuse no edges, and edges that do not rise.

    Raises:
        ParameterError: with the column's name (RW-114).
    """
    rising = all(low < high for low, high in pairwise(edges))
    if not edges or not rising or not all(abs(edge) < float("inf") for edge in edges):
        raise ParameterError(
            f"The edges of {column} are not finite and rising.", remedy="Fit them again, or sort and deduplicate them."
        )
