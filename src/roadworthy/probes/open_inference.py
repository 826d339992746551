"""A client of the Open Inference Protocol, version 2, REST form.

Owns its paths, its tensors and the strict reading of answers; transport belongs to ``http``.

How a missing value travels: the protocol has no word for one. Here it is JSON ``null`` inside ``data``, whatever the
datatype, in both directions: a null that we send is a missing input, a null that we receive is an output that the model
declined to give, read as NaN. (JSON has no NaN, so none is ever sent.) A server that cannot take null must reject it.

Two layouts of rows are understood, told apart by the metadata:
1. one input for each column, of shape [n] or [n, 1], named after the column;
2. a single input of shape [n, k], whose columns the caller names in order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from roadworthy.base.errors import InputError, ParameterError, TargetAnswer
from roadworthy.probes.http import NO_HEADERS, Answer, Endpoint, encode_json, parse_json

Value = float | int | bool | str | None
Row = Mapping[str, Value]

_INTEGERS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})
DATATYPES = frozenset({"BOOL", "BYTES", *_FLOATS, *_INTEGERS})
_REMEDY = "Make the target follow the Open Inference Protocol, version 2."
_CLASSES = 2
RUNG_HEADER = "x-roadworthy-rung"
"""By it a gateway says that a fallback answered in the model's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorMetadata:
    """A tensor that a model takes or gives; -1 in the shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """What a model says of itself."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """Values in row-major order; as many as the shape says."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: tuple[Value, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A whole answer to an inference request."""

    model_name: str
    outputs: tuple[Tensor, ...]
    parameters: Mapping[str, Any]
    elapsed_s: float


class OpenInference:
    """One model behind one URL.

    Args:
        model_url: for example ``http://127.0.0.1:8080/v2/models/heart``, with ``/versions/<v>`` where one is meant.
        timeout_s: deadline of each exchange.
        headers: of every request; see ``http.read_headers``.

    Raises:
        InputError: the URL does not lead to a model of the protocol (RW-100).
    """

    def __init__(self, model_url: str, *, timeout_s: float = 10.0, headers: Mapping[str, str] = NO_HEADERS) -> None:
        root, found, model = model_url.rstrip("/").partition("/v2/models/")
        if not found or not model:
            raise InputError(
                "The URL names no model.", remedy="Write http://host:port/v2/models/<name>.", where=model_url
            )
        self.endpoint = Endpoint(root, headers)
        self.model_path = urlsplit(model_url.rstrip("/")).path.removeprefix(urlsplit(root).path)
        self.timeout_s = timeout_s
        self.infer_url = model_url.rstrip("/") + "/infer"

    def live(self) -> bool:
        """Whether the server says that it runs. Raises TargetUnreachable (RW-401)."""
        return self._says_yes("/v2/health/live")

    def ready(self) -> bool:
        """Whether the server says that it can infer. Raises TargetUnreachable (RW-401)."""
        return self._says_yes("/v2/health/ready")

    def model_ready(self) -> bool:
        """Whether the model says that it can infer. Raises TargetUnreachable (RW-401)."""
        return self._says_yes(f"{self.model_path}/ready")

    def metadata(self) -> ModelMetadata:
        """What the model takes and gives.

        Raises:
            TargetUnreachable: no answer (RW-401).
            TargetAnswer: not the metadata of the protocol (RW-402).
        """
        body = self.endpoint.request_json("GET", self.model_path, None, self.timeout_s).body
        where = self.endpoint.url + self.model_path
        members = _object(body, "the metadata", where)
        return ModelMetadata(
            name=_text(members, "name", where),
            versions=tuple(str(version) for version in _array(members.get("versions", []), "versions", where)),
            platform=str(members.get("platform", "")),
            inputs=tuple(_tensor_metadata(item, where) for item in _array(members.get("inputs"), "inputs", where)),
            outputs=tuple(_tensor_metadata(item, where) for item in _array(members.get("outputs"), "outputs", where)),
        )

    def post(self, content: bytes, content_type: str = "application/json") -> Answer:
        """Send any bytes as an inference request; the answer comes back unread.

        Raises:
            TargetUnreachable: no answer (RW-401).
            TargetAnswer: not HTTP (RW-402).
        """
        return self.endpoint.exchange("POST", f"{self.model_path}/infer", content, self.timeout_s, content_type)

    def infer(self, inputs: Sequence[Tensor], *, request_id: str | None = None) -> Inference:
        """One inference.

        Raises:
            InputError: a value has no JSON form (RW-100).
            TargetUnreachable: no answer (RW-401).
            TargetAnswer: another status than 200, not an answer of the protocol, or one of a fallback (RW-402).
        """
        return read_inference(self._post_ok(infer_body(inputs, request_id=request_id)), self.infer_url)

    def predict(
        self, rows: Sequence[Row], *, columns: Sequence[str] | None = None, output: str | None = None
    ) -> tuple[float, ...]:
        """One score a row; NaN where the model declined.

        Args:
            rows: values by column; a missing key, None or NaN is a missing value.
            columns: order of the columns; needed only for a model with one input of shape [n, k].
            output: which output holds the scores; the first of a floating-point type when None. Of two columns, the
                last is taken, as the probability of the positive class.

        Raises:
            ParameterError: rows that do not fit the model's inputs (RW-114).
            TargetUnreachable: no answer (RW-401).
            TargetAnswer: not an answer of the protocol, or no score a row (RW-402).
        """
        inference = self.infer(tensors_of(self.metadata(), rows, columns=columns))
        return _scores(inference, len(rows), output, self.infer_url)

    def _post_ok(self, body: Mapping[str, Any]) -> Answer:
        answer = self.post(encode_json(body))
        if answer.status != 200:  # HTTP's OK
            shown = answer.content[:80].decode("utf-8", "replace")
            raise TargetAnswer(
                f"Status {answer.status} to an inference: {shown}",
                remedy="Look into the target's log.",
                where=self.infer_url,
            )
        # A fallback's scores are no evidence about the model.
        if rung := answer.headers.get(RUNG_HEADER):
            raise TargetAnswer(
                f"The fallback {rung[:80]!r} answered in the model's place.",
                remedy="Start the model; its gateway's record says why it was not asked, or did not answer.",
                where=self.infer_url,
            )
        return answer

    def _says_yes(self, path: str) -> bool:
        return self.endpoint.exchange("GET", path, None, self.timeout_s).status == 200  # HTTP's OK


