"""How long questions and answers are, and so how long an answer takes.

Owns the pairs of a recorded trace and the pace; arrival times of the same trace belong to ``load.recording``.

How long an answer takes:
1. the pair of lengths is drawn from the trace by the prompt and the seed, so that the same question always takes as long;
2. the first token comes after ``first_token_s`` plus ``read_token_s`` for every token of the question;
3. every further token comes ``token_s`` later;
4. both are multiplied by one factor, log-normal with median 1, whose logarithm has the standard deviation ``spread``.

A trace has lengths but no times, so the pace is declared, not measured.
"""

import csv
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ParameterError, UnreadableData
from roadworthy.probes.trace_file import read_trace

CONTEXT_COLUMN = "ContextTokens"
GENERATED_COLUMN = "GeneratedTokens"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lengths:
    """Pairs of lengths, in the order of the trace.

    Attributes:
        context_tokens: of the questions, int64, shape (n,).
        generated_tokens: of the answers, int64, shape (n,).
    """

    context_tokens: NDArray[np.int64]
    generated_tokens: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How one answer is paced.

    Attributes:
        context_tokens: of the question.
        generated_tokens: of the answer.
        first_s: until the first token.
        rest_s: from the first token until the last.
    """

    context_tokens: int
    generated_tokens: int
    first_s: float
    rest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a language model is taken to be.

    Attributes:
        first_token_s: until the first token of an answer to an empty question.
        read_token_s: for every token of the question.
        token_s: for every token of the answer after the first.
        spread: standard deviation of the logarithm of the factor by which an answer is slower or faster.
        seed: of the choice of lengths and of the factor.

    Raises:
        ParameterError: a value that is negative or not finite (RW-114).
    """

    first_token_s: float = 0.2
    read_token_s: float = 0.0001
    token_s: float = 0.02
    spread: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name in ("first_token_s", "read_token_s", "token_s", "spread"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} is {value}.", remedy="Give a finite number, zero or more.", where=name)
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}.", remedy="Give zero or more.", where="seed")

    def timing(self, prompt: str, answer: str, lengths: Lengths | None = None) -> Timing:
        """The timing of an answer; without a trace the lengths are the words of the texts."""
        digest = hashlib.sha256(f"{self.seed}\n{prompt}".encode("utf-8", "surrogatepass")).digest()
        generator = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
        context, generated = len(prompt.split()), len(answer.split())
        if lengths is not None:  # 1
            row = int(generator.integers(lengths.context_tokens.size))
            context, generated = int(lengths.context_tokens[row]), int(lengths.generated_tokens[row])
        factor = float(np.exp(generator.normal(0.0, self.spread))) if self.spread else 1.0  # 4
        return Timing(
            context_tokens=context,
            generated_tokens=generated,
            first_s=factor * (self.first_token_s + self.read_token_s * context),  # 2
            rest_s=factor * self.token_s * max(0, generated - 1),  # 3
        )


def read_lengths(path: Path, *, context: str = CONTEXT_COLUMN, generated: str = GENERATED_COLUMN) -> Lengths:
    """The pairs of lengths of a trace.

    Args:
        path: a CSV file with a header line.
        context: column of the questions' tokens.
        generated: column of the answers' tokens.

    Raises:
        MissingFile: no such file (RW-102).
        UnreadableData: not text, a column is missing, or a cell is not a whole number of zero or more (RW-103).
        EmptyData: no rows (RW-104).
    """
    pairs = read_trace(path, lambda lines, where: _pairs(lines, (context, generated), where))
    table = np.array(pairs, dtype=np.int64)
    return Lengths(context_tokens=table[:, 0], generated_tokens=table[:, 1])


def _pairs(lines: Iterable[str], columns: tuple[str, str], where: str) -> list[tuple[int, int]]:
    rows = csv.reader(lines)
    header = next(rows, [])
    if not set(columns) <= set(header):
        raise UnreadableData(
            f"The trace has the columns {header}, not {' and '.join(columns)}.",
            remedy="Name the columns of lengths.",
            where=where,
        )
    first, second = (header.index(column) for column in columns)
    pairs: list[tuple[int, int]] = []
    for row in rows:
        cells = [row[position] if position < len(row) else "" for position in (first, second)]
        # Nine digits hold every length there is, and keep a wild cell from overflowing.
        if not all(cell.isascii() and cell.isdigit() and len(cell) <= 9 for cell in cells):
            raise UnreadableData(
                f"{cells} are not two whole numbers.", remedy="Correct the cells.", where=f"{where}:{rows.line_num}"
            )
        pairs.append((int(cells[0]), int(cells[1])))
    return pairs
