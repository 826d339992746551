"""The monitor's own two checks: each with the subject that it must pass and the one that it must fail."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import hypergeom

from roadworthy.base.errors import ManifestError
from roadworthy.checks.monitor import inputs, risk
from roadworthy.checks.monitor.inputs import InputsCheck, LabelCounts, chance_of_as_many, count_labels, freeze
from roadworthy.checks.monitor.risk import RiskCheck
from roadworthy.domain.criterion import Comparator, Predicate, Verdict, judge_all
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext, DataSource, Quality
from roadworthy.measure.monitor_risk import feed, from_record, start_monitor
from roadworthy.stats.alarm import AlertRule
from roadworthy.stats.drift import Effect

AT = datetime(2026, 11, 21, tzinfo=UTC)
RUN = Run(at=AT, seed=1, cancelled=lambda: False)
RULE = AlertRule(effect=Effect.PSI, tolerance=0.2, windows=100)


def table(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": np.arange(rows),
            "x": rng.normal(size=rows),
            "site": rng.choice(["a", "b"], rows),
            "flag": rng.random(rows) < 0.5,
            "at": pa.array(np.arange(rows), pa.timestamp("us")),
            "blob": pa.array([b"1"] * rows, pa.binary()),
        }
    )


def source(path: Path, **given: object) -> DataSource:
    plain = DataSource(
        name="pilot", pattern=path, contract=None, label=None, cohort=None, features=(), key="id", known_at={}
    )
    return replace(plain, **given)


@pytest.fixture
def context(tmp_path: Path) -> CheckContext:
    pq.write_table(table(2000, 1), tmp_path / "pilot.parquet")
    pq.write_table(table(800, 2), tmp_path / "window.parquet")
    return CheckContext(
        use_case_id="road",
        title="Road",
        intended_use="",
        root=tmp_path,
        files={},
        recorded={},
        data={"pilot": source(tmp_path / "pilot.parquet"), "production": source(tmp_path / "window.parquet")},
        target=None,
        quality=Quality(metric="accuracy", bound=0.8, threshold=0.5, margin_from_pilot=0.05),
        at=AT,
        seed=1,
        workdir=tmp_path,
    )


def verdict(seen: Observation, metrics: tuple[str, ...], unit: str) -> Verdict:
    predicates = [
        Predicate(metric=name, comparator=Comparator.AT_MOST, bound=0, unit=unit, n_min=1, provenance="")
        for name in metrics
    ]
    return judge_all(predicates, seen.estimates)


def of_inputs(seen: Observation) -> Verdict:
    return verdict(seen, ("columns_drifted", "columns_lost"), "column")


def test_inputs_pass_and_fail_as_they_must(context: CheckContext) -> None:
    """The pilot itself, a second draw of it, a window that lost everything, and one that lost a column."""
    pilot = freeze(context.data["pilot"])
    assert [item.name for item in pilot.reference.columns] == ["x", "site", "flag", "blob"]
    check, params = InputsCheck(pilot, RULE), inputs.Params()
    with check.must_pass(context) as good:
        seen = check.observe(good, params, RUN)
        assert seen.facts["drifted"] == []
        assert check.explain(seen) == ()
    with check.must_fail(context) as bad:
        seen = check.observe(bad, params, RUN)
        assert of_inputs(seen) is Verdict.NOT_MET
        assert seen.facts["drifted"] == ["x", "site", "flag", "blob"]
        assert len(check.explain(seen)) == 4
    with check.subject(context) as window:
        seen = check.observe(window, params, RUN)
        assert of_inputs(seen) is not Verdict.NOT_MET
        assert (seen.facts["rows"], seen.facts["state"]) == (800, window.window.state.digest)
    lost = table(800, 3).drop_columns(["x"]).set_column(1, "site", pa.array(np.arange(800)))
    pq.write_table(lost, context.root / "window.parquet")
    with check.subject(context) as window:
        seen = check.observe(window, params, RUN)
    assert of_inputs(seen) is Verdict.NOT_MET
    assert dict(seen.facts["lost"]) == {"x": "it is missing.", "site": "it was a text, and is none here."}
    assert [finding.remedy for finding in check.explain(seen)] == ["Repair the feed."] * 2


def test_declared_features_are_the_inputs(context: CheckContext) -> None:
    """Instants never; nothing left is an error of the manifest."""
    pilot = context.data["pilot"]
    assert [item.name for item in freeze(replace(pilot, features=("x", "at"))).reference.columns] == ["x"]
    with pytest.raises(ManifestError, match="no input to watch"):
        freeze(replace(pilot, features=("at",)))


@pytest.mark.parametrize(("pilot", "window"), [((3000, 0), (600, 1)), ((2000, 90), (600, 41)), ((50, 3), (20, 20))])
def test_lacking_labels_are_told_by_fishers_exact_test(pilot: tuple[int, int], window: tuple[int, int]) -> None:
    """The chance is that of scipy."""
    counts = LabelCounts(pilot_rows=pilot[0], pilot_missing=pilot[1], rows=window[0], missing=window[1])
    whole, gone = pilot[0] + window[0], pilot[1] + window[1]
    assert chance_of_as_many(counts) == pytest.approx(hypergeom.sf(window[1] - 1, whole, gone, window[0]), rel=1e-8)


def test_labels_are_counted_where_they_are_promised(context: CheckContext) -> None:
    """NaN is none; a column that is not there has none; no more than in the pilot is fine, and nobody asks elsewhere."""
    assert count_labels(context) is None
    sources = {name: replace(each, label="y") for name, each in context.data.items()}
    context = replace(context, data=sources)
    some = np.where(np.arange(2000) % 20 == 0, np.nan, 1.0)
    pq.write_table(table(2000, 1).append_column("y", pa.array(some)), context.root / "pilot.parquet")
    none = LabelCounts(pilot_rows=2000, pilot_missing=100, rows=800, missing=800)
    assert count_labels(context) == none
    assert none.to_facts(0.01)["lacking"]
    pq.write_table(table(800, 2).append_column("y", pa.array(some[:800])), context.root / "window.parquet")
    alike = count_labels(context)
    assert alike == replace(none, missing=40)
    assert not alike.to_facts(0.01)["lacking"]


def of_risk(seen: Observation) -> Verdict:
    return verdict(seen, ("harm_alarms",), "alarm")


def test_risk_passes_and_fails_as_it_must(context: CheckContext) -> None:
    """No alarm is no proof: nobody can tell then."""
    check, params = RiskCheck(None, "sha256:00", 0.005), risk.Params()
    with check.must_pass(context) as good:
        seen = check.observe(good, params, RUN)
        assert of_risk(seen) is Verdict.CANNOT_TELL
        assert check.explain(seen) == ()
    with check.must_fail(context) as bad:
        seen = check.observe(bad, params, RUN)
        assert of_risk(seen) is Verdict.NOT_MET
        assert seen.facts["raised here"]
        assert check.explain(seen)[0].what.startswith(f"Since unit {seen.facts['alarm at unit']} of 4000 the loss")


def test_an_alarm_stands_in_the_next_window_but_was_not_raised_there(context: CheckContext) -> None:
    """The state goes on through the facts, to the last bit; a window without units changes nothing."""
    before = feed(start_monitor(np.zeros(4000), tolerance=0.05, level=0.005), np.ones(500))
    check = RiskCheck(before, "sha256:00", 0.005)
    seen = check.observe(risk.Subject(before=before, losses=np.zeros(0), unlabelled=3), risk.Params(), RUN)
    assert (seen.facts["raised here"], of_risk(seen)) == (False, Verdict.NOT_MET)
    assert from_record(seen.facts["monitor"]) == before
    fresh = start_monitor(np.zeros(10), tolerance=0.05, level=0.005)
    seen = check.observe(risk.Subject(before=fresh, losses=np.zeros(0), unlabelled=0), risk.Params(), RUN)
    assert (seen.facts["units so far"], of_risk(seen)) == (0, Verdict.CANNOT_TELL)
