"""One ODCS quality item into a rule. Owns metrics, operators and units; types and keys belong to ``contract``.

Rules kept here:
1. Exactly one operator an item, and a number on its right side.
2. An unknown metric, unit or argument is an error: it would be a promise that nobody checks.
3. Prose and the checks of other engines become notes.
4. A severity is one of the standard's three words; without one an item is a warning.
"""

from dataclasses import dataclass, replace
from typing import Any

from open_data_contract_standard.model import DataQuality

from roadworthy.measure.comparison import Comparison, NotAComparison, Reading, Relation, parse_clauses
from roadworthy.measure.durations import seconds
from roadworthy.measure.extension import ENGINE, CheckExtension, parse
from roadworthy.measure.odcs import KeyPath, Odcs, nearest
from roadworthy.measure.references import project_file
from roadworthy.measure.rule import Bound, Comparator, Dimension, Kind, Reference, Rule, Severity

_DIMENSIONS = {
    "accuracy": Dimension.VALIDITY,
    "completeness": Dimension.COMPLETENESS,
    "conformity": Dimension.VALIDITY,
    "consistency": Dimension.CONSISTENCY,
    "coverage": Dimension.VOLUME,
    "timeliness": Dimension.FRESHNESS,
    "uniqueness": Dimension.UNIQUENESS,
}
_METRICS = {
    "nullValues": (Kind.NULL, Dimension.COMPLETENESS, ()),
    "missingValues": (Kind.MISSING_TEXT, Dimension.COMPLETENESS, ("missingValues",)),
    "invalidValues": (Kind.SET, Dimension.VALIDITY, ("validValues", "pattern")),
    "duplicateValues": (Kind.DUPLICATE, Dimension.UNIQUENESS, ("properties",)),
    "rowCount": (Kind.ROW_COUNT, Dimension.VOLUME, ()),
}
_OWN_DIMENSIONS = {
    Kind.COMPARISON: Dimension.CONSISTENCY,
    Kind.REFERENCE: Dimension.CONSISTENCY,
    Kind.LATENESS: Dimension.FRESHNESS,
    Kind.RECONCILED: Dimension.VOLUME,
}
_ALL_OF_THEM = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """What came of one item: a rule, more rules, or a note on why there is none."""

    rule: Rule | None = None
    more: tuple[Rule, ...] = ()
    note: str = ""


def translate_item(document: Odcs, item: DataQuality, column: str | None, table: str, at: KeyPath) -> Translated:
    """Translate a quality item.

    Args:
        document: for error places.
        item: the item.
        column: the property that it stands under, or None for the table.
        table: name of the table, which queries may use; "" below a property.
        at: key path of the item.

    Raises:
        ContractError: it cannot be run as written (RW-106).
    """
    place = column or "table"
    kind = item.type or ("library" if item.metric or item.rule else "text")
    if kind == "library":
        return Translated(rule=_library(document, item, column, at))
    if kind == "sql":
        return Translated(rule=_query(document, item, column, table, at))
    if kind == "custom" and item.engine == ENGINE:
        return Translated(rule=_own(document, item, column, at))
    if kind == "custom":
        return Translated(note=f"{place}: a check for the engine {item.engine!r} is not run.")
    if kind == "text":
        return Translated(note=f"{place}: {item.description or item.name or 'prose without words'}")
    raise document.error(
        (*at, "type"), f"ODCS has no quality type {kind!r}.", nearest(kind, ["library", "sql", "custom", "text"])
    )


