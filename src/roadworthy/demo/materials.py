"""The demonstration's folder. Owns which files it has and in which order they are made; their content belongs elsewhere.

::

    roadworthy.yaml   serving.yaml   truth.json
    models/breast.json
    data/source.csv   data/sites.csv   data/pilot.parquet   data/feed/site-*.parquet   data/resend/site-b.parquet
    contracts/breast.odcs.yaml   answers/tier.yaml

Everything follows from the instant, the seed and the port: equal arguments give equal bytes.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from roadworthy.base.clock import format_instant
from roadworthy.demo.cohorts import COHORT, LABEL, PILOT, SITES, Cohorts, make_cohorts, matrix
from roadworthy.demo.documents import (
    MODEL,
    Digests,
    GatewayPorts,
    answers_text,
    contract_text,
    manifest_text,
    serving_text,
)
from roadworthy.demo.measurements import FEATURES
from roadworthy.demo.model import save
from roadworthy.demo.process import ServerProcess, free_port
from roadworthy.demo.repair import FEED, RESEND, SERVING, harden_server, repair_feed
from roadworthy.demo.training import train
from roadworthy.measure.table import data_files, file_digest, table_digest

# The front of this room: what the command line needs of it stands here.
__all__ = ["DemoPaths", "ServerProcess", "free_port", "harden_server", "repair_feed", "write_demo"]

_FOLDERS = ("models", FEED, "data/resend", "contracts", "answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPaths:
    """Where things lie, as absolute or relative as the folder was.

    Attributes:
        folder: of everything.
        manifest: ``roadworthy.yaml``.
        serving: configuration of the server.
        model: the model file.
        contract: of pilot and feed.
        answers: the tier answers.
        pilot: the curated set.
        feed: folder of the production feed.
        source: the published set that all rows come from.
        truth: what was planted.
    """

    folder: Path
    manifest: Path
    serving: Path
    model: Path
    contract: Path
    answers: Path
    pilot: Path
    feed: Path
    source: Path
    truth: Path


def write_demo(folder: Path, *, at: datetime, seed: int, port: int, gateway: GatewayPorts | None = None) -> DemoPaths:
    """Write everything but the store.

    Args:
        folder: created when it is not there; files of an earlier demonstration are overwritten.
        at: the instant of the demonstration, aware; every row of the data is older.
        seed: of the split and the damage.
        port: of 127.0.0.1, where the server is going to listen.
        gateway: where a gateway is going to listen before it, if any; its own files belong to ``gateway.write_gateway``.
    """
    paths = _paths(folder)
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    cohorts = make_cohorts(at, seed)
    _write_data(paths, cohorts)
    labels = np.asarray(cohorts.pilot[LABEL], dtype=np.int64)
    save(train(MODEL, FEATURES, matrix(cohorts.pilot), labels), paths.model)
    digests = Digests(source_sha256=file_digest(paths.source), pilot_sha256=table_digest(data_files(paths.pilot)))
    paths.contract.write_text(contract_text(at, digests), encoding="utf-8")
    paths.answers.write_text(answers_text(), encoding="utf-8")
    paths.serving.write_text(serving_text(), encoding="utf-8")
    paths.manifest.write_text(manifest_text(port, gateway), encoding="utf-8")
    truth = {"at": format_instant(at), "seed": seed, "planted": [asdict(each) for each in cohorts.planted]}
    paths.truth.write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return paths


def _paths(folder: Path) -> DemoPaths:
    return DemoPaths(
        folder=folder,
        manifest=folder / "roadworthy.yaml",
        serving=folder / SERVING,
        model=folder / "models" / f"{MODEL}.json",
        contract=folder / "contracts" / "breast.odcs.yaml",
        answers=folder / "answers" / "tier.yaml",
        pilot=folder / "data" / "pilot.parquet",
        feed=folder / FEED,
        source=folder / "data" / "source.csv",
        truth=folder / "truth.json",
    )


def _write_data(paths: DemoPaths, cohorts: Cohorts) -> None:
    pacsv.write_csv(cohorts.source, paths.source)
    pacsv.write_csv(pa.table({COHORT: [PILOT, *SITES]}), paths.folder / "data" / "sites.csv")
    pq.write_table(cohorts.pilot, paths.pilot)
    for site, rows in cohorts.feed.items():
        pq.write_table(rows, paths.feed / f"{site}.parquet")
    pq.write_table(cohorts.resend, paths.folder / RESEND)
