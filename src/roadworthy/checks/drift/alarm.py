"""Whether the drift alarm fires when it should and only then, on the pilot's own rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roadworthy.checks.scoring import (
    endpoint_model,
    labelled_rows,
    required_quality,
    required_source,
)
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher, lower
from roadworthy.measure.probing.inputs import Inputs, is_missing, is_number, make_inputs
from roadworthy.measure.profile.compare import DEFAULT_RULE
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.reference import fit
from roadworthy.stats.alarm import Alarm, AlertRule, judge_columns
from roadworthy.stats.cells import CellCounts
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

LABEL, SCORE = "the outcome", "the score"
_FEW_VALUES = 10
_SPECIMEN_ROWS = 600
_TOO_FEW_ROWS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        tolerated_psi: of the rule under test, in nats.
        windows: of the rule under test: at most one false alarm in that many.
        shift_sd: size of the shift planted in numbers, in standard deviations.
        changed_share: of rows whose value is lost, or whose outcome becomes positive, in (0, 1).
        planted: how many shifts are planted, in turn in every column.
        quiet_windows: how many windows without a shift are judged.
    """

    tolerated_psi: float = lower(DEFAULT_RULE.tolerance)
    windows: int = higher(DEFAULT_RULE.windows)
    shift_sd: float = lower(1.0)
    changed_share: float = lower(0.4)
    planted: int = higher(60)
    quiet_windows: int = higher(120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a monitor of this use case sees of the pilot: inputs, outcome and score of each row."""

    columns: Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The frozen cells of one column: edges of numbers, or known values of anything else."""

    edges: FloatArray
    known: dict[str, int]
    number: bool

    @property
    def cells(self) -> int:
        return self.edges.size + 2 if self.number else len(self.known) + 2

    def codes(self, values: NDArray[Any]) -> IntArray:
        """The cell of each value; null has the last one, a value that is not known the one before."""
        null = is_missing(values)
        if self.number:
            places = np.searchsorted(self.edges, values.astype(np.float64), side="right")
        else:
            places = np.asarray([self.known.get(str(value), len(self.known)) for value in values], dtype=np.intp)
        return np.where(null, self.cells - 1, places)


class AlarmCheck(Check[Subject, Params]):
    """Deal the pilot's rows to two halves at random, again and again, and ask the alarm about the second one.

    As dealt, nothing moved, and an alarm is a false one. With a shift planted in one column of the second half - a
    number moved, values lost, more positive outcomes, other scores - the alarm for that column must come. So the share
    found says what half a pilot's rows can show; longer windows show smaller shifts.
    """

    id: ClassVar[str] = "drift.alarm"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Drift alarm fired on purpose, and silent otherwise"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA})
    budget_s: ClassVar[float] = 120.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a pilot so small that the alarm cannot fire"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The labelled pilot rows, scored now; rows that the endpoint declines have no score, as in service."""
        required_quality(context)
        source = required_source(context, "pilot")
        rows = labelled_rows(source)
        scores = endpoint_model(context, source)(rows.inputs)
        yield Subject(columns=make_inputs({**rows.inputs.columns, LABEL: rows.labels, SCORE: scores}))

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Enough rows."""
        yield Subject(columns=_specimen(_SPECIMEN_ROWS))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A tenth of them."""
        yield Subject(columns=_specimen(_TOO_FEW_ROWS))

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Judge quiet windows, then one window for each planted shift."""
        rule = AlertRule(effect=DEFAULT_RULE.effect, tolerance=params.tolerated_psi, windows=params.windows)
        scales = _scales(subject.columns)
        rng = np.random.default_rng(run.seed)
        false_alarms = 0
        for _ in range(params.quiet_windows):
            first, second = _halves(subject.columns.row_count, rng)
            judged = _judge(rule, scales, subject.columns.take(first), subject.columns.take(second))
            false_alarms += any(alarm is Alarm.EXCEEDS for alarm in judged.values())
            if run.cancelled():
                break
        found = dict.fromkeys(scales, 0)
        tried = dict.fromkeys(scales, 0)
        names = list(scales)
        for turn in range(params.planted):
            name = names[turn % len(names)]
            first, second = _halves(subject.columns.row_count, rng)
            window = _plant(subject.columns.take(second), name, params, rng)
            judged = _judge(rule, scales, subject.columns.take(first), window)
            tried[name] += 1
            found[name] += judged[name] is Alarm.EXCEEDS
            if run.cancelled():
                break
        return Observation(
            estimates=(
                Estimate(metric="detected_share", interval=wilson(sum(found.values()), sum(tried.values()))),
                Estimate(metric="false_alarm_share", interval=wilson(false_alarms, params.quiet_windows)),
            ),
            facts={
                "rule": {"effect": rule.effect.value, "tolerance": rule.tolerance, "windows": rule.windows},
                "rows of a window": subject.columns.row_count // 2,
                "false alarms": false_alarms,
                "quiet windows": params.quiet_windows,
                "planted": [
                    {
                        "column": name,
                        "shift": _describe(subject.columns.column(name), name, params),
                        "planted": tried[name],
                        "found": found[name],
                    }
                    for name in names
                    if tried[name]
                ],
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Columns in which a planted shift went unseen, and false alarms."""
        facts = observation.facts
        findings = [
            Finding(
                what=f"In {row['column']}, a shift ({row['shift']}) was found {row['found']} of {row['planted']} times in "
                f"windows of {facts['rows of a window']} rows.",
                remedy="Judge longer windows, or enlarge the pilot set that they are compared with.",
            )
            for row in facts["planted"]
            if row["found"] < row["planted"]
        ]
        allowed = facts["quiet windows"] / facts["rule"]["windows"]
        if facts["false alarms"] > max(1.0, allowed):
            findings.append(
                Finding(
                    what=f"{facts['false alarms']} of {facts['quiet windows']} windows without a shift raised an alarm.",
                    remedy="See whether rows of the pilot hang together, for example by patient; then judge one row of "
                    "each.",
                )
            )
        return tuple(findings)


def _scales(columns: Inputs) -> dict[str, _Scale]:
    """The cells that the measuring engine freezes on these very rows."""
    reference = fit(from_arrow(pa.table({name: pa.array(columns.column(name)) for name in columns.names}), "pilot"))
    edges = {item.column: np.asarray(item.edges) for item in reference.numbers}
    known = {item.column: {value: code for code, value in enumerate(item.known)} for item in reference.values}
    return {
        name: _Scale(
            edges=edges.get(name, np.empty(0)), known=known.get(name, {}), number=is_number(columns.column(name))
        )
        for name in columns.names
    }


def _halves(rows: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    order = rng.permutation(rows)
    return order[: rows // 2], order[rows // 2 :]


def _judge(rule: AlertRule, scales: dict[str, _Scale], first: Inputs, second: Inputs) -> dict[str, Alarm]:
    counts = []
    for name, scale in scales.items():
        before, after = (np.bincount(scale.codes(rows.column(name)), minlength=scale.cells) for rows in (first, second))
        counts.append(CellCounts(reference=before, current=after, ordered=scale.edges.size + 1 if scale.number else 0))
    return {name: judged.alarm for name, judged in zip(scales, judge_columns(rule, counts), strict=True)}


def _plant(window: Inputs, name: str, params: Params, rng: np.random.Generator) -> Inputs:
    """The window with one column changed; the kind of change is the one that ``_describe`` names."""
    values = window.column(name)
    if name == LABEL:
        negative = np.flatnonzero(values == 0)
        turned = negative[: round(params.changed_share * values.size)]
        changed = values.copy()
        changed[turned] = 1.0
        return window.replaced(name, changed)
    if _many(values):
        return window.replaced(name, values + params.shift_sd * np.nanstd(values))
    lost: BoolArray = rng.random(values.size) < params.changed_share
    emptied: NDArray[Any] = values.astype(np.float64 if is_number(values) else object)
    emptied[lost] = np.nan if is_number(values) else None
    return window.replaced(name, emptied)


def _describe(values: NDArray[Any], name: str, params: Params) -> str:
    if name == LABEL:
        return f"{params.changed_share:.0%} of the rows become positive"
    if _many(values):
        return f"{params.shift_sd:g} standard deviations up"
    return f"{params.changed_share:.0%} of the values lost"


def _many(values: NDArray[Any]) -> bool:
    return is_number(values) and np.unique(values[~is_missing(values)]).size > _FEW_VALUES


def _specimen(rows: int) -> Inputs:
    rng = np.random.default_rng(3)
    labels = np.tile([0.0, 1.0], rows // 2)
    return make_inputs(
        {
            "age": rng.normal(60.0, 10.0, rows),
            "size": rng.normal(14.0, 2.0, rows) + labels,
            "device": np.asarray(["one", "two"], dtype=object)[rng.integers(0, 2, rows)],
            LABEL: labels,
            SCORE: np.clip(rng.normal(0.3, 0.1, rows) + 0.4 * labels, 0.0, 1.0),
        }
    )
