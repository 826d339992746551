"""A use case in a folder with an endpoint behind HTTP, for checks that read data and ask a model."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext, DataSource, Quality, Target

AT = datetime(2026, 11, 21, tzinfo=UTC)
Score = Callable[[Mapping[str, Any]], float | None]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        """Metadata: one input for each column."""
        inputs = [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in self.server.columns.items()]
        self._send({"name": "m", "inputs": inputs, "outputs": [{"name": "p", "datatype": "FP64", "shape": [-1]}]})

    def do_POST(self) -> None:
        """One score a row, null where the model declines."""
        tensors = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        names = [tensor["name"] for tensor in tensors]
        rows = zip(*(tensor["data"] for tensor in tensors), strict=True)
        scores = [self.server.score(dict(zip(names, row, strict=True))) for row in rows]
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    columns: dict[str, str]
    score: Score


class Case:
    """A use case under construction: data sets by name, and what the endpoint answers."""

    def __init__(self, folder: Path, server: _Server) -> None:
        self.folder, self.server = folder, server
        self.data: dict[str, DataSource] = {}
        self.quality: Quality | None = Quality(metric="auc", bound=0.8, threshold=0.5, margin_from_pilot=0.05)
        self.steps: tuple[str, ...] = ()
        self.decided_at = ""

    def add(self, name: str, columns: Mapping[str, Any], **declared: Any) -> None:
        """A data set and what the manifest says of it."""
        table = pa.table({key: pa.array(values) for key, values in columns.items()})
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path)
        given: dict[str, Any] = {
            "contract": None, "label": None, "cohort": None, "features": (), "key": None, "known_at": {},
        }  # fmt: skip
        self.data[name] = DataSource(name=name, pattern=path, **(given | declared))
        for column in self.data[name].features:
            text = column in table.column_names and pa.types.is_string(table.schema.field(column).type)
            self.server.columns[column] = "BYTES" if text else "FP64"

    def answer(self, score: Score) -> None:
        """What the endpoint gives for a row."""
        self.server.score = staticmethod(score)

    def context(self) -> CheckContext:
        """As a check gets it."""
        url = f"http://127.0.0.1:{self.server.server_address[1]}/v2/models/m"
        return CheckContext(
            use_case_id="u",
            title="U",
            intended_use="Tests.",
            root=self.folder,
            files={},
            recorded={},
            data=self.data,
            target=Target(protocol="open-inference", url=url, peak=None, p99_ms=None, error_share=0.01),
            quality=self.quality,
            at=AT,
            seed=1,
            workdir=self.folder,
            steps=self.steps,
            decided_at=self.decided_at,
        )

    def observe(self, check: Any, *, cancelled: bool = False, **params: Any) -> tuple[Observation, list[str]]:
        """What the check sees of the real subject, and its findings in words."""
        run = Run(at=AT, seed=1, cancelled=lambda: cancelled)
        with check.subject(self.context()) as subject:
            seen = check.observe(subject, check.params(**params), run)
        return seen, [finding.what for finding in check.explain(seen)]


def interval_of(seen: Observation, metric: str) -> Any:
    """The interval of one estimate over the whole population."""
    (found,) = [each.interval for each in seen.estimates if each.metric == metric and each.cohort is None]
    return found


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """An empty use case with a running endpoint."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.columns = {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Case(tmp_path, server)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def figure() -> Callable[[Observation, str], Any]:
    """Looks up the interval of an estimate."""
    return interval_of
