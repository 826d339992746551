"""A logistic regression that can be read: weights, means and scales in one JSON file. Owns the file and scoring.

The file is data, not a program: loading it runs nothing, and equal models give equal bytes. Scoring needs NumPy alone, so
that a server starts quickly; fitting belongs to ``training``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import MissingFile, UnreadableData


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticModel:
    """Standardise, impute the mean, weigh, squash.

    Attributes:
        name: as the endpoint calls it.
        features: columns, in order, length k.
        means: of the training data, which also stand in for missing values, shape (k,).
        scales: standard deviations of the training data, shape (k,).
        weights: of the standardised features, shape (k,).
        intercept: log-odds where every feature is at its mean.
        lowest, highest: range of each feature in training, shape (k,).
    """

    name: str
    features: tuple[str, ...]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of the positive class; NaN means missing.

        Args:
            rows: shape (n, k).

        Returns:
            Shape (n,), in (0, 1).
        """
        filled = np.where(np.isnan(rows), self.means, rows)
        # A dot product's order of summation may depend on n; a plain sum over the last axis gives each row its own.
        log_odds = ((filled - self.means) / self.scales * self.weights).sum(axis=1) + self.intercept
        probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0)))
        return probability


def save(model: LogisticModel, path: Path) -> None:
    """Write the model file."""
    columns = zip(model.features, model.means, model.scales, model.weights, model.lowest, model.highest, strict=True)
    content = {
        "format": "roadworthy-logistic/1",
        "name": model.name,
        "intercept": model.intercept,
        "features": [
            {"name": name, "mean": mean, "scale": scale, "weight": weight, "lowest": lowest, "highest": highest}
            for name, mean, scale, weight, lowest, highest in columns
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> LogisticModel:
    """Read a model file.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        UnreadableData: it is not a model of this format (RW-103).
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read.", remedy="Train the model first.", where=str(path)) from error
    except ValueError as error:
        raise UnreadableData(f"{path.name} is not JSON.", remedy="Train the model again.", where=str(path)) from error
    try:
        columns = content["features"]
        return LogisticModel(
            name=str(content["name"]),
            features=tuple(str(each["name"]) for each in columns),
            means=_column(columns, "mean"),
            scales=_column(columns, "scale"),
            weights=_column(columns, "weight"),
            intercept=float(content["intercept"]),
            lowest=_column(columns, "lowest"),
            highest=_column(columns, "highest"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableData(
            f"{path.name} is no model of this format: {error!r}.", remedy="Train the model again.", where=str(path)
        ) from error


def _column(columns: list[dict[str, float]], key: str) -> NDArray[np.float64]:
    return np.asarray([float(each[key]) for each in columns], dtype=np.float64)
