"""The cluster that the tests start has two workers with processes of their own.

What a worker shall run is defined inside the test: it is sent by value, since the workers cannot import files of tests.
"""

import os
import socket
import time

import pytest

from spark_cluster import WORKERS

pytestmark = pytest.mark.spark


def test_two_workers_share_the_rows(spark_session):
    """Four partitions of 250 rows: two executors besides the driver, Python processes under two different parents."""

    def where(rows):
        time.sleep(0.5)  # slow enough that no worker can take all partitions
        yield os.getpid(), os.getppid(), sum(1 for _ in rows)

    context = spark_session.sparkContext
    seen = context.parallelize(range(1000), 4).mapPartitions(where).collect()
    assert [count for *_, count in seen] == [250] * 4
    assert len({parent for _, parent, _ in seen}) == WORKERS
    assert os.getpid() not in {process for process, *_ in seen}
    assert context._jsc.sc().getExecutorMemoryStatus().size() == WORKERS + 1


def test_a_query_is_merged_from_both(spark_session):
    """Sums by key over a shuffle are those that arithmetic knows."""
    frame = spark_session.range(0, 1000, numPartitions=4).selectExpr("id % 7 AS key", "id")
    found = {row.key: row.total for row in frame.groupBy("key").agg({"id": "sum"}).toDF("key", "total").collect()}
    assert found == {key: sum(range(key, 1000, 7)) for key in range(7)}


def test_the_workers_refuse_the_network_too(spark_session):
    """Python inside an executor inherits the refusal, while its own traffic on loopback passes."""

    def reach(_):
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=1).close()
        except (RuntimeError, OSError) as refused:
            return [type(refused).__name__]
        return ["connected"]

    assert spark_session.sparkContext.parallelize([0], 1).mapPartitions(reach).collect() == ["OutboundRefused"]