def tensors_of(
    metadata: ModelMetadata, rows: Sequence[Row], *, columns: Sequence[str] | None = None
) -> tuple[Tensor, ...]:
    """Rows in the layout that the metadata asks for; see the module.

    Raises:
        ParameterError: a column that the model does not take, or no column order for a single wide input (RW-114).
    """
    if is_matrix(metadata):
        wide = metadata.inputs[0]
        if not columns or (wide.shape[1] not in (-1, len(columns))):
            raise ParameterError(
                f"The input {wide.name} has the shape {list(wide.shape)}; the columns given are {columns}.",
                remedy="Name its columns in the model's order.",
                where="columns",
            )
        _check_columns(rows, columns)
        cells = tuple(_sendable(row.get(column)) for row in rows for column in columns)
        return (Tensor(name=wide.name, datatype=wide.datatype, shape=(len(rows), len(columns)), data=cells),)
    _check_columns(rows, [each.name for each in metadata.inputs])
    return tuple(
        Tensor(
            name=each.name,
            datatype=each.datatype,
            shape=(len(rows), *(1 for _ in each.shape[1:])),
            data=tuple(_sendable(row.get(each.name)) for row in rows),
        )
        for each in metadata.inputs
    )


def is_matrix(metadata: ModelMetadata) -> bool:
    """Whether the model takes all columns in one input of shape [n, k]."""
    return (
        len(metadata.inputs) == 1 and len(metadata.inputs[0].shape) == 2 and metadata.inputs[0].shape[1] != 1
    )  # rows and columns


def infer_body(inputs: Sequence[Tensor], *, request_id: str | None = None) -> dict[str, Any]:
    """The JSON of an inference request."""
    tensors = [
        {"name": each.name, "datatype": each.datatype, "shape": list(each.shape), "data": list(each.data)}
        | ({"parameters": dict(each.parameters)} if each.parameters else {})
        for each in inputs
    ]
    return ({"id": request_id} if request_id else {}) | {"inputs": tensors}


def read_inference(answer: Answer, where: str) -> Inference:
    """Read an answer strictly: every output has a name, a known datatype, a shape, and as many values of that type.

    Raises:
        TargetAnswer: it breaks the protocol (RW-402).
    """
    members = _object(parse_json(answer, where), "the answer", where)
    outputs = tuple(_tensor(item, where) for item in _array(members.get("outputs"), "outputs", where))
    if not outputs:
        raise TargetAnswer("The answer has no outputs.", remedy=_REMEDY, where=where)
    return Inference(
        model_name=_text(members, "model_name", where),
        outputs=outputs,
        parameters=_object(members.get("parameters") or {}, "parameters", where),
        elapsed_s=answer.elapsed_s,
    )


