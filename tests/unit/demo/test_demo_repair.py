import numpy as np
import pyarrow.parquet as pq
import pytest
from demo_specimens import AT, SEED, written

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.demo.cohorts import FEATURES, KEY, SENTINEL_COLUMN, make_cohorts
from roadworthy.demo.materials import harden_server, repair_feed
from roadworthy.demo.server import read_serving


def test_the_repaired_feed_is_the_clean_one(tmp_path):
    """All but the late rows are back, each measurement as it was measured; only the zeros stay missing."""
    written(tmp_path)
    cohorts = make_cohorts(AT, SEED)
    truth = {each.kind: set(each.keys) for each in cohorts.planted}
    repair_feed(tmp_path)
    for site, clean in cohorts.clean.items():
        repaired = pq.read_table(tmp_path / f"data/feed/{site}.parquet")
        expected = [row for row in clean.to_pylist() if row[KEY] not in truth["late rows"]]
        assert repaired[KEY].to_pylist() == [row[KEY] for row in expected]
        for was, now in zip(expected, repaired.to_pylist(), strict=True):
            for name in FEATURES:
                zeroed = name == SENTINEL_COLUMN and was[KEY] in truth["sentinel"]
                assert now[name] is None if zeroed else np.isclose(now[name], was[name], rtol=1e-12)


def test_late_rows_are_kept_for_a_person(tmp_path):
    """They are in quarantine, not gone."""
    written(tmp_path)
    late = next(each for each in make_cohorts(AT, SEED).planted if each.kind == "late rows")
    repair_feed(tmp_path)
    kept = pq.read_table(tmp_path / "data/quarantine/site-a.parquet")
    assert sorted(kept[KEY].to_pylist()) == list(late.keys)


def test_each_step_says_how_many_rows_it_touched(tmp_path):
    """The counts are those of the truth, and a second run finds nothing to do."""
    written(tmp_path)
    counts = {each.kind: len(each.keys) for each in make_cohorts(AT, SEED).planted}
    lines = "\n".join(repair_feed(tmp_path))
    assert f"site-c: {counts['unit swap']} rows converted" in lines
    assert f"site-b: {counts['missing fields']} rows completed" in lines
    assert f"site-b: {counts['sentinel']} rows in which" in lines
    assert f"site-a: {counts['duplicate rows']} repeated" in lines
    assert f"site-a: {counts['late rows']} late" in lines
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")}
    assert repair_feed(tmp_path) == ()
    assert before == {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")}


def test_the_repair_needs_its_files(tmp_path):
    """RW-102 without a feed, RW-103 for a broken one."""
    with pytest.raises(MissingFile):
        repair_feed(tmp_path)
    (written(tmp_path).feed / "site-a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UnreadableData):
        repair_feed(tmp_path)


def test_hardening_switches_validation_on_once(tmp_path):
    """The configuration changes, and a second time there is nothing to do."""
    written(tmp_path)
    assert read_serving(tmp_path).validates is False
    assert len(harden_server(tmp_path)) == 1
    assert read_serving(tmp_path).validates is True
    assert harden_server(tmp_path) == ()


def test_hardening_needs_a_configuration(tmp_path):
    """RW-102."""
    with pytest.raises(MissingFile):
        harden_server(tmp_path)
