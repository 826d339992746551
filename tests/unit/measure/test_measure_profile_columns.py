"""What a profile says of each column, against numpy on the same values."""

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t as student

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.profile.columns import is_coded
from roadworthy.measure.profile.profile import Profile, profile_source, profile_table, profile_window
from roadworthy.measure.profile.source import MOST_GROUPS, open_data, split_by, table_source
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.plan import OTHER_GROUP, Kind
from roadworthy.stats.proportions import wilson

ROWS = 3_000
RNG = np.random.default_rng(1)
X = RNG.normal(50, 10, ROWS)
SITE = np.array(["north", "south", "west"])[RNG.integers(0, 3, ROWS)]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def table() -> pa.Table:
    """Every kind, with every special value."""
    x = [None if i % 10 == 0 else float(v) for i, v in enumerate(X)]
    odd = [math.nan if i < 3 else math.inf if i == 3 else -math.inf if i == 4 else float(i % 4) for i in range(ROWS)]
    return pa.table(
        {
            "x": pa.array(x, pa.float64()),
            "odd": pa.array(odd, pa.float64(), from_pandas=False),
            "site": SITE.tolist(),
            "word": pa.array([None if i % 4 == 0 else "" if i % 4 == 1 else f"w{i % 7}" for i in range(ROWS)]),
            "yes": pa.array([i % 3 == 0 for i in range(ROWS)]),
            "at": pa.array([BEGAN + timedelta(hours=i) for i in range(ROWS)], pa.timestamp("us", tz="UTC")),
            "list": pa.array([None if i < 30 else [i] for i in range(ROWS)]),
        }
    )


@pytest.fixture(scope="module")
def profile() -> Profile:
    """By site."""
    return profile_table(from_arrow(table(), "all kinds"), by="site")


