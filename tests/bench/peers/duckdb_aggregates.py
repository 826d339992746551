"""Five basic aggregates of every column with bare DuckDB, from two Parquet files: how fast a database reads them at all."""

import sys

import duckdb
from peer_timing import report


def job() -> str:
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 2")
    for path in sys.argv[1:3]:
        names = [row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()]
        aggregates = ", ".join(f"COUNT({x}), MIN({x}), MAX({x}), AVG({x}), STDDEV({x})" for x in names)
        connection.execute(f"SELECT {aggregates} FROM read_parquet(?)", [path]).fetchall()
    return "no verdict"


report(job, version=f"duckdb {duckdb.__version__}")
