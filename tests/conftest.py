"""The session's set-up: nothing leaves this machine, and hypothesis is repeatable where it must be."""

import os
from pathlib import Path
from typing import Any

import pytest
import refuse_outbound
from hypothesis import HealthCheck, settings
from measured_workers import MeasuredWorkers
from run_record import RunRecord

from house_marks import NO_DATA, ROOT, shared_data_folder

pytest_plugins = ["postgres_server", "spark_cluster"]

# Children inherit the refusal: Python runs the sitecustomize.py that it finds first on its path.
_SITE = str(Path(__file__).parent / "house_site")
_INHERITED = os.environ.get("PYTHONPATH", "").split(os.pathsep)
os.environ["PYTHONPATH"] = os.pathsep.join([_SITE, *(part for part in _INHERITED if part and part != _SITE)])
refuse_outbound.install()

# Two workers on two cores: threads of OpenMP that wait by spinning take the time that the other worker needs.
for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_library, "1")

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("desk", deadline=None, max_examples=60, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FILE", type=Path, help="write what ran and what was skipped as JSON")


def pytest_configure(config):
    config.pluginmanager.register(MeasuredWorkers(), "measured-workers")
    path = config.getoption("--record")
    if path is not None:
        config.pluginmanager.register(RunRecord(path), "run-record")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("spark"):
            # pyspark leaves sockets to its Java process for the garbage collector to close.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
    record = config.pluginmanager.get_plugin("run-record")
    if record is not None:
        record.note_collected(items)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real public data; the test is skipped, saying so, where it is absent."""
    folder = shared_data_folder()
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA}: set ROADWORTHY_SHARED_DATA, or put it at {folder}")
    return folder


_DICE: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _same_dice(request: pytest.FixtureRequest) -> None:
    """A module's generator stands at its beginning for every test, whichever ran before it."""
    dice = getattr(getattr(request, "module", None), "RNG", None)
    if dice is not None:
        dice.bit_generator.state = _DICE.setdefault(request.module.__name__, dice.bit_generator.state)
