"""Arrays at the door of the statistics. Owns the checks that every estimator needs; computes no estimate itself.

Rules kept here:
1. Labels are 0 or 1, scores are numbers, lengths agree: anything else is a caller's mistake and raises.
2. A score that is NaN or infinite is data, not a mistake: the estimator answers "unknown", so it can never pass.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


class Scored(NamedTuple):
    """Binary labels with one score a row.

    Attributes:
        positive: whether the label is 1; shape (n,).
        scores: higher means more likely positive; shape (n,).
    """

    positive: BoolArray
    scores: FloatArray


def scored(labels: ArrayLike, scores: ArrayLike) -> Scored:
    """Check and convert labels in {0, 1} and scores, both of shape (n,).

    Raises:
        ParameterError: a label is neither 0 nor 1, or the shapes differ (RW-114).
    """
    label_array = np.asarray(labels, dtype=np.float64)
    score_array = np.asarray(scores, dtype=np.float64)
    if label_array.ndim != 1 or label_array.shape != score_array.shape:
        raise ParameterError(
            f"Labels of shape {label_array.shape} do not fit scores of shape {score_array.shape}.",
            remedy="Give one label and one score for each row.",
        )
    if not np.isin(label_array, (0.0, 1.0)).all():
        raise ParameterError(
            "A label is neither 0 nor 1.", remedy="Map the outcome to 0 and 1 and drop unlabelled rows."
        )
    return Scored(label_array == 1.0, score_array)


def check_confidence(confidence: float) -> float:
    """The two-sided level itself, in (0, 1).

    Raises:
        ParameterError: outside the open interval (RW-114).
    """
    if not 0.0 < confidence < 1.0:
        raise ParameterError(f"A confidence of {confidence} is not in (0, 1).", remedy="Give a share such as 0.95.")
    return confidence
