"""What a profile asks a person to look at."""

import math

import pyarrow as pa
import pytest

from roadworthy.measure.profile import notices
from roadworthy.measure.profile.profile import Profile, profile_source, profile_table
from roadworthy.measure.profile.source import table_source
from roadworthy.measure.table import from_arrow


def said(profile: Profile) -> set[str]:
    """All sentences, with their group in front."""
    return {f"{item.group or ''}|{item.what}" for item in profile.notices}


def test_each_kind_of_oddity_is_named_once() -> None:
    """All null, constant, NaN, infinite, empty text; an ordinary column draws nothing."""
    rows = pa.table(
        {
            "gone": pa.array([None] * 60, pa.float64()),
            "same": [3.5] * 60,
            "word": ["a"] * 60,
            "nan": pa.array([math.nan, *range(59)], pa.float64(), from_pandas=False),
            "inf": [math.inf, -math.inf, *map(float, range(58))],
            "blank": ["", *("ab" * 29), "c"],
            "fine": list(range(60)),
            "when": pa.array([0] * 60, pa.timestamp("us")),
        }
    )
    assert said(profile_table(from_arrow(rows, "odd"))) == {
        "|gone is null in every row.",
        "|same has one value only, 3.5, in all 60 rows.",
        "|word has one value only, a, in all 60 rows.",
        "|nan is NaN in one row; NaN is counted apart from null and is in no mean.",
        "|inf is infinite in 2 rows.",
        "|blank is an empty text in one row, which is not null.",
        "|when has one value only, one instant, in all 60 rows.",
    }


def test_groups_are_told_of_what_is_theirs_alone() -> None:
    """A column that is constant everywhere is told once; the sentinel of one site at that site."""
    rows = pa.table(
        {
            "site": ["a"] * 100 + ["b"] * 100,
            "same": [1.5] * 200,
            "chol": [float(200 + i) for i in range(100)] + [0.0] * 100,
            "late": [1.0] * 99 + [None] + [float(i) for i in range(100)],
        }
    )
    assert said(profile_table(from_arrow(rows, "t"), by="site")) == {
        "|same has one value only, 1.5, in all 200 rows.",
        "a|late has one value only, 1, in 99 of 100 rows.",
        "b|chol is 0 in 100 of 100 rows: nearly constant in a cohort.",
    }


def test_an_unseen_value_is_news_only_on_foreign_cells() -> None:
    """On its own cells the rarer values are unseen by design."""
    first = profile_table(from_arrow(pa.table({"w": ["a", "b"] * 30}), "first"))
    second = table_source(from_arrow(pa.table({"w": ["a", "c"] * 30}), "second"))
    assert said(profile_source(second)) == set()
    assert said(profile_source(second, on=first.window)) == {
        "|w has a value that the reference did not know in 30 rows."
    }


def test_a_large_window_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the profile says so."""
    monkeypatch.setattr(notices, "SENTINEL_CELLS", 50)
    profile = profile_table(from_arrow(pa.table({"x": [0.0] * 60}), "large"))
    assert not profile.searched
