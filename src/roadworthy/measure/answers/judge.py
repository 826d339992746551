"""A model that judges answers, judged itself. Owns its noise floor, its agreement with people and what it may be used for.

A judging model is an instrument with an unknown error. Asked twice it may answer twice differently, and where it is sure
it may be wrong. So one run of a judge is no measurement: it counts only with repeats, beside people's verdicts on the same
answers, and what it then says of other answers is corrected for its error.

Algorithm of ``judge_report``:
1. Read each item: what all its repeats say, or nothing when they differ or one of them gave no verdict. Two against one
   is no majority here, it is an item near the judge's edge: it stays undecided.
2. The noise floor is the share of items whose repeats differ.
3. Alpha between the repeats: the judge's agreement with itself beyond chance.
4. Kappa between the reading and people, undecided being a category that people do not have.
5. Sensitivity and specificity of a single run, over all items and repeats, clustered by item: this is the error that one
   call in production makes. A run without a verdict counts against both.

Rules kept here: a judge with too few repeats cannot be told usable, whatever its figures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roadworthy.base.errors import ContractError, EmptyData, ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.domain.criterion import Comparator, Estimate, Predicate, Verdict, judge_all
from roadworthy.measure.answers.evaluate import clustered_share
from roadworthy.stats.agreement import cohens_kappa, krippendorff_alpha

_ENOUGH_REPEATS = 2
_NAMES = {True: "marked", False: "clear", None: "undecided"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedItem:
    """One answer with the judge's verdicts on it.

    Attributes:
        id: unique in its set.
        verdicts: of each repeat, whether the judge marks the answer as faulty; None when its verdict cannot be read.
        marked: whether people mark the answer as faulty; None where nobody looked.
        cluster: what it shares with others: a document, a user; None when it stands alone.
    """

    id: str
    verdicts: tuple[bool | None, ...]
    marked: bool | None = None
    cluster: str | None = None

    @property
    def reading(self) -> bool | None:
        """What all repeats say; None when they differ, or when one cannot be read."""
        said = set(self.verdicts)
        return said.pop() if len(said) == 1 else None

    @property
    def flips(self) -> bool:
        """Whether the verdict is not the same in all repeats."""
        return len(set(self.verdicts)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeBounds:
    """What a judge must keep to be used; shares in [0, 1].

    Attributes:
        flipping_at_most: the noise floor.
        kappa_at_least: agreement with people.
        sensitivity_at_least: of a single run.
        specificity_at_least: of a single run.
        repeats_at_least: fewest repeats of every item, at least 2.
        n_min: fewest independent items behind each figure.
        provenance: where the bounds come from.
    """

    flipping_at_most: float
    kappa_at_least: float
    sensitivity_at_least: float
    specificity_at_least: float
    repeats_at_least: int = 3
    n_min: int = 30
    provenance: str

    def __post_init__(self) -> None:
        if self.repeats_at_least < _ENOUGH_REPEATS:
            raise ParameterError(
                f"{self.repeats_at_least} repeat(s) show no noise.", remedy="Ask for at least 2 repeats."
            )

    def predicates(self) -> tuple[Predicate, ...]:
        """The four bounds as predicates on the estimates of a report."""

        def on(metric: str, comparator: Comparator, bound: float) -> Predicate:
            return Predicate(
                metric=metric,
                comparator=comparator,
                bound=bound,
                unit="1",
                n_min=self.n_min,
                provenance=self.provenance,
            )

        return (
            on("judge_flipping_share", Comparator.AT_MOST, self.flipping_at_most),
            on("judge_kappa", Comparator.AT_LEAST, self.kappa_at_least),
            on("judge_sensitivity", Comparator.AT_LEAST, self.sensitivity_at_least),
            on("judge_specificity", Comparator.AT_LEAST, self.specificity_at_least),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """How good a judge is.

    Attributes:
        items: how many people looked at.
        repeats: the fewest repeats of any item.
        flipping: share of items whose repeats differ: the noise floor. It grows with the number of repeats.
        alpha: agreement of the repeats with each other beyond chance; unknown with one repeat or one verdict only.
        kappa: agreement of the reading with people beyond chance.
        sensitivity: share of single runs that mark what people mark.
        specificity: share of single runs that clear what people clear.
        false_marks: share of single runs that mark what people clear; with ``specificity`` it adds to 1 unless verdicts
            could not be read.
        undecided: items without a reading.
    """

    items: int
    repeats: int
    flipping: Interval
    alpha: Interval
    kappa: Interval
    sensitivity: Interval
    specificity: Interval
    false_marks: Interval
    undecided: int

    def estimates(self) -> tuple[Estimate, ...]:
        """The figures under the names that predicates use."""
        return (
            Estimate(metric="judge_flipping_share", interval=self.flipping),
            Estimate(metric="judge_alpha", interval=self.alpha),
            Estimate(metric="judge_kappa", interval=self.kappa),
            Estimate(metric="judge_sensitivity", interval=self.sensitivity),
            Estimate(metric="judge_specificity", interval=self.specificity),
        )

    def usable(self, bounds: JudgeBounds) -> Verdict:
        """MET: usable; NOT_MET: not usable; CANNOT_TELL: too few repeats or items, or an interval straddles a bound."""
        if self.repeats < bounds.repeats_at_least:
            return Verdict.CANNOT_TELL
        return judge_all(bounds.predicates(), self.estimates())


def judge_report(items: Sequence[JudgedItem], *, seed: int, confidence: float = 0.95) -> JudgeReport:
    """Measure a judge on answers that people judged too.

    Args:
        items: with verdicts of every repeat and people's mark.
        seed: of the resampling behind alpha, and behind kappa where clusters repeat.
        confidence: two-sided level in (0, 1), for each figure.

    Raises:
        EmptyData: no items (RW-104).
        ContractError: an id that occurs twice, an item without a verdict or without people's mark (RW-106).
        ParameterError: a level outside (0, 1) (RW-114).
    """
    _check(items, labelled=True)
    clusters = [_cluster(item) for item in items]
    # 1.
    readings = [item.reading for item in items]
    repeats = min(len(item.verdicts) for item in items)
    repeated = repeats >= _ENOUGH_REPEATS
    # 4.
    kappa = cohens_kappa(
        [_NAMES[item.marked] for item in items],
        [_NAMES[reading] for reading in readings],
        clusters=clusters if len(set(clusters)) < len(clusters) else None,
        seed=seed,
        confidence=confidence,
    )
    return JudgeReport(
        items=len(items),
        repeats=repeats,
        # 2.
        flipping=clustered_share([item.flips for item in items], clusters, confidence) if repeated else unknown(),
        # 3.
        alpha=_alpha(items, clusters, seed, confidence) if repeated else unknown(),
        kappa=kappa,
        # 5.
        sensitivity=_runs(items, lambda item: item.marked is True, of=True, confidence=confidence),
        specificity=_runs(items, lambda item: item.marked is False, of=False, confidence=confidence),
        false_marks=_runs(items, lambda item: item.marked is False, of=True, confidence=confidence),
        undecided=sum(reading is None for reading in readings),
    )


def corrected_prevalence(items: Sequence[JudgedItem], report: JudgeReport, *, confidence: float = 0.95) -> Interval:
    """The share of faulty answers behind a judge's marks (Rogan and Gladen, American Journal of Epidemiology 107, 1978).

    ``(marks - false marks) / (sensitivity - false marks)``, cut to [0, 1]. The interval carries all three errors: each
    part is moved to each end of its own interval, and the shifts that this makes are added as squares (the method of
    variance estimates recovery, Zou and Donner, Statistics in Medicine 27, 2008, as in ``stats.difference``).

    Args:
        items: answers that the judge marked or cleared, others than those behind ``report``; people's marks are not used.
        report: the judge's error, measured at the same confidence.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = clusters of ``items``; unknown when the judge cannot be told from one that guesses.

    Raises:
        EmptyData: no items (RW-104).
        ContractError: an id that occurs twice, or an item without a verdict (RW-106).
        ParameterError: the levels differ, or one is outside (0, 1) (RW-114).
    """
    _check(items, labelled=False)
    marks = _runs(items, lambda _: True, of=True, confidence=confidence)
    parts = (marks, report.sensitivity, report.false_marks)
    if not all(part.known for part in parts) or report.sensitivity.lower <= report.false_marks.upper:
        return unknown(marks.n)
    if {part.confidence for part in parts} != {confidence}:
        raise ParameterError(
            "The judge was measured at another confidence.", remedy="Measure both at the same confidence."
        )
    centre = _rogan_gladen(*(part.estimate for part in parts))
    below = above = 0.0
    for place, part in enumerate(parts):
        shifts = []
        for end in (part.lower, part.upper):
            moved = [end if place == other else each.estimate for other, each in enumerate(parts)]
            shifts.append(_rogan_gladen(*moved) - centre)
        below += min(0.0, *shifts) ** 2
        above += max(0.0, *shifts) ** 2
    return Interval(
        estimate=_cut(centre),
        lower=_cut(centre - math.sqrt(below)),
        upper=_cut(centre + math.sqrt(above)),
        n=marks.n,
        confidence=confidence,
    )


def _rogan_gladen(marks: float, sensitivity: float, false_marks: float) -> float:
    return (marks - false_marks) / (sensitivity - false_marks)


def _cut(share: float) -> float:
    return min(1.0, max(0.0, share))


def _runs(items: Sequence[JudgedItem], among: Callable[[JudgedItem], bool], *, of: bool, confidence: float) -> Interval:
    """The share of single runs whose verdict is ``of``, clustered by item."""
    some = [item for item in items if among(item)]
    hits = [verdict is of for item in some for verdict in item.verdicts]
    return clustered_share(hits, [_cluster(item) for item in some for _ in item.verdicts], confidence)


def _alpha(items: Sequence[JudgedItem], clusters: Sequence[str], seed: int, confidence: float) -> Interval:
    ratings = np.full((max(len(item.verdicts) for item in items), len(items)), np.nan)
    for column, item in enumerate(items):
        for line, verdict in enumerate(item.verdicts):
            if verdict is not None:
                ratings[line, column] = float(verdict)
    return krippendorff_alpha(ratings, clusters=clusters, seed=seed, confidence=confidence)


def _cluster(item: JudgedItem) -> str:
    # A document may be called like an item; they are not the same.
    return f"item {item.id}" if item.cluster is None else f"cluster {item.cluster}"


def _check(items: Sequence[JudgedItem], *, labelled: bool) -> None:
    if not items:
        raise EmptyData("There are no judged items.", remedy="Give at least one answer with the judge's verdicts.")
    if len({item.id for item in items}) < len(items):
        raise ContractError("Two items have one id.", remedy="Give each item an id of its own.")
    for item in items:
        if not item.verdicts or (labelled and item.marked is None):
            lacking = "people's mark" if item.verdicts else "the judge's verdict"
            raise ContractError(
                f"Item {item.id!r} lacks {lacking}.",
                remedy="Leave out what was not judged.",
                where=f"item {item.id}",
            )
