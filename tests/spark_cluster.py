"""A Spark cluster for the tests. Owns starting one with two worker processes on this machine, and stopping it.

``local-cluster[2,1,1024]``: two workers, one core and 1,024 MB each, with a Java process and Python processes of their
own, so that what is merged has really been serialised. ``local[*]`` would share one process and prove nothing.

pyspark lives in the second environment only, so nothing here imports it before the fixture is asked for, and no file of
tests may do so at its top: the first environment collects them too.
"""

import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house_marks import NO_SPARK, in_ci, java_home

MASTER = "local-cluster[2,1,1024]"
WORKERS = 2
_OLDEST_JAVA = 17
_LOOPBACK = "127.0.0.1"
# Short jobs never pay back what the second compiler and the parallel collector cost to set up on two cores.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SETTINGS = {
    "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": _JAVA_OPTIONS,
    "spark.ui.enabled": "false",
    "spark.driver.host": _LOOPBACK,
    "spark.driver.bindAddress": _LOOPBACK,
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.session.timeZone": "UTC",
    "spark.default.parallelism": "4",
    # Work waits until both workers are there; otherwise the first one does all of it.
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
}


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A ``pyspark.sql.SparkSession`` on two workers.

    Skipped without pyspark or a Java of 17 or newer; under continuous integration that is a failure.
    """
    missing = _missing()
    if missing:
        (pytest.fail if in_ci() else pytest.skip)(f"{NO_SPARK}: {missing}")
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        _prepare(patch, folder)
        builder = importlib.import_module("pyspark.sql").SparkSession.builder.master(MASTER).appName("roadworthy tests")
        for name, value in _SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            _stop(session)


def _missing() -> str:
    """What is not there, in words; empty when all is."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark lives in the second environment; run make test-extra"
    home = java_home()
    if home is None:
        return "install Java 17, or set JAVA_HOME"
    said = subprocess.run([str(home / "bin" / "java"), "-version"], capture_output=True, text=True, check=True).stderr
    version = int(re.search(r'version "(\d+)', said)[1])
    return "" if version >= _OLDEST_JAVA else f"{home} is Java {version}; {_OLDEST_JAVA} is the oldest that Spark takes"


def _prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """What the Java side reads from its environment; workers write below the folder instead of into the package."""
    patch.setenv("JAVA_HOME", str(java_home()))
    patch.setenv("SPARK_HOME", str(Path(importlib.util.find_spec("pyspark").origin).parent))
    patch.setenv("SPARK_LOCAL_IP", _LOOPBACK)
    patch.setenv("SPARK_LOCAL_HOSTNAME", "localhost")
    patch.setenv("SPARK_LOCAL_DIRS", str(folder / "local"))
    patch.setenv("SPARK_WORKER_DIR", str(folder / "work"))
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
    patch.delenv("PYSPARK_SUBMIT_ARGS", raising=False)


def _stop(session: Any) -> None:
    """Stop the workers, then the Java process that outlives ``stop``."""
    gateway = session.sparkContext._gateway
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(60)
    # pyspark keeps the gateway for a next session, which would then talk to nobody.
    context = importlib.import_module("pyspark").SparkContext
    context._gateway = context._jvm = None
