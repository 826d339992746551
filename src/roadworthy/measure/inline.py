"""A contract as a filter for single records. Owns the decision admit, flag or quarantine; changes no record.

The same rules that ``quality`` counts over a table are asked of one record, in plain Python, before it reaches a
model. For every rule that has an inline form, the number of bad rows of a batch is the sum of the inline decisions over
the same records.

Algorithm of ``InlineFilter.decide``:
1. Text records are read as the columns' stored types, with the texts that mean null.
2. Each column is looked up once; its tests run on a value that is there, and a missing one has fixed answers.
3. Rules over several columns, over time, and over other records run on the record.
4. Quarantine when a rule of severity ``error`` is broken, flag when another one is, admit otherwise.

Rules kept here:
1. A rule that needs more than one record, or an engine, is listed in ``batch_only`` with the reason; it never passes
   in silence.
2. The only state is the set of keys that were seen, and only when the caller asks for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import Enum

from roadworthy.measure.known_keys import KnownKeys
from roadworthy.measure.patterns import NotCarriedOver
from roadworthy.measure.reading import microseconds
from roadworthy.measure.record_tests import (
    ColumnTest,
    Record,
    RecordTest,
    ValueTest,
    column_test,
    record_test,
    reference_test,
    repetition_test,
)
from roadworthy.measure.rule import Contract, Kind, Rule, Severity

_TABLE_WIDE = {
    Kind.ROW_COUNT: "it counts the rows of a table",
    Kind.RECONCILED: "it compares the row counts of two tables",
    Kind.NEWEST_AGE: "it looks for the newest row of a table",
    Kind.QUERY: "it is SQL",
    Kind.DUPLICATE: "it needs the keys of earlier records, which this filter was not asked to remember",
    Kind.COMPARISON: "it compares nothing",
    Kind.REFERENCE: "the keys of the other table were not given",
}
_YES = frozenset({"true", "t", "yes", "y", "1"})


class Action(Enum):
    """What happens to a record."""

    ADMIT = "admit"
    FLAG = "flag"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision on a record and the ids of the rules that it breaks, in the contract's order."""

    action: Action
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOnly:
    """A rule that single records cannot answer, and why."""

    rule_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """Records whose values are text, as a reader of CSV hands them over.

    Attributes:
        types: DuckDB's name of the type that the batch stores a column as; a column that is not named is text.
        null_texts: texts that mean null.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    null_texts: tuple[str, ...] = ("",)


_ADMITTED = Admission(Action.ADMIT)


class InlineFilter:
    """Decides on records, one at a time; made by ``compile_inline``.

    Not safe for threads when it remembers keys: two threads may both see a key for the first time.

    Attributes:
        rule_ids: the rules that are asked of each record.
        batch_only: those that are not.
    """

    def __init__(self, contract: Contract, text: TextSource | None, plan: "_Plan") -> None:
        self.rule_ids = tuple(rule.rule_id for rule in contract.rules if rule.rule_id not in plan.batch_only)
        self.batch_only = tuple(BatchOnly(rule_id=rule_id, why=why) for rule_id, why in plan.batch_only.items())
        self._ids = tuple(rule.rule_id for rule in contract.rules)
        self._errors = frozenset(
            position for position, rule in enumerate(contract.rules) if rule.severity is Severity.ERROR
        )
        self._columns = tuple(plan.columns())
        self._records = tuple(plan.records)
        self._seen = plan.seen
        self._timed = any(rule.kind is Kind.AGE for rule in contract.rules)
        self._readers = None if text is None else {item.name: _reader(text, item.name) for item in contract.fields}

    def decide(self, record: Record, *, at: datetime) -> Admission:
        """Admit, flag or quarantine one record.

        Args:
            record: values by column name; a name that is not there is a missing column.
            at: the instant that ages are counted to; without a zone it is read as UTC.
        """
        # 1. Text to values.
        if self._readers is not None:
            record = {name: read(record[name]) for name, read in self._readers.items() if name in record}
        broken: list[int] = []
        # 2. Column by column.
        get = record.get
        for name, tests, when_missing in self._columns:
            value = get(name)
            if value is None or (value.__class__ is float and value != value):  # noqa: PLR0124  # NaN alone differs
                broken += when_missing
                continue
            for position, bad in tests:
                if bad(value):
                    broken.append(position)
        # 3. What needs the record.
        now_us = microseconds(at) if self._timed else 0
        for position, bad_record in self._records:
            if bad_record(record, now_us):
                broken.append(position)
        # 4. The action.
        if not broken:
            return _ADMITTED
        broken.sort()
        action = Action.FLAG if self._errors.isdisjoint(broken) else Action.QUARANTINE
        return Admission(action, tuple(self._ids[position] for position in broken))

    @property
    def remembered(self) -> int:
        """How many keys are held for the rules about duplicates, one for each rule and key."""
        return sum(len(keys) for keys in self._seen)

    def forget(self) -> None:
        """Drop all remembered keys, for example where a new delivery begins."""
        for keys in self._seen:
            keys.clear()


class _Plan:
    """The tests of a contract, sorted by what they need."""

    def __init__(self) -> None:
        self.batch_only: dict[str, str] = {}
        self.records: list[tuple[int, RecordTest]] = []
        self.seen: list[set[tuple[object, ...]]] = []
        self._by_column: dict[str, list[tuple[int, ColumnTest]]] = {}

    def add_column(self, position: int, name: str, test: ColumnTest) -> None:
        self._by_column.setdefault(name, []).append((position, test))

    def columns(self) -> list[tuple[str, tuple[tuple[int, ValueTest], ...], tuple[int, ...]]]:
        return [
            (
                name,
                tuple((position, test.bad) for position, test in tests if test.bad is not None),
                tuple(position for position, test in tests if test.when_missing),
            )
            for name, tests in self._by_column.items()
        ]


def compile_inline(
    contract: Contract,
    *,
    text: TextSource | None = None,
    references: Mapping[str, KnownKeys] | None = None,
    remember: bool = False,
) -> InlineFilter:
    """Make the filter of a contract.

    Args:
        contract: what was promised about the records.
        text: how to read records that hold text; None for records with values of their own types.
        references: known keys by rule id, see ``references.load_references``.
        remember: whether to hold the keys of earlier records, for the rules about duplicates; memory grows with them.
    """
    plan = _Plan()
    for position, rule in enumerate(contract.rules):
        try:
            _place(plan, position, rule, typed=text is None, references=references or {}, remember=remember)
        except NotCarriedOver as reason:
            plan.batch_only[rule.rule_id] = f"its pattern has {reason}, which only the batch engine runs"
    return InlineFilter(contract, text, plan)


def _place(
    plan: _Plan, position: int, rule: Rule, *, typed: bool, references: Mapping[str, KnownKeys], remember: bool
) -> None:
    single = column_test(rule)
    if single is not None:
        plan.add_column(position, rule.columns[0], single)
        return
    whole = record_test(rule, typed=typed)
    if rule.kind is Kind.REFERENCE and rule.rule_id in references:
        whole = reference_test(rule, references[rule.rule_id])
    if rule.kind is Kind.DUPLICATE and remember:
        plan.seen.append(set())
        whole = repetition_test(rule, plan.seen[-1])
    if whole is None:
        plan.batch_only[rule.rule_id] = _TABLE_WIDE[rule.kind]
    else:
        plan.records.append((position, whole))


def _reader(text: TextSource, name: str) -> Callable[[object], object]:
    """A function from text to the value that the batch stores; what does not fit stays text, for the rules to judge."""
    cast, nulls = _cast(text.types.get(name, "VARCHAR")), frozenset(text.null_texts)

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        if value in nulls:
            return None
        try:
            return cast(value)
        except ValueError:
            return value

    return read


def _cast(stored: str) -> Callable[[str], object]:
    if stored.startswith("TIMESTAMP"):
        return lambda text: datetime.fromisoformat(text.strip())
    if stored in {"DOUBLE", "FLOAT"}:
        return float
    casts: dict[str, Callable[[str], object]] = {
        "BIGINT": _whole,
        "BOOLEAN": _truth,
        "DATE": lambda text: date.fromisoformat(text.strip()),
        "TIME": lambda text: time.fromisoformat(text.strip()),
    }
    return casts.get(stored, str)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(text, 0)


def _truth(text: str) -> bool:
    return text.strip().lower() in _YES
