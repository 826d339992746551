"""Comparisons: verdicts by column and group, nulls, kinds, instants, states without data."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import ContractError, DependencyError, MissingFile, ParameterError
from roadworthy.measure.profile import public, source
from roadworthy.measure.profile.compare import DEFAULT_RULE, compare_data, compare_tables
from roadworthy.measure.profile.profile import profile_table
from roadworthy.measure.profile.source import table_source
from roadworthy.measure.profile.window_file import window_bytes
from roadworthy.measure.table import from_arrow
from roadworthy.stats.alarm import Alarm, AlertRule
from roadworthy.stats.drift import Effect, severity

N = 12_000
BEGAN = np.datetime64("2026-01-01", "us")


def rows(seed: int, *, shift: float = 0.0, lost: float = 0.0, days: int = 0, count: int = N) -> pa.Table:
    """x may be shifted, y may lose values, instants may move; the rest stays."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=count)
    return pa.table(
        {
            "x": rng.normal(shift, 1, count),
            "y": pa.array(np.where(rng.random(count) < lost, np.nan, y), from_pandas=True),
            "site": np.where(np.arange(count) % 2 == 0, "a", "b"),
            "word": rng.choice(["p", "q", "r"], count),
            "same": np.full(count, 4),
            "at": pa.array(BEGAN + np.timedelta64(days, "D") + rng.integers(0, 10**6, count).astype("timedelta64[s]")),
        }
    )


def answers(found: public.Comparison) -> dict[str, Alarm]:
    return {item.name: item.judgement.alarm for item in found.columns}


def test_what_moved_exceeds_and_the_rest_is_within() -> None:
    """A shift of half a deviation and a fifth of nulls; instants moved by a year are judged by their nulls."""
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2, shift=0.5, lost=0.2, days=365), "after"))
    assert found.drifted == ("x", "y")
    assert set(answers(found).values()) == {Alarm.EXCEEDS, Alarm.WITHIN}
    assert found.groups == (None,)
    (y,) = (item for item in found.columns if item.name == "y")
    assert y.null_change.lower < 0.2 < y.null_change.upper and y.null_change.lower > 0.18
    (at,) = (item for item in found.columns if item.name == "at")
    assert at.nulls_only and at.judgement.severity.estimate == 0.0
    assert repr(found) == "Comparison('after' against 'before': 4 within, 2 exceeds, 0 cannot_tell)"


def test_nulls_of_instants_are_judged() -> None:
    """A feed that loses its time stamps drifts."""
    after = rows(2)
    lost = pa.array([None if i % 5 == 0 else v for i, v in enumerate(after["at"].to_pylist())], after["at"].type)
    after = after.set_column(after.column_names.index("at"), "at", lost)
    assert compare_tables(from_arrow(rows(1), "before"), from_arrow(after, "after")).drifted == ("at",)


def test_severity_is_that_of_the_cells() -> None:
    """The column's interval is what ``stats.drift`` says of its counts."""
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2, shift=0.5), "after"), columns=["word"])
    (word,) = found.columns
    assert word.reference.values is not None and word.current.values is not None
    before, after = (
        [*(c for _, c in side.counts), side.unseen, 0] for side in (word.reference.values, word.current.values)
    )
    assert word.judgement.severity == severity(Effect.PSI, before, after)


def test_each_group_is_compared_with_the_whole_reference_under_one_budget() -> None:
    """Only site b moved; five columns in two groups share the error."""
    after = rows(2)
    x = after["x"].to_numpy() + np.where(after["site"].to_numpy(zero_copy_only=False) == "b", 0.5, 0.0)
    after = after.set_column(0, "x", pa.array(x))
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(after, "after"), by="site")
    assert [(item.name, item.group) for item in found.of(Alarm.EXCEEDS)] == [("x", "b")]
    assert found.groups == ("a", "b") and len(found.columns) == 10
    assert [(each.name, each.why) for each in found.refused] == [("site", "Its values split the rows.")]
    (moved,) = found.of(Alarm.EXCEEDS)
    assert moved.current.rows == N // 2 and moved.reference.rows == N
    alone = compare_tables(
        from_arrow(rows(1), "before"), from_arrow(after.filter(pa.array([i % 2 == 1 for i in range(N)])), "b")
    )
    (same,) = (item for item in alone.columns if item.name == "x")
    assert moved.judgement.severity == same.judgement.severity
    assert moved.judgement.p_value == same.judgement.p_value


