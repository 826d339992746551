"""How fast each engine counts the same plan: 300,000 rows of 20 doubles, 64 cells each, extremes, moments, specials.

Prints a table and writes build/bench/engines.json. PostgreSQL is started here where its binaries are installed; Spark runs
in a child of the second environment where that is made, on two workers. All states must have the same bytes.

    python tests/bench/engines.py [--rows N] [--only ENGINE]
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from house_marks import java_home, postgres_binaries  # noqa: E402  # the path is set above
from roadworthy.measure.table import from_arrow  # noqa: E402  # as above
from roadworthy.measure.volume.compile.duckdb import measure_duckdb  # noqa: E402  # as above
from roadworthy.measure.volume.compile.ibis import measure_ibis  # noqa: E402  # as above
from roadworthy.measure.volume.compile.numpy import measure_batches  # noqa: E402  # as above
from roadworthy.measure.volume.compile.spark import measure_spark  # noqa: E402  # as above
from roadworthy.measure.volume.plan import Plan  # noqa: E402  # as above
from roadworthy.measure.volume.profile_plan import profile_plan  # noqa: E402  # as above
from roadworthy.measure.volume.reference import fit  # noqa: E402  # as above
from roadworthy.measure.volume.state import State  # noqa: E402  # as above

ROWS, COLUMNS, ROUNDS = 300_000, 20, 3
SECOND = ROOT / ".venv-full" / "bin" / "python"
Measure = Callable[[], State]


def make(rows: int) -> tuple[pa.Table, Plan]:
    """Normal and lognormal columns, and the plan of a profile fitted to them."""
    rng = np.random.default_rng(20)
    table = pa.table(
        {f"x{place}": np.exp(rng.normal(size=rows) * (place % 2)) + rng.normal(size=rows) for place in range(20)}
    )
    return table, profile_plan(fit(from_arrow(table, "bench")))


@contextlib.contextmanager
def on_numpy(table: pa.Table, plan: Plan) -> Iterator[Measure]:
    """Arrow batches in memory, one thread."""
    batches = table.to_batches(1 << 18)
    yield lambda: measure_batches(plan, batches)


@contextlib.contextmanager
def on_duckdb(table: pa.Table, plan: Plan) -> Iterator[Measure]:
    """A table in memory."""
    opened = from_arrow(table, "bench")
    yield lambda: measure_duckdb(plan, opened)


@contextlib.contextmanager
def on_ibis(table: pa.Table, plan: Plan) -> Iterator[Measure]:
    """A table in memory, through Ibis."""
    connection = ibis.duckdb.connect()
    connection.con.register("arriving", table)
    connection.con.execute("CREATE TABLE bench AS SELECT * FROM arriving")
    source = connection.table("bench")
    yield lambda: measure_ibis(plan, source)


@contextlib.contextmanager
def on_postgres(table: pa.Table, plan: Plan) -> Iterator[Measure]:
    """A table of a server with its own settings, but no write-through."""
    import psycopg  # noqa: PLC0415  # optional

    from postgres_server import running_server  # noqa: PLC0415  # as above
    from roadworthy.measure.volume.compile.postgres import postgres_tables  # noqa: PLC0415  # as above

    with running_server(postgres_binaries()) as url, psycopg.connect(url, autocommit=True) as connection:
        columns = ", ".join(f"{name} double precision" for name in table.column_names)
        connection.execute(f"CREATE TABLE bench ({columns})")
        lines = BytesIO()
        pacsv.write_csv(table, lines, pacsv.WriteOptions(include_header=False))
        with connection.cursor().copy("COPY bench FROM STDIN (FORMAT csv)") as copy:
            copy.write(lines.getvalue())
        connection.execute("VACUUM ANALYZE bench")
        source = postgres_tables(connection).table("bench")
        yield lambda: measure_ibis(plan, source)


@contextlib.contextmanager
def on_spark(table: pa.Table, plan: Plan, *, by_arrow: bool = True) -> Iterator[Measure]:
    """Parquet, read by two workers with a core each."""
    import pyspark  # noqa: PLC0415  # in the second environment only
    from pyspark.sql import SparkSession  # noqa: PLC0415  # as above

    from spark_cluster import _SETTINGS, MASTER  # noqa: PLC0415  # as above

    os.environ |= {
        "JAVA_HOME": str(java_home()),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SPARK_LOCAL_DIRS": f"{folder}/local", "SPARK_WORKER_DIR": f"{folder}/work"}
        for piece in range(4):
            size = table.num_rows // 4 + 1
            pq.write_table(table.slice(piece * size, size), f"{folder}/{piece}.parquet")
        builder = SparkSession.builder.master(MASTER).appName("roadworthy bench")
        for name, value in _SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        session.read.parquet(folder).createOrReplaceTempView("bench")
        source = ibis.pyspark.connect(session).table("bench")
        try:
            yield (
                (lambda: measure_spark(plan, session.table("bench")))
                if by_arrow
                else lambda: measure_ibis(plan, source)
            )
        finally:
            session.stop()


ENGINES = {
    "numpy": on_numpy,
    "duckdb": on_duckdb,
    "ibis on duckdb": on_ibis,
    "ibis on postgres": on_postgres,
    "ibis on spark": partial(on_spark, by_arrow=False),
    "spark by arrow": on_spark,
}


def run(engine: str, rows: int) -> dict[str, object]:
    """The first round apart, since it compiles; then the fastest of the rest."""
    table, plan = make(rows)
    taken_s: list[float] = []
    with ENGINES[engine](table, plan) as measure:
        for _ in range(1 + ROUNDS):
            start = time.perf_counter()
            state = measure()
            taken_s.append(time.perf_counter() - start)
    best_s = min(taken_s[1:])
    rate = rows * COLUMNS / best_s / 1e6
    return {"engine": engine, "first_s": taken_s[0], "best_s": best_s, "mvalues_per_s": rate, "state": state.digest}


def missing(engine: str) -> str:
    """Why an engine cannot run here; empty when it can."""
    if "postgres" in engine and postgres_binaries() is None:
        return "no PostgreSQL binaries"
    if "spark" in engine and (not SECOND.exists() or java_home() is None):
        return "no .venv-full, or no Java"
    return ""


def in_child(engine: str, rows: int) -> dict[str, object]:
    """Spark, in the environment that has it."""
    command = [str(SECOND), __file__, "--only", engine, "--rows", str(rows)]
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    said = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    if said.returncode != 0:
        return {"problem": said.stderr.strip().splitlines()[-1]}
    return json.loads(said.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=ENGINES)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(run(asked.only, asked.rows)))
        return
    found: list[dict[str, object]] = []
    print(f"{'engine':18}{'first s':>9}{'best s':>9}{'M values/s':>12}  state")
    for engine in ENGINES:
        problem = missing(engine)
        if problem:
            figures = {"problem": problem}
        else:
            figures = in_child(engine, asked.rows) if "spark" in engine else run(engine, asked.rows)
        found.append({**figures, "engine": engine})
        if "problem" in figures:
            print(f"{engine:18}{figures['problem']}")
        else:
            numbers = f"{figures['first_s']:9.2f}{figures['best_s']:9.2f}{figures['mvalues_per_s']:12.1f}"
            print(f"{engine:18}{numbers}  {str(figures['state'])[:19]}")
    states = {each["state"] for each in found if "state" in each}
    print("all states have the same bytes" if len(states) == 1 else f"DIFFERENT STATES: {states}")
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    report = {"rows": asked.rows, "columns": COLUMNS, "machine": platform.machine(), "engines": found}
    (folder / "engines.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
