"""Rounds of a monitor: what is looked at, what is put on record, what the gate makes of it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest

from monitored_project import CRITERION, WINDOW_ROWS, add_window, look, on_record, rows, served
from roadworthy.base.clock import now
from roadworthy.base.errors import ManifestError, NoWorkspace, OtherRelease, StoreBroken, TargetUnreachable
from roadworthy.domain.decision import Outcome
from roadworthy.domain.record import RecordKind
from roadworthy.domain.use_case import Part
from roadworthy.ledger.verify import verify_bytes
from roadworthy.stats.drift import Effect
from roadworthy.wiring.bundles import verify
from roadworthy.wiring.inspection import Watcher, inspect
from roadworthy.wiring.load_manifest import parse_manifest
from roadworthy.wiring.manifest import MonitorBlock
from roadworthy.wiring.monitoring import Round, monitor_once
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.windows import (
    INPUTS,
    RISK,
    WindowStatus,
    WindowVerdict,
    investigations,
    statuses,
    window_digest,
)
from roadworthy.wiring.workspace import Workspace
from small_project import PACK, Project

ALL = (INPUTS, "performance.production", RISK)


def test_drift_in_the_fourth_window_and_harm_in_the_sixth(road: Project) -> None:
    """Drift leaves the gate as it is, to the byte; harm makes it lapse, and says why."""
    for number in range(1, 6):
        add_window(road, number, drift=number == 4)
    workspace = Workspace(road.manifest)
    before = workspace.settle(workspace.clock())
    seen: list[WindowStatus] = []
    five = monitor_once(workspace, seed=1, seen=seen.append)
    assert tuple(seen) == five.windows
    assert [each.name for each in five.windows] == [f"data/feed/w{number}.parquet" for number in range(1, 6)]
    assert [each.drifted for each in five.windows] == [(), (), (), ("y",), ()]
    fine = WindowVerdict.NOT_HARMED
    assert [each.verdict for each in five.windows] == [fine, fine, fine, WindowVerdict.SHIFTED_NOT_HARMED, fine]
    assert all(each.complete and each.rows == WINDOW_ROWS and not each.problems for each in five.windows)
    assert (five.decision, five.waiting, five.error) == (before, 0, None)
    assert before.outcome is Outcome.OPEN
    assert not workspace.case().invalidations

    add_window(road, 6, harm=True)
    last = monitor_once(workspace, seed=1)
    (sixth,) = last.windows
    assert (sixth.drifted, sixth.verdict) == ((), WindowVerdict.HARMED)
    assert last.decision.outcome is Outcome.LAPSED
    (blocking,) = [each for each in last.decision.readings if each.criterion_id in last.decision.blocking]
    assert blocking.criterion_id == "D7"
    assert "found harm in the window data/feed/w6.parquet" in blocking.reason
    assert sixth.evidence["performance.production"][:19] in blocking.reason
    assert [each.reason.split(" ")[0] for each in workspace.case().invalidations] == ["performance.production"]
    workspace.close()


def test_evidence_of_a_window_is_signed_and_about_it(road: Project) -> None:
    """Its digest stands among the inputs; control, bundle and the auditor's verifier hold; the gate's list has none."""
    add_window(road, 1, drift=True)
    look(road)
    runs = on_record(road)
    assert tuple(run.evidence.check for run in runs) == ALL
    digest = window_digest(road.folder / "data/feed/w1.parquet")
    for run in runs:
        assert run.window.digest == run.evidence.inputs[Part.PRODUCTION_DATA] == digest
        assert run.evidence.control is not None
        assert run.evidence.control.failed
    inputs = runs[0].evidence
    assert inputs.findings[0].what.startswith("y drifted: psi ")
    assert inputs.attachments == ()
    workspace = Workspace(road.manifest)
    case = workspace.case()
    assert not {each.evidence.check for each in envelopes(case)} & {INPUTS, RISK}
    assert not workspace.settle(workspace.clock()).refused
    kinds = [record.kind for record in workspace.store.records()[-3:]]
    assert kinds == [RecordKind.EVIDENCE_RECORDED] * 3
    workspace.close()
    assert road.run("export", str(road.folder / "b.zip")) == 0
    assert verify_bytes((road.folder / "b.zip").read_bytes()).holds
    assert verify(road.folder / "b.zip", now()).holds


def test_counts_lie_beside_the_ledger_by_their_digest(road: Project) -> None:
    """The pilot is frozen once; a changed file is refused; a lost folder is made again with the same bytes."""
    add_window(road, 1, labelled=False)
    add_window(road, 2, labelled=False)
    look(road)
    folder = road.folder / ".roadworthy/monitor"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == 4  # the pilot, two windows, and which pilot belongs to this release
    facts = [run.evidence.facts for run in on_record(road) if run.evidence.check == INPUTS]
    for fact in facts:
        assert any(fact["state"].encode() in data for data in files.values())
        assert any(fact["reference state"].encode() in data for data in files.values())
    shutil.rmtree(folder)
    add_window(road, 3, labelled=False)
    look(road)
    again = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sum(again[name] == files.get(name) for name in again) == 2
    pointer = next(folder.glob("pilot-*")).read_text().strip().removeprefix("sha256:")
    (folder / f"{pointer}.json").write_bytes(b"{}")
    add_window(road, 4, labelled=False)
    with pytest.raises(StoreBroken, match="no longer has the digest"):
        look(road)
    (folder / f"{pointer}.json").unlink()
    assert look(road).windows[0].complete


def test_a_new_pilot_is_frozen_anew_and_starts_a_new_monitor(road: Project) -> None:
    """What was counted against the old one stays on record."""
    add_window(road, 1)
    look(road)
    pq.write_table(rows(2000, 99), road.folder / "data/pilot.parquet")
    add_window(road, 2)
    look(road)
    facts = {(run.window.name[10:12], run.evidence.check): run.evidence.facts for run in on_record(road)}
    assert facts["w1", INPUTS]["reference"] != facts["w2", INPUTS]["reference"]
    assert facts["w1", RISK]["series"] != facts["w2", RISK]["series"]
    assert facts["w2", RISK]["units so far"] == WINDOW_ROWS


def test_a_window_is_known_by_its_bytes(road: Project) -> None:
    """Renamed it is not looked at again, twice in the feed once; changed it is a new one."""
    add_window(road, 1, labelled=False)
    feed = road.folder / "data/feed"
    shutil.copy(feed / "w1.parquet", feed / "w2.parquet")
    assert [each.name for each in look(road).windows] == ["data/feed/w1.parquet"]
    (feed / "w1.parquet").rename(feed / "w7.parquet")
    assert look(road).windows == ()
    assert look(road, feed / "w7.parquet").windows == ()
    add_window(road, 2, labelled=False)
    assert [each.name for each in look(road).windows] == ["data/feed/w2.parquet"]


def test_windows_come_in_the_order_of_their_numbers_or_as_named(road: Project, tmp_path: Path) -> None:
    """w2 before w10; a pattern is one window; one outside of the project keeps its own name."""
    for number in (10, 2, 11):
        add_window(road, number, labelled=False)
    named = look(road, Path(road.folder / "data/feed/w1?.parquet"))
    assert [(each.name, each.rows) for each in named.windows] == [("data/feed/w1?.parquet", 2 * WINDOW_ROWS)]
    assert [each.name[10:13] for each in look(road).windows] == ["w2.", "w10", "w11"]
    outside = tmp_path / "elsewhere.parquet"
    pq.write_table(rows(200, 3, labelled=False), outside)
    assert look(road, outside).windows[0].name == str(outside)


def test_without_labels_only_inputs_are_looked_at(road: Project) -> None:
    """Nothing can be told of harm then."""
    add_window(road, 1, labelled=False, drift=True)
    (window,) = look(road).windows
    assert set(window.evidence) == {INPUTS}
    assert (window.verdict, window.drifted) == (WindowVerdict.CANNOT_TELL, ("y",))


def test_production_is_the_feed_when_no_other_is_named(road: Project) -> None:
    """The default pattern is that of data.production."""
    road.edit("roadworthy.yaml", "monitor: {windows: data/feed/*.parquet, tolerance: 0.2}", "monitor: {tolerance: 0.5}")
    (window,) = look(road).windows
    assert window.name == "data/production.parquet"
    assert on_record(road)[0].evidence.parameters["tolerance"] == 0.5


def test_a_target_that_does_not_answer_makes_windows_wait(road: Project) -> None:
    """What could be told is on record; the next round goes on with the rest, in order."""
    for number in (1, 2):
        add_window(road, number)
    with served() as url:
        road.edit("roadworthy.yaml", road.manifest.read_text().split('url: "')[1].split('"')[0], url)
        port = int(url.split(":")[2].split("/")[0])
        assert road.run("inspect") == 1
    stopped = look(road)
    assert isinstance(stopped.error, TargetUnreachable)
    assert stopped.waiting == 2
    assert [(each.complete, set(each.evidence)) for each in stopped.windows] == [(False, {INPUTS})]
    with served(port):
        done = look(road)
    assert [(each.name[10:12], each.complete) for each in done.windows] == [("w1", True), ("w2", True)]
    assert [(run.window.name[10:12], run.evidence.check) for run in on_record(road)] == [
        (name, check) for name in ("w1", "w2") for check in ALL
    ]


def test_a_broken_window_is_on_record_and_does_not_stop_the_others(road: Project) -> None:
    """It opens an investigation, which the next readable window closes."""
    (road.folder / "data/feed/w1.parquet").write_bytes(b"\xff\xfe\x00,\x00\n")
    first = look(road)
    assert first.windows[0].complete
    assert set(first.windows[0].problems) == {INPUTS}
    assert first.windows[0].rows is None
    (found,) = investigations(on_record(road))
    assert found.about == INPUTS
    add_window(road, 2)
    assert look(road).windows[0].verdict is WindowVerdict.NOT_HARMED
    assert investigations(on_record(road)) == ()


def test_investigations_open_with_drift_and_close_with_a_window_within(road: Project) -> None:
    """A lost column is one too; whoever opened it first is named."""
    add_window(road, 1, drift=True)
    lost = rows(WINDOW_ROWS, 77).rename_columns(["id", "x", "why", "label"])
    pq.write_table(lost, road.folder / "data/feed/w2.parquet")
    done = look(road)
    assert [(each.drifted, each.lost) for each in done.windows] == [(("y",), ()), ((), ("y",))]
    found = investigations(on_record(road))
    assert [(each.about, each.since) for each in found] == [("y", "data/feed/w1.parquet")]
    assert done.decision.outcome is Outcome.OPEN
    # A window without y cannot be scored either: that is on record, and no harm.
    assert set(done.windows[1].problems) == {"performance.production", RISK}
    pq.write_table(rows(4000, 5), road.folder / "data/feed/w3.parquet")
    look(road)
    assert investigations(on_record(road)) == ()


def test_an_alarm_stays_until_the_gate_is_opened_again(road: Project) -> None:
    """One event for one alarm; after people have answered it, a new monitor starts."""
    add_window(road, 1, harm=True)
    add_window(road, 2)
    assert [each.verdict for each in look(road).windows] == [WindowVerdict.HARMED, WindowVerdict.HARMED]
    facts = [run.evidence.facts for run in on_record(road) if run.evidence.check == RISK]
    assert [(fact["raised here"], fact["alarm at unit"] is None) for fact in facts] == [(True, False), (False, False)]
    workspace = Workspace(road.manifest)
    assert len(workspace.case().invalidations) == 2
    assert inspect(workspace, watcher=Watcher()).decision.outcome is Outcome.LAPSED
    workspace.close()
    assert road.as_person("sign", "gate") == 0
    assert road.as_person("sign", "gate", person="chi") == 0
    assert road.run("gate") == 0
    add_window(road, 3)
    after = look(road)
    assert (after.windows[0].verdict, after.decision.outcome) == (WindowVerdict.NOT_HARMED, Outcome.OPEN)
    assert on_record(road)[-1].evidence.facts["units so far"] == WINDOW_ROWS


def test_the_state_goes_on_from_window_to_window(road: Project) -> None:
    """Units add up; the checks that find harm are surer than they would be for a single look."""
    for number in (1, 2, 3):
        add_window(road, number)
    look(road)
    runs = on_record(road)
    assert [run.evidence.facts["units so far"] for run in runs if run.evidence.check == RISK] == [
        WINDOW_ROWS * number for number in (1, 2, 3)
    ]
    production = next(run for run in runs if run.evidence.check == "performance.production")
    assert production.evidence.parameters["confidence_share"] == 0.99
    assert runs[2].evidence.parameters["false_alarm_share"] == 0.005


def test_another_release_is_not_watched(road: Project) -> None:
    """A model that was never inspected has no evidence to add to; nor has a folder without any inspection."""
    road.edit("models/model.json", "[1]", "[2]")
    with pytest.raises(OtherRelease, match="changed since it was inspected"):
        look(road)
    shutil.rmtree(road.folder / ".roadworthy")
    with pytest.raises(NoWorkspace):
        look(road)


def test_two_monitors_do_not_write_over_each_other(road: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was planned on an older record is refused, and the next round does it."""
    add_window(road, 1, labelled=False)
    from_within: list[Round] = []
    workspace = Workspace(road.manifest)
    real = workspace.context

    def meanwhile(*given: object) -> object:
        if not from_within:
            from_within.append(look(road))
        return real(*given)

    monkeypatch.setattr(workspace, "context", meanwhile)
    done = monitor_once(workspace, seed=1)
    workspace.close()
    assert done.error is not None
    assert "Another command has monitored" in done.error.what
    assert len(on_record(road)) == 1
    assert look(road).windows == ()


