"""The graph of data sets, jobs and runs. Owns the questions "from where" and "what breaks"; reads no files.

Algorithm of ``Lineage.of``:
1. Events of one run are put together: what any of them read or wrote, and the last transition in time. ``COMPLETE``,
   ``FAIL`` and ``ABORT`` end a run whatever comes later.
2. A run that failed or was aborted wrote nothing that counts; what it read still counts as use.
3. A data set is made from another when one run read the one and wrote the other.

Rules kept here: circles in the graph are walked once; a data set is never its own upstream.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from roadworthy.measure.passport.openlineage import Assertion, DatasetUse, EventType, Name, RunEvent

_ENDS = frozenset({EventType.COMPLETE, EventType.FAIL, EventType.ABORT})
_VOID = frozenset({EventType.FAIL, EventType.ABORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known about one run.

    Attributes:
        run_id: its UUID.
        job: that ran.
        state: its last transition.
        at: when that was.
        inputs: what it read.
        outputs: what it wrote; empty when it failed or was aborted.
    """

    run_id: str
    job: Name
    state: EventType
    at: datetime
    inputs: tuple[DatasetUse, ...]
    outputs: tuple[DatasetUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionUse:
    """A version of a data set and the jobs whose newest run reads it."""

    version: str
    jobs: tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The graph; ``runs`` in order of time."""

    runs: tuple[Run, ...]

    @classmethod
    def of(cls, events: Iterable[RunEvent]) -> "Lineage":
        """Put the events of every run together."""
        grouped: dict[str, list[RunEvent]] = defaultdict(list)
        for event in events:
            grouped[event.run_id].append(event)
        runs = [_run(sorted(items, key=lambda event: event.at)) for items in grouped.values()]
        return cls(runs=tuple(sorted(runs, key=lambda run: (run.at, run.run_id))))

    @property
    def datasets(self) -> tuple[Name, ...]:
        """Every data set that was read or written, sorted."""
        return tuple(sorted({use.dataset for run in self.runs for use in (*run.inputs, *run.outputs)}))

    def upstream(self, dataset: Name) -> tuple[Name, ...]:
        """Every data set that it was made from, directly or not, sorted."""
        return self._reach(dataset, lambda run: (run.outputs, run.inputs))

    def downstream(self, dataset: Name) -> tuple[Name, ...]:
        """Every data set that a change of it reaches: its impact, sorted."""
        return self._reach(dataset, lambda run: (run.inputs, run.outputs))

    def readers(self, dataset: Name) -> tuple[Name, ...]:
        """The jobs that read it or anything made from it, sorted."""
        reached = {dataset, *self.downstream(dataset)}
        return tuple(sorted({run.job for run in self.runs if reached & {use.dataset for use in run.inputs}}))

    def producers(self, dataset: Name) -> tuple[Run, ...]:
        """The runs that wrote it, oldest first."""
        return tuple(run for run in self.runs if any(use.dataset == dataset for use in run.outputs))

    def column_upstream(self, dataset: Name, column: str) -> tuple[tuple[Name, str], ...]:
        """Every column that a column was made from, directly or not, by the column lineage of the events; sorted."""
        sources: dict[tuple[Name, str], set[tuple[Name, str]]] = defaultdict(set)
        for run in self.runs:
            for use in run.outputs:
                for source in use.sources:
                    sources[use.dataset, source.column].add((source.dataset, source.source))
        start = (dataset, column)
        found, waiting = {start}, [start]
        while waiting:
            fresh = sources[waiting.pop()] - found
            found |= fresh
            waiting.extend(fresh)
        return tuple(sorted(found - {start}))

    def versions_in_use(self, dataset: Name) -> tuple[VersionUse, ...]:
        """The versions that the newest run of each reading job names; more than one means that two are live.

        A run that names no version does not count: what it reads is unknown, not another version.
        """
        newest: dict[Name, str] = {}
        for run in self.runs:
            for use in run.inputs:
                if use.dataset == dataset and use.version:
                    newest[run.job] = use.version
        jobs: dict[str, list[Name]] = defaultdict(list)
        for job, version in newest.items():
            jobs[version].append(job)
        return tuple(VersionUse(version=version, jobs=tuple(sorted(jobs[version]))) for version in sorted(jobs))

    def version_conflicts(self) -> tuple[tuple[Name, tuple[VersionUse, ...]], ...]:
        """Every data set of which more than one version is live."""
        used = [(dataset, self.versions_in_use(dataset)) for dataset in self.datasets]
        return tuple((dataset, versions) for dataset, versions in used if len(versions) > 1)

    def failed_assertions(self, dataset: Name) -> tuple[Assertion, ...]:
        """Tests that found faults in the newest run that tested the data set."""
        for run in reversed(self.runs):
            uses = [use for use in (*run.inputs, *run.outputs) if use.dataset == dataset and use.assertions]
            if uses:
                return tuple(item for use in uses for item in use.assertions if not item.success)
        return ()

    def _reach(
        self, start: Name, ends: Callable[[Run], tuple[Sequence[DatasetUse], Sequence[DatasetUse]]]
    ) -> tuple[Name, ...]:
        edges: dict[Name, set[Name]] = defaultdict(set)
        # 3. One run read the one and wrote the other.
        for run in self.runs:
            sides = ends(run)
            for use in sides[0]:
                edges[use.dataset] |= {other.dataset for other in sides[1]}
        found, waiting = {start}, [start]
        while waiting:
            fresh = edges[waiting.pop()] - found
            found |= fresh
            waiting.extend(fresh)
        return tuple(sorted(found - {start}))


def _run(events: Sequence[RunEvent]) -> Run:
    # 1. The first end is the end; before one, the last transition counts.
    last = next((event for event in events if event.type in _ENDS), events[-1])
    # 2. What a failed run wrote does not count.
    written = () if last.type in _VOID else _joined(event.outputs for event in events)
    return Run(
        run_id=last.run_id,
        job=last.job,
        state=last.type,
        at=last.at,
        inputs=_joined(event.inputs for event in events),
        outputs=written,
    )


def _joined(groups: Iterable[Sequence[DatasetUse]]) -> tuple[DatasetUse, ...]:
    newest: dict[tuple[Name, str], DatasetUse] = {}
    for group in groups:
        for use in group:
            # A start often names no version and no columns yet; the end does.
            newest.pop((use.dataset, ""), None)
            if use.version or not any(known == use.dataset for known, _ in newest):
                newest[use.dataset, use.version] = use
    return tuple(newest.values())