def _scores(inference: Inference, rows: int, output: str | None, where: str) -> tuple[float, ...]:
    named = [each for each in inference.outputs if each.name == output or (output is None and each.datatype in _FLOATS)]
    if not named:
        raise TargetAnswer(f"No output {output or 'of a floating-point type'}.", remedy=_REMEDY, where=where)
    tensor = named[0]
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1  # rows and columns
    if tensor.shape[:1] != (rows,) or len(tensor.shape) > 2 or not 1 <= width <= _CLASSES:  # as above
        raise TargetAnswer(
            f"{tensor.name} has the shape {list(tensor.shape)} for {rows} rows.", remedy=_REMEDY, where=where
        )
    if tensor.datatype == "BYTES":
        raise TargetAnswer(f"{tensor.name} holds text, not scores.", remedy="Name another output.", where=where)
    cells = tensor.data[width - 1 :: width]
    try:
        return tuple(math.nan if cell is None else float(cell) for cell in cells)
    except OverflowError as error:  # a whole number beyond any float
        raise TargetAnswer(f"{tensor.name} holds no score.", remedy=_REMEDY, where=where) from error


def _check_columns(rows: Sequence[Row], known: Sequence[str]) -> None:
    unknown = sorted({column for row in rows for column in row} - set(known))
    if unknown:
        raise ParameterError(f"The model does not take {unknown}.", remedy=f"Give only {list(known)}.", where="rows")


def _sendable(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise ParameterError("Infinity has no JSON form.", remedy="Give a finite number, or none.", where="rows")
    return value


def _tensor_metadata(value: object, where: str) -> TensorMetadata:
    members = _object(value, "a tensor", where)
    shape = _shape(members, where, lowest=-1)
    return TensorMetadata(name=_text(members, "name", where), datatype=_datatype(members, where), shape=shape)


def _tensor(value: object, where: str) -> Tensor:
    members = _object(value, "an output", where)
    name, datatype, shape = _text(members, "name", where), _datatype(members, where), _shape(members, where, lowest=0)
    data = tuple(_flat(_array(members.get("data"), f"data of {name}", where)))
    if len(data) != math.prod(shape):
        raise TargetAnswer(f"{name} has {len(data)} values for the shape {list(shape)}.", remedy=_REMEDY, where=where)
    for cell in data:
        if not _fits(cell, datatype):
            raise TargetAnswer(f"{name} holds {cell!r}, which is not {datatype}.", remedy=_REMEDY, where=where)
    parameters = _object(members.get("parameters") or {}, "parameters", where)
    return Tensor(name=name, datatype=datatype, shape=shape, data=data, parameters=parameters)


def _fits(cell: object, datatype: str) -> bool:
    if cell is None:
        return True
    if datatype == "BYTES":
        return isinstance(cell, str)
    if datatype == "BOOL" or isinstance(cell, bool):
        return datatype == "BOOL" and isinstance(cell, bool)
    if datatype in _FLOATS:
        return isinstance(cell, int) or (isinstance(cell, float) and math.isfinite(cell))
    sign, bits = _INTEGERS[datatype]
    low, high = (0, 2**bits) if sign == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return isinstance(cell, int) and low <= cell < high


def _flat(values: Sequence[Any]) -> list[Any]:
    """Nested lists in row-major order; the protocol allows both forms. Not recursive: the target chooses the depth."""
    flat: list[Any] = []
    rest = list(reversed(values))
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest.extend(reversed(value))
        else:
            flat.append(value)
    return flat


def _object(value: object, what: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TargetAnswer(f"{what} is not a JSON object.", remedy=_REMEDY, where=where)
    return value


def _array(value: object, what: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise TargetAnswer(f"{what} is not a JSON array.", remedy=_REMEDY, where=where)
    return value


def _text(members: Mapping[str, Any], name: str, where: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise TargetAnswer(f"{name} is {value!r}, not a text.", remedy=_REMEDY, where=where)
    return value


def _datatype(members: Mapping[str, Any], where: str) -> str:
    datatype = _text(members, "datatype", where)
    if datatype not in DATATYPES:
        raise TargetAnswer(f"The datatype {datatype} is not of the protocol.", remedy=_REMEDY, where=where)
    return datatype


def _shape(members: Mapping[str, Any], where: str, *, lowest: int) -> tuple[int, ...]:
    shape = _array(members.get("shape"), "shape", where)
    if not all(isinstance(length, int) and not isinstance(length, bool) and length >= lowest for length in shape):
        raise TargetAnswer(f"The shape {shape} is not of whole lengths.", remedy=_REMEDY, where=where)
    return tuple(shape)
