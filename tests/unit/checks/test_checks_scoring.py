"""Rows scored through a live endpoint: what is declined or unlabelled never flatters the model."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import EmptyData, ManifestError, MissingFile
from roadworthy.checks.performance.production import Params, ProductionCheck, Subject
from roadworthy.checks.scoring import (
    Declined,
    ScoredSet,
    endpoint_model,
    first_of_each,
    labelled_rows,
    required_quality,
    required_source,
    required_target,
    score,
    target_headers,
    target_model,
)
from roadworthy.kit.check import Run
from roadworthy.kit.context import CheckContext, DataSource, Quality, Target
from roadworthy.measure.delta import Sample
from roadworthy.measure.probing.inputs import make_inputs
from roadworthy.probes.answering import answering
from roadworthy.probes.http_server import Asked

AT = datetime(2026, 11, 21, tzinfo=UTC)
QUALITY = Quality(metric="auc", bound=0.8, threshold=0.5, margin_from_pilot=0.05)
RUN = Run(at=AT, seed=1, cancelled=lambda: False)


class Declines(BaseHTTPRequestHandler):
    """Scores a row by its value, and declines what is below zero."""

    def do_GET(self) -> None:
        """Metadata of a model with one column."""
        tensor = {"name": "x", "datatype": "FP64", "shape": [-1]}
        self._send({"name": "m", "inputs": [tensor], "outputs": [{**tensor, "name": "p"}]})

    def do_POST(self) -> None:
        """The value itself, or null."""
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"][0]["data"]
        scores = [value if value >= 0 else None for value in data]
        output = {"name": "p", "datatype": "FP64", "shape": [len(scores)], "data": scores}
        self._send({"model_name": "m", "outputs": [output]})

    def _send(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """A running endpoint that declines."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Declines)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v2/models/m"
    server.shutdown()
    server.server_close()
    thread.join()


def context(folder: Path, url: str) -> CheckContext:
    """A case with that target."""
    target = Target(protocol="open-inference", url=url, peak=None, p99_ms=None, error_share=0.01)
    return CheckContext(
        use_case_id="u",
        title="U",
        intended_use="Tests.",
        root=folder,
        files={},
        recorded={},
        data={},
        target=target,
        quality=QUALITY,
        at=AT,
        seed=1,
        workdir=folder,
    )


def source(folder: Path, rows: list[tuple[float, int | None, str]]) -> DataSource:
    """A data set of (value, label, site)."""
    values, labels, sites = zip(*rows, strict=True)
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"x": values, "label": pa.array(labels, pa.int64()), "site": sites}), path)
    return DataSource(
        name="production",
        pattern=path,
        contract=None,
        label="label",
        cohort="site",
        features=("x",),
        key=None,
        known_at={},
    )


def test_every_question_carries_the_declared_headers(tmp_path: Path) -> None:
    """The file's name is in the context, its content is not; none declared is none sent, and one that is absent is named."""
    seen: list[str | None] = []

    def respond(asked: Asked) -> tuple[int, bytes]:
        seen.append(asked.headers.get("authorization"))
        return 200, b"{}"

    with answering(respond) as url:
        bare = context(tmp_path, f"{url}/v2/models/m")
        assert bare.target is not None
        guarded = replace(bare, target=replace(bare.target, headers_file=Path("key.json")))
        with pytest.raises(MissingFile):
            target_model(guarded)
        (tmp_path / "key.json").write_text('{"authorization": "Bearer rw_x_secret"}')
        assert target_model(bare).live()
        assert target_model(guarded).live()
    assert seen == [None, "Bearer rw_x_secret"]
    assert target_headers(guarded) == {"authorization": "Bearer rw_x_secret"}
    assert "secret" not in repr(guarded)


@pytest.mark.parametrize(("declined_as", "expected"), [(Declined.WORST, [0.0, 1.0]), (Declined.BEST, [1.0, 0.0])])
def test_declined_rows_count_at_an_end(tmp_path: Path, url: str, declined_as: Declined, expected: list[float]) -> None:
    """Against the model in production, for it in the pilot."""
    rows = [(-1.0, 1, "a"), (-1.0, 0, "a"), (0.7, 1, "a"), (0.2, 0, "a")]
    scored = score(context(tmp_path, url), source(tmp_path, rows), declined_as=declined_as)
    assert scored.declined == 2
    assert scored.sample.scores.tolist() == [*expected, 0.7, 0.2]


def test_the_worst_is_beyond_all_scores_that_are_no_probabilities(tmp_path: Path, url: str) -> None:
    """For log-odds or points, 0 and 1 lie in the middle."""
    rows = [(-1.0, 1, "a"), (-1.0, 0, "a"), (70.0, 1, "a"), (20.0, 0, "a")]
    assert score(context(tmp_path, url), source(tmp_path, rows)).sample.scores.tolist() == [19.0, 71.0, 70.0, 20.0]


def test_a_site_without_any_label_is_not_forgotten(tmp_path: Path, url: str) -> None:
    """Its rows cannot be judged, and that is said."""
    rows = [(0.7, 1, "a"), (0.2, 0, "a"), (0.5, None, "b"), (0.1, None, "a")]
    scored = score(context(tmp_path, url), source(tmp_path, rows))
    assert (scored.unlabelled, scored.unjudged_cohorts, scored.rows) == (2, ("b",), 4)


