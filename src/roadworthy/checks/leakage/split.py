"""Whether a figure can be trusted: inputs known in time, and no row of the test among what the model learned from."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.interval import Interval, unknown
from roadworthy.checks.scoring import all_inputs, labelled_rows, required_source
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.measure.contract import load_contract
from roadworthy.measure.probing.inputs import Inputs, is_missing, is_number, make_inputs
from roadworthy.measure.probing.leakage import (
    Leak,
    LeakFinding,
    find_conflicts,
    find_known_too_late,
    find_overlap,
    find_row_order,
    find_shared_groups,
    find_target_leaks,
)
from roadworthy.measure.table import open_table
from roadworthy.stats.sample import FloatArray

_KEY = "key of the row"
_FEWEST_LEARNED = 100
_MOST_LEFT_OUT = 12
_BY_CHANCE = 10
_DIGITS = 4
_SPECIMEN_ROWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing may be changed: a leak is a leak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSet:
    """All rows of one data set.

    Attributes:
        name: of the set.
        inputs: what the model takes.
        key: of each row, shape (n,); None when the manifest names none.
        clusters: the patient or other unit of each row, shape (n,); None when the manifest names none.
    """

    name: str
    inputs: Inputs
    key: NDArray[Any] | None
    clusters: NDArray[Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Rows on both sides of the split, and when each input is known.

    Attributes:
        learned: the training set, or the pilot where none is declared.
        tested: the sets that figures are measured on.
        labelled: inputs of the rows of ``learned`` that have an outcome.
        labels: these outcomes, shape (m,).
        cluster: what a cluster is called.
        known_at: by input, the step at which its value is known; absent when nobody says.
        steps: of a case's life, in order.
        decided_at: the step of the decision; "" when nobody says.
    """

    learned: RowSet
    tested: tuple[RowSet, ...]
    labelled: Inputs
    labels: FloatArray
    cluster: str
    known_at: Mapping[str, str]
    steps: tuple[str, ...]
    decided_at: str


