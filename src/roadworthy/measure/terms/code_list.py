"""Controlled terms as one edition of a code list. Owns the terms and that each has one meaning; maps nothing.

Code lists come from the user: many are licensed (SNOMED CT, MedDRA), none is bundled.
"""

from collections import Counter
from dataclasses import dataclass

from roadworthy.base.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One entry.

    Attributes:
        id: a CURIE, for example ``NCIT:C25301``.
        label: the preferred text.
        synonyms: other texts that mean the same.
        deprecated: whether the edition keeps it only for old data.
        replaced_by: the id of its successor, when the edition names one.
    """

    id: str
    label: str
    synonyms: tuple[str, ...] = ()
    deprecated: bool = False
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """One edition.

    Attributes:
        source: the CURIE of the list itself, the same in every edition.
        version: the edition.
        terms: at least one, each id once.
    """

    source: str
    version: str
    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        """Refuse an edition that does not say one thing for each id.

        Raises:
            ParameterError: no terms, or an id that occurs twice (RW-114).
        """
        twice = sorted(name for name, count in Counter(term.id for term in self.terms).items() if count > 1)
        if twice or not self.terms:
            raise ParameterError(
                f"The code list {self.source} {self.version} is empty or repeats {', '.join(twice[:5])}.",
                remedy="Deliver each term once.",
            )

    def by_id(self) -> dict[str, Term]:
        """The terms by their ids."""
        return {term.id: term for term in self.terms}