def _library(document: Odcs, item: DataQuality, column: str | None, at: KeyPath) -> Rule:
    if item.metric is None:
        raise document.error(at, "The quality item has no metric.", "Add metric; the key rule is deprecated.")
    if item.metric not in _METRICS:
        raise document.error(
            (*at, "metric"), f"ODCS has no metric {item.metric!r}.", nearest(item.metric, list(_METRICS))
        )
    kind, dimension, known = _METRICS[item.metric]
    arguments = item.arguments or {}
    for key in arguments:
        if key not in known:
            remedy = nearest(key, list(known)) if known else "Remove it."
            raise document.error((*at, "arguments", key), f"{item.metric} takes no argument {key!r}.", remedy)
    rule = Rule(
        rule_id=_name(item, dimension, column, item.metric),
        dimension=_DIMENSIONS.get(item.dimension or "", dimension),
        kind=kind,
        columns=_columns(document, item.metric, arguments, column, at),
        bound=_bound(document, item, at),
        line=document.line(at),
        severity=_severity(document, item, at),
        under=column or "",
        description=item.description or "",
    )
    if kind is Kind.ROW_COUNT and rule.bound.percent:
        raise document.error((*at, "unit"), "A row count has no percentage.", "Remove the unit.")
    return _with_arguments(document, rule, item.metric, arguments, at)


def _columns(
    document: Odcs, metric: str, arguments: dict[str, Any], column: str | None, at: KeyPath
) -> tuple[str, ...]:
    if metric == "rowCount":
        return ()
    if column is not None and "properties" not in arguments:
        return (column,)
    listed = arguments.get("properties")
    if metric != "duplicateValues" or not isinstance(listed, list) or not listed:
        raise document.error(
            at, f"{metric} here names no column.", "Put it under a property, or list arguments.properties."
        )
    return tuple(str(name) for name in listed)


def _with_arguments(document: Odcs, rule: Rule, metric: str, arguments: dict[str, Any], at: KeyPath) -> Rule:
    if metric == "missingValues":
        listed = _list(document, arguments, "missingValues", at)
        return replace(rule, values=tuple(value for value in listed if value is not None))
    if metric != "invalidValues":
        return rule
    if ("pattern" in arguments) == ("validValues" in arguments):
        raise document.error(
            (*at, "arguments"), "invalidValues needs validValues or pattern.", "Give exactly one of the two arguments."
        )
    if "pattern" in arguments:
        return replace(rule, kind=Kind.PATTERN, text=str(arguments["pattern"]))
    listed = _list(document, arguments, "validValues", at)
    return replace(rule, values=tuple(value for value in listed if value is not None))


def _list(document: Odcs, arguments: dict[str, Any], key: str, at: KeyPath) -> list[Any]:
    listed = arguments.get(key)
    if not isinstance(listed, list) or not listed:
        raise document.error((*at, "arguments"), f"{key} is not a list with values.", "List at least one value.")
    return listed


def _query(document: Odcs, item: DataQuality, column: str | None, table: str, at: KeyPath) -> Rule:
    if not (item.query or "").strip():
        raise document.error(at, "The quality item has no query.", "Add a SELECT that gives one number.")
    return Rule(
        rule_id=_name(item, Dimension.CONSISTENCY, column, "query"),
        dimension=_DIMENSIONS.get(item.dimension or "", Dimension.CONSISTENCY),
        kind=Kind.QUERY,
        columns=(column,) if column else (),
        bound=replace(_bound(document, item, at), percent=False),
        line=document.line(at),
        severity=_severity(document, item, at),
        under=column or "",
        text=str(item.query),
        values=(table,),
        description=item.description or "",
    )


def _own(document: Odcs, item: DataQuality, column: str | None, at: KeyPath) -> Rule:
    place = (*at, "implementation")
    given = parse(document, item.implementation, CheckExtension, place)
    kinds = (
        (Kind.COMPARISON, given.expression, "expression"),
        (Kind.REFERENCE, given.references, "references"),
        (Kind.LATENESS, given.lateness, "lateness"),
        (Kind.RECONCILED, given.rows_of, "rowsOf"),
    )
    asked = [(kind, word) for kind, value, word in kinds if value is not None]
    if len(asked) != 1:
        raise document.error(
            place,
            f"The implementation asks for {len(asked)} things.",
            "Give exactly one of expression, references, lateness, rowsOf.",
        )
    kind, word = asked[0]
    dimension = _OWN_DIMENSIONS[kind]
    rule = Rule(
        rule_id=_name(item, dimension, column, word),
        dimension=_DIMENSIONS.get(item.dimension or "", dimension),
        kind=kind,
        columns=(),
        bound=Bound(comparator=Comparator.AT_MOST, value=given.allowed_percent, percent=True),
        line=document.line(at),
        severity=_severity(document, item, at),
        under=column or "",
        description=item.description or "",
    )
    return _with_implementation(document, rule, given, place)


