"""Whether site, scanner, batch or time can be read off the inputs, and whether the model decides by it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.checks.recipe import train_logistic
from roadworthy.checks.scoring import (
    LabelledRows,
    endpoint_model,
    first_of_each,
    labelled_rows,
    required_quality,
    required_source,
)
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.kit.params import higher
from roadworthy.measure.probing.counterfactual import Swap, swap_site
from roadworthy.measure.probing.inputs import Inputs, Model, is_missing, make_inputs
from roadworthy.measure.probing.leakage import find_target_leaks
from roadworthy.measure.probing.leave_out import LeaveOut, leave_one_site_out
from roadworthy.measure.probing.residual import SiteEffect, site_beyond_score
from roadworthy.measure.probing.shortcut import Predictability, predictable, predictable_time
from roadworthy.stats.multiplicity import holm

_LEVEL = 0.05
_CARRIERS_SHOWN = 5
_TOLERATED = 0.05
_MOST_ASKED = 4
_MOST_ROWS = 2_000
_FEWEST_OF_A_SITE = 10
_SPECIMEN_ROWS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, in (0, 1).
        permutations: orders that are drawn to tell an AUC from chance.
    """

    confidence_share: float = higher(0.95)
    permutations: int = higher(99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Production rows, where each was made, and the model.

    Attributes:
        inputs: what the model takes.
        circumstances: cohort and acquisition columns of the same rows; the first one tells the sites.
        labels: 0 or 1, shape (n,).
        model: from inputs to scores.
        threshold: of decisions.
        training: rows that the model learned from, with their sites; None when the manifest does not say.
        times: when each row was made; None when the manifest does not say.
    """

    inputs: Inputs
    circumstances: Inputs
    labels: NDArray[Any]
    model: Model
    threshold: float
    training: LabelledRows | None
    times: NDArray[Any] | None = None

    @property
    def site(self) -> str:
        """The column that tells the sites."""
        return self.circumstances.names[0]

    @property
    def tokens(self) -> tuple[str, ...]:
        """Circumstances that the model takes as inputs."""
        return tuple(name for name in self.circumstances.names if name in self.inputs.names)


class SiteCheck(Check[Subject, Params]):
    """Ask three questions, the second of which decides.

    1. Can the circumstances be predicted from the inputs? That alone is no harm, since hospitals do see different
       patients; it is shown, with the inputs that carry it.
    2. Does a decision change when only the circumstances do? Those that the model takes are exchanged for another
       site's. A model that takes none cannot use them directly, which counts as no change, unless it declines rows or one
       of its inputs alone tells them.
    3. Does the site say something about the outcome that the score does not, and what does a plain recipe lose at a site
       that it never saw, where a training set is declared? Both are shown: they point at sites that the model reads off
       other inputs, which question 2 cannot see.
    """

    id: ClassVar[str] = "shortcut.site"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Shortcuts through site and acquisition"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA, Part.TRAINING_DATA})
    budget_s: ClassVar[float] = 240.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a model that decides by the scanner"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The labelled production rows, one of each cluster, at most 2,000 of them, and the live endpoint."""
        source = required_source(context, "production")
        rows = labelled_rows(source)
        rows = rows.take(first_of_each(rows.clusters, rows.labels.size, seed=context.seed))
        if rows.labels.size > _MOST_ROWS:
            chosen = np.random.default_rng(context.seed).choice(rows.labels.size, _MOST_ROWS, replace=False)
            rows = rows.take(np.sort(chosen))
        if rows.circumstances is None or np.unique(_first(rows.circumstances)).size < 2:  # sites
            raise ManifestError(
                "No column tells two sites or devices of production apart.",
                remedy="Name data.production.cohort, or columns of data.production.acquisition.",
                where="data.production",
            )
        yield Subject(
            inputs=rows.inputs,
            circumstances=rows.circumstances,
            labels=rows.labels,
            model=endpoint_model(context, source),
            threshold=required_quality(context).threshold,
            training=_training(context, source),
            times=rows.times,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A model that takes the scanner and does not care."""
        yield _specimen(lambda inputs: _probability(inputs.column("size")))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A model that takes the scanner for the disease."""
        yield _specimen(lambda inputs: np.where(inputs.column("scanner") == "new", 0.9, 0.1))

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Predict the circumstances, swap them, and look beyond the score."""
        asked = _ask(subject, params, run)
        swap = _swap(subject, params, run)
        scores = subject.model(subject.inputs)
        given = np.isfinite(scores)
        sites = _first(subject.circumstances)
        beyond = site_beyond_score(
            subject.labels[given], scores[given], sites[given], seed=run.seed, confidence=params.confidence_share
        )
        left_out = _leave_out(subject.training, params, run)
        copies = _copies(subject, run)
        flipped = _flipped(swap, subject.labels.size, told=bool(copies), answered=bool(given.all()))
        auc = max((each.auc for _, each in asked if each.auc.known), key=lambda a: a.estimate, default=unknown())
        drop = None if left_out is None or left_out.worst is None else left_out.worst.loss
        return Observation(
            estimates=(
                Estimate(metric="decisions_flipped_share", interval=flipped),
                Estimate(metric="circumstances_auc", interval=auc),
                *((Estimate(metric="unseen_site_loss", interval=drop),) if drop is not None else ()),
            ),
            facts={
                "rows": int(subject.labels.size),
                "rows declined": int((~given).sum()),
                "sites by": subject.site,
                "inputs that tell circumstances": list(subject.tokens),
                "inputs that copy circumstances": copies,
                "predicted": _predicted(asked),
                "swap": None if swap is None else _swap_row(swap),
                "beyond the score": _beyond_row(beyond),
                "unseen sites": None if left_out is None else _left_out_rows(left_out),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What the model uses is harm; what it could use is to be looked into."""
        facts, flipped = observation.facts, observation.estimates[0].interval
        findings = []
        findings += [
            Finding(
                what=f"{row['input']} alone tells {row['value']} of {row['circumstance']} (AUC {row['auc']:.3f}) and is not "
                "declared as a circumstance, so whether decisions hang on it was not tried.",
                remedy="Declare it in data.production.acquisition if it says where a row was made; otherwise see whether it is "
                "measured alike everywhere, or take it out of the model's inputs.",
            )
            for row in facts["inputs that copy circumstances"]
        ]
        if not flipped.known and (facts["rows declined"] or (facts["swap"] or {}).get("undecided")):
            findings.append(
                Finding(
                    what="Some rows got no score with another site's values, so the share of changed decisions is unknown.",
                    remedy="See why the endpoint declines them.",
                )
            )
        elif flipped.known and facts["swap"] and flipped.upper > _TOLERATED:
            findings.append(
                Finding(
                    what=f"{flipped.estimate:.1%} [{flipped.lower:.1%}, {flipped.upper:.1%}] of the decisions change when "
                    f"only {', '.join(facts['inputs that tell circumstances'])} does.",
                    remedy="Take these columns out of the model's inputs and train again.",
                )
            )
        findings += [_carried(row) for row in facts["predicted"] if row["adjusted p"] <= _LEVEL]
        beyond = facts["beyond the score"]
        if beyond["p"] <= _LEVEL:
            findings.append(
                Finding(
                    what=f"Given the score, the outcome still depends on {facts['sites by']} (p {beyond['p']:.2g}), most at "
                    f"{beyond['furthest']}: a score does not mean the same everywhere.",
                    remedy="Recalibrate by site, or add the input that differs between them.",
                )
            )
        findings += [
            Finding(
                what=f"A plain recipe loses {row['loss']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}] of AUC at "
                f"{row['site']} when it never saw it.",
                remedy="Expect the like of the model at a new site, and test it there before it serves.",
            )
            for row in facts["unseen sites"] or ()
            if row["lower"] is not None and row["lower"] > _TOLERATED
        ]
        return tuple(findings)


def _first(circumstances: Inputs) -> NDArray[Any]:
    return circumstances.column(circumstances.names[0]).astype(np.str_)


def _training(context: CheckContext, production: DataSource) -> LabelledRows | None:
    """Training rows of two sites or more; None where the manifest names no training set or no sites in it."""
    source = context.data.get("training")
    if source is None or source.cohort is None:
        return None
    rows = labelled_rows(replace(source, features=production.features))
    return rows if rows.cohorts is not None and np.unique(rows.cohorts.astype(np.str_)).size > 1 else None


def _ask(subject: Subject, params: Params, run: Run) -> Sequence[tuple[str, Predictability]]:
    """Each circumstance, from the inputs that are not circumstances themselves."""
    others = [name for name in subject.inputs.names if name not in subject.tokens]
    if not others:
        return ()
    inputs, level = subject.inputs.only(others), params.confidence_share
    asked = [
        (
            name,
            predictable(
                inputs,
                subject.circumstances.column(name),
                seed=run.seed,
                permutations=params.permutations,
                confidence=level,
            ),
        )
        for name in subject.circumstances.names[:_MOST_ASKED]
    ]
    if subject.times is not None:
        dated = ~is_missing(subject.times)
        if dated.any():
            late = predictable_time(
                inputs.take(dated),
                subject.times[dated],
                seed=run.seed,
                permutations=params.permutations,
                confidence=level,
            )
            asked.append(("early or late", late))
    return asked


def _swap(subject: Subject, params: Params, run: Run) -> Swap | None:
    if not subject.tokens:
        return None
    return swap_site(
        subject.model,
        subject.inputs,
        _first(subject.circumstances),
        subject.tokens,
        threshold=subject.threshold,
        seed=run.seed,
        confidence=params.confidence_share,
    )


def _copies(subject: Subject, run: Run) -> list[dict[str, Any]]:
    """Inputs that tell a site, scanner or batch by themselves without being declared; for each the value told best.

    The swap leaves these as they are, so a model that decides by one of them would pass it.
    """
    others = [name for name in subject.inputs.names if name not in subject.tokens]
    found: dict[str, dict[str, Any]] = {}
    for circumstance in subject.circumstances.names[:_MOST_ASKED] if others else ():
        names = subject.circumstances.column(circumstance).astype(np.str_)
        values, counts = np.unique(names, return_counts=True)
        for value in values[(counts >= _FEWEST_OF_A_SITE) & (counts <= names.size - _FEWEST_OF_A_SITE)]:
            told = find_target_leaks(subject.inputs.only(others), names == value, seed=run.seed)
            suspects = {each.columns[0] for each in told.findings}
            for each in told.tells:
                known = found.get(each.column)
                if each.column in suspects and (known is None or each.auc.estimate > known["auc"]):
                    found[each.column] = {
                        "input": each.column,
                        "circumstance": circumstance,
                        "value": str(value),
                        "auc": round(each.auc.estimate, 6),
                    }
    return list(found.values())


def _flipped(swap: Swap | None, rows: int, *, told: bool, answered: bool) -> Interval:
    """The share of decisions that change; nothing is known of what was not asked.

    A model that takes no circumstance cannot decide by one, provided that it decides at all and that no other input says
    the same. Where the swap left such an input alone, what it saw is only the least.
    """
    if swap is None:
        return unknown(rows) if told or not answered else exact(0.0, rows)
    return replace(swap.flipped_share, upper=1.0) if told and swap.flipped_share.known else swap.flipped_share


def _leave_out(training: LabelledRows | None, params: Params, run: Run) -> LeaveOut | None:
    if training is None or training.cohorts is None:
        return None
    return leave_one_site_out(
        train_logistic,
        training.inputs,
        training.labels,
        training.cohorts.astype(np.str_),
        seed=run.seed,
        confidence=params.confidence_share,
    )


def _predicted(asked: Sequence[tuple[str, Predictability]]) -> list[dict[str, Any]]:
    tested = [(name, each, each.test) for name, each in asked if each.test is not None]
    adjusted = holm([test.p_value for _, _, test in tested]) if tested else ()
    return [
        {
            "circumstance": name,
            "auc": _number(each.auc.estimate),
            "lower": _number(each.auc.lower),
            "upper": _number(each.auc.upper),
            "p": test.p_value,
            "adjusted p": float(p),
            "carried by": [
                {
                    "input": carrier.source,
                    "auc alone": _number(carrier.alone.estimate),
                    "lower": _number(carrier.alone.lower),
                }
                for carrier in each.carriers[:_CARRIERS_SHOWN]
            ],
            "too small": [{"group": group, "n": n} for group, n in each.too_small],
        }
        for (name, each, test), p in zip(tested, adjusted, strict=True)
    ]


def _carried(row: dict[str, Any]) -> Finding:
    by = ", ".join(carrier["input"] for carrier in row["carried by"][:3])
    return Finding(
        what=f"{row['circumstance']} can be told from the inputs: AUC {row['auc']:.3f} [{row['lower']:.3f}, "
        f"{row['upper']:.3f}], p {row['p']:.2g}, most of all by {by}. That alone is no harm.",
        remedy="Ask whether patients differ there or the way of measuring; in the latter case make it the same everywhere.",
    )


def _swap_row(swap: Swap) -> dict[str, Any]:
    return {
        "columns": list(swap.columns),
        "to positive": swap.to_positive,
        "to negative": swap.to_negative,
        "mean change of the score": _number(swap.score_change.estimate),
        "changes without a swap": _number(swap.unrest_share.estimate),
        "undecided": swap.undecided,
        "by site": [{"site": name, "flipped": _number(share.estimate)} for name, share in swap.by_site],
    }


def _beyond_row(beyond: SiteEffect) -> dict[str, Any]:
    def reach(entry: tuple[str, Interval]) -> float:
        return abs(entry[1].estimate)

    return {
        "p": beyond.p_value,
        "departure": _number(beyond.departure),
        "departure by chance": _number(beyond.usual),
        "furthest": max(beyond.excess, key=reach)[0] if beyond.excess else None,
        "excess of positives": [
            {"site": name, "share": _number(part.estimate), "lower": _number(part.lower), "upper": _number(part.upper)}
            for name, part in beyond.excess
        ],
        "too small": [{"site": name, "n": n} for name, n in beyond.too_small],
    }


def _left_out_rows(found: LeaveOut) -> list[dict[str, Any]]:
    return [
        {
            "site": row.site,
            "seen": _number(row.seen.estimate),
            "unseen": _number(row.unseen.estimate),
            "loss": _number(row.loss.estimate),
            "lower": _number(row.loss.lower),
            "upper": _number(row.loss.upper),
        }
        for row in found.sites
    ]


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _probability(size: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-2 * size)), dtype=np.float64)


def _specimen(model: Model) -> Subject:
    """Two scanners that see the same patients."""
    rng = np.random.default_rng(13)
    size = rng.normal(size=_SPECIMEN_ROWS)
    scanner = np.asarray(["old", "new"], dtype=object)[rng.integers(0, 2, _SPECIMEN_ROWS)]
    return Subject(
        inputs=make_inputs({"size": size, "age": rng.normal(size=_SPECIMEN_ROWS), "scanner": scanner}),
        circumstances=make_inputs({"scanner": scanner}),
        labels=(rng.random(_SPECIMEN_ROWS) < _probability(size)).astype(np.float64),
        model=model,
        threshold=0.5,
        training=None,
    )
