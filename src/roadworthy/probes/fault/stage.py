"""Brings the faults of the scenarios about: an upstream, a proxy in front of it, and one address for the system under test.

Owns the way from a scenario to the steps of an experiment. Leaves alone: what a correct gateway does (``scenarios``), and
looking whether it did (the caller's conditions).

Rules kept here:
1. The system under test knows one address, and every fault appears there; nothing in its configuration changes.
2. The rollback of a scenario restores a sound upstream, whichever part of its method had been carried out.
"""

import contextlib
import ssl
from types import TracebackType
from typing import Self

from roadworthy.probes.fault.addresses import silent_port, tls_refusing_port
from roadworthy.probes.fault.experiment import Step
from roadworthy.probes.fault.faults import Fault, Sizes
from roadworthy.probes.fault.proxy import FaultProxy
from roadworthy.probes.fault.scenarios import AddressFault, NetworkFault, Scenario
from roadworthy.probes.fault.upstream import FaultUpstream


class FaultStage:
    """A context manager around an upstream and the proxy in front of it.

    Args:
        sizes: how long and how large the faults are.
        seed: of the proxy's jitter and slices.
        tls: for the upstream to speak TLS with; the proxy passes it through.
    """

    def __init__(self, *, sizes: Sizes | None = None, seed: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = FaultUpstream(sizes=sizes, tls=tls)
        self._scheme = "http" if tls is None else "https"
        self._seed = seed
        self._proxy: FaultProxy | None = None
        self._running = contextlib.ExitStack()
        self._taken = contextlib.ExitStack()
        self._is_down = False

    def __enter__(self) -> Self:
        """Start both."""
        with contextlib.ExitStack() as started:
            started.enter_context(self.upstream)
            self._proxy = started.enter_context(FaultProxy("127.0.0.1", self.upstream.port, seed=self._seed))
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo what is left of a fault, and stop both."""
        self._taken.close()
        self._running.close()

    @property
    def proxy(self) -> FaultProxy:
        """The proxy; only inside the block."""
        assert self._proxy is not None
        return self._proxy

    @property
    def url(self) -> str:
        """The one address for the system under test."""
        return f"{self._scheme}://127.0.0.1:{self.proxy.port}"

    def method(self, scenario: Scenario) -> Step:
        """The step that brings the fault of a scenario about."""
        return Step(name=f"bring about {scenario.id}", do=lambda: self._bring_about(scenario))

    def rollback(self, scenario: Scenario) -> Step:
        """The step that restores a sound upstream."""
        return Step(name=f"undo {scenario.id}", do=self.restore)

    def restore(self) -> None:
        """Undo every fault."""
        self._taken.close()
        if self._is_down:
            self.proxy.come_back()
            self._is_down = False
        self.proxy.clear()
        self.upstream.switch(None)

    def _bring_about(self, scenario: Scenario) -> None:
        fault = scenario.fault
        if isinstance(fault, Fault):
            self.upstream.switch(fault)
        elif isinstance(fault, NetworkFault) and fault.toxics:
            self.proxy.set(fault.direction, *fault.toxics)
        else:  # the proxy goes away, and the address is refused or taken by something worse
            self.proxy.go_down()
            self._is_down = True
            if fault is AddressFault.SILENT:
                self._taken.enter_context(silent_port(self.proxy.port))
            elif fault is AddressFault.TLS_REFUSED:
                self._taken.enter_context(tls_refusing_port(self.proxy.port))
