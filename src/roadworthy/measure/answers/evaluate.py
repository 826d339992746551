"""A set of scored answers as shares with intervals. Owns the account by cohort and of what was not scored.

Algorithm of ``summarise``:
1. Set aside what has no outcome; it is counted, and every interval reaches as far as it could: down to where all of it
   was wrong, up to where all of it was right.
2. Give every answer its cluster: that of its item, or the item itself. Repeats of one item thereby share a cluster, so
   asking a question ten times does not count as ten questions.
3. Shares of the three outcomes and the accuracy among the answered, as a whole at the wanted confidence.
4. The same for each cohort, at the confidence at which all cohorts hold together (Bonferroni).
5. The share of items whose outcome is not the same in all their repeats.

Rules kept here:
1. A cohort that cannot be measured stays in the table as unknown.
2. A bound is judged by the interval (``domain.criterion``): an interval that straddles it cannot tell.
3. An answer to no item, and two answers with one number, are errors: a share of a muddled set means nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadworthy.base.errors import ContractError, EmptyData
from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.domain.criterion import Estimate, Predicate, Verdict, judge
from roadworthy.measure.answers.outcome import Answer, Item, ScoredAnswer
from roadworthy.measure.answers.scorers import Scorer
from roadworthy.stats.means import share_interval
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.outcomes import Outcome, OutcomeShares, outcome_shares
from roadworthy.stats.proportions import wilson

_ENOUGH_REPEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortShares:
    """One cohort.

    Attributes:
        cohort: its name.
        shares: at the confidence at which all cohorts hold together.
    """

    cohort: str
    shares: OutcomeShares


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """What the shares leave out.

    Attributes:
        share: of all item-by-repeat pairs that were due; an exact count.
        item_ids: items without a single outcome, sorted.
    """

    share: Interval
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a set of answers says.

    Attributes:
        shares: over everything that was scored.
        cohorts: by name; empty when the set is not split.
        unscored: what the shares leave out.
        flipping: share of items, of those with two outcomes or more, whose outcomes differ between repeats; unknown when
            nothing was repeated.
        items: how many items there are.
        repeats: how many outcomes were due for each item.
    """

    shares: OutcomeShares
    cohorts: tuple[CohortShares, ...]
    unscored: Unscored
    flipping: Interval
    items: int
    repeats: int

    def estimates(self) -> tuple[Estimate, ...]:
        """The figures under the names that predicates use: the whole, then each cohort.

        ``correct_share`` is the accuracy overall, ``correct_of_answered_share`` that among the answered.
        """
        whole = _named(self.shares, None)
        rest = (
            Estimate(metric="unscored_share", interval=self.unscored.share),
            Estimate(metric="flipping_share", interval=self.flipping),
        )
        return (*whole, *rest, *(one for row in self.cohorts for one in _named(row.shares, row.cohort)))

    def verdict(self, predicate: Predicate) -> Verdict:
        """What the whole says of a bound."""
        return judge(predicate, self.estimates())

    def cohort_verdicts(self, predicate: Predicate) -> dict[str, Verdict]:
        """What each cohort says of the same bound, all of them together at the wanted confidence."""
        return {row.cohort: judge(predicate, _named(row.shares, None)) for row in self.cohorts}


def score_all(items: Sequence[Item], answers: Sequence[Answer], scorer: Scorer) -> tuple[ScoredAnswer, ...]:
    """Score every answer; an item that lacks one of the repeats gets a row without an outcome for it.

    Raises:
        EmptyData: there are no items (RW-104).
        ContractError: an id that occurs twice, or an answer to no item (RW-106).
    """
    if not items:
        raise EmptyData("There are no items to evaluate.", remedy="Give at least one item with its expected answer.")
    known = {item.id: item for item in items}
    if len(known) < len(items):
        raise ContractError("Two items have one id.", remedy="Give each item an id of its own.")
    given: dict[tuple[str, int], Answer] = {}
    for answer in answers:
        key = (answer.item_id, answer.repeat)
        if answer.item_id not in known or key in given:
            problem = "is given twice" if key in given else "belongs to no item"
            raise ContractError(
                f"The answer {answer.item_id!r}, repeat {answer.repeat}, {problem}.",
                remedy="Number repeats of one item from 0 and give all items.",
                where=f"item {answer.item_id}, repeat {answer.repeat}",
            )
        given[key] = answer
    repeats = sorted({repeat for _, repeat in given}) or [0]
    return tuple(
        ScoredAnswer(
            item_id=item.id,
            repeat=repeat,
            outcome=scorer.score(item, given[item.id, repeat]) if (item.id, repeat) in given else None,
            cluster=item.cluster,
            cohort=item.cohort,
        )
        for item in items
        for repeat in repeats
    )


