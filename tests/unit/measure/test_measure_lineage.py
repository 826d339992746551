"""The lineage graph: where data came from, what a change reaches, which versions are live."""

from datetime import UTC, datetime, timedelta

from roadworthy.measure.passport.lineage import Lineage
from roadworthy.measure.passport.openlineage import Assertion, ColumnSource, DatasetUse, EventType, Name, RunEvent

AT = datetime(2026, 6, 1, tzinfo=UTC)


def _name(name: str) -> Name:
    return Name(namespace="n", name=name)


def _use(name: str, version: str = "", **more: object) -> DatasetUse:
    return DatasetUse(dataset=_name(name), version=version, **more)  # type: ignore[arg-type]  # test builder


def _run(
    run: str,
    job: str,
    inputs: list[DatasetUse],
    outputs: list[DatasetUse],
    *,
    minute: int = 0,
    kind: EventType = EventType.COMPLETE,
) -> RunEvent:
    return RunEvent(
        type=kind, at=AT + timedelta(minutes=minute), run_id=run, job=_name(job), inputs=tuple(inputs),
        outputs=tuple(outputs), producer="p",
    )  # fmt: skip


CHAIN = [
    _run("1", "ingest", [_use("source")], [_use("raw", "v1")]),
    _run("2", "clean", [_use("raw", "v1")], [_use("clean", "c1")], minute=1),
    _run("3", "train", [_use("clean", "c1"), _use("codes")], [_use("model")], minute=2),
    _run("4", "report", [_use("raw", "v1")], [_use("table")], minute=3),
]


def test_upstream_downstream_and_readers() -> None:
    """Through every step, in both directions; the data set itself is not among them."""
    lineage = Lineage.of(reversed(CHAIN))
    assert [item.name for item in lineage.upstream(_name("model"))] == ["clean", "codes", "raw", "source"]
    assert [item.name for item in lineage.downstream(_name("raw"))] == ["clean", "model", "table"]
    assert [item.name for item in lineage.readers(_name("raw"))] == ["clean", "report", "train"]
    assert lineage.upstream(_name("source")) == ()
    assert lineage.downstream(_name("unknown")) == ()
    assert [item.name for item in lineage.datasets] == ["clean", "codes", "model", "raw", "source", "table"]
    assert [run.run_id for run in lineage.runs] == ["1", "2", "3", "4"]
    assert [run.job.text for run in lineage.producers(_name("clean"))] == ["n/clean"]


def test_circles_end() -> None:
    """A job that writes what it reads, and two that feed each other."""
    lineage = Lineage.of(
        [_run("1", "a", [_use("x")], [_use("x"), _use("y")]), _run("2", "b", [_use("y")], [_use("x")])]
    )
    assert lineage.upstream(_name("x")) == (_name("y"),)
    assert lineage.downstream(_name("x")) == (_name("y"),)


def test_failed_runs_write_nothing() -> None:
    """What they read is still a use; an end counts whatever comes later; a run without an end counts as it stands."""
    started = _run("1", "clean", [_use("raw", "v2")], [_use("clean", "c2")], kind=EventType.START)
    failed = _run("1", "clean", [], [], minute=1, kind=EventType.FAIL)
    late = _run("1", "clean", [], [], minute=2, kind=EventType.OTHER)
    lineage = Lineage.of([late, failed, started])
    assert lineage.runs[0].state is EventType.FAIL
    assert lineage.producers(_name("clean")) == ()
    assert [use.version for use in lineage.versions_in_use(_name("raw"))] == ["v2"]
    running = Lineage.of([started])
    assert running.runs[0].state is EventType.START
    assert len(running.producers(_name("clean"))) == 1


def test_events_of_a_run_are_put_together() -> None:
    """A start without versions gives way to the end that names them, and the other way round."""
    start = _run("1", "clean", [_use("raw")], [], kind=EventType.START)
    end = _run("1", "clean", [_use("raw", "v1")], [_use("clean", "c1")], minute=1)
    tail = _run("1", "clean", [_use("raw")], [], minute=2, kind=EventType.OTHER)
    (run,) = Lineage.of([start, end, tail]).runs
    assert [(use.dataset.name, use.version) for use in run.inputs] == [("raw", "v1")]
    assert (run.state, run.at) == (EventType.COMPLETE, AT + timedelta(minutes=1))


def test_two_live_versions_are_found() -> None:
    """Two jobs read different versions; when the second moves on, one version is left; unknown versions do not count."""
    old = _run("5", "score", [_use("raw", "v0")], [], minute=4)
    lineage = Lineage.of([*CHAIN, old, _run("6", "peek", [_use("raw")], [], minute=5)])
    ((dataset, versions),) = lineage.version_conflicts()
    assert dataset == _name("raw")
    assert [(use.version, [job.name for job in use.jobs]) for use in versions] == [
        ("v0", ["score"]), ("v1", ["clean", "report"]),
    ]  # fmt: skip
    moved = Lineage.of([*CHAIN, old, _run("7", "score", [_use("raw", "v1")], [], minute=6)])
    assert moved.version_conflicts() == ()


def test_columns_are_followed() -> None:
    """Through two steps, and round a circle."""
    first = ColumnSource(column="age", dataset=_name("raw"), source="birth")
    second = ColumnSource(column="risk", dataset=_name("clean"), source="age")
    back = ColumnSource(column="birth", dataset=_name("clean"), source="age")
    lineage = Lineage.of(
        [
            _run("1", "clean", [], [_use("clean", sources=(first,))]),
            _run("2", "train", [], [_use("model", sources=(second,))]),
            _run("3", "odd", [], [_use("raw", sources=(back,))]),
        ]
    )
    assert lineage.column_upstream(_name("model"), "risk") == ((_name("clean"), "age"), (_name("raw"), "birth"))
    assert lineage.column_upstream(_name("model"), "other") == ()


def test_the_newest_assertions_count() -> None:
    """A later run that finds no fault clears an earlier one; a data set that nobody tested has none."""
    bad = Assertion(assertion="not_null", success=False, column="x")
    good = Assertion(assertion="not_null", success=True, column="x")
    first = _run("1", "test", [_use("raw", assertions=(bad, good))], [])
    assert Lineage.of([first]).failed_assertions(_name("raw")) == (bad,)
    second = _run("2", "test", [_use("raw", assertions=(good,))], [], minute=1)
    untested = _run("3", "read", [_use("raw")], [], minute=2)
    assert Lineage.of([first, second, untested]).failed_assertions(_name("raw")) == ()
    assert Lineage.of(CHAIN).failed_assertions(_name("raw")) == ()
