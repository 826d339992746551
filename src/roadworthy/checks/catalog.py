"""The catalogue of checks. Owns which checks exist; each is imported only when it is asked for.

A built-in check is one line here. A third party's check is an entry point of the group ``roadworthy.checks`` whose name
is the check's id; it cannot take the id of a built-in one.
"""

from importlib import import_module
from importlib.metadata import entry_points

from roadworthy.base.errors import UnknownCheck
from roadworthy.kit.check import AnyCheck, Check

ENTRY_POINTS = "roadworthy.checks"

BUILT_IN = {
    "access.least_privilege": "roadworthy.checks.access.least_privilege:LeastPrivilegeCheck",
    "alert.fires": "roadworthy.checks.alert.fires:FiresCheck",
    "attribution.stable": "roadworthy.checks.attribution.stable:StableCheck",
    "audit.logging": "roadworthy.checks.audit.logging:LoggingCheck",
    "baseline.simpler": "roadworthy.checks.baseline.simpler:SimplerCheck",
    "data_quality.contract": "roadworthy.checks.data_quality.contract:ContractCheck",
    "data_quality.datasheet": "roadworthy.checks.data_quality.datasheet:DatasheetCheck",
    "drift.alarm": "roadworthy.checks.drift.alarm:AlarmCheck",
    "drift.inputs": "roadworthy.checks.drift.inputs:InputsCheck",
    "endpoint.health": "roadworthy.checks.endpoint.health:HealthCheck",
    "endpoint.messy_input": "roadworthy.checks.endpoint.messy_input:MessyInputCheck",
    "fallback.ladder": "roadworthy.checks.fallback.ladder:LadderCheck",
    "integration.end_to_end": "roadworthy.checks.integration.end_to_end:EndToEndCheck",
    "leakage.split": "roadworthy.checks.leakage.split:SplitCheck",
    "load.peak": "roadworthy.checks.load.peak:PeakLoadCheck",
    "load.recorded": "roadworthy.checks.load.recorded:RecordedLoadCheck",
    "network.exposure": "roadworthy.checks.network.exposure:ExposureCheck",
    "performance.delta": "roadworthy.checks.performance.delta:DeltaCheck",
    "performance.estimate": "roadworthy.checks.performance.estimate:EstimateCheck",
    "performance.production": "roadworthy.checks.performance.production:ProductionCheck",
    "performance.threshold": "roadworthy.checks.performance.threshold:ThresholdCheck",
    "release.pinned": "roadworthy.checks.release.pinned:PinnedCheck",
    "release.reproducible": "roadworthy.checks.release.reproducible:ReproducibleCheck",
    "release.runtime": "roadworthy.checks.release.runtime:RuntimeCheck",
    "restore.drill": "roadworthy.checks.restore.drill:RestoreCheck",
    "shortcut.site": "roadworthy.checks.shortcut.site:SiteCheck",
    "slices.worst": "roadworthy.checks.slices.worst:WorstSliceCheck",
    "switch.stop": "roadworthy.checks.switch.stop:StopCheck",
    "uncertainty.calibration": "roadworthy.checks.uncertainty.calibration:CalibrationCheck",
}


def check_ids() -> tuple[str, ...]:
    """Ids of all checks, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def find_check(check_id: str) -> AnyCheck:
    """An instance of the check.

    Raises:
        UnknownCheck: no such check, or its plugin is not a check of that id (RW-113).
    """
    if check_id in BUILT_IN:
        module, _, name = BUILT_IN[check_id].partition(":")
        loaded = getattr(import_module(module), name)
    else:
        found = [point for point in entry_points(group=ENTRY_POINTS) if point.name == check_id]
        if not found:
            raise UnknownCheck(f"There is no check {check_id!r}.", remedy=f"Known: {', '.join(check_ids())}.")
        loaded = found[0].load()
    if not (isinstance(loaded, type) and issubclass(loaded, Check)) or loaded.id != check_id:
        raise UnknownCheck(
            f"The plugin for {check_id!r} is not a check of that id.",
            remedy="Make the entry point name a roadworthy.kit.check.Check subclass whose id is its name.",
        )
    return loaded()
