"""``logicalTypeOptions`` of a property into rules. Owns their keys; quality items have their own module.

Rules kept here: an option that this version cannot run (``multipleOf``, most formats) becomes a note; a key that the
standard does not know is an error.
"""

import math

from open_data_contract_standard.model import SchemaProperty

from roadworthy.measure.odcs import KeyPath, Odcs, nearest
from roadworthy.measure.quality_items import Translated
from roadworthy.measure.reading import clock_of, instant_of
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Limits, Rule

_RANGE = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COLLECTIONS = ("maxProperties", "minProperties", "required", "maxItems", "minItems", "uniqueItems")
_OTHERS = ("pattern", "minLength", "maxLength", "format", "multipleOf", "timezone", "defaultTimezone")
_KNOWN = frozenset((*_RANGE, *_OTHERS, *_COLLECTIONS))
_RUN = frozenset((*_RANGE, "pattern", "minLength", "maxLength"))
# Shapes only: whether a mailbox or an identifier exists is not a question to its text.
FORMATS = {
    "uuid": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
}


def read_limits(document: Odcs, item: SchemaProperty, at: KeyPath) -> Limits | None:
    """The declared range of a property, or None.

    Raises:
        ContractError: an unknown option, an end given twice, or an end of the wrong type (RW-106).
    """
    options = item.logicalTypeOptions or {}
    place = (*at, "logicalTypeOptions")
    for key, value in options.items():
        if key not in _KNOWN:
            raise document.error((*place, key), f"ODCS has no type option {key!r}.", nearest(key, sorted(_KNOWN)))
        if key in _RANGE and not _comparable(value, item.logicalType or ""):
            raise document.error((*place, key), f"{value!r} does not bound a {item.logicalType}.", "Correct the value.")
    for end, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if end in options and strict in options:
            raise document.error((*place, strict), f"Both {end} and {strict} are given.", "Keep one.")
    if not any(key in options for key in _RANGE):
        return None
    return Limits(
        lower=options.get("minimum", options.get("exclusiveMinimum")),
        upper=options.get("maximum", options.get("exclusiveMaximum")),
        lower_inclusive="exclusiveMinimum" not in options,
        upper_inclusive="exclusiveMaximum" not in options,
    )


def option_rules(document: Odcs, item: SchemaProperty, name: str, limits: Limits | None, at: KeyPath) -> Translated:
    """Range, pattern, format and length rules of a property, and a note on what is not run.

    Args:
        document: for lines.
        item: the property.
        name: of the column.
        limits: what ``read_limits`` gave.
        at: key path of the property.
    """
    options = item.logicalTypeOptions or {}
    line = document.line((*at, "logicalTypeOptions"))

    def rule(kind: Kind, limits: Limits | None = None, text: str = "", suffix: str = "") -> Rule:
        return Rule(
            rule_id=f"validity.{name}.{suffix or kind.value}",
            dimension=Dimension.VALIDITY,
            kind=kind,
            columns=(name,),
            bound=NONE_ALLOWED,
            line=line,
            under=name,
            limits=limits,
            text=text,
        )

    rules: list[Rule] = []
    if limits is not None:
        rules.append(rule(Kind.RANGE, limits=limits, text=item.logicalType or ""))
    if "pattern" in options:
        rules.append(rule(Kind.PATTERN, text=str(options["pattern"])))
    if "minLength" in options or "maxLength" in options:
        lengths = Limits(lower=options.get("minLength"), upper=options.get("maxLength"))
        rules.append(rule(Kind.LENGTH, limits=lengths))
    given_format = str(options.get("format", ""))
    if item.logicalType == "string" and given_format in FORMATS:
        rules.append(rule(Kind.PATTERN, text=FORMATS[given_format], suffix="format"))
        given_format = ""
    idle = sorted(key for key in options if key not in _RUN and (key != "format" or given_format))
    note = f"{name}: the type options {', '.join(idle)} are not run." if idle else ""
    return Translated(more=tuple(rules), note=note)


def _comparable(value: object, logical_type: str) -> bool:
    if logical_type in {"date", "timestamp"}:
        return isinstance(value, str) and instant_of(value) is not None
    if logical_type == "time":
        return isinstance(value, str) and clock_of(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
