"""What Roadworthy adds to ODCS, under the one custom property ``roadworthy``. Owns its shape; gives it no meaning.

ODCS has no place for units of measurement, sentinel values, plausible medians, the instant at which a value is known,
origins with digests, or what a limitation is watched by. ``customProperties`` is the standard's door for such things::

    customProperties:
      - property: roadworthy
        value: {unit: mg/dl, sentinels: [0], medianRange: [150, 300], knownAt: admission}

Rules kept here: unknown keys are errors; nothing here weakens what the standard's own keys ask for.
"""

from typing import Annotated, TypeVar

from open_data_contract_standard.model import CustomProperty
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from roadworthy.measure.odcs import KeyPath, Odcs, nearest
from roadworthy.measure.rule import Severity

NAMESPACE = "roadworthy"
ENGINE = "roadworthy"


class _Strict(BaseModel):
    # Snake case here, the standard's camel case in the file.
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class ColumnExtension(_Strict):
    """On a property.

    Attributes:
        unit: of measurement, for example ``mm``.
        unit_column: the column that says in each row in which unit the value is; it must always be ``unit``.
        sentinels: numbers that stand for "missing".
        median_range: ends for the median of every cohort, in ``unit``.
        references: ``file#column`` that every value must occur in; the file is relative to the contract.
        known_at: the instant in the life of a case at which the value is known.
        max_age: how old a row may be by this column, for example ``14 d``.
        severity: of everything that is declared about the column outside of its quality items.
    """

    unit: str = ""
    unit_column: str = ""
    sentinels: tuple[float, ...] = ()
    median_range: tuple[float, float] | None = None
    references: Annotated[str, Field(pattern=r"^[^#]+#[^#]+$")] | None = None
    known_at: str = ""
    max_age: str | None = None
    severity: Severity = Severity.WARNING


class SourceExtension(_Strict):
    """An origin, and the digest of the copy at ``path``, relative to the contract."""

    origin: str
    path: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class LimitationExtension(_Strict):
    """A limitation and what watches it: the id of a rule, or a slice ``column=value``."""

    text: str
    rule: str = ""
    slice: str = ""


class ContractExtension(_Strict):
    """At the top of the contract.

    Attributes:
        sources: where the data came from.
        transformations: how the data was made from its sources; ``none`` when it was not changed.
        output_sha256: digest that the data set has after the transformations (``table_digest``).
        suitable_for: use cases, by id or by their intended use, word for word.
        limitations: what must be kept in mind, each with what watches it.
    """

    sources: tuple[SourceExtension, ...] = ()
    transformations: str = ""
    output_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    suitable_for: tuple[str, ...] = ()
    limitations: tuple[LimitationExtension, ...] = ()


class ReferenceExtension(_Strict):
    """Columns whose values, taken together, must occur in another file.

    Attributes:
        file: relative to the contract.
        columns: own column to the file's column.
    """

    file: Annotated[str, Field(min_length=1)]
    columns: Annotated[dict[str, str], Field(min_length=1)]


class LatenessExtension(_Strict):
    """Two time columns and how far apart they may be, for example ``30 min``."""

    event: str
    arrived: str
    within: str


class CheckExtension(_Strict):
    """The ``implementation`` of a custom quality item whose engine is ``roadworthy``: exactly one of the first four.

    Attributes:
        expression: a comparison between columns that good rows fulfil, for example ``ended_at >= started_at``.
        references: a composite key of another file.
        lateness: between an event and its arrival.
        rows_of: a file that must have as many rows, relative to the contract.
        allowed_percent: how many percent of rows may break it, or by how much the other row count may be missed.
        tolerance: by how much two sides of an ``=`` may differ.
    """

    expression: str | None = None
    references: ReferenceExtension | None = None
    lateness: LatenessExtension | None = None
    rows_of: Annotated[str, Field(min_length=1)] | None = None
    allowed_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0


Extension = TypeVar("Extension", bound=_Strict)


def read_extension(
    document: Odcs, properties: list[CustomProperty] | None, kind: type[Extension], at: KeyPath
) -> Extension:
    """The value of the custom property ``roadworthy``, or an empty extension.

    Args:
        document: for error places.
        properties: ``customProperties`` of the element.
        kind: which extension belongs there.
        at: key path of the element.

    Raises:
        ContractError: it is there twice, or has unknown or malformed members (RW-106).
    """
    found = [(index, item) for index, item in enumerate(properties or []) if item.property == NAMESPACE]
    if not found:
        return kind()
    if len(found) > 1:
        raise document.error(
            (*at, "customProperties", found[1][0]), "The custom property roadworthy is there twice.", "Join the two."
        )
    index, item = found[0]
    return parse(document, item.value, kind, (*at, "customProperties", index, "value"))


def parse(document: Odcs, value: object, kind: type[Extension], at: KeyPath) -> Extension:
    """Read one extension.

    Raises:
        ContractError: unknown or malformed members (RW-106).
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        # A misspelt key also makes the right one missing: the misspelling is the cause.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        place = (*at, *first["loc"])
        if first["type"] == "extra_forbidden":
            word = str(first["loc"][-1])
            known = [field.alias or name for name, field in kind.model_fields.items()]
            raise document.error(place, f"Roadworthy knows no {word!r} here.", nearest(word, known)) from error
        raise document.error(place, f"{first['msg']}.", "Correct the value.") from error
