"""Coverage of the worker processes of pytest-xdist. Owns starting it in each of them when the controller is measured.

``coverage run`` sees its own process only. Workers are begun by other means, and the programs that the tests start are
not measured at all: they are slower under a tracer, and what they do is asserted from outside.

Each worker leaves a data file of its own beside the controller's; ``coverage combine`` joins them.
"""

from pathlib import Path

import coverage
import pytest

_ASKED = "measured_with"


class MeasuredWorkers:
    """A pytest plugin for the controller and its workers; where neither is, it does nothing."""

    def __init__(self) -> None:
        self._coverage: coverage.Coverage | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        """The controller asks the worker to measure as it is measured itself."""
        mine = coverage.Coverage.current()
        if mine is not None:
            node.workerinput[_ASKED] = str(Path(mine.config.config_file).resolve())

    def pytest_configure(self, config) -> None:
        """Before a test file is collected, so that no line of the package has run."""
        asked = getattr(config, "workerinput", {}).get(_ASKED)
        if asked is not None:
            self._coverage = coverage.Coverage(config_file=asked, data_suffix=config.workerinput["workerid"])
            self._coverage.start()

    def pytest_sessionfinish(self) -> None:
        """Before the worker says that it has finished: nobody waits for it afterwards."""
        if self._coverage is not None:
            self._coverage.stop()
            self._coverage.save()
