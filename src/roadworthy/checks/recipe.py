"""A simple model to hold others against: logistic regression. Owns this one recipe; judges nothing and is no check.

Algorithm of ``train_logistic``:
1. Numbers are standardised on the training rows and cut at four deviations; what is missing becomes the mean, and its
   absence a feature of its own. Texts become one feature for each of their 20 most frequent values.
2. The penalised likelihood, with half a unit of ridge for each feature, is climbed by Newton's steps. The penalty makes
   it strictly concave, so the steps end, also where the outcomes are separated.

Everything is learned on the training rows alone; the same rows give the same model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.probing.inputs import Inputs, Model, is_missing, is_number
from roadworthy.stats.sample import FloatArray

_RIDGE = 1.0
_STEPS = 50
_CONVERGED = 1e-8
_FURTHEST_SD = 4.0
_LEVELS = 20
_LARGEST_LOGIT = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number:
    mean: float
    spread: float

    def features(self, values: NDArray[Any]) -> list[FloatArray]:
        null = is_missing(values)
        scaled = np.clip((values.astype(np.float64) - self.mean) / self.spread, -_FURTHEST_SD, _FURTHEST_SD)
        return [np.where(null, 0.0, scaled), null.astype(np.float64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    levels: tuple[str, ...]

    def features(self, values: NDArray[Any]) -> list[FloatArray]:
        null, texts = is_missing(values), values.astype(np.str_)
        told = [np.where(null, 0.0, texts == level) for level in self.levels]
        return [*told, null.astype(np.float64)]


def train_logistic(inputs: Inputs, labels: FloatArray) -> Model:
    """Train on rows with labels 0 or 1, shape (n,); the model gives a probability a row, also to rows with nulls."""
    # 1. How each column is read.
    readers = {name: _reader(inputs.column(name)) for name in inputs.names}

    def matrix(rows: Inputs) -> FloatArray:
        parts = [part for name, reader in readers.items() for part in reader.features(rows.column(name))]
        return np.column_stack([np.ones(rows.row_count), *parts])

    # 2. Newton's steps.
    weights = _climb(matrix(inputs), labels)

    def model(rows: Inputs) -> FloatArray:
        return _probability(matrix(rows) @ weights)

    return model


def _reader(values: NDArray[Any]) -> _Number | _Text:
    present = values[~is_missing(values)]
    if is_number(values):
        numbers = present.astype(np.float64)
        spread = float(numbers.std()) if numbers.size else 0.0
        return _Number(mean=float(numbers.mean()) if numbers.size else 0.0, spread=spread or 1.0)
    levels, counts = np.unique(present.astype(np.str_), return_counts=True)
    return _Text(levels=tuple(str(level) for level in levels[np.argsort(-counts, kind="stable")[:_LEVELS]]))


def _climb(rows: FloatArray, labels: FloatArray) -> FloatArray:
    weights = np.zeros(rows.shape[1])
    ridge = np.full(rows.shape[1], _RIDGE)
    # The intercept is not pulled to one half; a faint hold keeps it finite where one outcome is absent.
    ridge[0] = 1e-3
    reached = _objective(rows, labels, weights, ridge)
    for _ in range(_STEPS):
        share = _probability(rows @ weights)
        slope = rows.T @ (labels - share) - ridge * weights
        curvature = (rows * (share * (1 - share))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        while _objective(rows, labels, weights + step, ridge) < reached and float(np.abs(step).max()) > _CONVERGED:
            step = step / 2
        weights = weights + step
        reached = _objective(rows, labels, weights, ridge)
        if float(np.abs(step).max()) <= _CONVERGED:
            break
    return weights


def _objective(rows: FloatArray, labels: FloatArray, weights: FloatArray, ridge: FloatArray) -> float:
    odds = rows @ weights
    return float(labels @ odds - np.logaddexp(0.0, odds).sum() - ridge @ weights**2 / 2)


def _probability(odds: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-np.clip(odds, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
