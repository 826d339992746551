"""What a producer says about data, put to the test. Owns claims and how they are run; who declares them is not its matter.

"1,191 adverse events of 306 subjects, 254 of them treated, no gaps in USUBJID" is believed until somebody counts. Here a
claim is a figure that is counted again, a code list that every value must be in, or a direction that must show.

Rules kept here:
1. Counts and digests are exact. A claim about a column that is not there cannot be told, and is never met.
2. Codes are compared as canonical text (``fingerprint``), so ``1`` and ``1.0`` are one code; codes that nobody declared
   are named with their counts.
3. A direction is met when the interval of the AUC against the declared outcome lies on its side of one half, broken when
   it lies on the other, and cannot be told in between; several directions share one confidence (Bonferroni).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from roadworthy.base.errors import ContractError
from roadworthy.measure.passport.fingerprint import canonical_text, fingerprint
from roadworthy.measure.quality import Verdict
from roadworthy.measure.table import Column, Table, file_digest, quote, table_digest
from roadworthy.stats.auc import delong
from roadworthy.stats.multiplicity import simultaneous_confidence

_LISTED = 5
_CONFIDENCE = 0.95


class ClaimKind(Enum):
    """What is counted or compared."""

    ROWS = "rows"
    DISTINCT = "distinct"
    NO_NULLS = "no_nulls"
    SHA256 = "sha256"
    FINGERPRINT = "fingerprint"


class Direction(Enum):
    """Which way a number points."""

    HIGHER_IS_WORSE = "higher is worse"
    HIGHER_IS_BETTER = "higher is better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of a producer.

    Attributes:
        kind: what is counted or compared.
        expected: the figure as text: a whole number, or a digest; "" for ``NO_NULLS``.
        column: for ``DISTINCT`` and ``NO_NULLS``; for ``SHA256`` the name of one file, or "" for the whole data set
            (``table_digest``, or the digest of its only file).
        where: an SQL condition; only rows that fulfil it count. "" for all.
        text: in the producer's words; "" to be worded here.
    """

    kind: ClaimKind
    expected: str = ""
    column: str = ""
    where: str = ""
    text: str = ""

    @property
    def words(self) -> str:
        """The producer's words, or ours."""
        if self.text:
            return self.text
        among = f" where {self.where}" if self.where else ""
        return {
            ClaimKind.ROWS: f"{self.expected} rows{among}",
            ClaimKind.DISTINCT: f"{self.expected} different {self.column}{among}",
            ClaimKind.NO_NULLS: f"no nulls in {self.column}{among}",
            ClaimKind.SHA256: f"{self.column or 'the data'} has the SHA-256 {self.expected[:12]}",
            ClaimKind.FINGERPRINT: f"the content has the fingerprint {self.expected[:19]}",
        }[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """What the values of a column mean.

    Attributes:
        column: whose values.
        codes: code and meaning; empty when the values are not codes.
        direction: which way a number points; None when nobody says.
    """

    column: str
    codes: tuple[tuple[str, str], ...] = ()
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """A claim, what was found, and whether it holds; ``remedy`` is "" when it does."""

    claim: str
    found: str
    verdict: Verdict
    remedy: str


def run_claims(table: Table, claims: Sequence[Claim]) -> tuple[ClaimResult, ...]:
    """Run every claim, in order.

    Raises:
        MissingFile: a file of the table is gone (RW-102).
    """
    return tuple(_run(claim.words, partial(_RUN[claim.kind], table, claim)) for claim in claims)


def run_codings(table: Table, codings: Sequence[Coding], outcome: str = "") -> tuple[ClaimResult, ...]:
    """Run every declared code list and direction.

    Args:
        table: the data.
        codings: what is declared.
        outcome: an SQL condition that is true of rows with the bad outcome; without one no direction can be told.
    """
    directed = [coding for coding in codings if coding.direction is not None]
    confidence = simultaneous_confidence(_CONFIDENCE, max(1, len(directed)))
    results = [
        _run(f"{coding.column} holds only its {len(coding.codes)} codes", partial(_codes, table, coding))
        for coding in codings
        if coding.codes
    ]
    results.extend(
        _run(
            f"{coding.column}: {coding.direction.value}",
            partial(_direction, table, coding, outcome, confidence),
        )
        for coding in directed
        if coding.direction is not None
    )
    return tuple(results)


_Outcome = tuple[Verdict, str, str]


def _run(words: str, test: Callable[[], _Outcome]) -> ClaimResult:
    try:
        verdict, found, remedy = test()
    except ContractError as error:
        return ClaimResult(claim=words, found=error.what, verdict=Verdict.UNKNOWN, remedy=error.remedy)
    return ClaimResult(claim=words, found=found, verdict=verdict, remedy=remedy)


def _equal(expected: str, found: str, what: str) -> _Outcome:
    if expected == found:
        return Verdict.MET, what, ""
    return Verdict.NOT_MET, what, "Ask the producer which is right, the data or the claim."


def _rows(table: Table, claim: Claim) -> _Outcome:
    ((count,),) = table.query(f"SELECT COUNT(*) FROM data {_where(claim)}")
    return _equal(claim.expected, str(count), f"{count:,} rows")


def _distinct(table: Table, claim: Claim) -> _Outcome:
    table.type_of(claim.column)
    ((count,),) = table.query(f"SELECT COUNT(DISTINCT {quote(claim.column)}) FROM data {_where(claim)}")
    return _equal(claim.expected, str(count), f"{count:,} different values")


def _no_nulls(table: Table, claim: Claim) -> _Outcome:
    text = _text_of(table, claim.column)
    ((count,),) = table.query(f"SELECT COUNT(*) - COUNT({text}) FROM data {_where(claim)}")
    return _equal("0", str(count), f"{count:,} rows without a value")


def _sha256(table: Table, claim: Claim) -> _Outcome:
    if claim.column:
        paths = [path for path in table.paths if path.name == claim.column]
        found = [file_digest(path) for path in paths]
    else:
        found = [table_digest(table.paths)] if table.paths else []
        found.extend(file_digest(path) for path in table.paths if len(table.paths) == 1)
    if not found:
        what = f"No file {claim.column} belongs to the data." if claim.column else "The data is in no file."
        return Verdict.UNKNOWN, what, "Claim the digest of a file that is delivered."
    wanted = claim.expected.removeprefix("sha256:").lower()
    shown = wanted if wanted in found else found[-1]
    return _equal(wanted, shown, f"SHA-256 {shown[:12]}")


def _fingerprint(table: Table, claim: Claim) -> _Outcome:
    digest = fingerprint(table).digest
    return _equal(claim.expected, digest, f"fingerprint {digest[:19]}")


_RUN: dict[ClaimKind, Callable[[Table, Claim], _Outcome]] = {
    ClaimKind.ROWS: _rows,
    ClaimKind.DISTINCT: _distinct,
    ClaimKind.NO_NULLS: _no_nulls,
    ClaimKind.SHA256: _sha256,
    ClaimKind.FINGERPRINT: _fingerprint,
}


def _codes(table: Table, coding: Coding) -> _Outcome:
    text = _text_of(table, coding.column)
    known = [code for code, _ in coding.codes]
    unknown = table.query(
        f"SELECT {text} AS t, COUNT(*) AS n FROM data WHERE t IS NOT NULL AND NOT list_contains(?, t) "
        f"GROUP BY 1 ORDER BY n DESC, t",
        [known],
    )
    if not unknown:
        return Verdict.MET, f"every value is one of {', '.join(known)}", ""
    rows = sum(n for _, n in unknown)
    listed = ", ".join(f"{code} ({n:,})" for code, n in unknown[:_LISTED])
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    what = f"{rows:,} rows with codes that nobody declared: {listed}{more}"
    return Verdict.NOT_MET, what, "Declare what these codes mean, or correct the rows."


def _direction(table: Table, coding: Coding, outcome: str, confidence: float) -> _Outcome:
    if not outcome:
        return Verdict.UNKNOWN, "No outcome is declared to test the direction against.", "Declare outcome."
    table.type_of(coding.column)
    rows: list[tuple[Any, ...]] = table.query(
        f"SELECT CAST(({outcome}) AS INTEGER) AS bad, TRY_CAST({quote(coding.column)} AS DOUBLE) AS x FROM data "
        f"WHERE bad IS NOT NULL AND x IS NOT NULL AND isfinite(x)"
    )
    area = delong([bad for bad, _ in rows], [x for _, x in rows], confidence)
    what = f"AUC against the outcome {area.estimate:.3f} [{area.lower:.3f}, {area.upper:.3f}] on {len(rows):,} rows"
    if not area.known or area.lower <= 0.5 <= area.upper:
        return Verdict.UNKNOWN, what, "Deliver more rows with an outcome."
    worse = area.lower > 0.5
    if worse == (coding.direction is Direction.HIGHER_IS_WORSE):
        return Verdict.MET, what, ""
    return Verdict.NOT_MET, what, "Ask the producer whether the scale was turned round."


def _text_of(table: Table, column: str) -> str:
    return canonical_text(Column(name=column, type=table.type_of(column)))


def _where(claim: Claim) -> str:
    return f"WHERE {claim.where}" if claim.where else ""
