"""Whether the inputs of a window moved away from the frozen pilot. What drifts opens an investigation; it is no harm.

So do labels that are lacking where they are promised: who may leave them out can make harm look like quality. Only as many
are let pass as chance explains by Fisher's exact test against the pilot, which takes rows for independent.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import Interval, exact
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import AttachedFile, Check, Observation, Run, Watch
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.measure.probing.inputs import is_missing
from roadworthy.measure.profile.compare import ColumnShift, compare_states
from roadworthy.measure.profile.window_file import Window, window_bytes
from roadworthy.measure.table import Table, from_arrow, open_table
from roadworthy.measure.volume.plan import Kind
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import Reference, column_kinds, fit
from roadworthy.measure.volume.scan import scan
from roadworthy.stats.alarm import Alarm, AlertRule

PILOT, STATE_FILE = "pilot", "window.json"
_ARROW = {Kind.NUMBER: pa.float64(), Kind.INSTANT: pa.timestamp("us"), Kind.TEXT: pa.string(), Kind.FLAG: pa.bool_()}
_PLANTED_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The monitor's knobs stand in the manifest's block ``monitor``; here they are only told.

    Attributes:
        effect: what is measured.
        tolerance: the largest acceptable effect, in its unit.
        windows: at most one false alarm in that many windows.
    """

    effect: str = "psi"
    tolerance: float = 0.02
    windows: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCounts:
    """Rows and those of them without a label, of the pilot and of a window."""

    pilot_rows: int
    pilot_missing: int
    rows: int
    missing: int

    def to_facts(self, false_alarm_share: float) -> dict[str, Any]:
        """As facts of evidence; ``lacking`` tells whether more are missing than chance explains.

        Args:
            false_alarm_share: the chance of saying so of a window that lacks as many as the pilot, in (0, 1).
        """
        chance = chance_of_as_many(self)
        return {
            "pilot rows": self.pilot_rows,
            "pilot missing": self.pilot_missing,
            "rows": self.rows,
            "missing": self.missing,
            "lacking": chance <= false_alarm_share,
        }


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A counted window, the columns of the pilot that it does not have or that read otherwise there, and its labels.

    Labels are counted where the manifest promises them; they are None elsewhere.
    """

    window: Window
    lost: dict[str, str]
    labels: LabelCounts | None = None


def freeze(source: DataSource) -> Window:
    """The pilot as what windows are compared with: cells frozen on its inputs, and its own counts.

    Inputs are the declared features; where none are declared, every column but label, key and cluster. Instants are left
    out, since they move with the calendar.

    Raises:
        MissingFile, UnreadableData, EmptyData: the pilot cannot be read (RW-102, RW-103, RW-104).
        ContractError: a feature is no column of the pilot (RW-106).
        ManifestError: no column is left (RW-101).
    """
    table = open_table(source.pattern)
    set_apart = {source.label, source.key, source.cluster, source.time}
    instants = {item.name for item in column_kinds(table) if item.kind is Kind.INSTANT}
    names = source.features or tuple(name for name in table.column_names if name not in set_apart)
    inputs = [name for name in names if name not in instants]
    if not inputs:
        raise ManifestError("The pilot has no input to watch.", remedy="List the columns: data.pilot.features.")
    reference = fit(table, columns=inputs)
    return Window(name=PILOT, reference=reference, state=scan(profile_plan(reference), table))


class InputsCheck(Check[Subject, Params]):
    """Count the window on the pilot's frozen cells and judge every column by one rule with one error budget.

    Args:
        pilot: see ``freeze``.
        rule: with the calendar's budget.
        frozen_as: name of what the pilot was frozen from (see the monitor's folder); "" when nobody keeps it.
    """

    id: ClassVar[str] = "monitor.inputs"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Inputs against the pilot"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a window in which every input lost its values"
    watch: ClassVar[Watch | None] = Watch(harm=False)

    def __init__(self, pilot: Window, rule: AlertRule, frozen_as: str = "") -> None:
        self._pilot = pilot
        self._rule = rule
        self._frozen_as = frozen_as

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The window, counted in one scan."""
        source = context.data["production"]
        counted = count(self._pilot.reference, open_table(source.pattern), source.pattern.name)
        yield replace(counted, labels=count_labels(context))

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """The pilot's own counts, as if they were a window's."""
        yield Subject(window=self._pilot, lost={})

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The pilot's columns, all null."""
        kinds = {item.name: _ARROW.get(item.kind, pa.binary()) for item in self._pilot.reference.columns}
        planted = pa.table({name: pa.nulls(_PLANTED_ROWS, kind) for name, kind in kinds.items()})
        yield count(self._pilot.reference, from_arrow(planted, "planted"), "planted")

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Judge the counts; no row is touched any more."""
        window = subject.window
        seen = compare_states(
            window.reference, self._pilot.state, window.state, rule=self._rule, names=(PILOT, window.name)
        )
        drifted = [item for item in seen.columns if item.judgement.alarm is Alarm.EXCEEDS]
        unsure = sum(item.judgement.alarm is Alarm.CANNOT_TELL for item in seen.columns)
        count_of = Interval(estimate=len(drifted), lower=len(drifted), upper=len(drifted) + unsure, n=window.state.rows)
        return Observation(
            estimates=(
                Estimate(metric="columns_drifted", interval=count_of, unit="column"),
                Estimate(metric="columns_lost", interval=exact(len(subject.lost), window.state.rows), unit="column"),
                *(Estimate(metric="severity", interval=i.judgement.severity, cohort=i.name) for i in seen.columns),
            ),
            facts={
                "rows": window.state.rows,
                "drifted": [item.name for item in drifted],
                "effect": self._rule.effect.value,
                "tolerance": self._rule.tolerance,
                "columns": [_row(item) for item in seen.columns],
                "lost": dict(subject.lost),
                "labels": subject.labels.to_facts(1 / self._rule.windows) if subject.labels else None,
                "frozen as": self._frozen_as,
                "reference": self._pilot.reference.digest,
                "reference state": self._pilot.state.digest,
                "state": window.state.digest,
            },
            attachments=(AttachedFile(name=STATE_FILE, media_type="application/json", data=window_bytes(window)),),
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What drifted, and what the feed no longer delivers."""
        facts = observation.facts
        lost = [
            Finding(what=f"{name} cannot be compared with the pilot: {why}", remedy="Repair the feed.")
            for name, why in facts["lost"].items()
        ]
        drifted = [
            Finding(
                what=f"{row['column']} drifted: {facts['effect']} {row['severity']} [{row['lower']}, {row['upper']}] "
                f"against a tolerance of {facts['tolerance']:g}.",
                remedy="Find out what changed at the source. Drift is not harm: look at the quality of this window.",
            )
            for row in facts["columns"]
            if row["verdict"] == Alarm.EXCEEDS.value
        ]
        labels = facts["labels"]
        if not labels or not labels["lacking"]:
            return (*lost, *drifted)
        unlabelled = Finding(
            what=f"{labels['missing']} of {labels['rows']} rows have no label, against {labels['pilot missing']} of "
            f"{labels['pilot rows']} of the pilot.",
            remedy="Deliver the labels; until then nobody can tell whether this window was harmed.",
        )
        return (*lost, *drifted, unlabelled)


def count(reference: Reference, table: Table, name: str) -> Subject:
    """Count a table on frozen cells; columns that it lacks or reads in another way are set apart.

    Raises:
        UnreadableData: a file broke while it was read (RW-103).
    """
    here = {item.name: item.kind for item in column_kinds(table)}
    lost = {
        item.name: "it is missing." if item.name not in here else f"it was a {item.kind.value}, and is none here."
        for item in reference.columns
        if here.get(item.name) is not item.kind
    }
    kept = Reference(
        columns=tuple(item for item in reference.columns if item.name not in lost),
        numbers=tuple(item for item in reference.numbers if item.column not in lost),
        values=tuple(item for item in reference.values if item.column not in lost),
    )
    return Subject(window=Window(name=name, reference=kept, state=scan(profile_plan(kept), table)), lost=lost)


def count_labels(context: CheckContext) -> LabelCounts | None:
    """Count them; None where the manifest names no label for the one or the other: none is promised.

    Raises:
        MissingFile, UnreadableData, EmptyData: one of the sets cannot be read (RW-102, RW-103, RW-104).
    """
    pilot, window = context.data.get("pilot"), context.data["production"]
    if pilot is None or pilot.label is None or window.label is None:
        return None
    pilot_rows, pilot_missing = _missing(pilot, pilot.label)
    rows, missing = _missing(window, window.label)
    return LabelCounts(pilot_rows=pilot_rows, pilot_missing=pilot_missing, rows=rows, missing=missing)


def chance_of_as_many(counts: LabelCounts) -> float:
    """P(a window lacks at least that many), were the rows without a label spread by chance over pilot and window.

    The upper tail of the hypergeometric distribution (Fisher 1935), added up on the scale of logarithms.
    """
    rows, missing = counts.rows, counts.missing
    everything, gone = counts.pilot_rows + rows, counts.pilot_missing + missing
    whole = _log_choose(everything, rows)
    terms = (
        math.exp(_log_choose(gone, k) + _log_choose(everything - gone, rows - k) - whole)
        for k in range(missing, min(gone, rows) + 1)
        if rows - k <= everything - gone
    )
    return min(1.0, math.fsum(terms))


def _missing(source: DataSource, label: str) -> tuple[int, int]:
    table = open_table(source.pattern)
    if label not in table.column_names:
        return table.row_count, table.row_count
    return table.row_count, int(is_missing(table.column(label)).sum())


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _row(item: ColumnShift) -> dict[str, Any]:
    judgement = item.judgement
    severity, needed = judgement.severity, judgement.rows_needed

    def number(value: float) -> float | None:
        return round(value, 4) if severity.known else None

    return {
        "column": item.name,
        "severity": number(severity.estimate),
        "lower": number(severity.lower),
        "upper": number(severity.upper),
        "verdict": judgement.alarm.value,
        "rows needed": needed.current if needed else None,
    }
