"""A monitor that somebody would like to see less: labels left out, rows shown again, a folder or a budget edited."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from monitored_project import WINDOW_ROWS, add_window, look, on_record, rows
from roadworthy.base.errors import InputError, StoreBroken
from roadworthy.wiring.case import data_sources
from roadworthy.wiring.load_manifest import parse_manifest
from roadworthy.wiring.monitor_folder import MonitorFolder, pilot_name
from roadworthy.wiring.windows import LABELS, RISK, WindowVerdict, investigations
from small_project import Project


def test_labels_that_are_left_out_hide_no_harm(road: Project) -> None:
    """Neither all of them nor the wrong ones: somebody has to look, until a window of the feed has its labels again."""
    table = rows(WINDOW_ROWS, 11, harm=True)
    right = pc.equal(table["label"], pc.cast(pc.greater_equal(table["x"], 0.5), pa.int64()))
    kept = pc.if_else(right, table["label"], pa.scalar(None, pa.int64()))
    pq.write_table(table.set_column(3, "label", kept), road.folder / "data/feed/w1.parquet")
    (selected,) = look(road).windows
    assert selected.verdict is WindowVerdict.CANNOT_TELL
    (found,) = investigations(on_record(road))
    assert (found.about, found.since) == (LABELS, "data/feed/w1.parquet")
    assert f"of {WINDOW_ROWS} rows have none; 0 of 3000 of the pilot's." in found.what
    add_window(road, 2, harm=True, labelled=False)
    assert look(road).windows[0].verdict is WindowVerdict.CANNOT_TELL
    assert "600 of 600 rows have no label" in on_record(road)[-1].evidence.findings[0].what
    assert investigations(on_record(road)) == (found,)
    add_window(road, 3)
    assert look(road).windows[0].verdict is WindowVerdict.NOT_HARMED
    assert investigations(on_record(road)) == ()


def test_another_budget_does_not_drop_an_alarm_that_stands(road: Project) -> None:
    """The running monitor goes on at its own level."""
    add_window(road, 1, harm=True)
    look(road)
    road.edit("roadworthy.yaml", "tolerance: 0.2}", "tolerance: 0.2, windows_per_false_alarm: 101}")
    add_window(road, 2)
    assert look(road).windows[0].verdict is WindowVerdict.HARMED
    first, second = (run.evidence for run in on_record(road) if run.evidence.check == RISK)
    assert second.facts["alarm at unit"] == first.facts["alarm at unit"]
    assert second.facts["units so far"] == 2 * WINDOW_ROWS
    assert second.parameters["false_alarm_share"] == 0.005


def test_rows_that_were_seen_before_close_nothing(road: Project, tmp_path: Path) -> None:
    """Not the pilot's, not an old window's in another file, not those that lie outside of the feed."""
    add_window(road, 1)
    add_window(road, 2, drift=True)
    look(road)
    opened = investigations(on_record(road))
    assert [each.about for each in opened] == ["y"]
    pilot = road.folder / "data/pilot.parquet"
    for name, source in (("pilot.parquet", pilot), ("old.parquet", road.folder / "data/feed/w1.parquet")):
        again = pq.read_table(source)
        pq.write_table(again.take(np.arange(again.num_rows)[::-1]), tmp_path / name, compression="gzip")
    for window in (pilot, tmp_path / "pilot.parquet"):
        with pytest.raises(InputError, match="has the rows of the pilot"):
            look(road, window)
    assert look(road, tmp_path / "old.parquet").windows == ()
    for number in (3, 4):
        shutil.copy(tmp_path / "old.parquet", road.folder / f"data/feed/w{number}.parquet")
    assert look(road).windows == ()
    pq.write_table(rows(4000, 5), tmp_path / "made.parquet")
    assert look(road, tmp_path / "made.parquet").windows[0].verdict is WindowVerdict.NOT_HARMED
    assert investigations(on_record(road)) == opened
    pq.write_table(rows(4000, 6), road.folder / "data/feed/w5.parquet")
    look(road, road.folder / "data/feed/w5.parquet")
    assert investigations(on_record(road)) == ()


def test_the_frozen_pilot_is_the_one_on_record(road: Project) -> None:
    """A pointer to other counts is refused, and one that holds no digest; before the first window none is believed."""
    add_window(road, 1, drift=True)
    look(road)
    folder = road.folder / ".roadworthy/monitor"
    pointer = next(folder.glob("pilot-*"))
    honest = pointer.read_bytes()
    (other,) = (path.stem for path in folder.glob("*.json") if path.stem not in honest.decode())
    add_window(road, 2, drift=True)
    for wrong, why in ((f"sha256:{other}\n".encode(), "other counts"), (b"\xff\xfe\n", "holds no digest")):
        pointer.write_bytes(wrong)
        with pytest.raises(StoreBroken, match=why):
            look(road)
    pointer.unlink()
    assert look(road).windows[0].drifted == ("y",)
    assert pointer.read_bytes() == honest


def test_a_pilot_that_no_window_was_compared_with_is_frozen_anew(road: Project) -> None:
    """Nothing on record speaks for what lies in the folder."""
    manifest = parse_manifest(road.manifest.read_text(encoding="utf-8"), "m")
    source = data_sources(manifest, road.folder)["pilot"]
    folder, name = MonitorFolder(road.folder / ".roadworthy"), pilot_name(source, ("r", "p"))
    frozen = folder.pilot(source, name, None)
    next((road.folder / ".roadworthy/monitor").glob("pilot-*")).write_bytes(b"sha256:" + b"0" * 64)
    assert folder.pilot(source, name, None) == frozen