def _with_implementation(document: Odcs, rule: Rule, given: CheckExtension, at: KeyPath) -> Rule:
    comparison = None if given.expression is None else _comparison(document, given, (*at, "expression"))
    equal = comparison is not None and comparison.clauses[0].relation is Relation.EQUAL
    if given.tolerance and not equal:
        raise document.error((*at, "tolerance"), "A tolerance belongs to an = of an expression.", "Remove it.")
    if comparison is not None:
        return replace(rule, columns=comparison.columns, comparison=comparison)
    if given.references is not None:
        columns = given.references.columns
        path = project_file(document, given.references.file, (*at, "references"))
        reference = Reference(path=path, columns=tuple(columns.values()))
        return replace(rule, columns=tuple(columns), reference=reference)
    if given.lateness is not None:
        span_s = seconds(document, given.lateness.within, (*at, "lateness", "within"))
        return replace(rule, columns=(given.lateness.event, given.lateness.arrived), max_age_s=span_s)
    return replace(rule, reference=Reference(path=project_file(document, str(given.rows_of), (*at, "rowsOf"))))


def _comparison(document: Odcs, given: CheckExtension, at: KeyPath) -> Comparison:
    source = given.expression or ""
    try:
        clauses = parse_clauses(source)
    except NotAComparison as error:
        raise document.error(
            at,
            f"{source!r} cannot be read: {error}.",
            "Compare columns and sums of them, or use a quality item of type sql.",
        ) from error
    # The reading follows from the columns, which the contract knows only as a whole.
    return Comparison(clauses=clauses, reading=Reading.NUMBER, tolerance=given.tolerance, source=source)


def _severity(document: Odcs, item: DataQuality, at: KeyPath) -> Severity:
    if item.severity is None:
        return Severity.WARNING
    known = [severity.value for severity in Severity]
    if item.severity.lower() not in known:
        raise document.error(
            (*at, "severity"), f"The severity {item.severity!r} is not known.", nearest(item.severity.lower(), known)
        )
    return Severity(item.severity.lower())


def _name(item: DataQuality, dimension: Dimension, column: str | None, kind: str) -> str:
    return item.id or item.name or f"{dimension.value}.{column or 'table'}.{kind}"


def _bound(document: Odcs, item: DataQuality, at: KeyPath) -> Bound:
    given = [comparator for comparator in Comparator if getattr(item, comparator.value) is not None]
    if len(given) != 1:
        raise document.error(
            at,
            f"The quality item has {len(given)} operators.",
            "Give exactly one mustBe... key.",
        )
    if item.unit not in {None, "rows", "percent"}:
        raise document.error((*at, "unit"), f"The unit {item.unit!r} is not known.", "Use rows or percent.")
    value = getattr(item, given[0].value)
    ends = value if isinstance(value, list) else [value]
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise document.error((*at, given[0].value), f"{value!r} is not a number.", "Give a number.")
    if len(ends) == 2 and ends[0] > ends[1]:
        raise document.error((*at, given[0].value), f"{value!r} is not in order.", "Give the smaller number first.")
    if item.unit == "percent" and not all(0 <= end <= _ALL_OF_THEM for end in ends):
        raise document.error((*at, given[0].value), f"{value!r} is not a percentage.", "Give values from 0 to 100.")
    upper = float(ends[1]) if len(ends) == 2 else None
    return Bound(comparator=given[0], value=float(ends[0]), upper=upper, percent=item.unit == "percent")
