"""What the texts of a column look like, as patterns. Owns the generalisation; running a pattern is the contract's.

Algorithm of ``shape``:
1. Each text becomes a sequence of runs: digits, small letters, capitals, and every other character as itself.
2. When all texts have the same sequence, it is the pattern. A run that always has the same length keeps it, and a run of
   letters that is always the same word is that word.
3. Otherwise capitals and small letters become one class, and steps 1 and 2 are tried again.
4. Otherwise only the characters are bounded: the classes that occur, and every other character that occurs.

Rules kept here: patterns stay inside the language that the batch engine and the inline filter share, with at most six
open repetitions; a text with control characters gets no pattern.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.infer.values import Ends, lone_ends
from roadworthy.measure.rule import Dimension, Kind

_OPEN_AT_MOST = 6
_LENGTH_AT_MOST = 1_000
_RUNS_AT_MOST = 30
_SPECIAL = frozenset("\\^$.|?*+()[]{}-")
# Letters of Latin, of other alphabets, signs, and East Asian scripts; what lies beyond is taken one by one.
_BLOCKS = ("\u00a1-\u02af", "\u02b0-\u1fff", "\u2000-\u2fff", "\u3000-\ud7ff")
_CONTROL = re.compile("[\x00-\x1f\x7f-\xa0]")
_FINE = re.compile(r"(?P<d>[0-9]+)|(?P<l>[a-z]+)|(?P<u>[A-Z]+)|(?P<o>.)", re.DOTALL)
_COARSE = re.compile(r"(?P<d>[0-9]+)|(?P<a>[A-Za-z]+)|(?P<o>.)", re.DOTALL)
_CLASSES = {"d": "[0-9]", "l": "[a-z]", "u": "[A-Z]", "a": "[A-Za-z]"}
_Run = tuple[str, str]


def shape(column: ColumnValues, options: InferOptions) -> Candidate | None:
    """A pattern for the texts of a column; None when it has none."""
    if column.logical_type != "string" or column.filled < options.least_rows:
        return None
    if any(_CONTROL.search(text) for text in column.texts):
        return None
    characters = _characters(column)
    for classes in (_FINE, _COARSE):
        found = _structure(column, classes)
        if found is not None:
            # A structure that rests on single rows may still leave the bound on characters standing.
            return found.with_instead(characters)
    return characters


def length(column: ColumnValues, options: InferOptions) -> Candidate | None:
    """How long the texts are, as a pattern, since only this form of the rule carries a tolerance and its reason."""
    if column.logical_type != "string" or column.filled < options.least_rows:
        return None
    sizes, inverse = np.unique([len(text) for text in column.texts], return_inverse=True)
    if any("\n" in text for text in column.texts):
        return None
    low, high = float(sizes[0]), float(sizes[-1])
    margin = (high - low) * options.margin_share
    least, most = max(int(np.floor(low - margin)), 0), int(np.ceil(high + margin))
    if most > _LENGTH_AT_MOST:
        return None
    counts = np.bincount(inverse, weights=column.counts).astype(np.int64)
    if len(sizes) > 2:
        ends = lone_ends(sizes.astype(np.float64), counts, options.margin_share)
    else:
        ends = Ends(counts == 1, counts == 2)
    rule = replace(rule_on(column, Kind.PATTERN, Dimension.VALIDITY, "length"), text=f"^.{_times(least, most)}$")
    return Candidate(
        rule=rule,
        lone=column.rows_of(ends.lone[inverse]),
        paired=column.rows_of(ends.paired[inverse]),
        backing=column.filled,
        words=f"seen {int(low)} to {int(high)} characters, margin {100 * options.margin_share:g} % of the span",
    )


def _structure(column: ColumnValues, classes: re.Pattern[str]) -> Candidate | None:
    # 1. Runs.
    runs = [_runs(text, classes) for text in column.texts]
    signatures = Counter(tuple(kind if kind != "o" else text for kind, text in each) for each in runs)
    if len(signatures) != 1 or not 0 < len(runs[0]) <= _RUNS_AT_MOST:
        return None
    # 2. One sequence: run by run.
    lone = np.zeros(len(runs), dtype=np.bool_)
    parts, open_parts = [], 0
    for position in range(len(runs[0])):
        part, alone = _part([each[position] for each in runs], column.counts)
        parts.append(part)
        lone |= alone
        open_parts += part.endswith("+")
    if open_parts > _OPEN_AT_MOST:
        return None
    pattern = f"^{''.join(parts)}$"
    return Candidate(
        rule=replace(rule_on(column, Kind.PATTERN, Dimension.VALIDITY, "pattern"), text=pattern),
        lone=column.rows_of(lone),
        backing=column.filled,
        words=f"all {len(column.texts)} different texts have this form",
    )


def _runs(text: str, classes: re.Pattern[str]) -> list[_Run]:
    return [(found.lastgroup or "o", found.group()) for found in classes.finditer(text)]


def _part(runs: Sequence[_Run], counts: NDArray[np.int64]) -> tuple[str, NDArray[np.bool_]]:
    """The pattern of one run over all texts, and which texts alone keep it from being a tighter one."""
    kind, first = runs[0]
    nobody = np.zeros(len(runs), dtype=np.bool_)
    words = [text for _, text in runs]
    if kind == "o" or (kind != "d" and len(set(words)) == 1):
        return _escaped(first), nobody
    sizes = np.array([len(word) for word in words])
    rows_by_size = np.bincount(sizes, weights=counts)
    lengths = np.flatnonzero(rows_by_size)
    if len(lengths) == 1:
        # One text of another word is what keeps a fixed word from being the pattern.
        by_word: Counter[str] = Counter()
        for word, count in zip(words, counts, strict=True):
            by_word[word] += int(count)
        rare = len(by_word) == 2 and kind != "d"
        alone = np.array([rare and by_word[word] == 1 for word in words])
        return _CLASSES[kind] + _times(int(lengths[0]), int(lengths[0])), alone
    alone = (rows_by_size[sizes] == 1) if len(lengths) == 2 else nobody
    return _CLASSES[kind] + "+", alone


def _characters(column: ColumnValues) -> Candidate:
    """4. The classes of characters that occur; a row is lone when nothing else has one of its characters."""
    sets = [frozenset(_character_class(sign) for sign in text) for text in column.texts]
    rows: Counter[str] = Counter()
    for classes, count in zip(sets, column.counts, strict=True):
        for name in classes:
            rows[name] += int(count)
    lone = np.array([any(rows[name] == 1 for name in classes) for classes in sets])
    paired = ~lone & np.array([any(rows[name] == 2 for name in classes) for classes in sets])
    # An empty text has no character, and is one all the same.
    sign = "*" if "" in column.texts else "+"
    pattern = f"^[{''.join(_in_class(name) for name in sorted(rows))}]{sign}$" if rows else "^$"
    return Candidate(
        rule=replace(rule_on(column, Kind.PATTERN, Dimension.VALIDITY, "pattern"), text=pattern),
        lone=column.rows_of(lone),
        paired=column.rows_of(paired),
        backing=column.filled,
        words=f"no other characters in {len(column.texts)} different texts",
    )


def _character_class(sign: str) -> str:
    if not sign.isascii():
        return next((block for block in _BLOCKS if block[0] <= sign <= block[-1]), sign)
    if sign.isdigit():
        return "0-9"
    if sign.isalpha():
        return "a-z" if sign.islower() else "A-Z"
    return sign


def _in_class(name: str) -> str:
    return _escaped(name) if len(name) == 1 else name


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in text)


def _times(least: int, most: int) -> str:
    if least == most:
        return "" if least == 1 else f"{{{least}}}"
    return f"{{{least},{most}}}"