def test_a_small_group_cannot_tell_and_says_what_would() -> None:
    """Thirty rows are below any law."""
    after = rows(2, count=60)
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(after, "after"), by="site", columns=["x", "same"])
    assert {item.judgement.alarm for item in found.columns} == {Alarm.CANNOT_TELL}
    assert all(item.judgement.rows_needed is not None for item in found.columns)


def test_a_new_tolerance_needs_no_data() -> None:
    """The same counts, judged again; ten times the tolerance lets the shift pass."""
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2, shift=0.3), "after"))
    assert found.drifted == ("x",)
    laxer = found.under(AlertRule(effect=Effect.PSI, tolerance=0.3))
    assert laxer.drifted == () and laxer.current_state is found.current_state
    other = found.under(AlertRule(effect=Effect.WASSERSTEIN, tolerance=0.05))
    # A column without a scale has no distance: that is no pass.
    assert answers(other) == {
        "x": Alarm.EXCEEDS, "y": Alarm.WITHIN, "site": Alarm.CANNOT_TELL, "word": Alarm.CANNOT_TELL,
        "same": Alarm.CANNOT_TELL, "at": Alarm.CANNOT_TELL,
    }  # fmt: skip


def test_measured_windows_and_data_compare_in_any_combination(tmp_path: Path) -> None:
    """Data or file on either side: the same answers; two files of different cells are refused."""
    before, after = from_arrow(rows(1), "before"), from_arrow(rows(2, shift=0.5), "after")
    first = profile_table(before)
    second = profile_table(after, reference=first.reference)
    expected = compare_tables(before, after)
    for pair in (
        (first.window, table_source(after)),
        (table_source(before), second.window),
        (first.window, second.window),
    ):
        found = compare_data(*pair)
        assert found.to_json()["columns"] == expected.to_json()["columns"]
    with pytest.raises(ParameterError, match="different cells"):
        compare_data(first.window, profile_table(after).window)
    with pytest.raises(ParameterError, match="was not split by site: it counted all rows together"):
        compare_data(first.window, second.window, by="site")
    split = profile_table(after, reference=first.reference, by="site")
    (tmp_path / "first.json").write_bytes(window_bytes(first.window))
    (tmp_path / "split.json").write_bytes(window_bytes(split.window))
    by_file = public.compare(tmp_path / "first.json", tmp_path / "split.json", by="site")
    assert by_file.to_json()["columns"] == compare_tables(before, after, by="site").to_json()["columns"]


def test_columns_that_cannot_be_compared_are_set_apart() -> None:
    """Missing, new, and read in another way: a fault of the feed, with the reason."""
    before = pa.table({"a": [1.0, 2.0], "b": [1, 2], "c": ["x", "y"]})
    after = pa.table({"a": [1.0, 2.0], "b": ["1", "2"], "d": [1, 2]})
    found = compare_tables(from_arrow(before, "before"), from_arrow(after, "after"))
    assert {each.name: each.why for each in found.refused} == {
        "b": "It was read as number and is text now.",
        "c": "The window does not have it.",
        "d": "The reference does not have it.",
    }
    assert answers(found) == {"a": Alarm.CANNOT_TELL}
    with pytest.raises(ParameterError, match="no column in common"):
        compare_tables(from_arrow(before, "before"), from_arrow(after, "after"), columns=["b"])
    with pytest.raises(ContractError, match="no column 'z'"):
        compare_tables(from_arrow(before, "before"), from_arrow(after, "after"), columns=["z"])
    first = profile_table(from_arrow(before, "before")).window
    with pytest.raises(ContractError, match="no column 'z'"):
        compare_data(first, table_source(from_arrow(after, "after")), columns=["z"])


def test_a_column_that_is_constant_in_both_is_within() -> None:
    """Twelve thousand equal rows leave no room above the tolerance; a thousand do."""
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2), "after"), columns=["same"])
    assert answers(found) == {"same": Alarm.WITHIN}
    few = compare_tables(
        from_arrow(rows(1, count=1_000), "before"), from_arrow(rows(2, count=1_000), "after"), columns=["same"]
    )
    (item,) = few.columns
    assert item.judgement.alarm is Alarm.CANNOT_TELL and item.judgement.rows_needed is not None
    # A constant that becomes another constant has moved entirely.
    moved = rows(2).set_column(4, "same", pa.array(np.full(N, 5)))
    assert compare_tables(from_arrow(rows(1), "before"), from_arrow(moved, "after"), columns=["same"]).drifted == (
        "same",
    )


