"""The small project with a model that is served, a feed of windows, and a criterion on production. For monitors' tests.

The endpoint scores a row by its first feature. The second feature, ``y``, has no say: what happens to it is drift without
harm. Labels that stand on their heads are harm without drift.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roadworthy.wiring.monitoring import Round, monitor_once
from roadworthy.wiring.windows import WindowRun, window_runs
from roadworthy.wiring.workspace import Workspace
from small_project import PACK, Project, write_small

PILOT_ROWS, WINDOW_ROWS = 3000, 600
CRITERION = """\
- id: D7
  domain: data
  title: Good in production
  kind: executable
  check: performance.production
  accept:
  - {metric: worst_cohort_quality, op: ">=", bound: {param: quality.bound}, unit: "1", n_min: 100, provenance: House rule.}
  depends_on: [model, production_data]
  max_age_days: {R1: 60, R2: 30, R3: 30, R4: 15}
  waivable_at: []
  min_assurance: executed
  signer_roles: []
  may_not_apply: false
  required_from: R1
  effort: {low: 1, likely: 2, high: 4}
  owner_role: system_owner
  gap_depends_on: []
  sources: [{document: House rules, clause: "3"}]
"""
BLOCKS = """\
target: {{url: "{url}"}}
quality: {{metric: accuracy, bound: 0.8, side: lower, margin_from_pilot: 0.05}}
monitor: {{windows: data/feed/*.parquet, tolerance: 0.2}}
"""


class Scores(BaseHTTPRequestHandler):
    """Answers each row with its first feature."""

    def do_GET(self) -> None:
        """Metadata of a model with two columns."""
        tensors = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in ("x", "y")]
        self._send({"name": "m", "inputs": tensors, "outputs": [{**tensors[0], "name": "p"}]})

    def do_POST(self) -> None:
        """The first feature itself."""
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        data = next(each["data"] for each in inputs if each["name"] == "x")
        output = {"name": "p", "datatype": "FP64", "shape": [len(data)], "data": data}
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


@contextmanager
def served(port: int = 0) -> Iterator[str]:
    """The model's URL, on a free port or on a given one."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Scores)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v2/models/m"
    server.shutdown()
    server.server_close()
    thread.join()


def rows(count: int, seed: int, *, drift: bool = False, harm: bool = False, labelled: bool = True) -> pa.Table:
    """Rows of a window."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1, count), rng.normal(2.0 if drift else 0.0, 1.0, count)
    right = rng.uniform(0, 1, count) < (0.2 if harm else 0.92)
    label = pa.array(np.where(right, x >= 0.5, x < 0.5).astype(np.int64))
    known = label if labelled else pa.nulls(count, pa.int64())
    return pa.table({"id": np.arange(count) + seed * 10**6, "x": x, "y": y, "label": known})


def write_monitored(folder: Path, url: str) -> Project:
    """Write the project: pilot, production set, and no window yet."""
    write_small(folder)
    project = Project(folder)
    columns = "key: id, label: label, features: [x, y]"
    project.edit("roadworthy.yaml", "data/pilot.csv,", f"data/pilot.parquet, {columns},")
    project.edit("roadworthy.yaml", "data/feed/*.csv,", f"data/production.parquet, {columns},")
    manifest = project.manifest.read_text(encoding="utf-8") + BLOCKS.format(url=url)
    project.manifest.write_text(manifest, encoding="utf-8")
    (folder / "packs/road.yaml").write_text(PACK + CRITERION, encoding="utf-8")
    pq.write_table(rows(PILOT_ROWS, 1), folder / "data/pilot.parquet")
    pq.write_table(rows(WINDOW_ROWS, 2), folder / "data/production.parquet")
    return project


def add_window(
    project: Project, number: int, *, drift: bool = False, harm: bool = False, labelled: bool = True
) -> None:
    """Put one more window into the feed."""
    table = rows(WINDOW_ROWS, 10 + number, drift=drift, harm=harm, labelled=labelled)
    pq.write_table(table, project.folder / f"data/feed/w{number}.parquet")


def look(project: Project, *named: Path) -> Round:
    """One round of the monitor."""
    workspace = Workspace(project.manifest)
    try:
        return monitor_once(workspace, named=named, seed=1)
    finally:
        workspace.close()


def on_record(project: Project) -> tuple[WindowRun, ...]:
    """What was seen of every window."""
    workspace = Workspace(project.manifest)
    try:
        return window_runs(workspace.case())
    finally:
        workspace.close()
