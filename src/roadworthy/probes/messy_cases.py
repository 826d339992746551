"""Inputs that production sends and pilots do not.

Owns the cases and what a sound target may answer; sending them belongs to ``messy``.

Rules kept here:
1. Each case spoils one thing of a request that is otherwise good, so a bad answer points at its cause.
2. Each case declares every acceptable kind of answer. A confident answer is acceptable only where the input can be
   understood; an impossible input must be rejected or flagged.
3. The same metadata, rows and seed give the same bytes.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.probes.http import encode_json
from roadworthy.probes.open_inference import ModelMetadata, Row, Value, infer_body, tensors_of

_NUMERIC = ("FP", "BF", "INT", "UINT")
_DEPTH = 100_000


class Acceptable(StrEnum):
    """A kind of answer.

    ``reject`` is a status of 400 to 499 with a JSON body; ``flag`` a 200 that says it is undecided; ``answer`` a plain
    200 with one output for each row.
    """

    REJECT = "reject"
    FLAG = "flag"
    ANSWER = "answer"


IMPOSSIBLE = frozenset({Acceptable.REJECT, Acceptable.FLAG})
UNDERSTANDABLE = frozenset(Acceptable)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessyCase:
    """One request and what may come back.

    Attributes:
        id: stable name.
        description: for people, what is wrong with it.
        content: the request's body.
        rows: how many rows an answer must have.
        acceptable: kinds of answer that are sound.
        content_type: as declared to the target.
    """

    id: str
    description: str
    content: bytes
    rows: int
    acceptable: frozenset[Acceptable]
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A good request for one row, and the numeric cell of it to spoil: input ``tensor``, value ``cell``."""

    inputs: list[dict[str, Any]]
    tensor: int
    cell: int

    def copy(self) -> list[dict[str, Any]]:
        return [dict(each, shape=list(each["shape"]), data=list(each["data"])) for each in self.inputs]

    def with_cell(self, value: object) -> bytes:
        inputs = self.copy()
        inputs[self.tensor]["data"][self.cell] = value
        return _encode(inputs)


def good_case(metadata: ModelMetadata, rows: Sequence[Row], *, columns: Sequence[str] | None = None) -> MessyCase:
    """The unspoilt request that every case starts from: a target must answer it, or nothing else means anything.

    Raises:
        EmptyData: there are no rows (RW-104).
        ParameterError: rows that do not fit the model (RW-114).
    """
    _check_rows(rows)
    body = encode_json(infer_body(tensors_of(metadata, rows[:1], columns=columns)))
    return MessyCase(
        id="good", description="A good row.", content=body, rows=1, acceptable=frozenset({Acceptable.ANSWER})
    )


def messy_cases(
    metadata: ModelMetadata,
    rows: Sequence[Row],
    *,
    seed: int,
    columns: Sequence[str] | None = None,
    huge_rows: int = 5_000,
) -> tuple[MessyCase, ...]:
    """All cases for a model.

    Args:
        metadata: of the model.
        rows: good examples; the first is the one that gets spoilt.
        seed: chooses the column that gets spoilt.
        columns: order of the columns, for a model with one input of shape [n, k].
        huge_rows: size of the huge batch, at least 1.

    Raises:
        EmptyData: there are no rows (RW-104).
        ParameterError: rows that do not fit the model, or a model without any numeric input (RW-114).
    """
    _check_rows(rows)
    base = _base(metadata, rows, columns, seed)
    huge = [rows[index % len(rows)] for index in range(huge_rows)]
    huge_body = encode_json(infer_body(tensors_of(metadata, huge, columns=columns)))
    return (
        *_spoilt_cells(base, rows, metadata, columns),
        *_spoilt_tensors(base),
        *_spoilt_bytes(base),
        MessyCase(
            id="huge_batch",
            description=f"{huge_rows} good rows at once.",
            content=huge_body,
            rows=huge_rows,
            acceptable=UNDERSTANDABLE,
        ),
    )


def _spoilt_cells(
    base: _Base, rows: Sequence[Row], metadata: ModelMetadata, columns: Sequence[str] | None
) -> list[MessyCase]:
    def case(name: str, description: str, value: object, acceptable: frozenset[Acceptable] = IMPOSSIBLE) -> MessyCase:
        content = base.with_cell(value)
        return MessyCase(id=name, description=description, content=content, rows=1, acceptable=acceptable)

    cases = [
        case("null", "One number is missing (null).", None, UNDERSTANDABLE),
        case("wrong_type", "A number is an object.", {"value": 1}),
        case("boolean", "A number is true.", True),
        case("text_in_number", "A number is a word.", "unknown"),
        case("unit_in_number", "A number carries its unit.", "12.5 mm"),
        case("extreme_high", "A number is 1e308.", 1e308),
        case("extreme_low", "A number is -1e308.", -1e308),
    ]
    seen = _values_of_cell(base, rows, metadata, columns)
    if seen and min(seen) >= 0:
        beyond = -10 * (max(seen) + 1)
        cases.append(case("negative", "A number that is never negative is.", beyond))
    emptied = [dict(each, data=[None] * len(each["data"])) for each in base.copy()]
    cases.append(
        MessyCase(
            id="all_null",
            description="Every value is missing.",
            content=_encode(emptied),
            rows=1,
            acceptable=IMPOSSIBLE,
        )
    )
    return cases