def test_it_says_itself_in_json() -> None:
    """Canonical, with the rule, the answers and the digests."""
    found = compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2, shift=0.5), "after"), columns=["x"])
    plain = json.loads(canonical_bytes(found.to_json()))
    assert plain["rule"]["tolerance"] == DEFAULT_RULE.tolerance
    assert plain["drifted"] == ["x"] and plain["columns"][0]["judgement"]["alarm"] == "exceeds"
    assert plain["current_state_digest"] == found.current_state.digest


def test_the_public_functions_take_paths_tables_and_windows(tmp_path: Path) -> None:
    """Files, patterns, Arrow, what is open already; errors say what to do."""
    for day in (1, 2):
        pq.write_table(rows(day, count=1_000), tmp_path / f"{day}.parquet")
    found = public.compare(tmp_path / "1.parquet", rows(2), effect="total_variation", tolerance=0.1)
    assert found.drifted == () and found.rule.effect is Effect.TOTAL_VARIATION
    assert public.profile(str(tmp_path / "*.parquet")).rows == 2_000
    first = public.profile(from_arrow(rows(1, count=100), "open"), by="site")
    assert public.profile(rows(2), reference=first.window).reference.digest == first.reference.digest
    few = rows(1, count=100)
    assert public.profile(few, reference=few).reference.digest == public.profile(few).reference.digest
    assert public.profile(first.window, by="site").groups == first.groups
    with pytest.raises(ParameterError, match="Leave the reference out"):
        public.profile(first.window, reference=first.window)
    with pytest.raises(ParameterError, match="no effect 'ks'"):
        public.compare(rows(1), rows(2), effect="ks")
    with pytest.raises(MissingFile):
        public.profile(tmp_path / "none.parquet")


def test_a_database_without_its_driver_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback about a missing module."""
    monkeypatch.setattr(source, "_DATABASE", "roadworthy_has_no_such_module")
    with pytest.raises(DependencyError, match="roadworthy_has_no_such_module"):
        public.profile("postgresql://nobody@127.0.0.1/none?table=t")


def test_a_window_that_cannot_be_read_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason stands in the error."""
    path = tmp_path / "w.json"
    path.write_bytes(b"{}")

    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MissingFile, match="Cannot read"):
        public.profile(path)


@pytest.mark.parametrize(("values", "rows"), [(None, 1_000), (500, 2_000), (2_000, 5_000)])
def test_other_rare_texts_are_no_drift(values: int | None, rows: int) -> None:
    """Which of many rare values come up is chance: free text, names and ids do not alarm by being new."""
    rng = np.random.default_rng(5)

    def window():
        drawn = rng.integers(0, 10**9 if values is None else values, rows)
        return from_arrow(pa.table({"text": [f"v{each}" for each in drawn]}), "window")

    alarms = [compare_tables(window(), window()).columns[0].judgement.alarm for _ in range(5)]
    assert Alarm.EXCEEDS not in alarms


def test_texts_that_all_changed_are_drift() -> None:
    """Frequent values that disappear are seen, and so is a frequent new one."""
    before = from_arrow(pa.table({"text": ["a", "b"] * 1_000}), "before")
    after = from_arrow(pa.table({"text": ["a", "c"] * 1_000}), "after")
    assert compare_tables(before, after).columns[0].judgement.alarm is Alarm.EXCEEDS


def test_a_share_sent_beyond_the_largest_value_is_seen() -> None:
    """The outermost cells hold nothing of the reference, so a value that overflows does not hide in the last quantile."""
    rng = np.random.default_rng(6)
    before, after = rng.normal(size=20_000), rng.normal(size=20_000)
    after[np.argsort(after)[-1_200:]] = 1e6
    tables = (from_arrow(pa.table({"x": each}), "window") for each in (before, after))
    assert compare_tables(*tables, cells=16).columns[0].judgement.alarm is Alarm.EXCEEDS