class SplitCheck(Check[Subject, Params]):
    """Search for whatever the model could know in the test and not in service.

    Two figures decide: inputs whose value is known only after the decision, and rows of the test that stand among what
    the model learned from, by row or by patient. An input of which nobody says when it is known may be too late, so it
    keeps the first bound from being met. So do rows without a patient, and a set that does not say them, the second one:
    they may be anybody's. With fewer than a hundred rows on the learning side nothing found is not nothing there.

    An input whose values are all different, such as a running number, hides rows that are equal otherwise, so rows are
    also compared with each such input left out (step 2 of ``_hidden_overlap``).

    Shown beside them, for a person to judge, and unknown with fewer than ten rows of an outcome: an input that all but gives the outcome away, outcomes that follow the
    order of the file, and equal rows with different outcomes.
    """

    id: ClassVar[str] = "leakage.split"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Leakage across the split and into the inputs"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA, Part.PILOT_DATA, Part.TRAINING_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = (
        "a test set that repeats training rows and shares patients, and an input known only after the decision"
    )

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Pilot and production against the training set; where none is declared, production against the pilot."""
        pilot, production = required_source(context, "pilot"), required_source(context, "production")
        training = context.data.get("training")
        learned = pilot if training is None else replace(training, features=production.features)
        tested = (production,) if training is None else (pilot, production)
        rows = labelled_rows(learned)
        yield Subject(
            learned=_row_set(learned, production),
            tested=tuple(_row_set(each, production) for each in tested),
            labelled=rows.inputs,
            labels=rows.labels,
            cluster=production.cluster or "cluster",
            known_at=_known_at(production),
            steps=context.steps,
            decided_at=context.decided_at,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Different patients, and inputs known before the decision."""
        yield _specimen()

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Half of the test rows are training rows, and one input is known too late."""
        good = _specimen()
        again = good.learned.inputs.take(np.arange(_SPECIMEN_ROWS) % (_SPECIMEN_ROWS // 2))
        leaky = replace(good.tested[0], inputs=again, clusters=good.learned.clusters)
        yield replace(good, tested=(leaky,), known_at={**good.known_at, "b": "follow-up"})

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Run every search."""
        late, undated = _late(subject)
        shared = [(each, leak) for each in subject.tested for leak in _across(subject, each)]
        told = find_target_leaks(subject.labelled, subject.labels, seed=run.seed)
        order, ordered = find_row_order(subject.labels, seed=run.seed)
        suspects = [*told.findings, *ordered, *find_conflicts(subject.labelled, subject.labels)]
        untold = [*(each.column for each in told.tells if not each.auc.known), *(() if order.known else ("row order",))]
        inputs = len(subject.labelled.names)
        rows = sum(each.inputs.row_count for each in subject.tested)
        unnamed = {each.name: _unnamed(subject.learned, each) for each in subject.tested}
        both = _both_sides(_rows_concerned(shared), sum(unnamed.values()), rows, subject.learned.inputs.row_count)
        too_late = Interval(
            estimate=len(late), lower=len(late), upper=len(late) + len(undated), n=inputs, confidence=1.0
        )
        return Observation(
            estimates=(
                Estimate(metric="inputs_known_too_late", interval=too_late, unit="input"),
                Estimate(metric="rows_on_both_sides", interval=both, unit="row"),
                Estimate(
                    metric="suspicions", interval=_suspicions(len(suspects), len(untold), inputs), unit="suspicion"
                ),
            ),
            facts={
                "learned from": subject.learned.name,
                "tested on": [each.name for each in subject.tested],
                "rows tested": rows,
                "rows learned from": subject.learned.inputs.row_count,
                "rows of nobody known": unnamed,
                "cluster": subject.cluster,
                "steps": list(subject.steps),
                "decided at": subject.decided_at,
                "too late": [_row(each) for each in late],
                "nobody says when": list(undated),
                "both sides": [{"set": each.name, **_row(leak)} for each, leak in shared],
                "suspicions": [_row(each) for each in suspects],
                "not searched": untold,
                "rarer outcome": _rarer(subject.labels),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Each leak with its columns and rows; then what a person has to judge."""
        facts = observation.facts
        findings = [Finding(what=row["what"], remedy=row["remedy"]) for row in facts["too late"]]
        if facts["nobody says when"]:
            findings.append(_undated(facts["nobody says when"], steps=bool(facts["steps"] and facts["decided at"])))
        findings += [
            Finding(what=f"{row['set']} against {facts['learned from']}: {row['what']}", remedy=row["remedy"])
            for row in facts["both sides"]
        ]
        findings += _open(facts)
        findings += [Finding(what=row["what"], remedy=row["remedy"]) for row in facts["suspicions"]]
        if facts["not searched"]:
            findings.append(
                Finding(
                    what=f"Whether {', '.join(facts['not searched'])} gives the outcome away cannot be told: "
                    f"{facts['learned from']} has {facts['rarer outcome']} rows of the rarer outcome, ten are needed.",
                    remedy="Label more rows.",
                )
            )
        return tuple(findings)


def _suspicions(found: int, untold: int, inputs: int) -> Interval:
    """How many; unknown where nothing was found and something could not be searched."""
    if not found and untold:
        return unknown(inputs)
    return Interval(estimate=found, lower=found, upper=found + untold, n=inputs, confidence=1.0)


def _open(facts: Mapping[str, Any]) -> list[Finding]:
    """What keeps the number of rows on both sides open."""
    found = [
        Finding(
            what=f"{name} against {facts['learned from']}: {rows} test rows may share their {facts['cluster']} with what the "
            "model learned from, since it is missing on one side.",
            remedy=f"Name the {facts['cluster']} of every row in all sets.",
        )
        for name, rows in facts["rows of nobody known"].items()
        if rows
    ]
    if facts["rows learned from"] < _FEWEST_LEARNED:
        found.append(
            Finding(
                what=f"{facts['learned from']} has {facts['rows learned from']} rows, too few to be all that a model learned "
                "from.",
                remedy="Declare the whole training set: data.training.",
            )
        )
    return found


def _both_sides(found: int, unnamed: int, rows: int, learned: int) -> Interval:
    """How many rows; nothing found among a handful is unknown, and those of nobody known widen the upper end."""
    if not found and learned < _FEWEST_LEARNED:
        return unknown(rows)
    return Interval(estimate=found, lower=found, upper=max(found, min(rows, found + unnamed)), n=rows, confidence=1.0)


def _unnamed(learned: RowSet, tested: RowSet) -> int:
    """The most test rows that may belong to a cluster of the learning side without anybody knowing.

    A test row without a cluster may. Each learned row without one may belong to any cluster of the test, so the largest
    ones count. A set that does not have the column is one where it is missing in every row.
    """
    if learned.clusters is None and tested.clusters is None:
        return 0
    rows = tested.inputs.row_count
    if learned.clusters is None or tested.clusters is None:
        return rows
    missing = is_missing(tested.clusters)
    nameless = int(is_missing(learned.clusters).sum())
    sizes = Counter(tested.clusters[~missing].astype(np.str_).tolist())
    return int(missing.sum()) + sum(size for _, size in sizes.most_common(nameless))


def _rarer(labels: FloatArray) -> int:
    positives = int((labels == 1).sum())
    return min(positives, labels.size - positives)


def _row_set(source: DataSource, production: DataSource) -> RowSet:
    table = open_table(source.pattern)
    key, cluster = source.key, source.cluster or production.cluster
    return RowSet(
        name=source.name,
        inputs=all_inputs(table, replace(source, features=production.features)),
        key=table.column(key) if key in table.column_names and key is not None else None,
        clusters=table.column(cluster) if cluster in table.column_names and cluster is not None else None,
    )


def _known_at(source: DataSource) -> dict[str, str]:
    """By input, what the contract says; the manifest has the last word."""
    fields = () if source.contract is None else load_contract(source.contract).fields
    declared = {field.name: field.known_at for field in fields if field.known_at} | dict(source.known_at)
    return {name: at for name, at in declared.items() if name in source.features}


def _late(subject: Subject) -> tuple[list[LeakFinding], tuple[str, ...]]:
    """Inputs that are known too late, and those of which nobody can tell."""
    names = subject.labelled.names
    if not (subject.steps and subject.decided_at):
        return [], names
    found = find_known_too_late(subject.known_at, names, instants=subject.steps, decision=subject.decided_at)
    late = [each for each in found if each.leak is Leak.KNOWN_TOO_LATE]
    return late, tuple(each.columns[0] for each in found if each.leak is Leak.UNDECLARED)


def _across(subject: Subject, tested: RowSet) -> list[LeakFinding]:
    learned = subject.learned
    first, second = dict(learned.inputs.columns), dict(tested.inputs.columns)
    keys: tuple[str, ...] = ()
    if learned.key is not None and tested.key is not None:
        first[_KEY], second[_KEY] = learned.key, tested.key
        keys = (_KEY,)
    found = list(find_overlap(make_inputs(first), make_inputs(second), keys=keys))
    found = _hidden_overlap(learned.inputs, tested.inputs, found)
    if learned.clusters is not None and tested.clusters is not None:
        found += find_shared_groups(learned.clusters, tested.clusters, column=subject.cluster)
    return found


def _hidden_overlap(learned: Inputs, tested: Inputs, found: list[LeakFinding]) -> list[LeakFinding]:
    """What comparing without one input finds, where that is more than comparing with all of them did.

    1. Left out is one input at a time whose values are all different on both sides, the first twelve of them.
    2. Rows that are equal in the rest are no proof where the rest repeats anyway. Two sets of one law share no more rows
       by chance than repeat within them, as no more pairs lie across than within; so it takes three times as many, and
       ten more: where none repeats, that many by chance is rarer than one in a thousand.
    """
    known = sum(leak.count for leak in found)
    best, most = found, known
    # 1. Inputs that tell every row.
    telling = [name for name in learned.names if _all_differ(learned, name) and _all_differ(tested, name)]
    for name in telling[:_MOST_LEFT_OUT] if len(learned.names) > 1 else ():
        rest = [each for each in learned.names if each != name]
        hidden = find_overlap(learned.only(rest), tested.only(rest))
        count = sum(leak.count for leak in hidden)
        # 2. More than chance.
        repeats = _repeats(learned.only(rest)) + _repeats(tested.only(rest))
        if count > most and count - known > _BY_CHANCE + 3 * repeats:
            best, most = [replace(leak, what=f"{leak.what} {name} is left out of this.") for leak in hidden], count
    return best


def _all_differ(inputs: Inputs, name: str) -> bool:
    values = inputs.column(name)
    return np.unique(values.astype(np.str_)).size == values.size


def _repeats(inputs: Inputs) -> int:
    """Rows that are equal to another one of the same set, numbers to four digits."""
    columns = [
        [f"{value:.{_DIGITS}g}" for value in column.astype(np.float64)] if is_number(column) else column.astype(np.str_)
        for column in (inputs.column(name) for name in inputs.names)
    ]
    return sum(count for count in Counter(zip(*columns, strict=True)).values() if count > 1)


def _rows_concerned(shared: Sequence[tuple[RowSet, LeakFinding]]) -> int:
    """Rows that are repeated, or that belong to a shared group, by set; whichever are more, as they are mostly the same."""
    total = 0
    for name in {each.name for each, _ in shared}:
        leaks = [leak for each, leak in shared if each.name == name]
        repeated = sum(leak.count for leak in leaks if leak.leak is not Leak.GROUP)
        total += max(repeated, *(leak.count for leak in leaks if leak.leak is Leak.GROUP), 0)
    return total


def _row(leak: LeakFinding) -> dict[str, Any]:
    return {
        "leak": leak.leak.value,
        "columns": list(leak.columns),
        "rows": leak.count,
        "first rows": list(leak.rows),
        "what": leak.what,
        "remedy": leak.remedy,
    }


def _undated(names: Sequence[str], *, steps: bool) -> Finding:
    remedy = "Say it for each, in data.production.known_at or as knownAt in its contract."
    return Finding(
        what=f"Whether {', '.join(names)} can be known before the decision cannot be told."
        if steps
        else "The steps in a case's life are not named, so nobody can tell which inputs come before the decision.",
        remedy=remedy if steps else f"List them in use_case.steps, name use_case.decided_at. {remedy}",
    )


def _specimen() -> Subject:
    rng = np.random.default_rng(19)

    def draw(name: str, start: int) -> RowSet:
        columns = {each: rng.normal(size=_SPECIMEN_ROWS) for each in ("a", "b")}
        return RowSet(
            name=name,
            inputs=make_inputs(columns),
            key=None,
            clusters=np.asarray([f"patient {start + row}" for row in range(_SPECIMEN_ROWS)], dtype=object),
        )

    learned = draw("training", 0)
    return Subject(
        learned=learned,
        tested=(draw("production", _SPECIMEN_ROWS),),
        labelled=learned.inputs,
        labels=(learned.inputs.column("a") + rng.normal(size=_SPECIMEN_ROWS) > 0).astype(np.float64),
        cluster="patient",
        known_at={"a": "referral", "b": "examination"},
        steps=("referral", "examination", "decision", "follow-up"),
        decided_at="decision",
    )
