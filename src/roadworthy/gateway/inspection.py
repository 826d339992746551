"""The data contract as a filter of what comes in. Owns finding the records of a body; the rules belong to ``measure``.

Algorithm of ``check``: 1. read the body once; 2. find its records, where the configuration says that they lie; 3. ask
the contract about each; 4. the worst answer counts for the body.

Where records lie:

- a JSON pointer: to a list of objects, or to one object; with ``*`` for every item of a list, to many of them;
- ``tensor``: in a request of the Open Inference Protocol, as one tensor of shape [n, k] in row-major order whose k
  columns the configuration names, or as one tensor a column, of shape [n] or [n, 1], named like the column.

Rules kept here:
1. What cannot be read as declared is quarantined as ``unreadable``, and so is a body without any record: nothing of it
   was inspected. Of a member that stands twice the last counts, as with most readers. More than ``MOST_RECORDS`` are quarantined unread, since nobody else would be served meanwhile.
2. Rules that a single record cannot answer are listed in ``batch_only``; they never pass in silence.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import ManifestError, NotCanonical
from roadworthy.domain.exchange import Verdict
from roadworthy.gateway.config import InputFilter
from roadworthy.gateway.json_place import parse_pointer, values_at
from roadworthy.measure.contract import load_contract
from roadworthy.measure.inline import Action, BatchOnly, compile_inline

TENSOR = "tensor"
UNREADABLE = "unreadable"
TOO_MANY = "too_many_records"
MOST_RECORDS = 10_000
MOST_RULES = 20

_Record = dict[str, Any]
_ROWS_AND_COLUMNS = 2


class Inspect:
    """The stage that asks the contract.

    Args:
        contract: the ODCS file.
        records_at: a JSON pointer, or ``tensor``.
        columns: names of the columns of a tensor, in its order.

    Attributes:
        batch_only: rules of the contract that this filter cannot ask, and why.

    Raises:
        MissingFile: there is no contract (RW-102).
        ContractError: it is not a contract, or not one that can be run (RW-106).
        ManifestError: the pointer or the columns are wrong (RW-101).
    """

    def __init__(self, contract: Path, records_at: str, columns: Sequence[str] = ()) -> None:
        self._inline = compile_inline(load_contract(contract))
        self._tensor = records_at == TENSOR
        try:
            self._steps = () if self._tensor else parse_pointer(records_at)
        except ValueError as error:
            remedy = "Write it as RFC 6901 does, for example /records, or write tensor."
            raise ManifestError(
                f"Records cannot be found: {error}.", remedy=remedy, where="filter.records_at"
            ) from error
        self._columns = tuple(columns)
        if len(set(self._columns)) != len(self._columns) or (self._columns and not self._tensor):
            what = "The columns of a filter are those of a tensor, each named once."
            raise ManifestError(what, remedy="Correct columns, or write records_at: tensor.", where="filter.columns")

    @property
    def batch_only(self) -> tuple[BatchOnly, ...]:
        """Rules that single records cannot answer."""
        return self._inline.batch_only

    def check(self, body: bytes, now_s: float) -> tuple[Verdict, tuple[str, ...]]:
        """The verdict on a body, and at most twenty ids of rules that it breaks, those of quarantined records first.

        Args:
            body: of the request.
            now_s: seconds since 1970, to which ages are counted.
        """
        # 1. Strictly: of a name that stands twice the system behind might take the one that was not looked at.
        try:
            document = parse_json(body)
        except NotCanonical:
            return Verdict.QUARANTINE, (UNREADABLE,)
        # 2
        records = (
            _tensor_records(document, self._columns) if self._tensor else _listed(values_at(document, self._steps))
        )
        if not records:
            return Verdict.QUARANTINE, (UNREADABLE,)
        if len(records) > MOST_RECORDS:
            return Verdict.QUARANTINE, (TOO_MANY,)
        return self._decide(records, datetime.fromtimestamp(now_s, UTC))

    def _decide(self, records: Sequence[_Record], at: datetime) -> tuple[Verdict, tuple[str, ...]]:
        quarantined: dict[str, None] = {}
        flagged: dict[str, None] = {}
        decide = self._inline.decide
        for record in records:
            # 3
            admission = decide(record, at=at)
            if admission.action is not Action.ADMIT:
                found = quarantined if admission.action is Action.QUARANTINE else flagged
                found.update(dict.fromkeys(admission.reasons))
        # 4
        rules = tuple(dict.fromkeys(chain(quarantined, flagged)))[:MOST_RULES]
        if quarantined:
            return Verdict.QUARANTINE, rules
        return (Verdict.FLAG if flagged else Verdict.ADMIT), rules


def inspect_of(filter_: InputFilter) -> Inspect:
    """The stage as the configuration asks for it.

    Raises:
        MissingFile: there is no contract (RW-102).
        ContractError: it is not a contract, or not one that can be run (RW-106).
        ManifestError: the pointer or the columns are wrong (RW-101).
    """
    return Inspect(filter_.contract, filter_.records_at, filter_.columns)


def _listed(found: list[Any]) -> list[_Record]:
    """The objects at the places that were found; nothing when anything else stands at one of them."""
    records = [each for place in found for each in (place if isinstance(place, list) else [place])]
    return records if all(isinstance(each, dict) for each in records) else []


def _tensor_records(document: Any, columns: tuple[str, ...]) -> list[_Record]:
    inputs = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        return []
    if len(inputs) == 1 and _shape(inputs[0])[1:] == (len(columns),) and columns:
        return _rows(inputs[0], columns)
    return _by_column(inputs, columns)


def _shape(tensor: _Record) -> tuple[int, ...]:
    """The shape; empty when it is none."""
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(each) is int and each >= 0 for each in shape):
        return ()
    return tuple(shape)


def _cells(tensor: _Record) -> list[Any]:
    """The data in row-major order, whether flat or nested by rows; empty when it does not fill the shape."""
    data, shape = tensor.get("data"), _shape(tensor)
    if not isinstance(data, list) or not 1 <= len(shape) <= _ROWS_AND_COLUMNS:
        return []
    rows, width = shape[0], shape[1] if len(shape) == _ROWS_AND_COLUMNS else 1
    if len(shape) == _ROWS_AND_COLUMNS and len(data) == rows and all(type(row) is list for row in data):
        if any(len(row) != width for row in data):
            return []
        data = list(chain.from_iterable(data))
    return data if len(data) == rows * width and not any(type(cell) is list for cell in data) else []


def _rows(tensor: _Record, columns: tuple[str, ...]) -> list[_Record]:
    cells, width = _cells(tensor), len(columns)
    return [dict(zip(columns, cells[start : start + width], strict=True)) for start in range(0, len(cells), width)]


def _by_column(inputs: list[_Record], columns: tuple[str, ...]) -> list[_Record]:
    names = [name for each in inputs if isinstance(name := each.get("name"), str)]
    if len(set(names)) != len(inputs):
        return []
    if columns and set(columns) != set(names):
        return []
    if any(_shape(each)[1:] not in ((), (1,)) for each in inputs):
        return []
    cells = [_cells(each) for each in inputs]
    if len({len(column) for column in cells}) != 1:
        return []
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