def evaluate(
    items: Sequence[Item], answers: Sequence[Answer], scorer: Scorer, *, confidence: float = 0.95
) -> Evaluation:
    """Score answers and summarise the outcomes.

    Args:
        items: what was asked.
        answers: what was given; one for each item and repeat, missing ones are counted as unscored.
        scorer: what compares.
        confidence: two-sided level in (0, 1) for the whole, and for all cohorts together.

    Raises:
        EmptyData: there are no items (RW-104).
        ContractError: an id that occurs twice, an answer to no item, an item that its scorer cannot use (RW-106).
        ParameterError: a level outside (0, 1), a pattern or schema that cannot be used (RW-114).
    """
    return summarise(score_all(items, answers, scorer), confidence=confidence)


def summarise(rows: Sequence[ScoredAnswer], *, confidence: float = 0.95) -> Evaluation:
    """Shares of outcomes that are there already.

    Args:
        rows: one for each item and repeat that was due; without an outcome where it could not be scored.
        confidence: two-sided level in (0, 1) for the whole, and for all cohorts together.

    Raises:
        EmptyData: no rows (RW-104).
        ParameterError: a level outside (0, 1) (RW-114).
    """
    if not rows:
        raise EmptyData("There are no outcomes to summarise.", remedy="Score at least one answer.")
    by_item: dict[str, list[ScoredAnswer]] = {}
    for row in rows:
        by_item.setdefault(row.item_id, []).append(row)
    repeats = max(len(of_item) for of_item in by_item.values())
    # 1.
    scored = [row for row in rows if row.outcome is not None]
    due = len(by_item) * repeats
    silent = sorted(name for name, of_item in by_item.items() if all(row.outcome is None for row in of_item))
    # 4.
    names = sorted({row.cohort for row in rows if row.cohort is not None})
    level = simultaneous_confidence(confidence, max(1, len(names)))
    return Evaluation(
        shares=_shares(scored, due - len(scored), confidence),
        cohorts=tuple(
            CohortShares(cohort=name, shares=_of_cohort([row for row in rows if row.cohort == name], level))
            for name in names
        ),
        unscored=Unscored(share=exact((due - len(scored)) / due, due), item_ids=tuple(silent)),
        flipping=_flipping(by_item, confidence),
        items=len(by_item),
        repeats=repeats,
    )


def _of_cohort(rows: Sequence[ScoredAnswer], confidence: float) -> OutcomeShares:
    scored = [row for row in rows if row.outcome is not None]
    return _shares(scored, len(rows) - len(scored), confidence)


def _shares(scored: Sequence[ScoredAnswer], missing: int, confidence: float) -> OutcomeShares:
    # 2. and 3.
    outcomes = [row.outcome for row in scored if row.outcome is not None]
    found = outcome_shares(outcomes, [_cluster(row) for row in scored], confidence=confidence)
    answered = sum(outcome is not Outcome.REFUSED for outcome in outcomes)
    return OutcomeShares(
        correct=_widened(found.correct, len(outcomes), missing),
        incorrect=_widened(found.incorrect, len(outcomes), missing),
        refused=_widened(found.refused, len(outcomes), missing),
        correct_of_answered=_widened(found.correct_of_answered, answered, missing),
    )


def _widened(share: Interval, told: int, missing: int) -> Interval:
    """What the share could still become if what is missing all went one way or the other (Manski's bounds)."""
    if not share.known or missing == 0:
        return share
    whole = told + missing
    return replace(share, lower=share.lower * told / whole, upper=(share.upper * told + missing) / whole)


def _cluster(row: ScoredAnswer) -> str:
    # A document may be called like an item; they are not the same.
    return f"item {row.item_id}" if row.cluster is None else f"cluster {row.cluster}"


def _flipping(by_item: dict[str, list[ScoredAnswer]], confidence: float) -> Interval:
    # 5.
    flips, clusters = [], []
    for of_item in by_item.values():
        outcomes = [row.outcome for row in of_item if row.outcome is not None]
        if len(outcomes) >= _ENOUGH_REPEATS:
            flips.append(len(set(outcomes)) > 1)
            clusters.append(_cluster(of_item[0]))
    return clustered_share(flips, clusters, confidence)


def clustered_share(hits: Sequence[bool], clusters: Sequence[str], confidence: float) -> Interval:
    """The share of hits: Wilson's interval where every cluster has one row, Korn and Graubard's where they repeat.

    Returns:
        The interval with ``n`` = number of clusters; unknown without rows.

    Raises:
        ParameterError: a level outside (0, 1) (RW-114).
    """
    if not hits:
        return unknown()
    if len(set(clusters)) == len(clusters):
        return wilson(int(sum(hits)), len(hits), confidence)
    return share_interval(np.array(hits, dtype=np.float64), clusters, confidence=confidence)


def _named(shares: OutcomeShares, cohort: str | None) -> tuple[Estimate, ...]:
    figures = {
        "correct_share": shares.correct,
        "incorrect_share": shares.incorrect,
        "refused_share": shares.refused,
        "correct_of_answered_share": shares.correct_of_answered,
    }
    return tuple(Estimate(metric=name, interval=figure, cohort=cohort) for name, figure in figures.items())
