"""What a model could know in the test and not in service. Owns the search for leaks; removes none.

Five ways, each found on its own and named with its columns, rows and remedy:
1. ``find_known_too_late``: an input whose value is known only after the decision, by what the contract declares.
2. ``find_target_leaks``: one input that all but gives the label away, by its value or by being there.
3. ``find_row_order``: the row number tells the label, as in a file that is sorted by outcome.
4. ``find_overlap``: test rows that stand in the training rows: exactly, but for the key, or but for spelling.
5. ``find_shared_groups`` and ``find_conflicts``: one patient on both sides, and equal rows with different labels.

How strongly one input tells the label (2, 3): it is cut into cells - a text's values, a number's values or 32 ranges,
null a cell of its own - and the share of positives in a cell, learned on four folds with one pseudo-row at the base rate,
scores the fifth. Its AUC is averaged over folds, and the explained share is 1 - cross-entropy / entropy of the label. A
key with a cell for each row learns nothing that way, so it is not called a leak, as plain conditional entropy would.

Rules kept here: a finding of 2 is a suspicion, since some honest inputs are that good; a person decides. Rows are
numbered from 0; a finding counts all and lists the first 20.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.probing.folds import ENOUGH_A_FOLD, FOLDS, deal, mean_auc
from roadworthy.measure.probing.inputs import Inputs, is_missing, is_number
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray, scored

_LISTED = 20
_RANGES = 32
_DIGITS = 4
_NULL = "\x00"
_CUT = "\x1f"
_NOISE_AUC = 0.9
_ROW_NUMBER = "row number"


class Leak(Enum):
    """What leaks."""

    KNOWN_TOO_LATE = "known after the decision"
    UNDECLARED = "nobody says when it is known"
    TARGET = "gives the label away"
    ROW_ORDER = "row order tells the label"
    SAME_ROW = "same row on both sides"
    SAME_BUT_KEY = "same row but for its key"
    NEAR_ROW = "same row but for spelling and digits"
    GROUP = "same group on both sides"
    CONFLICT = "equal rows, different labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFinding:
    """One leak.

    Attributes:
        leak: of which kind.
        columns: that carry it.
        count: how many rows it concerns; 0 when it concerns the columns as such.
        rows: the first 20 of them by number, in the test set where there are two sets.
        what: one sentence for a person.
        remedy: what to do.
    """

    leak: Leak
    columns: tuple[str, ...]
    count: int
    rows: tuple[int, ...]
    what: str
    remedy: str


def find_known_too_late(
    known_at: Mapping[str, str], inputs: Sequence[str], *, instants: Sequence[str], decision: str
) -> tuple[LeakFinding, ...]:
    """Compare when each input is known with when the decision is taken.

    Args:
        known_at: by column, the instant in a case's life at which it is known; "" or absent when nobody says.
        inputs: what the model reads.
        instants: of a case's life, the earliest first.
        decision: the instant of the decision; what is known at it is in time.

    Raises:
        ContractError: an instant that is not in the list, or one twice (RW-106).
    """
    order = {instant: k for k, instant in enumerate(instants)}
    named = {decision, *(known_at.get(name, "") for name in inputs)} - {""}
    strangers = sorted(named - set(order))
    if strangers or len(order) != len(instants):
        raise ContractError(
            f"The instants of a case do not order {', '.join(strangers) or 'themselves: one stands twice'}.",
            remedy="List every instant once, the earliest first, and use these words in the contract.",
        )
    found = []
    for name in inputs:
        at = known_at.get(name, "")
        if not at:
            found.append(_of_columns(Leak.UNDECLARED, name, f"Nobody says when {name} is known.", _DECLARE))
        elif order[at] > order[decision]:
            what = f"{name} is known at {at!r}, after the decision at {decision!r}."
            found.append(_of_columns(Leak.KNOWN_TOO_LATE, name, what, _TAKE_OUT))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tells:
    """How much one input tells about the label.

    Attributes:
        column: which.
        auc: of the cell's share of positives, out of fold; unknown with fewer than ten rows of a class.
        explained_share: of the label's entropy, out of fold; below 0 when the input misleads.
    """

    column: str
    auc: Interval
    explained_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLeaks:
    """Every input, the most telling first, and those that are suspect."""

    tells: tuple[Tells, ...]
    findings: tuple[LeakFinding, ...]


def find_target_leaks(
    inputs: Inputs,
    labels: ArrayLike,
    *,
    seed: int,
    suspect_auc: float = 0.98,
    suspect_share: float = 0.9,
    confidence: float = 0.95,
) -> TargetLeaks:
    """Suspect inputs whose AUC alone reaches ``suspect_auc``, or that explain ``suspect_share`` of the entropy.

    With few rows a high AUC may be chance, so its lower end must also be above 0.9.

    Args:
        inputs: what the model reads, n rows.
        labels: 0 or 1, shape (n,).
        seed: of the folds.
        suspect_auc: in (0.5, 1].
        suspect_share: in (0, 1].
        confidence: two-sided level of each AUC.

    Raises:
        ParameterError: labels outside {0, 1}, or lengths that differ (RW-114).
    """
    positive = scored(labels, np.zeros(inputs.row_count)).positive
    tells = sorted(
        (_tells(name, inputs.column(name), positive, seed, confidence) for name in inputs.names),
        key=lambda row: (-row.auc.estimate if row.auc.known else 0.0, row.column),
    )
    findings = [
        _of_columns(
            Leak.TARGET,
            row.column,
            f"{row.column} alone gives an AUC of {row.auc.estimate:.3f} and explains {row.explained_share:.0%} of the label.",
            "Find out how and when the column is filled; take it out unless it is known before the decision.",
        )
        for row in tells
        if row.auc.known
        and row.auc.lower > _NOISE_AUC
        and (row.auc.estimate >= suspect_auc or row.explained_share >= suspect_share)
    ]
    return TargetLeaks(tells=tuple(tells), findings=tuple(findings))


def find_row_order(
    labels: ArrayLike, *, seed: int, tolerated_auc: float = 0.6, confidence: float = 0.95
) -> tuple[Interval, tuple[LeakFinding, ...]]:
    """How well the row number, cut into 32 ranges, tells the label; found when the lower end is above the tolerance.

    Raises:
        ParameterError: labels outside {0, 1} (RW-114).
    """
    values = np.asarray(labels, dtype=np.float64)
    positive = scored(values, np.zeros(values.shape)).positive
    auc = _tells(_ROW_NUMBER, np.arange(positive.size), positive, seed, confidence).auc
    if not (auc.known and auc.lower > tolerated_auc):
        return auc, ()
    what = f"The row number tells the label with an AUC of {auc.estimate:.3f}: the file is sorted or was joined by outcome."
    remedy = "Shuffle before splitting, and keep row numbers, running keys and file names away from the model."
    return auc, (_of_columns(Leak.ROW_ORDER, _ROW_NUMBER, what, remedy),)


def find_overlap(train: Inputs, test: Inputs, *, keys: Sequence[str] = ()) -> tuple[LeakFinding, ...]:
    """Test rows that stand among the training rows; each is counted once, by the strictest sense in which it does.

    1. All columns are equal.
    2. All but the keys are equal.
    3. All but the keys are equal after texts lost case, compatibility forms, punctuation and spaces, and numbers
       were rounded to four digits. Two numbers on either side of a rounding edge are missed.

    Where few columns of few values are compared, equal rows are no proof of one origin; each finding of 2 and 3 says how
    many training rows repeat among themselves in the same sense.

    Args:
        train: rows and columns, the label among them or not.
        test: the same columns.
        keys: columns that name a row and may differ.

    Raises:
        ParameterError: a column that only one side has, or no column left but keys (RW-114).
    """
    strangers = sorted((set(train.names) ^ set(test.names)) | (set(keys) - set(train.names)))
    if strangers:
        raise ParameterError(f"Not on both sides: {', '.join(strangers)}.", remedy="Compare the same columns.")
    values = [name for name in train.names if name not in set(keys)]
    passes = [
        (Leak.SAME_ROW, train.names, False),
        (Leak.SAME_BUT_KEY, tuple(values), False),
        (Leak.NEAR_ROW, tuple(values), True),
    ]
    found: list[LeakFinding] = []
    seen: BoolArray = np.zeros(test.row_count, dtype=np.bool_)
    for leak, columns, loosely in passes:
        known = Counter(_texts(train.only(columns), loosely=loosely))
        inside = np.asarray([text in known for text in _texts(test.only(columns), loosely=loosely)], dtype=np.bool_)
        new = inside & ~seen
        seen |= inside
        if new.any():
            repeated = sum(count for count in known.values() if count > 1)
            what = (
                f"{int(new.sum())} of {test.row_count} test rows stand in the training rows ({leak.value}); "
                f"{repeated} of {train.row_count} training rows repeat among themselves."
            )
            found.append(_of_rows(leak, columns, np.flatnonzero(new), what, _DROP))
    return tuple(found)


def find_shared_groups(train_groups: ArrayLike, test_groups: ArrayLike, *, column: str) -> tuple[LeakFinding, ...]:
    """Groups, for example patients, with rows on both sides; nulls are no group.

    Args:
        train_groups: the group of each training row, shape (n,).
        test_groups: the group of each test row, shape (m,).
        column: how the group is called.
    """
    train, test = np.asarray(train_groups), np.asarray(test_groups)
    known = set(train[~is_missing(train)].astype(np.str_))
    present = ~is_missing(test)
    texts = test.astype(np.str_)
    rows = np.flatnonzero([there and text in known for text, there in zip(texts, present, strict=True)])
    if not rows.size:
        return ()
    shared = np.unique(texts[rows]).size
    what = f"{shared} values of {column} have rows on both sides; {rows.size} of {test.size} test rows are theirs."
    return (_of_rows(Leak.GROUP, (column,), rows, what, f"Split by {column}, so that all rows of one go to one side."),)


def find_conflicts(inputs: Inputs, labels: ArrayLike, *, keys: Sequence[str] = ()) -> tuple[LeakFinding, ...]:
    """Rows that are equal but for the keys and yet have different labels.

    Raises:
        ParameterError: labels outside {0, 1}, lengths that differ, or no column left but keys (RW-114).
    """
    positive = scored(labels, np.zeros(inputs.row_count)).positive
    columns = tuple(name for name in inputs.names if name not in set(keys))
    texts = _texts(inputs.only(columns), loosely=False)
    both = {text for text, label in zip(texts, positive, strict=True) if label} & {
        text for text, label in zip(texts, positive, strict=True) if not label
    }
    rows = np.flatnonzero([text in both for text in texts])
    if not rows.size:
        return ()
    what = f"{rows.size} rows in {len(both)} sets of equal rows carry different labels."
    remedy = "Have them labelled again; where the inputs cannot tell such cases apart, add what can."
    return (_of_rows(Leak.CONFLICT, columns, rows, what, remedy),)


_TAKE_OUT = "Take it out of the model's inputs, or take its value as of the decision."
_DECLARE = "Declare known_at for the column in the contract."
_DROP = "Drop them from one side, or split by what makes them equal, and measure again."


def _of_columns(leak: Leak, column: str, what: str, remedy: str) -> LeakFinding:
    return LeakFinding(leak=leak, columns=(column,), count=0, rows=(), what=what, remedy=remedy)


def _of_rows(leak: Leak, columns: Sequence[str], rows: IntArray, what: str, remedy: str) -> LeakFinding:
    listed = tuple(int(row) for row in rows[:_LISTED])
    return LeakFinding(leak=leak, columns=tuple(columns), count=int(rows.size), rows=listed, what=what, remedy=remedy)


def _tells(name: str, values: NDArray[Any], positive: BoolArray, seed: int, confidence: float) -> Tells:
    rarer = min(int(positive.sum()), int((~positive).sum()))
    if rarer < FOLDS * ENOUGH_A_FOLD:
        return Tells(column=name, auc=unknown(positive.size), explained_share=math.nan)
    cells = _cells(values)
    fold = deal(positive, FOLDS, np.random.default_rng(seed))
    share = np.empty(positive.size)
    base = np.empty(positive.size)
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        base[test] = positive[train].mean()
        size = int(cells.max()) + 1
        rows = np.bincount(cells[train], minlength=size)
        hits = np.bincount(cells[train], weights=positive[train], minlength=size)
        share[test] = ((hits + base[test][0]) / (rows + 1))[cells[test]]
    return Tells(
        column=name,
        auc=mean_auc(positive, share, fold, confidence),
        explained_share=1 - _cross_entropy(positive, share) / _cross_entropy(positive, base),
    )


def _cells(values: NDArray[Any]) -> IntArray:
    """The cell of each row, from 0; nulls have the first one."""
    nulls = is_missing(values)
    cells = np.zeros(values.size, dtype=np.intp)
    present = values[~nulls]
    if not present.size:
        return cells
    if is_number(values):
        cuts = np.unique(present)
        if cuts.size > _RANGES:
            cuts = np.unique(np.quantile(present, np.arange(_RANGES) / _RANGES, method="lower"))
        cells[~nulls] = np.searchsorted(cuts, present, side="right")
    else:
        _, codes = np.unique(present.astype(np.str_), return_inverse=True)
        cells[~nulls] = codes + 1
    return cells


def _cross_entropy(positive: BoolArray, share: FloatArray) -> float:
    return -float(np.log(np.where(positive, share, 1 - share)).mean())


def _texts(inputs: Inputs, *, loosely: bool) -> list[str]:
    """One text a row that is equal exactly when the rows are."""
    columns = [_column_texts(inputs.column(name), loosely=loosely) for name in inputs.names]
    return [_CUT.join(parts) for parts in zip(*columns, strict=True)]


def _column_texts(values: NDArray[Any], *, loosely: bool) -> list[str]:
    nulls = is_missing(values)
    if is_number(values):
        # Adding 0 turns -0.0 into 0.0; whole numbers beyond 2**53 keep all their digits.
        exact = values + 0.0 if values.dtype.kind == "f" else values
        told = [_rounded(float(value)) if loosely else _number(value) for value in exact]
    else:
        told = [_plain(str(value)) if loosely else str(value) for value in values]
    return [_NULL if null else text for text, null in zip(told, nulls, strict=True)]


def _number(value: Any) -> str:
    """The same text for 2 and 2.0, so that a column of integers meets one that turned to floats for its nulls."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def _rounded(value: float) -> str:
    return f"{value:.{_DIGITS}g}"


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign.isalnum())
