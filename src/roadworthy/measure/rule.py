"""What a data contract asks for, in our own words. Owns rules, bounds and the contract; reads and runs none of it.

``contract`` translates ODCS into these types, ``predicates`` turns a rule into SQL, ``quality`` runs it.

Rules kept here:
1. A rule names what a *bad* row is; its ``Bound`` says how many bad rows, or which share of them, are allowed.
2. Counts are exact, over the whole data set: comparing them with a bound involves no rounding and no sampling error.
"""

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path

from roadworthy.measure.comparison import Comparison


class Dimension(Enum):
    """The aspect of quality that a rule belongs to."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    FRESHNESS = "freshness"
    CONSISTENCY = "consistency"
    VOLUME = "volume"
    SCHEMA = "schema"


class Severity(Enum):
    """What a record that breaks the rule deserves before it reaches the model; the words are the standard's examples.

    The verdict on a batch does not depend on it: a broken promise is broken.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Comparator(Enum):
    """How a measured value relates to a bound; the names are those of ODCS."""

    EQUAL = "mustBe"
    NOT_EQUAL = "mustNotBe"
    GREATER = "mustBeGreaterThan"
    AT_LEAST = "mustBeGreaterOrEqualTo"
    LESS = "mustBeLessThan"
    AT_MOST = "mustBeLessOrEqualTo"
    BETWEEN = "mustBeBetween"
    NOT_BETWEEN = "mustNotBeBetween"


class Kind(Enum):
    """What makes a row bad, or which single figure is measured."""

    NULL = "null"
    MISSING_TEXT = "missing_text"
    TYPE = "type"
    RANGE = "range"
    SET = "set"
    PATTERN = "pattern"
    LENGTH = "length"
    ENCODING = "encoding"
    SENTINEL = "sentinel"
    DUPLICATE = "duplicate"
    REFERENCE = "reference"
    COMPARISON = "comparison"
    UNIT = "unit"
    AGE = "age"
    LATENESS = "lateness"
    NEWEST_AGE = "newest_age"
    ROW_COUNT = "row_count"
    RECONCILED = "reconciled"
    COLUMN = "column"
    QUERY = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Which measured values are acceptable.

    Attributes:
        comparator: the relation.
        value: its right side; the lower end for the two "between".
        upper: the upper end for the two "between", else None. Both ends count as inside: the standard says only
            "between the two numbers", and a person who writes [0, 5] means to allow 0 and 5.
        percent: whether the value is in percent of rows rather than rows.
    """

    comparator: Comparator
    value: float
    upper: float | None = None
    percent: bool = False

    def holds(self, measured: int, rows: int) -> bool:
        """Whether ``measured`` (bad rows, or a count) out of ``rows`` is acceptable; exact arithmetic.

        Percentages of zero rows do not hold: there is nothing that could be good.
        """
        if self.percent and rows == 0:
            return False
        value = Fraction(100 * measured, rows) if self.percent else Fraction(measured)
        return self.accepts(value)

    def accepts(self, value: Fraction) -> bool:
        """Whether a figure that is already in the bound's own unit is acceptable."""
        low = _fraction(self.value)
        high = low if self.upper is None else _fraction(self.upper)
        return {
            Comparator.EQUAL: value == low,
            Comparator.NOT_EQUAL: value != low,
            Comparator.GREATER: value > low,
            Comparator.AT_LEAST: value >= low,
            Comparator.LESS: value < low,
            Comparator.AT_MOST: value <= low,
            Comparator.BETWEEN: low <= value <= high,
            Comparator.NOT_BETWEEN: not low <= value <= high,
        }[self.comparator]

    def text(self) -> str:
        """The bound as a person reads it, for example ``at most 5 % of rows``."""
        words = {
            Comparator.EQUAL: "exactly",
            Comparator.NOT_EQUAL: "not",
            Comparator.GREATER: "more than",
            Comparator.AT_LEAST: "at least",
            Comparator.LESS: "less than",
            Comparator.AT_MOST: "at most",
            Comparator.BETWEEN: "between",
            Comparator.NOT_BETWEEN: "outside",
        }[self.comparator]
        ends = f"{self.value:g}" if self.upper is None else f"{self.value:g} and {self.upper:g}"
        return f"{words} {ends}{' % of rows' if self.percent else ''}"


