"""What a contract declares for the passport. Owns the shape of the custom property ``roadworthyPassport``; runs nothing.

At the top of the contract::

    customProperties:
      - property: roadworthyPassport
        value:
          licence: CC-BY-4.0
          dataset: {namespace: "file://ward", name: heart}
          outcome: num > 0
          claims:
            - {rows: 303}
            - {distinct: USUBJID, count: 254, where: "ARMCD <> 'Scrnfail'", text: 254 treated}
            - {noNulls: USUBJID}
            - {sha256: 0f3a..., file: heart.csv}
            - {fingerprint: "sha256:..."}

and at a property::

    customProperties:
      - property: roadworthyPassport
        value: {codes: {1: typical angina, 4: asymptomatic}, higherIs: worse}

Rules kept here: unknown members are errors with file, line and path; a claim says exactly one thing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from open_data_contract_standard.model import CustomProperty
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from roadworthy.measure.odcs import KeyPath, Odcs, nearest, read_odcs
from roadworthy.measure.passport.claims import Claim, ClaimKind, Coding, Direction
from roadworthy.measure.passport.openlineage import Name

PROPERTY = "roadworthyPassport"
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    # YAML reads the code 1 as a number; a code is text.
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True, coerce_numbers_to_str=True
    )


class _Claim(_Strict):
    rows: Annotated[int, Field(ge=0)] | None = None
    distinct: str | None = None
    count: Annotated[int, Field(ge=0)] | None = None
    no_nulls: str | None = None
    sha256: _Sha256 | None = None
    file: str = ""
    fingerprint: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    where: str = ""
    text: str = ""

    def said(self) -> list[Claim]:
        """The statements that are filled; a good one says exactly one."""
        found = [
            (ClaimKind.ROWS, self.rows, ""),
            (ClaimKind.DISTINCT, self.count, self.distinct),
            (ClaimKind.NO_NULLS, "", self.no_nulls),
            (ClaimKind.SHA256, self.sha256, self.file),
            (ClaimKind.FINGERPRINT, self.fingerprint, ""),
        ]
        return [
            Claim(kind=kind, expected=str(expected), column=column, where=self.where, text=self.text)
            for kind, expected, column in found
            if expected is not None and column is not None
        ]


class _Dataset(_Strict):
    namespace: str
    name: str


class _Contract(_Strict):
    licence: str = ""
    dataset: _Dataset | None = None
    outcome: str = ""
    claims: tuple[_Claim, ...] = ()


class _Column(_Strict):
    codes: dict[str, str] = Field(default_factory=dict)
    higher_is: Literal["worse", "better"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declarations:
    """The passport's part of a contract.

    Attributes:
        licence: under which the data may be used, as SPDX id or address; "" when not declared.
        dataset: what the data set is called in lineage events; None when not declared.
        outcome: an SQL condition that is true of rows with the bad outcome; "" when not declared.
        claims: of the producer.
        codings: of the columns that declare codes or a direction.
    """

    licence: str = ""
    dataset: Name | None = None
    outcome: str = ""
    claims: tuple[Claim, ...] = ()
    codings: tuple[Coding, ...] = ()


def read_declarations(path: Path, table: str | None = None) -> Declarations:
    """Read the passport's part of an ODCS file.

    Args:
        path: the YAML file.
        table: name of the schema object; None takes all of them.

    Raises:
        MissingFile: no such file (RW-102).
        ContractError: not ODCS, or unknown, malformed or ambiguous members (RW-106), with line and path.
    """
    document = read_odcs(path)
    top = _parse(document, document.model.customProperties, _Contract, ()) or _Contract()
    claims = []
    for index, item in enumerate(top.claims):
        said = item.said()
        if len(said) != 1:
            raise document.error(
                ("customProperties",),
                f"Claim {index + 1} says {len(said)} things.",
                "Say one of rows, distinct with count, noNulls, sha256, fingerprint.",
            )
        claims.extend(said)
    codings = []
    for number, schema in enumerate(document.model.schema_ or []):
        if table is not None and table not in {schema.physicalName, schema.name}:
            continue
        for position, column in enumerate(schema.properties or []):
            at: KeyPath = ("schema", number, "properties", position)
            declared = _parse(document, column.customProperties, _Column, at)
            if declared is not None:
                codings.append(_coding(column.physicalName or column.name or "", declared))
    return Declarations(
        licence=top.licence,
        dataset=Name(namespace=top.dataset.namespace, name=top.dataset.name) if top.dataset else None,
        outcome=top.outcome,
        claims=tuple(claims),
        codings=tuple(codings),
    )


def _coding(column: str, declared: _Column) -> Coding:
    directions = {"worse": Direction.HIGHER_IS_WORSE, "better": Direction.HIGHER_IS_BETTER}
    return Coding(
        column=column,
        codes=tuple(declared.codes.items()),
        direction=directions[declared.higher_is] if declared.higher_is else None,
    )


_Kind = TypeVar("_Kind", bound=_Strict)


def _parse(document: Odcs, properties: list[CustomProperty] | None, kind: type[_Kind], at: KeyPath) -> _Kind | None:
    found = [(index, item) for index, item in enumerate(properties or []) if item.property == PROPERTY]
    if not found:
        return None
    index, item = found[-1]
    place: KeyPath = (*at, "customProperties", index)
    if len(found) > 1:
        raise document.error(place, f"The custom property {PROPERTY} is there twice.", "Join the two.")
    try:
        return kind.model_validate(item.value)
    except ValidationError as error:
        first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
        where = (*place, "value", *first["loc"])
        if first["type"] == "extra_forbidden":
            word = str(first["loc"][-1])
            known = [field.alias or name for name, field in kind.model_fields.items()]
            raise document.error(where, f"The passport knows no {word!r} here.", nearest(word, known)) from error
        raise document.error(where, f"{first['msg']}.", "Correct the value.") from error