def test_numbers_are_those_of_numpy(profile: Profile) -> None:
    """Mean, Student's interval, deviation, extremes and nulls."""
    held = np.array([v for i, v in enumerate(X) if i % 10])
    item = profile.column("x")
    numbers = item.numbers
    assert numbers is not None and item.kind is Kind.NUMBER
    assert numbers.mean.estimate == pytest.approx(held.mean(), rel=1e-9)
    assert numbers.deviation == pytest.approx(held.std(ddof=1), rel=1e-9)
    half = student.ppf(0.975, held.size - 1) * held.std(ddof=1) / math.sqrt(held.size)
    assert numbers.mean.upper - numbers.mean.estimate == pytest.approx(half, rel=1e-6)
    assert (numbers.smallest, numbers.largest, numbers.finite) == (held.min(), held.max(), held.size)
    assert (item.nulls, item.null_share) == (ROWS // 10, wilson(ROWS // 10, ROWS))
    assert sum(numbers.counts) == held.size and not numbers.coded


def test_quantiles_are_brackets_that_hold_the_observed_ones(profile: Profile) -> None:
    """The cell of each quantile, closed on the left."""
    held = np.array([v for i, v in enumerate(X) if i % 10])
    numbers = profile.column("x").numbers
    assert numbers is not None and [each.share for each in numbers.quantiles] == [0.05, 0.25, 0.5, 0.75, 0.95]
    for each in numbers.quantiles:
        exact = float(np.quantile(held, each.share, method="inverted_cdf"))
        assert each.low <= exact <= each.high
        assert each.high - each.low < 5


def test_special_values_are_counted_apart(profile: Profile) -> None:
    """NaN and the infinities are in no mean; few distinct values are codes."""
    item = profile.column("odd")
    assert (item.nulls, item.nan, item.infinite) == (0, 3, 2)
    assert item.numbers is not None and item.numbers.coded and item.numbers.finite == ROWS - 5
    assert item.numbers.edges[:-1] == (0.0, 1.0, 2.0, 3.0)
    assert item.numbers.counts[0] == item.numbers.counts[-1] == 0


def test_texts_flags_instants_and_the_rest(profile: Profile) -> None:
    """Known values, lengths, microseconds, and nulls of what cannot be told apart."""
    word, yes, at, rest = (profile.column(name) for name in ("word", "yes", "at", "list"))
    assert word.values is not None and word.values.empty == ROWS // 4
    assert (word.values.shortest, word.values.longest) == (0, 2)
    assert sum(count for _, count in word.values.counts) == ROWS - ROWS // 4
    assert yes.values is not None and dict(yes.values.counts) == {"true": ROWS // 3, "false": ROWS - ROWS // 3}
    assert yes.values.empty is None
    assert at.numbers is not None and at.numbers.smallest == BEGAN.timestamp() * 1e6
    assert not at.numbers.mean.known
    assert (rest.kind, rest.nulls, rest.numbers, rest.values) == (Kind.OTHER, 30, None, None)


def test_groups_are_the_rows_of_their_value(profile: Profile) -> None:
    """The same as profiling each site's rows on the same cells."""
    assert [group.name for group in profile.groups] == ["north", "south", "west"]
    for group in profile.groups:
        rows = table().filter(pa.array(group.name == SITE))
        alone = profile_table(from_arrow(rows, group.name), reference=profile.reference)
        assert (group.rows, group.columns) == (rows.num_rows, alone.columns)
        assert profile.column("x", group.name) == alone.column("x")


def test_one_value_and_none() -> None:
    """A mean without an interval, and no mean at all."""
    rows = pa.table({"one": pa.array([7.0, None]), "none": pa.array([None, None], pa.float64()), "same": [1, 1]})
    profile = profile_table(from_arrow(rows, "tiny"))
    one, none, same = (profile.column(name).numbers for name in ("one", "none", "same"))
    assert one is not None and one.mean.estimate == 7.0 and not one.mean.known and math.isnan(one.deviation)
    assert none is not None and none.finite == 0 and none.quantiles == () and math.isnan(none.smallest)
    assert same is not None and (same.mean.lower, same.mean.upper, same.deviation) == (1.0, 1.0, 0.0)


def test_a_far_value_is_counted_and_spoils_nothing() -> None:
    """1e300 among numbers of unit size: the mean is that of the others."""
    values = [*np.linspace(0, 1, 400).tolist(), 1e300]
    profile = profile_table(from_arrow(pa.table({"x": values}), "far"))
    numbers = profile.column("x").numbers
    assert numbers is not None and numbers.far == 1
    assert numbers.mean.estimate == pytest.approx(0.5)
    assert any("half a million quartile ranges" in each.what for each in profile.notices)


def test_codes_are_recognised_by_their_last_edge() -> None:
    """Quantile edges never lie one step apart at the end by accident of few values."""
    assert is_coded((1.0, 2.0, math.nextafter(2.0, math.inf)))
    assert not is_coded((1.0, 2.0, 3.0)) and not is_coded((1.0,)) and not is_coded(())


def test_it_says_itself_in_json_and_in_a_line(profile: Profile) -> None:
    """Canonical JSON without NaN; a repr of one line."""
    plain = profile.to_json()
    assert json.loads(canonical_bytes(plain)) == json.loads(json.dumps(plain))
    assert plain["state_digest"] == profile.state.digest and plain["columns"][0]["null_share"]["n"] == ROWS
    assert repr(profile) == "Profile('all kinds', 3,000 rows, 7 columns, by site: 3 groups, 3 notices)"
    assert repr(profile_table(from_arrow(pa.table({"a": [1, 2]}), "t"))) == "Profile('t', 2 rows, 1 columns, 0 notices)"


def test_what_is_not_there_is_an_error(profile: Profile) -> None:
    """A misspelt column, group or split is named."""
    with pytest.raises(ParameterError, match="no column 'y'"):
        profile.column("y")
    with pytest.raises(ParameterError, match="in the group 'east'"):
        profile.column("x", "east")
    with pytest.raises(ContractError, match="no column 'place'"):
        profile_table(from_arrow(table(), "t"), by="place")
    with pytest.raises(ParameterError, match="makes no groups"):
        profile_table(from_arrow(table(), "t"), by="x")
    with pytest.raises(ParameterError, match="was not split by word: it counted the groups of site"):
        profile_window(profile.window, by="word")


def test_many_groups_are_named_up_to_a_limit() -> None:
    """The most frequent values; all others, null included, are counted together."""
    codes = [i % 60 if i >= 600 else i % 50 for i in range(1_200)]
    rows = pa.table({"ward": pa.array([*codes, None]), "x": list(range(1_201))})
    source = table_source(from_arrow(rows, "wards"))
    assert len(split_by(source, "ward").values) == MOST_GROUPS
    profile = profile_source(source, by="ward")
    assert profile.groups[-1].name == OTHER_GROUP
    assert sum(group.rows for group in profile.groups) == 1_201


def test_a_window_read_again_is_the_same_profile(profile: Profile) -> None:
    """Without data: the columns and groups, not the search for sentinels."""
    again = profile_window(profile.window, by="site")
    assert (again.columns, again.groups) == (profile.columns, profile.groups)
    assert profile.searched and not again.searched
    assert profile_window(profile.window).groups == ()


def test_on_the_cells_of_another_window_both_join(profile: Profile) -> None:
    """A second day on the same cells and split: the joined counts are those of both days at once."""
    day = from_arrow(table().slice(0, 1_000), "day two")
    second = profile_source(table_source(day), on=profile.window, by="site")
    both = profile.window.join(second.window)
    whole = from_arrow(pa.concat_tables([table(), table().slice(0, 1_000)]), "both")
    assert both.state.to_bytes() == profile_source(table_source(whole), on=profile.window, by="site").state.to_bytes()
    assert profile_source(table_source(day), on=profile.window).groups == ()
    other = profile_source(table_source(day), on=profile.window, by="yes")
    assert [group.name for group in other.groups] == ["false", "true"]


def test_a_source_is_taken_as_it_is() -> None:
    """What was opened already is not opened again."""
    source = table_source(from_arrow(table(), "t"))
    assert open_data(source) is source