NONE_ALLOWED = Bound(comparator=Comparator.EQUAL, value=0)

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A range; an end of None is open. Dates and instants are ISO text, lengths are characters."""

    lower: float | str | None = None
    upper: float | str | None = None
    lower_inclusive: bool = True
    upper_inclusive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Rows of another table.

    Attributes:
        path: its data file, or a pattern of files.
        columns: the columns that a rule's columns must occur in, in the same order; empty when only rows are counted.
        table: its name in the contract, when it was found by a relationship; "" when the contract names the file.
    """

    path: Path
    columns: tuple[str, ...] = ()
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One executable requirement.

    Attributes:
        rule_id: unique in the contract and stable: ``<dimension>.<column>.<kind>``, or the ODCS ``id`` or ``name``.
        dimension: for grouping.
        kind: what makes a row bad.
        columns: which columns it reads; empty for the whole table.
        bound: how much is allowed.
        line: where the contract says so, counted from 1; two rules that promise the same are equal wherever they stand.
        severity: what a single record deserves that breaks it.
        under: the column that the contract declares it under; "" for the table.
        values: the allowed set, the texts that mean missing, the sentinels, the unit, or the name that a query uses.
        limits: for ranges and lengths.
        text: the pattern, the logical type or the query.
        max_age_s: seconds for the three rules about time.
        reference: the table that a value must occur in, or whose rows are counted.
        comparison: the promise between columns.
        description: what the contract's author wrote about it.
    """

    rule_id: str
    dimension: Dimension
    kind: Kind
    columns: tuple[str, ...]
    bound: Bound
    line: int = field(compare=False)
    severity: Severity = Severity.WARNING
    under: str = ""
    values: tuple[Value, ...] = ()
    limits: Limits | None = None
    text: str = ""
    max_age_s: float | None = None
    reference: Reference | None = None
    comparison: Comparison | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column as the contract declares it.

    Attributes:
        name: in the data.
        logical_type: ODCS' word, or "" when it declares none.
        key: whether it is part of the primary key.
        unit: for example ``mm``; "" when none is declared.
        sentinels: values that stand for "missing" and are not measurements.
        median_range: the ends between which the median of every cohort must lie, in ``unit``; None when undeclared.
        valid_values: the allowed set, when there is one.
        limits: the allowed range, when there is one.
        known_at: the instant in the life of a case at which the value is known, for example ``decision``; "" unknown.
        transformed: whether the contract says how the value came about.
    """

    name: str
    logical_type: str = ""
    key: bool = False
    unit: str = ""
    sentinels: tuple[float, ...] = ()
    median_range: tuple[float, float] | None = None
    valid_values: tuple[Value, ...] = ()
    limits: Limits | None = None
    known_at: str = ""
    transformed: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the contract calls it a number."""
        return self.logical_type in {"number", "integer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A declared origin: what it is, and, where a copy is kept, its path and SHA-256."""

    origin: str
    path: Path | None
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person of the contract's team; the dates are ISO text, "" when not given."""

    name: str
    role: str
    date_in: str
    date_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limitation:
    """A declared limitation and the rule, or the slice ``column=value``, that keeps an eye on it."""

    text: str
    rule_id: str
    slice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The part of a contract that the datasheet's questions ask about; texts are "" when not declared."""

    created: str = ""
    purpose: str = ""
    usage: str = ""
    limitations_text: str = ""
    team: tuple[Member, ...] = ()
    sources: tuple[Source, ...] = ()
    limitations: tuple[Limitation, ...] = ()
    suitable_for: tuple[str, ...] = ()
    transformations: str = ""
    output_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A data contract for one table.

    Attributes:
        path: the file it was read from, or would be written to; not compared.
        contract_id: ODCS ``id``.
        version: of the contract.
        status: ODCS ``status``.
        table: ODCS name of the schema object.
        fields: declared columns.
        rules: everything that can be run, in the order of the file.
        notes: what the contract says but no program runs, each as ``<column or "table">: <sentence>``.
        provenance: for the datasheet.
    """

    path: Path = field(compare=False)
    contract_id: str
    version: str
    status: str
    table: str
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return tuple(item.name for item in self.fields if item.key)

    def field(self, name: str) -> Field | None:
        """The declaration of a column, or None."""
        return next((item for item in self.fields if item.name == name), None)


def _fraction(value: float) -> Fraction:
    # Through the shortest text: a bound written as 0.1 means one tenth, not the nearest binary number.
    return Fraction(str(value))
