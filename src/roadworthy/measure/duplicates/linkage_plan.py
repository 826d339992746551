"""What to compare when records of one entity are sought. Owns the plan of a linkage as plain data; runs nothing.

The plan is what a person decides and signs; what the engine learns from the data is kept beside the result.

Rules kept here:
1. A rule is an SQL condition on the two records ``l`` and ``r``; ``same`` writes the usual one. It runs in a database
   that holds the tables and can reach nothing else.
2. Every member has a plain JSON form (``base.codec``), so the plan can be evidence.
"""

from dataclasses import dataclass
from enum import Enum

from roadworthy.base.errors import ParameterError
from roadworthy.measure.table import quote


class Likeness(Enum):
    """How two values of a field are compared; each has its own ladder of levels from equal to different."""

    EXACT = "exact"
    NAME = "name"
    EDITS = "edits"
    DATE_OF_BIRTH = "date_of_birth"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldComparison:
    """One field of the record.

    Attributes:
        column: its name, in every table.
        how: the ladder. ``NAME`` and ``EDITS`` compare texts, by Jaro-Winkler and by up to two edits.
        by_frequency: whether agreement on a rare value counts for more than on a common one.
        date_format: how ``DATE_OF_BIRTH`` is written, in the signs of strftime.
    """

    column: str
    how: Likeness
    by_frequency: bool = False
    date_format: str = "%Y-%m-%d"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkagePlan:
    """How a linkage is trained and which pairs are looked at.

    Attributes:
        fields: what is compared.
        blocking: rules of which a pair must meet one to be compared at all. Pairs beyond them are never seen, whatever
            the threshold.
        certain: rules that hardly any two different entities meet; they give the first guess of how many matches exist.
        certain_recall: the share of true matches that meet a certain rule, guessed by a person, in (0, 1].
        training_blocks: for each rule, the fields that it does not hold equal are learned among the pairs that meet it;
            together they must leave no field out.
        sample_pairs: how many random pairs show how often strangers agree, at least 1.
        seed: of that sample.
    """

    fields: tuple[FieldComparison, ...]
    blocking: tuple[str, ...]
    certain: tuple[str, ...]
    certain_recall: float
    training_blocks: tuple[str, ...]
    sample_pairs: int = 2_000_000
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be run.

        Raises:
            ParameterError: a part is empty, or a number outside its range (RW-114).
        """
        if not (self.fields and self.blocking and self.certain and self.training_blocks):
            raise ParameterError(
                "The linkage plan lacks fields, blocking, certain rules or training blocks.",
                remedy="Give at least one of each.",
            )
        if not 0.0 < self.certain_recall <= 1.0 or self.sample_pairs < 1:
            raise ParameterError(
                f"A recall of {self.certain_recall} or a sample of {self.sample_pairs} pairs is impossible.",
                remedy="Give a recall in (0, 1] and at least one pair.",
            )


def same(*columns: str) -> str:
    """The rule that both records have the same values in these columns.

    Raises:
        ParameterError: no column (RW-114).
    """
    if not columns:
        raise ParameterError("A rule without columns pairs everything.", remedy="Name at least one column.")
    return " AND ".join(f"l.{quote(name)} = r.{quote(name)}" for name in columns)