def test_what_is_not_declared_is_asked_for(tmp_path: Path, url: str) -> None:
    """Target, quality, label, features and at least one label."""
    case, data = context(tmp_path, url), source(tmp_path, [(0.7, None, "a"), (0.2, None, "a")])
    with pytest.raises(EmptyData):
        score(case, data)
    data = source(tmp_path, [(0.7, 1, "a"), (0.2, 0, "a")])
    for broken in ("label", "features"):
        kept = {name: getattr(data, name) for name in data.__dataclass_fields__}
        kept[broken] = () if broken == "features" else None
        with pytest.raises(ManifestError):
            score(case, DataSource(**kept))
    bare = {name: getattr(case, name) for name in case.__dataclass_fields__} | {"target": None, "quality": None}
    with pytest.raises(ManifestError):
        required_target(CheckContext(**bare))
    with pytest.raises(ManifestError):
        required_quality(CheckContext(**bare))


def production(*sites: tuple[str, int, float], unjudged: tuple[str, ...] = ()) -> tuple[float, float, int]:
    """Lower and upper end of the worst cohort, and how many findings there are; a site is (name, rows, shift)."""
    rng = np.random.default_rng(5)
    labels = np.concatenate([np.tile([0, 1], rows // 2) for _, rows, _ in sites])
    shifts = np.concatenate([np.full(rows, shift) for _, rows, shift in sites])
    names = np.concatenate([np.full(rows, name, dtype=object) for name, rows, _ in sites])
    scores = rng.normal(size=labels.size) + shifts * labels
    sample = Sample(labels=labels, scores=scores, cohorts=names)
    scored = ScoredSet(sample=sample, rows=labels.size, unlabelled=0, declined=0, unjudged_cohorts=unjudged)
    check = ProductionCheck()
    seen = check.observe(Subject(production=scored, quality=QUALITY), Params(), RUN)
    interval = seen.estimates[0].interval
    return interval.lower, interval.upper, len(check.explain(seen))


def test_a_small_site_that_looks_well_decides_nothing_in_its_favour() -> None:
    """Ten rows without an error have the best estimate and the worst lower end."""
    lower, upper, findings = production(("a", 400, 2.5), ("b", 10, 9.0))
    assert lower < 0.8 < upper
    assert findings == 1


def test_one_site_that_misses_is_a_miss_even_beside_one_that_nobody_measured() -> None:
    """What cannot be known does not hide what is known."""
    _, upper, findings = production(("a", 400, 0.3), ("b", 400, 3.0), unjudged=("c",))
    assert upper < 0.8
    assert findings == 2


def test_an_unmeasured_site_keeps_the_bound_from_being_met() -> None:
    """All others may be as good as they like."""
    lower, _, findings = production(("a", 400, 4.0), ("b", 400, 4.0), unjudged=("c",))
    assert lower == 0.0
    assert findings == 2


def test_patients_times_and_circumstances_come_with_the_rows(case) -> None:
    """Of labelled rows only; a row without a patient is its own."""
    columns = {
        "x": [1.0, 2.0, 3.0, 4.0],
        "ill": [0.0, None, 1.0, 1.0],
        "site": ["a", "b", "a", "a"],
        "scanner": ["s", "s", "t", "t"],
        "patient": ["p", "q", None, "p"],
        "at": np.asarray(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"], dtype="datetime64[us]"),
    }
    case.add(
        "production",
        columns,
        features=("x",),
        label="ill",
        cohort="site",
        acquisition=("scanner", "site"),
        cluster="patient",
        time="at",
    )
    rows = labelled_rows(case.data["production"])
    assert rows.circumstances is not None
    assert rows.circumstances.names == ("site", "scanner")
    assert rows.circumstances.column("scanner").tolist() == ["s", "t", "t"]
    assert rows.clusters is not None
    assert rows.clusters.tolist() == ["p", "row 2", "p"]
    assert rows.times is not None
    assert str(rows.times[1])[:10] == "2026-01-03"
    assert (rows.unjudged_cohorts, rows.rows) == (("b",), 4)
    drawn = {tuple(first_of_each(rows.clusters, 3, seed=seed).tolist()) for seed in range(20)}
    assert drawn == {(0, 1), (1, 2)}
    assert first_of_each(None, 3).tolist() == [0, 1, 2]


def test_the_endpoint_is_a_function_of_inputs(case) -> None:
    """Texts and numbers travel in batches, and a null score is NaN."""
    count = 600
    case.add("production", {"x": np.arange(float(count)), "site": ["a", "b"] * 300}, features=("x", "site"))
    case.answer(lambda row: None if row["site"] == "b" else row["x"] / count)
    model = endpoint_model(case.context(), case.data["production"])
    scores = model(make_inputs({"x": np.arange(float(count)), "site": np.asarray(["a", "b"] * 300, dtype=object)}))
    assert np.isnan(scores[1::2]).all()
    assert scores[::2].tolist() == [number / count for number in range(0, count, 2)]


def test_a_data_set_that_is_not_declared_is_asked_for(case) -> None:
    """By its name."""
    with pytest.raises(ManifestError, match="training"):
        required_source(case.context(), "training")
