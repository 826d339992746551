"""Items, answers and how a refusal is recognised. The three outcomes themselves, and their shares, belong to ``stats``.

A system that declines is neither right nor wrong: counting a refusal as wrong punishes caution, leaving it out flatters a
system that answers only what is easy. So there are three outcomes, and what could not be scored at all is no outcome.

Rules kept here:
1. A refusal is recognised only by what was declared: patterns, or a field that the system itself sets. There is no
   default list of phrases; a scorer without a declaration cannot be built.
2. Where the field is declared, an answer that does not carry it is an error, not "not refused".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.stats.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question whose right answer is known.

    Attributes:
        id: unique in its set.
        question: as it is asked.
        expected: the accepted answers, patterns or texts; what they mean is the scorer's matter.
        cluster: what the item shares with others: a document, a user; None when it stands alone.
        cohort: the part of the population it belongs to; None when the set is not split.
        documents: text by id of what the answer may cite.
    """

    id: str
    question: str
    expected: tuple[str, ...] = ()
    cluster: str | None = None
    cohort: str | None = None
    documents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A reference that an answer makes.

    Attributes:
        document_id: of the document that it points at.
        quote: words that it claims to take from there; None when it only points.
    """

    document_id: str
    quote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to one item.

    Attributes:
        item_id: what it answers.
        text: as it was given.
        repeat: number of the run, from 0; the same question asked again is another repeat.
        declined: whether the system itself says that it declined; None when it says nothing.
        citations: what it refers to, when the system reports references apart from the text.
    """

    item_id: str
    text: str
    repeat: int = 0
    declined: bool | None = None
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRule:
    """How a refusal is recognised. Neither patterns nor field says: this system is taken never to refuse.

    Attributes:
        patterns: regular expressions, searched without regard to case; one that is found makes a refusal.
        by_field: whether ``Answer.declined`` decides; it must then be set on every answer.
    """

    patterns: tuple[str, ...] = ()
    by_field: bool = False

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            compiled(pattern)

    def refused(self, answer: Answer) -> bool:
        """Whether the answer is a refusal.

        Raises:
            ContractError: the field is declared and the answer lacks it (RW-106).
        """
        if self.by_field and answer.declined is None:
            raise ContractError(
                f"The answer to {answer.item_id!r} does not say whether the system declined.",
                remedy="Set declined on every answer, or recognise refusals by patterns.",
                where=f"item {answer.item_id}, repeat {answer.repeat}",
            )
        if self.by_field and answer.declined:
            return True
        return any(re.search(pattern, answer.text, re.IGNORECASE) for pattern in self.patterns)


NEVER_REFUSES = RefusalRule()
"""The declaration that no answer is a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer:
    """The outcome of one answer, with what its item says about dependence and population.

    Attributes:
        item_id: what was answered.
        repeat: number of the run.
        outcome: None when the answer could not be scored.
        cluster: as in ``Item``.
        cohort: as in ``Item``.
    """

    item_id: str
    repeat: int
    outcome: Outcome | None
    cluster: str | None = None
    cohort: str | None = None


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to use.

    Raises:
        ParameterError: it is not a regular expression (RW-114).
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ParameterError(
            f"{pattern!r} is not a regular expression: {error}.", remedy="Correct the pattern.", where=pattern
        ) from error
