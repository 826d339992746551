"""What a model reads, as columns. Owns the small table that is handed to a model; computes nothing.

A model is any callable from such columns to one score a row, so a function in memory and a live endpoint are probed in
the same way.

Rules kept here: columns have one length; a changed copy shares all columns that did not change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.measure.table import Table
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Columns of equal length.

    Attributes:
        columns: by name, each of shape (n,): numbers with NaN for null, or objects with None for null.
    """

    columns: Mapping[str, NDArray[Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(self.columns)

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return int(next(iter(self.columns.values())).size)

    def column(self, name: str) -> NDArray[Any]:
        """One column.

        Raises:
            ParameterError: no such column (RW-114).
        """
        if name not in self.columns:
            raise ParameterError(
                f"There is no input {name!r}.", remedy=f"Use one of: {', '.join(self.names)}.", where=name
            )
        return self.columns[name]

    def take(self, rows: NDArray[Any]) -> "Inputs":
        """The rows with these numbers, or where a mask is true, in that order."""
        return Inputs(columns={name: values[rows] for name, values in self.columns.items()})

    def only(self, names: Sequence[str]) -> "Inputs":
        """Some columns.

        Raises:
            ParameterError: no such column, or none at all (RW-114).
        """
        return make_inputs({name: self.column(name) for name in names})

    def replaced(self, name: str, values: NDArray[Any]) -> "Inputs":
        """The same rows with one column exchanged.

        Raises:
            ParameterError: no such column, or another length (RW-114).
        """
        if self.column(name).shape != values.shape:
            raise ParameterError(
                f"{values.size} values do not replace {self.row_count} of {name!r}.", remedy="Give one value a row."
            )
        return Inputs(columns={**self.columns, name: values})


Model = Callable[[Inputs], FloatArray]
Train = Callable[[Inputs, FloatArray], Model]


def make_inputs(columns: Mapping[str, ArrayLike]) -> Inputs:
    """Columns of shape (n,) as inputs.

    Raises:
        ParameterError: no column, or lengths that differ (RW-114).
        EmptyData: no rows (RW-104).
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if not arrays or len({array.shape for array in arrays.values()}) != 1 or next(iter(arrays.values())).ndim != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ParameterError(f"Inputs do not form a table: {shapes or 'no column'}.", remedy="Give one value a row.")
    made = Inputs(columns=arrays)
    if made.row_count == 0:
        raise EmptyData("The inputs have no rows.", remedy="Deliver data, or correct the selection.")
    return made


def inputs_of(table: Table, names: Sequence[str]) -> Inputs:
    """Columns of a table as inputs.

    Raises:
        ContractError: no such column (RW-106).
    """
    return make_inputs({name: table.column(name) for name in names})


def is_number(values: NDArray[Any]) -> bool:
    """Whether a column stores numbers; truth values count as numbers."""
    return values.dtype.kind in "biuf"


def is_missing(values: NDArray[Any]) -> BoolArray:
    """Which values are null: NaN, None, or an instant that is none."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), dtype=np.bool_)
    if values.dtype.kind in "mM":
        return np.asarray(np.isnat(values), dtype=np.bool_)
    if values.dtype.kind == "O":
        # Only NaN differs from itself.
        return np.asarray([value is None or bool(value != value) for value in values], dtype=np.bool_)  # noqa: PLR0124 - the test for NaN among objects
    return np.zeros(values.shape, dtype=np.bool_)


def one_of_each(clusters: NDArray[Any], rng: np.random.Generator) -> IntArray:
    """The numbers of one row of each cluster, ascending, drawn so that the order of rows has no say.

    A row without a cluster is one of its own: nothing says that it belongs to another.

    Args:
        clusters: of each row, shape (n,).
        rng: where the draw comes from.
    """
    missing = is_missing(clusters)
    order = rng.permutation(clusters.size)
    alone = order[missing[order]]
    rest = order[~missing[order]]
    first = np.unique(clusters[rest].astype(np.str_), return_index=True)[1]
    return np.sort(np.concatenate([alone, rest[first]])).astype(np.intp)


def names_per_row(values: ArrayLike, inputs: Inputs) -> NDArray[np.str_]:
    """Names such as those of sites as text, one a row.

    Raises:
        ParameterError: another length than the inputs (RW-114).
    """
    names: NDArray[np.str_] = np.asarray(values).astype(np.str_)
    if names.shape != (inputs.row_count,):
        raise ParameterError(f"{names.size} names do not fit {inputs.row_count} rows.", remedy="Give one name a row.")
    return names


def scores_of(model: Model, inputs: Inputs) -> FloatArray:
    """Ask the model, and hold it to one score a row; a score may be NaN where it declined.

    Raises:
        ParameterError: another number of scores (RW-114).
    """
    scores = np.asarray(model(inputs), dtype=np.float64)
    if scores.shape != (inputs.row_count,):
        raise ParameterError(
            f"The model gave scores of shape {scores.shape} for {inputs.row_count} rows.",
            remedy="Return one score a row.",
        )
    return scores
