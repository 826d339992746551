"""Whether the model still decides by the same inputs in production, and by none that only tell where a row was made."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.checks.scoring import all_inputs, endpoint_model, required_source
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.kit.params import higher, lower
from roadworthy.measure.probing.attribution import (
    WEIGHT,
    Attributions,
    Stability,
    explanation_cost,
    mass_on,
    occlude,
    stability,
)
from roadworthy.measure.probing.inputs import Inputs, Model, make_inputs
from roadworthy.measure.table import open_table
from roadworthy.stats.sample import FloatArray

_FEWEST_INPUTS = 3
_FEWEST_ROWS = 2
_TOP = 5
_TIMED_BATCHES = 5
_TIMED_ROWS = 16
_SPECIMEN_ROWS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        rows: of each set that are explained, drawn by the seed; all when there are fewer.
        draws: background rows that each occluded value is averaged over.
        alarm_level_share: chance of a false alarm that is accepted, for both figures together, in (0, 1).
        tolerated_mass_share: of all attribution that may fall on acquisition columns, in [0, 1].
    """

    rows: int = higher(200)
    draws: int = higher(3)
    alarm_level_share: float = higher(0.01)
    tolerated_mass_share: float = lower(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Rows of both sets, the model, and those of its inputs that tell where a row was made.

    Attributes:
        pilot: rows of the pilot.
        production: rows of production.
        model: from inputs to scores.
        acquisition: inputs that tell where a row was made.
        declared: whether the manifest names any column that does, input or not.
    """

    pilot: Inputs
    production: Inputs
    model: Model
    acquisition: tuple[str, ...]
    declared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Rows that get a score, and how many of the set did not."""

    name: str
    inputs: Inputs
    scores: FloatArray
    declined: int


class StableCheck(Check[Subject, Params]):
    """Take away one input at a time, through the endpoint, and see what the scores hang on in pilot and production.

    Two figures are compared with what dealing the rows at random gives: by how much an input's share of the weight
    differs, and by how much the direction in which its values point. A figure beyond chance is an alarm. The order of the
    inputs by weight, how many of the heaviest are shared and how many turned are shown beside them.
    The weight on cohort and acquisition columns decides too: a score must not hang on the scanner.

    A row that the endpoint declines with an input taken away keeps its own score there, and is counted. What that input
    weighs there is not known, so all weight may lie on where a row was made. Where no input moves a score, or nobody says
    which columns tell where a row was made, nothing is known.
    """

    id: ClassVar[str] = "attribution.stable"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Stability of what decisions hang on"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 240.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a model that decides by another input wherever the scanner is new"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Rows of pilot and production; labels are not needed."""
        pilot, production = required_source(context, "pilot"), required_source(context, "production")
        if len(production.features) < _FEWEST_INPUTS:
            raise ManifestError(
                f"{len(production.features)} inputs cannot be ranked.",
                remedy=f"List every column that the model takes, {_FEWEST_INPUTS} or more: data.production.features.",
                where="data.production.features",
            )
        yield Subject(
            pilot=_inputs(pilot, production.features),
            production=_inputs(production, production.features),
            model=endpoint_model(context, production),
            acquisition=tuple(
                name for name in production.features if name == production.cohort or name in production.acquisition
            ),
            declared=bool(production.cohort or production.acquisition),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A model that decides alike everywhere."""
        yield _specimen(lambda inputs: _sum(inputs, {"a": 2.0, "b": 1.0, "c": 0.5}))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A model with another rule for the scanner of production."""

        def model(inputs: Inputs) -> FloatArray:
            there = _sum(inputs, {"c": -2.0, "d": 2.0})
            return np.where(inputs.column("scanner") > 0, there, _sum(inputs, {"a": 2.0, "b": 1.0}))

        yield _specimen(model)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Explain both windows against the pilot as background, and compare."""
        rng = np.random.default_rng(run.seed)
        pilot = _scorable(subject.model, _sampled(subject.pilot, params.rows, rng), "pilot")
        production = _scorable(subject.model, _sampled(subject.production, params.rows, rng), "production")
        background, kept = pilot.inputs, Counter[str]()

        def explain(window: _Window) -> Attributions:
            model = _forgiving(subject.model, window.scores, kept, window.name)
            return occlude(model, window.inputs, background, draws=params.draws, seed=run.seed)

        before, after = explain(pilot), explain(production)
        compared = stability(before, after, top=min(_TOP, len(background.names) - 1), seed=run.seed)
        alarms = [name for name, p in compared.adjusted.items() if p <= params.alarm_level_share]
        rows = min(pilot.scores.size, production.scores.size)
        weighed = all(any(each.weights.values()) for each in (before, after))
        mass = _mass(subject, after, production, kept[production.name]) if weighed else unknown(rows)
        timed = _forgiving(subject.model, 0.0, Counter(), "")
        cost = explanation_cost(
            timed,
            lambda batch: occlude(timed, batch, background, draws=1, seed=run.seed),
            production.inputs,
            monotonic_s=monotonic_s,
            batch_rows=_TIMED_ROWS,
            batches=_TIMED_BATCHES,
        )
        return Observation(
            estimates=(
                Estimate(
                    metric="attribution_alarms",
                    interval=exact(len(alarms), rows) if weighed else unknown(rows),
                    unit="figure",
                ),
                Estimate(metric="acquisition_mass_share", interval=mass),
                Estimate(metric="attribution_rank_correlation", interval=compared.rank_correlation),
            ),
            facts={
                "rows": {each.name: each.scores.size for each in (pilot, production)},
                "rows declined": {each.name: each.declined for each in (pilot, production)},
                "scores kept where an input was taken away": {
                    each.name: kept[each.name] for each in (pilot, production)
                },
                "weights": _weights(before, after),
                "figures": _figures(compared),
                "alarms": alarms,
                "inputs move scores": weighed,
                "acquisition declared": subject.declared,
                "acquisition inputs": list(subject.acquisition),
                "tolerated mass": params.tolerated_mass_share,
                "cost": {
                    "rows a second": round(cost.plain_rows_per_s, 1),
                    "rows a second with explanation": round(cost.explained_rows_per_s, 1),
                    "slower by": round(cost.slowdown, 1),
                },
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What changed, and weight that lies on where a row was made."""
        facts = observation.facts
        mass: Interval = observation.estimates[1].interval
        findings = [_changed(facts, alarm) for alarm in facts["alarms"]]
        if not facts["acquisition declared"]:
            findings.append(
                Finding(
                    what="Nobody says which columns tell where a row was made, so what weighs on them is unknown.",
                    remedy="Name data.production.cohort, or columns of data.production.acquisition.",
                )
            )
        if not facts["inputs move scores"]:
            findings.append(
                Finding(what="No input moves a score.", remedy="See whether the endpoint answers every row alike.")
            )
        elif mass.known and mass.upper > facts["tolerated mass"]:
            findings.append(
                Finding(
                    what=f"{mass.estimate:.1%} [{mass.lower:.1%}, {mass.upper:.1%}] of what scores hang on is "
                    f"{', '.join(facts['acquisition inputs'])}, which tells where a row was made.",
                    remedy="Take these columns out of the model's inputs and train again."
                    if mass.lower > facts["tolerated mass"]
                    else "Have the endpoint score the rows that it declines, or more rows explained.",
                )
            )
        return tuple(findings)


def _inputs(source: DataSource, names: tuple[str, ...]) -> Inputs:
    return all_inputs(open_table(source.pattern), source).only(names)


def _sampled(inputs: Inputs, rows: int, rng: np.random.Generator) -> Inputs:
    if inputs.row_count <= rows:
        return inputs
    return inputs.take(np.sort(rng.choice(inputs.row_count, rows, replace=False)))


def _scorable(model: Model, inputs: Inputs, name: str) -> _Window:
    scores = model(inputs)
    given = np.isfinite(scores)
    if int(given.sum()) < _FEWEST_ROWS:
        raise EmptyData(
            f"The endpoint scores {int(given.sum())} of {given.size} rows of the {name} set.",
            remedy="See why it declines them.",
        )
    return _Window(name=name, inputs=inputs.take(given), scores=scores[given], declined=int((~given).sum()))


def _mass(subject: Subject, explained: Attributions, window: _Window, kept: int) -> Interval:
    """The share of the weight that lies on where a row was made, with room for what declined rows may hide."""
    if not subject.declared:
        return unknown(window.scores.size)
    if not subject.acquisition:
        return exact(0.0, window.scores.size)
    mass = mass_on(explained, subject.acquisition)
    if not mass.known:
        return mass
    hidden = window.declined / (window.declined + window.scores.size)
    return replace(mass, upper=1.0 if kept else min(1.0, mass.upper + hidden))


def _forgiving(model: Model, own: FloatArray | float, kept: Counter[str], name: str) -> Model:
    """The model, giving a changed row that it declines the score that the row has unchanged."""

    def forgiving(inputs: Inputs) -> FloatArray:
        scores = np.asarray(model(inputs), dtype=np.float64)
        declined = np.isnan(scores)
        kept[name] += int(declined.sum())
        return np.where(declined, own, scores)

    return forgiving


def _weights(before: Attributions, after: Attributions) -> list[dict[str, Any]]:
    first, second = before.weights, after.weights
    totals = sum(first.values()) or 1.0, sum(second.values()) or 1.0
    return [
        {
            "input": name,
            "pilot share": round(weight / totals[0], 6),
            "production share": round(second[name] / totals[1], 6),
        }
        for name, weight in first.items()
    ]


def _figures(compared: Stability) -> Mapping[str, Any]:
    return {
        "rank correlation": round(compared.rank_correlation.estimate, 6),
        "shared among the heaviest": round(compared.overlap_share, 6),
        "changed direction": round(compared.flipped_share, 6),
        "adjusted p": {name: round(p, 6) for name, p in compared.adjusted.items()},
        "furthest": dict(compared.furthest),
    }


def _changed(facts: Mapping[str, Any], alarm: str) -> Finding:
    name = facts["figures"]["furthest"][alarm]
    row = next(each for each in facts["weights"] if each["input"] == name)
    had = f"{name} had {row['pilot share']:.0%} of the weight and has {row['production share']:.0%}"
    return Finding(
        what=f"Decisions hang on other inputs than in the pilot (weight): {had}."
        if alarm == WEIGHT
        else f"Decisions hang on inputs in another way than in the pilot (direction), most of all on {name}: a higher value "
        f"does not move the score as it did there; {had}.",
        remedy="Look at the rows where that input weighs most, with somebody who knows them; then at its drift.",
    )


def _sum(inputs: Inputs, weights: Mapping[str, float]) -> FloatArray:
    total = sum(weight * inputs.column(name) for name, weight in weights.items())
    return np.asarray(1 / (1 + np.exp(-total)), dtype=np.float64)


def _specimen(model: Model) -> Subject:
    """Four inputs of one law in both sets; the scanner of production is the new one more often."""
    rng = np.random.default_rng(17)

    def draw(new_share: float) -> Inputs:
        columns: dict[str, FloatArray] = {name: rng.normal(size=_SPECIMEN_ROWS) for name in "abcd"}
        return make_inputs({**columns, "scanner": (rng.random(_SPECIMEN_ROWS) < new_share).astype(np.float64)})

    return Subject(pilot=draw(0.05), production=draw(0.95), model=model, acquisition=("scanner",), declared=True)