def _spoilt_tensors(base: _Base) -> list[MessyCase]:
    def case(
        name: str,
        description: str,
        spoil: Callable[[list[dict[str, Any]]], None],
        acceptable: frozenset[Acceptable] = IMPOSSIBLE,
        rows: int = 1,
    ) -> MessyCase:
        inputs = base.copy()
        spoil(inputs)
        return MessyCase(id=name, description=description, content=_encode(inputs), rows=rows, acceptable=acceptable)

    def drop(inputs: list[dict[str, Any]]) -> None:
        if len(inputs) > 1:
            del inputs[base.tensor]
        else:
            del inputs[0]["data"][base.cell]
            inputs[0]["shape"][-1] -= 1

    def contradict(inputs: list[dict[str, Any]]) -> None:
        twin = dict(inputs[base.tensor], data=[_changed(value) for value in inputs[base.tensor]["data"]])
        inputs.append(twin)

    def empty(inputs: list[dict[str, Any]]) -> None:
        for each in inputs:
            each["shape"][0] = 0
            each["data"] = []

    extra = {"name": "roadworthy_extra_column", "datatype": "FP64", "shape": [1], "data": [1.0]}
    return [
        case("missing_field", "A column is absent.", drop),
        case("conflicting_fields", "The same input is there twice, with other values.", contradict),
        case("extra_column", "A column that the model does not know.", lambda i: i.append(extra), UNDERSTANDABLE),
        case("empty_batch", "No rows at all.", empty, UNDERSTANDABLE, rows=0),
        case("wrong_shape", "The shape says more rows than there are.", lambda i: _set(i[base.tensor], "shape", 0, 7)),
        case("wrong_datatype", "A number declared as text.", lambda i: i[base.tensor].update(datatype="BYTES")),
        case("no_inputs", "The list of inputs is empty.", lambda i: i.clear()),
    ]


def _spoilt_bytes(base: _Base) -> list[MessyCase]:
    good = _encode(base.copy())
    named = '{"id":"M\u00fcller",' + good.decode("utf-8")[1:]
    marker = "@@"
    bare_nan = base.with_cell(marker).replace(f'"{marker}"'.encode(), b"NaN")

    def case(name: str, description: str, content: bytes, acceptable: frozenset[Acceptable] = IMPOSSIBLE) -> MessyCase:
        return MessyCase(id=name, description=description, content=content, rows=1, acceptable=acceptable)

    reject = frozenset({Acceptable.REJECT})
    return [
        case("malformed_json", "The body breaks off in the middle.", good[: len(good) // 2], reject),
        case("no_body", "The body is empty.", b"", reject),
        case("not_an_object", "The body is a list.", b"[1, 2, 3]", reject),
        case("deep_nesting", "100,000 brackets.", b"[" * _DEPTH, reject),
        case("bare_nan", "A number is the word NaN, which is not JSON.", bare_nan),
        case("latin_1", "Text in ISO 8859-1, which is not UTF-8.", named.encode("latin-1")),
        case("utf_16", "The body is in UTF-16.", good.decode("utf-8").encode("utf-16"), UNDERSTANDABLE),
        case("byte_order_mark", "A byte order mark before the body.", b"\xef\xbb\xbf" + good, UNDERSTANDABLE),
    ]


def _base(metadata: ModelMetadata, rows: Sequence[Row], columns: Sequence[str] | None, seed: int) -> _Base:
    inputs: list[dict[str, Any]] = infer_body(tensors_of(metadata, rows[:1], columns=columns))["inputs"]
    numeric = [
        (tensor, cell)
        for tensor, each in enumerate(inputs)
        if each["datatype"].startswith(_NUMERIC)
        for cell in range(len(each["data"]))
    ]
    if not numeric:
        raise ParameterError(
            "The model takes no number, so there is none to spoil.",
            remedy="Name a model with numeric inputs.",
            where=metadata.name,
        )
    tensor, cell = numeric[int(np.random.default_rng(seed).integers(len(numeric)))]
    return _Base(inputs=inputs, tensor=tensor, cell=cell)


def _values_of_cell(
    base: _Base, rows: Sequence[Row], metadata: ModelMetadata, columns: Sequence[str] | None
) -> list[float]:
    """What the examples hold in the column that gets spoilt."""
    name = columns[base.cell] if columns and len(base.inputs) == 1 else metadata.inputs[base.tensor].name
    found: list[Value] = [row.get(name) for row in rows]
    numbers = [float(value) for value in found if isinstance(value, int | float)]
    return [number for number in numbers if not math.isnan(number)]


def _changed(value: Value) -> Value:
    return value + 1 if isinstance(value, int | float) else 1


def _set(members: Mapping[str, Any], name: str, index: int, value: int) -> None:
    members[name][index] = value


def _encode(inputs: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"inputs": list(inputs)}, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _check_rows(rows: Sequence[Row]) -> None:
    if not rows:
        raise EmptyData("There are no example rows.", remedy="Give at least one good row.", where="rows")
