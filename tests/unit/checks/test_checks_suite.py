"""Every built-in check against the suite that third parties use too."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.base.errors import GeneratorLagged
from roadworthy.checks.catalog import BUILT_IN, check_ids, find_check
from roadworthy.domain.criterion import Comparator, Predicate, Profile
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import RELEASE_PARTS, Part
from roadworthy.kit.check import AnyCheck, Observation
from roadworthy.kit.context import CheckContext, Peak, Quality, Target
from roadworthy.kit.testing.check_suite import CheckSuite
from roadworthy.packs.load import builtin
from roadworthy.packs.profile import profile

PARAMETERS: dict[str, float | int | str] = {
    "quality.bound": 0.8,
    "quality.op": Comparator.AT_LEAST.value,
    "quality.margin": 0.05,
    "slo.p99_ms": 100.0,
    "slo.error_share": 0.01,
}

_TRIES = 4
_MEASURES_TIME = frozenset({"load.peak", "load.recorded"})
"""Their figures are refused when the processor is busy, so nothing runs beside them."""
_STARTS_GATEWAYS = frozenset({
    "access.least_privilege", "alert.fires", "audit.logging", "fallback.ladder", "network.exposure", "restore.drill",
    "switch.stop",
})  # fmt: skip
"""Each specimen is a gateway with its ledger, which takes seconds to start."""

_SEEN: dict[tuple[str, bool], Observation] = {}
"""One observation for each check and specimen: making it is most of the work, and looking at it changes nothing."""


def _marks(check_id: str) -> list[pytest.MarkDecorator]:
    if check_id in _STARTS_GATEWAYS:
        return [pytest.mark.slow]
    return [pytest.mark.slow, pytest.mark.alone] if check_id in _MEASURES_TIME else []


@pytest.fixture(scope="module")
def policy() -> Profile:
    """Both built-in packs at the highest tier."""
    packs = [builtin("enterprise", 2), builtin("hardening", 2)]
    return profile(packs, [], use_case_id="suite", tier=Tier.R4, params=PARAMETERS)


@pytest.mark.parametrize(
    "check_id",
    [pytest.param(each, marks=_marks(each)) for each in sorted(BUILT_IN)],
)
class TestBuiltIn(CheckSuite):
    """The suite, once for each line of the catalogue."""

    @pytest.fixture(autouse=True)
    def _given(self, check_id: str, policy: Profile, tmp_path: Path) -> None:
        self._id, self._policy, self._folder, self._runs = check_id, policy, tmp_path, 0
        self._asked: set[bool] = set()

    def check(self) -> AnyCheck:
        """From the catalogue."""
        return find_check(self._id)

    def predicates(self) -> Sequence[Predicate]:
        """As the packs ask."""
        return [p for c in self._policy.criteria if c.check == self._id for p in c.acceptance]

    def context(self) -> CheckContext:
        """A use case without any data of its own."""
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        peak = Peak(per_1_s=10, per_10_s=8, per_60_s=6, derived_from="suite")
        return CheckContext(
            use_case_id="suite",
            title="Suite",
            intended_use="Tests.",
            root=folder,
            files={},
            recorded={},
            data={},
            target=Target(
                protocol="open-inference",
                url="http://127.0.0.1:9/v2/models/none",
                peak=peak,
                p99_ms=100.0,
                error_share=0.01,
            ),
            quality=Quality(metric="auc", bound=0.8, threshold=0.5, margin_from_pilot=0.05),
            at=datetime(2026, 11, 21, 10, 42, tzinfo=UTC),
            seed=1,
            workdir=folder,
        )

    def observe(self, *, good: bool) -> Observation:
        """A test's first look at a specimen may be one that another test had; whoever looks again gets a new one."""
        key = (self._id, good)
        if good in self._asked or key not in _SEEN:
            _SEEN[key] = self._observe_anew(good=good)
        self._asked.add(good)
        return _SEEN[key]

    def _observe_anew(self, *, good: bool) -> Observation:
        """A busy machine makes the load generator refuse its own figures, rightly; then it is asked again."""
        for _ in range(_TRIES - 1):
            try:
                return super().observe(good=good)
            except GeneratorLagged:
                continue
        return super().observe(good=good)

    def test_it_proves_something(self) -> None:
        """A check that no criterion asks for is dead."""
        assert self.predicates()
        assert self.check().id == self._id
        assert self._id in check_ids()

    def test_its_criteria_depend_on_what_it_reads(self) -> None:
        """A criterion that depends on data which the check never looks at would call fresh evidence stale."""
        always = {*RELEASE_PARTS, Part.PEOPLE, Part.PACKS}
        for criterion in self._policy.criteria:
            if criterion.check == self._id:
                assert criterion.depends_on <= {*always, *self.check().reads}, criterion.id