def test_a_window_that_changes_meanwhile_waits(road: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured would be about neither of the two."""
    add_window(road, 1)
    workspace = Workspace(road.manifest)
    real = workspace.context

    def meanwhile(*given: object) -> object:
        add_window(road, 1, drift=True)
        return real(*given)

    monkeypatch.setattr(workspace, "context", meanwhile)
    done = monitor_once(workspace, seed=1)
    workspace.close()
    assert done.error is not None
    assert "changed while it was looked at" in done.error.what
    assert on_record(road) == ()


def test_harm_that_a_stopped_round_left_out_is_put_on_record(road: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event follows in the next round, once, dated when the harm was seen."""
    add_window(road, 1, harm=True)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("roadworthy.wiring.monitoring.invalidate", killed)
        with pytest.raises(KeyboardInterrupt):
            look(road)
    seen_at = max(run.evidence.observed_until for run in on_record(road) if run.harms)
    workspace = Workspace(road.manifest)
    assert not workspace.case().invalidations
    workspace.close()
    assert look(road).decision.outcome is Outcome.LAPSED
    look(road)
    workspace = Workspace(road.manifest)
    events = workspace.case().invalidations
    workspace.close()
    assert len(events) == 2
    assert max(event.happened_at for event in events) == seen_at


def test_a_window_that_was_begun_counts_as_not_done(road: Project) -> None:
    """Its row says so."""
    add_window(road, 1)
    look(road)
    (status,) = statuses(on_record(road)[:2])
    assert not status.complete


def test_any_check_that_is_no_matter_of_harm_opens_an_investigation(road: Project) -> None:
    """When it misses a bound; one in which it meets all of them closes it, one that cannot tell does not."""
    add_window(road, 1, harm=True)
    add_window(road, 2)
    look(road)
    bad, good = (
        replace(run, window=replace(run.window, harm_checks=()))
        for run in on_record(road)
        if run.evidence.check == "performance.production"
    )
    blind = replace(bad, evidence=replace(bad.evidence, control=None))
    silent = replace(bad, evidence=replace(bad.evidence, findings=()))
    (found,) = investigations([bad, blind])
    assert (found.about, found.since, found.evidence) == ("performance.production", bad.window.name, bad.digest)
    assert found.what.startswith("ACCURACY is ")
    assert investigations([blind, good]) == investigations([bad, good]) == ()
    assert investigations([silent])[0].what == "A bound is missed."


def test_what_the_policy_asks_for_is_run_on_windows_as_it_declares(road: Project) -> None:
    """Without labels the estimate alone; it is surer, too, and its miss would be harm."""
    estimate = CRITERION.replace("D7", "D8").replace("performance.production", "performance.estimate")
    estimate = estimate.replace('worst_cohort_quality, op: ">="', 'estimated_loss, op: "<="')
    estimate = estimate.replace("quality.bound", "quality.margin").replace(
        "production_data]", "production_data, pilot_data]"
    )
    (road.folder / "packs/road.yaml").write_text(PACK + CRITERION + estimate, encoding="utf-8")
    assert road.run("inspect", "D8") == 1
    add_window(road, 1, labelled=False)
    (window,) = look(road).windows
    assert set(window.evidence) == {INPUTS, "performance.estimate"}
    run = on_record(road)[-1]
    assert run.window.harm_checks == ("performance.estimate",)
    assert run.evidence.parameters["confidence_share"] == 0.99
    # Labels are promised and none came: an estimate alone is no proof then. It is where none are promised.
    assert window.verdict is WindowVerdict.CANNOT_TELL
    (as_recorded, estimated) = on_record(road)
    facts = {**as_recorded.evidence.facts, "labels": None}
    unpromised = replace(as_recorded, evidence=replace(as_recorded.evidence, facts=facts))
    assert statuses([unpromised, estimated])[0].verdict is WindowVerdict.NOT_HARMED
    assert investigations([unpromised, estimated]) == ()


def test_the_block_of_the_manifest(road: Project) -> None:
    """Its defaults, and what it refuses."""
    text = road.manifest.read_text(encoding="utf-8")
    given = "monitor: {windows: data/feed/*.parquet, tolerance: 0.2}"
    assert parse_manifest(text, "m").monitor.tolerance == 0.2
    plain = parse_manifest(text.replace(given, ""), "m").monitor
    assert (plain.windows, plain.windows_per_false_alarm, plain.tolerance, plain.effect) == (None, 100, 0.02, "psi")
    assert {each.value for each in Effect} == set(get_args(MonitorBlock.model_fields["effect"].annotation))
    for wrong in ("{windows_per_false_alarm: 1}", "{tolerance: 0}", "{effect: chi2}", "{tolerence: 0.1}"):
        with pytest.raises(ManifestError, match="monitor"):
            parse_manifest(text.replace(given, f"monitor: {wrong}"), "m")
