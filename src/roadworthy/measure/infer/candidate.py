"""A rule that might be promised, and what speaks for it. Owns the form of candidates; ``promise`` chooses among them.

The central idea is leave-one-out: a row is *lone* for a rule when the rule, inferred without that row, would call it
bad. Among exchangeable rows every row is equally likely to be the newest, so the expected share of lone rows of n + 1
rows is exactly the chance that the next row after n breaks the rule inferred from those n. For closed sets this is
Good's estimator of unseen mass (Biometrika 40, 1953), for ranges the exceedance argument of Wilks (Ann. Math. Stat. 12,
1941); here it serves every kind of rule that gets no stricter with more rows.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Rule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A rule without its bound.

    Attributes:
        rule: complete but for ``bound`` and ``description``.
        lone: the rows that would be bad if the rule had been inferred without them; shape (rows,).
        paired: the rows that would be bad without themselves and one other, but are not lone: they say how far the share of
            lone rows may be off. None for rules that are not fitted to values.
        backing: how many rows speak for it.
        words: what it says and why, for a person; a sentence without full stop.
        instead: candidates to try when this one cannot be promised.
        about_rows: whether it calls single rows bad; if not, it costs none of the promise about rows.
    """

    rule: Rule
    lone: NDArray[np.bool_]
    backing: int
    words: str
    paired: NDArray[np.bool_] | None = None
    instead: tuple["Candidate", ...] = ()
    about_rows: bool = True

    def with_instead(self, *others: "Candidate | None") -> "Candidate":
        """The same with candidates to fall back to; None is left out."""
        return replace(self, instead=tuple(other for other in others if other is not None))


def rule_on(column: ColumnValues, kind: Kind, dimension: Dimension, word: str) -> Rule:
    """The beginning of a rule on one column; ``word`` ends its id."""
    return Rule(
        rule_id=f"{dimension.value}.{column.name}.{word}",
        dimension=dimension,
        kind=kind,
        columns=(column.name,),
        bound=NONE_ALLOWED,
        line=1,
        under=column.name,
    )
