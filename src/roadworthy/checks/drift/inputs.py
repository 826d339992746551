"""Whether production's inputs still look like the pilot's, column by column: what moved opens an investigation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.checks.scoring import all_inputs, required_source
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.kit.params import higher, lower
from roadworthy.measure.probing.inputs import Inputs, inputs_of, make_inputs
from roadworthy.measure.probing.shortcut import Predictability, predictable
from roadworthy.measure.profile.compare import ColumnShift, Comparison, compare_tables
from roadworthy.measure.table import Table, from_arrow, open_table
from roadworthy.stats.alarm import Alarm, AlertRule
from roadworthy.stats.drift import Effect

_CARRIERS_SHOWN = 5
_TOLD_APART = 0.6
_SPECIMEN_ROWS = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        tolerated_psi: population stability index up to which an input counts as the same, in nats.
        windows: at most one false alarm is expected in that many windows, over all inputs.
        permutations: orders that are drawn to tell the two-sample AUC from chance.
    """

    tolerated_psi: float = lower(0.2)
    windows: int = higher(100)
    permutations: int = higher(99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Both data sets and the inputs of the model.

    Attributes:
        pilot: the reference.
        production: what is compared with it.
        features: columns that the model takes.
        clusters: the patient or other unit of the pilot's rows, then of production's, each of shape (n,); None for a set
            whose manifest names no such column.
    """

    pilot: Table
    production: Table
    features: tuple[str, ...]
    clusters: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)


class InputsCheck(Check[Subject, Params]):
    """Compare every input of the model between pilot and production, and all of them together.

    Drift is no harm, so it fails nothing here: each input that moved is a finding to look into. What fails is not to
    know: an input that production does not deliver, or too few rows to say whether it moved.

    Together: how well a cheap classifier tells production rows from pilot rows, as an AUC; 0.5 is not at all. Where rows
    share clusters, one row of each is drawn: rows of one patient would be told by the patient.
    """

    id: ClassVar[str] = "drift.inputs"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Production inputs against pilot inputs"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a feed that lacks one input, sends another as text, and moved a third"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Pilot and production, and the inputs that the pilot names."""
        pilot, production = required_source(context, "pilot"), required_source(context, "production")
        before, after = open_table(pilot.pattern), open_table(production.pattern)
        yield Subject(
            pilot=before,
            production=after,
            features=all_inputs(before, pilot).names,
            clusters=(_clusters(before, pilot), _clusters(after, production)),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two draws of the same patients."""
        yield Subject(pilot=_specimen(1), production=_specimen(2), features=("age", "size", "device"))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A feed without sizes, in which ages are texts and the device is another."""
        yield Subject(pilot=_specimen(1), production=_specimen(2, damaged=True), features=("age", "size", "device"))

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Compare by one alert rule over all inputs, and test whether the two sets can be told apart."""
        rule = AlertRule(effect=Effect.PSI, tolerance=params.tolerated_psi, windows=params.windows)
        seen = compare_tables(subject.pilot, subject.production, rule=rule, columns=subject.features)
        apart = _apart(subject, seen, params, run)
        worst = max((each.judgement.severity for each in seen.columns), key=_estimate, default=unknown())
        judged = [each.judgement.alarm for each in seen.columns]
        count = len(subject.features)
        refused, untold = len(seen.refused), judged.count(Alarm.CANNOT_TELL)
        # An input of which the rows say too little may be comparable after all; one that is not there is not.
        not_compared = Interval(estimate=refused, lower=refused, upper=refused + untold, n=count, confidence=1.0)
        return Observation(
            estimates=(
                Estimate(metric="inputs_not_compared", interval=not_compared, unit="input"),
                Estimate(metric="inputs_drifted", interval=exact(len(seen.drifted), count), unit="input"),
                Estimate(metric="worst_severity", interval=worst, unit="nat"),
                Estimate(metric="two_sample_auc", interval=apart.auc),
            ),
            facts={
                "effect": rule.effect.value,
                "tolerance": rule.tolerance,
                "windows": rule.windows,
                "rows": {"pilot": subject.pilot.row_count, "production": subject.production.row_count},
                "inputs": [_row(each) for each in seen.columns],
                "not compared": [{"input": each.name, "why": each.why} for each in seen.refused],
                "told apart": {
                    "rows": apart.rows_used,
                    "p": None if apart.test is None else apart.test.p_value,
                    "by": [
                        {
                            "input": each.source,
                            "auc alone": _number(each.alone.estimate),
                            "lower": _number(each.alone.lower),
                        }
                        for each in apart.carriers[:_CARRIERS_SHOWN]
                    ],
                },
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What could not be compared, what could not be told, and what moved, which proves no harm."""
        facts = observation.facts
        findings = [
            Finding(
                what=f"{row['input']} cannot be compared: {row['why']}",
                remedy="Have it delivered as in the pilot, or take it out of the model's inputs.",
            )
            for row in facts["not compared"]
        ]
        findings += [_finding(row, facts["tolerance"]) for row in facts["inputs"] if row["verdict"] != Alarm.WITHIN]
        auc = next(each.interval for each in observation.estimates if each.metric == "two_sample_auc")
        if auc.known and auc.lower > _TOLD_APART and not any(r["verdict"] == Alarm.EXCEEDS for r in facts["inputs"]):
            by = ", ".join(row["input"] for row in facts["told apart"]["by"][:2])
            findings.append(
                Finding(
                    what=f"No input moved alone, but together they tell production from the pilot (AUC "
                    f"{auc.estimate:.3f}), most of all {by}.",
                    remedy="Look at pairs of these inputs; whether it does harm, the pilot-to-production delta says.",
                )
            )
        return tuple(findings)


def _finding(row: dict[str, Any], tolerance: float) -> Finding:
    if row["verdict"] == Alarm.EXCEEDS:
        return Finding(
            what=f"{row['input']} moved: PSI {row['severity']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}], more than "
            f"{tolerance:g}. That proves no harm.",
            remedy="Ask where it comes from: other patients, another device, another unit. Whether it does harm, the "
            "pilot-to-production delta and the estimate without labels say.",
        )
    needed = row["rows needed"]
    return Finding(
        what=f"Whether {row['input']} moved by more than {tolerance:g} cannot be told from these rows.",
        remedy="Gather more rows of both sets."
        if needed is None
        else f"Compare again with {needed} rows of production."
        if row["window suffices"]
        else f"Compare again with {needed} rows of each set.",
    )


def _apart(subject: Subject, seen: Comparison, params: Params, run: Run) -> Predictability:
    """Pilot and production rows side by side, by the inputs that both have in the same form."""
    names = [each.name for each in seen.columns]
    pilot, production = inputs_of(subject.pilot, names), inputs_of(subject.production, names)
    both = Inputs(columns={name: np.concatenate([pilot.column(name), production.column(name)]) for name in names})
    origin = np.repeat(["pilot", "production"], [pilot.row_count, production.row_count])
    clusters = None
    if any(each is not None for each in subject.clusters):
        # Rows of the set without clusters are units of their own, as nulls are.
        counts = (pilot.row_count, production.row_count)
        units = zip(subject.clusters, counts, strict=True)
        clusters = np.concatenate([np.full(n, None) if unit is None else unit.astype(object) for unit, n in units])
    return predictable(
        make_inputs(both.columns), origin, seed=run.seed, clusters=clusters, permutations=params.permutations
    )


def _clusters(table: Table, source: DataSource) -> NDArray[Any] | None:
    return None if source.cluster is None else table.column(source.cluster)


def _row(shift: ColumnShift) -> dict[str, Any]:
    judged, needed = shift.judgement, shift.judgement.rows_needed
    return {
        "input": shift.name,
        "verdict": judged.alarm.value,
        "severity": _number(judged.severity.estimate),
        "lower": _number(judged.severity.lower),
        "upper": _number(judged.severity.upper),
        "change of nulls": _number(shift.null_change.estimate),
        "rows needed": None if needed is None else needed.current or needed.each,
        "window suffices": needed is not None and needed.current is not None,
    }


def _estimate(interval: Interval) -> float:
    return interval.estimate if interval.known else -1.0


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _specimen(seed: int, *, damaged: bool = False) -> Table:
    rng = np.random.default_rng(seed)
    ages = rng.normal(60.0, 10.0, _SPECIMEN_ROWS)
    columns: dict[str, Any] = {
        "age": [f"{age:.0f} years" for age in ages] if damaged else ages,
        "device": rng.choice(["one", "two"], _SPECIMEN_ROWS, p=[0.1, 0.9] if damaged else [0.5, 0.5]),
    }
    if not damaged:
        columns["size"] = rng.normal(14.0, 2.0, _SPECIMEN_ROWS)
    return from_arrow(pa.table(columns), "damaged feed" if damaged else "specimen")
