"""What a change of values looks like. Owns the patterns that betray a recoding, a unit or a filled gap; counts nothing.

A count of changed cells says that something happened; these signs say what probably did, so that a person asks the
producer the right question. They are suspicions, worded as such, and judge nothing.

Signs, in the order in which they are looked for:
1. Nulls became one value (a number now stands for "missing"), or one value became null.
2. Texts differ only by case or blanks.
3. Codes were renamed one to one.
4. Numbers were multiplied by one factor, named when two usual units differ by it, or moved by one amount.

Rules kept here: a sign needs at least ``ENOUGH`` cells and explains at least nine tenths of them, else it is not named.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.unit_swap import FACTORS

ENOUGH = 3
_MOST = 0.9
_SAME_FACTOR = 0.01
_KNOWN_FACTOR = 0.005
_CODES = 50
_QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cell that changed: canonical text before and after, None for null, and how often."""

    before: str | None
    after: str | None
    count: int

    @property
    def text(self) -> str:
        """For a person, for example ``MILD became Mild (12)``."""
        return f"{shown(self.before)} became {shown(self.after)} ({self.count:,})"


def shown(value: str | None) -> str:
    """A value in a sentence."""
    return "null" if value is None else value


def signs_of_pairs(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Signs in the cells of rows that are known to be the same row.

    Args:
        pairs: every changed pair of one column, with its count.
    """
    signs = [*_gaps(pairs)]
    filled = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    cells = sum(pair.count for pair in filled)
    if cells < ENOUGH:
        return tuple(signs)
    # 2. Spelling.
    if all(_folded(pair.before) == _folded(pair.after) for pair in filled):
        return (*signs, f"{cells:,} texts differ only by case or blanks.")
    # 4. Before codes: a factor also maps one to one.
    numbers = _numeric(filled)
    if numbers is not None:
        moved = _moved(*numbers)
        return (*signs, moved) if moved else tuple(signs)
    # 3. Codes.
    recoded = _recoded(filled)
    return (*signs, recoded) if recoded else tuple(signs)


def signs_of_counts(before: Mapping[str | None, int], after: Mapping[str | None, int]) -> tuple[str, ...]:
    """Signs in the value counts of one column, when nobody knows which rows belong together.

    Args:
        before: how often each canonical text occurred, None for null.
        after: the same, in the other version.
    """
    gained = {value: after.get(value, 0) - before.get(value, 0) for value in before.keys() | after.keys()}
    signs: list[str] = []
    # 1. One value took the place of the nulls, or gave it up to them.
    nulls = gained.pop(None, 0)
    if abs(nulls) >= ENOUGH and gained:
        value, change = max(gained.items(), key=lambda item: (-item[1] if nulls > 0 else item[1], item[0] or ""))
        if change * nulls < 0 and _MOST * abs(nulls) <= abs(change) <= abs(nulls) / _MOST:
            signs.append(_gap(value, filled=nulls < 0, count=min(abs(nulls), abs(change))))
            return tuple(signs)
    # 4. The quartiles moved together.
    olds, news = _repeated(before), _repeated(after)
    if olds is None or news is None:
        return tuple(signs)
    old, new = np.quantile(olds, _QUARTILES), np.quantile(news, _QUARTILES)
    if (old > 0).all() and (new > 0).all() and not np.array_equal(old, new):
        ratios = new / old
        middle = float(ratios[1])
        if (abs(ratios / middle - 1) <= _SAME_FACTOR).all() and abs(middle - 1) > 2 * _SAME_FACTOR:
            signs.append(f"The quartiles are all about {middle:.4g} times as large{_known(middle)}.")
    return tuple(signs)


def _gaps(pairs: Sequence[Pair]) -> list[str]:
    signs = []
    for filled in (True, False):
        values = Counter[str | None]()
        for pair in pairs:
            if (pair.before if filled else pair.after) is None:
                values[pair.after if filled else pair.before] += pair.count
        total = values.total()
        if total >= ENOUGH:
            ((value, count),) = values.most_common(1)
            if count >= _MOST * total:
                signs.append(_gap(value, filled=filled, count=count))
    return signs


def _gap(value: str | None, *, filled: bool, count: int) -> str:
    if filled:
        return f"{count:,} nulls became {shown(value)}: it may stand for a missing value."
    return f"{count:,} cells that held {shown(value)} became null."


def _folded(text: str | None) -> str:
    return "".join((text or "").split()).casefold()


def _recoded(pairs: Sequence[Pair]) -> str:
    olds, news = {pair.before for pair in pairs}, {pair.after for pair in pairs}
    if not len(olds) == len(news) == len(pairs) <= _CODES or olds & news:
        return ""
    words = ", ".join(f"{pair.before} to {pair.after}" for pair in pairs[:5])
    return f"Codes were renamed one to one: {words}{' and more' if len(pairs) > 5 else ''}."


def _numeric(pairs: Sequence[Pair]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    try:
        old = np.repeat([float(pair.before or "") for pair in pairs], [pair.count for pair in pairs])
        new = np.repeat([float(pair.after or "") for pair in pairs], [pair.count for pair in pairs])
    except ValueError:
        return None
    return old, new


def _moved(old: NDArray[np.float64], new: NDArray[np.float64]) -> str:
    usable = np.isfinite(old) & np.isfinite(new) & (old != 0)
    if usable.sum() >= ENOUGH and len(set(old[usable].tolist())) > 1:
        ratios = new[usable] / old[usable]
        middle = float(np.median(ratios))
        agree = int((abs(ratios - middle) <= _SAME_FACTOR * abs(middle)).sum())
        if middle > 0 and agree >= _MOST * old.size:
            return f"{agree:,} numbers became about {middle:.4g} times as large{_known(middle)}."
    steps = new - old
    middle = float(np.median(steps))
    agree = int((abs(steps - middle) <= 1e-9 * max(1.0, abs(middle))).sum())
    if old.size >= ENOUGH and len(set(old.tolist())) > 1 and agree >= _MOST * old.size:
        return f"{agree:,} numbers moved by {middle:+g}."
    return ""


def _known(ratio: float) -> str:
    factor = min(FACTORS, key=lambda known: abs(math.log(ratio / known)))
    return f", as between two units (factor {factor:g})" if abs(ratio / factor - 1) <= _KNOWN_FACTOR else ""


def _repeated(counts: Mapping[str | None, int]) -> NDArray[np.float64] | None:
    try:
        values = np.array([float(value) for value in counts if value is not None])
    except ValueError:
        return None
    many = np.array([count for value, count in counts.items() if value is not None], dtype=np.int64)
    repeated = np.repeat(values, many)
    repeated = repeated[np.isfinite(repeated)]
    return repeated if repeated.size >= ENOUGH else None
