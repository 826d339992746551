"""Profiles and comparisons for people: the words, the pages, the safety of both."""

import base64
import hashlib
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.profile.compare import Comparison, compare_tables
from roadworthy.measure.profile.profile import Profile, profile_table
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.plan import Kind
from roadworthy.reports import window_page, windows
from roadworthy.reports.html import content_policy
from roadworthy.reports.window_page import render_comparison, render_profile
from roadworthy.reports.window_words import (
    change_words,
    deviation_words,
    mean_words,
    needed_words,
    share_words,
    sparkline,
    spread_words,
    summary_words,
    value_words,
)
from roadworthy.reports.windows import NO_HARM, comparison_view, profile_view
from roadworthy.stats.alarm import AlertRule, RowsNeeded
from roadworthy.stats.drift import Effect

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"meta", "path", "rect", "line", "circle", "polyline"}


def rows(seed: int, shift: float = 0.0, count: int = 12_000) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": rng.normal(shift, 1, count),
            EVIL: rng.choice([EVIL, "north", ""], count),
            "code": rng.integers(0, 3, count),
            "lost": pa.array([None] * count, pa.float64()),
            "seen_at": np.datetime64("2026-01-01", "us") + rng.integers(0, 10**6, count).astype("timedelta64[s]"),
            "site": np.where(np.arange(count) % 3 == 0, "a", "b"),
        }
    )


@pytest.fixture(scope="module")
def profile() -> Profile:
    return profile_table(from_arrow(rows(1), f"before {EVIL}"), by="site")


@pytest.fixture(scope="module")
def plain() -> Comparison:
    return compare_tables(from_arrow(rows(1), f"before {EVIL}"), from_arrow(rows(2, 0.5), "after"))


@pytest.fixture(scope="module")
def split() -> Comparison:
    return compare_tables(from_arrow(rows(1), "before"), from_arrow(rows(2, 0.5, 600), "after"), by="site")


@pytest.fixture(params=["profile", "plain", "split"])
def text(request: pytest.FixtureRequest, profile: Profile, plain: Comparison, split: Comparison) -> str:
    """Every kind of page."""
    if request.param == "profile":
        return render_profile(profile_view(profile))
    return render_comparison(comparison_view(plain if request.param == "plain" else split))


class Page(HTMLParser):
    """Tags, ids and links; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_page_needs_nothing_else_and_admits_only_its_style(text: str) -> None:
    """No script, handler, style attribute or address; the hash is that of the style."""
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, values in page.tags for name in values if name.startswith("on") or name in {"style", "src"}]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(v["content"] for t, v in page.tags if t == "meta" and "http-equiv" in v)
    assert policy == content_policy(style) and digest in policy
    assert not re.search(r"url\(|@import|https?://", style)


def test_a_page_is_in_order(text: str) -> None:
    """One h1, no level skipped, links that lead somewhere, unique ids, captions and scopes, pictures that speak."""
    page = Page(text)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [values["id"] for _, values in page.tags if "id" in values]
    assert len(ids) == len(set(ids))
    assert {v["href"] for t, v in page.tags if t == "a"} <= {f"#{each}" for each in ids}
    assert all("scope" in values for tag, values in page.tags if tag == "th")
    assert text.count("<table") == text.count("<caption")
    for tag, values in page.tags:
        assert tag != "svg" or values.get("aria-hidden") == "true" or values.get("role") == "img"
    assert text.count('role="img"') == len(re.findall(r'role="img"><title>[^<]+</title>', text))


def test_hostile_texts_stay_texts(text: str) -> None:
    """Names of columns, values and files are whatever people type."""
    assert "<script" not in text
    assert EVIL in Page(text).said()


def test_equal_views_give_equal_bytes(profile: Profile) -> None:
    """Nothing of the machine, nothing of the day."""
    assert render_profile(profile_view(profile)) == render_profile(profile_view(profile))


def test_a_comparison_says_what_drifted_and_that_it_is_no_harm(plain: Comparison) -> None:
    """The headline, the rule, the answers with their words, and what is judged of instants."""
    view = comparison_view(plain)
    assert view.headline == "One of six columns drifted: x.".replace("One", "1")
    assert (view.sub, view.tone) == (NO_HARM, "wait")
    assert "above 0.02" in view.rule and "one false alarm is expected in 100 windows" in view.rule
    assert [(look.word, count) for look, count in view.tally] == [("Exceeds", 1), ("Cannot tell", 0), ("Within", 5)]
    (group,) = view.groups
    assert (group.name, group.columns[0].name) == ("", "x")
    about = {item.name: item.about for item in group.columns}
    assert about["seen_at"] == "its nulls alone are judged" and about["x"] == ""
    said = Page(render_comparison(view)).said()
    for expected in (view.headline, "Exceeds", "Within", "window", "all null", "Jan 2026", plain.current_state.digest):
        assert expected in said
    bars = {item.name: item.bars for item in group.columns}
    assert bars["seen_at"] is None and bars["lost"] is None and bars["x"].reference is not None


def test_groups_have_their_own_tables_and_rows_that_would_tell(split: Comparison) -> None:
    """Two sites, one budget; the column that splits is named as not compared."""
    view = comparison_view(split)
    assert [group.name for group in view.groups] == ["site a", "site b"]
    assert view.headline.startswith("2 of 10 (five columns in two groups) drifted: at a x; at b x.")
    assert "answers cannot be told" in view.headline
    assert ("site", "Its values split the rows.") in view.refused
    assert any(item.needed.endswith("would tell") for group in view.groups for item in group.columns)
    assert "Not compared" in Page(render_comparison(view)).said()


def test_headlines_without_drift(plain: Comparison) -> None:
    """Calm only when everything is shown to be within; an open question is said to be open."""
    calm = comparison_view(plain.under(AlertRule(effect=Effect.PSI, tolerance=0.5)))
    assert calm.headline == "No column drifted: all six columns are shown to be within the tolerance."
    assert calm.tone == "ok" and 'class="verdict open"' in render_comparison(calm)
    few = comparison_view(compare_tables(from_arrow(rows(1, 0, 40), "b"), from_arrow(rows(2, 0, 40), "a")))
    assert few.headline == "No column is shown to have drifted. Six answers cannot be told." and few.tone == "none"
    first = few.groups[0].columns[0]
    assert (first.figure, first.severity, first.needed) == (None, "not known", "not enough to measure")
    assert 'class="verdict untold"' in render_comparison(few)


def test_many_drifted_columns_are_counted_not_listed() -> None:
    """Twelve names, then a number; pictures of those that exceed when there are too many for all."""
    names = [f"c{i:02}" for i in range(70)]
    before, after = (np.random.default_rng(s).normal(s, 1, (70, 200)) for s in (0, 3))
    tables = [from_arrow(pa.table(dict(zip(names, values, strict=True))), "t") for values in (before, after)]
    view = comparison_view(compare_tables(*tables))
    assert "c10, c11 and 58 more." in view.headline
    assert not view.pictures and "only those that exceed are drawn" in render_comparison(view)


def test_many_drifted_groups_are_counted_not_listed() -> None:
    """Six groups, then a number."""
    ward = [f"w{i % 9}" for i in range(9_000)]
    before, after = (pa.table({"x": np.random.default_rng(s).normal(s, 1, 9_000), "ward": ward}) for s in (0, 3))
    view = comparison_view(compare_tables(from_arrow(before, "b"), from_arrow(after, "a"), by="ward"))
    assert (
        view.headline
        == "9 of 9 (one column in nine groups) drifted: "
        + "".join(f"at w{i} x; " for i in range(6))
        + "and in three more groups."
    )


def test_a_profile_says_its_figures_and_what_to_look_at(profile: Profile) -> None:
    """Notices with their group, figures with their interval, values with their shares."""
    view = profile_view(profile)
    assert [part.name for part in view.parts] == ["", "site a", "site b"]
    assert "lost is null in every row." in view.notices
    x = view.parts[0].columns[0]
    assert re.fullmatch(r"−?0\.\d+ \[−0\.\d+, 0\.\d+\]", x.mean) and x.deviation.startswith("± ")
    assert x.spread.endswith(x.deviation) and len(x.quartiles.split(" · ")) == 3 and len(x.shape) == 24
    code = next(item for item in view.parts[0].columns if item.name == "code")
    assert code.bars is not None and code.bars.names == ("0", "1", "2") and code.quartiles == "0 · 1 · 2"
    words = next(item for item in view.parts[0].columns if item.name == EVIL)
    assert words.values.startswith("3 values: ") and {row[0] for row in words.rows} == {EVIL, "north", "empty text"}
    assert all("[" in row[2] for row in words.rows)
    said = Page(render_profile(view)).said()
    assert "thing to look at" in said or "things to look at" in said
    calm = replace(view, notices=())
    assert "Nothing in the counts asks for a second look." in Page(render_profile(calm)).said()


def test_pictures_of_groups_give_way_then_all(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the groups' pictures are left out, then all, and the page says so."""
    view = profile_view(profile)
    assert render_profile(view).count('class="cells"') == 10
    monkeypatch.setattr(window_page, "MOST_PICTURES", 6)
    alone = render_profile(view)
    assert alone.count('class="cells"') == 4 and "those of the groups are not drawn" in alone
    monkeypatch.setattr(window_page, "MOST_PICTURES", 5)
    assert "the pictures are left out" in render_profile(view)


def test_the_style_of_windows_uses_tokens_only() -> None:
    """No colour outside the palette, which the contrast tests watch."""
    css = files("roadworthy.reports").joinpath("templates/windows.css").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", css)


def test_words_of_odd_numbers() -> None:
    """What is not known reads so; a change has its sign; instants beyond the calendar do not crash."""
    assert share_words(unknown()) == "not known"
    assert change_words(Interval(estimate=0.1, lower=0.05, upper=0.15, n=9)) == "+10 % [5, 15]"
    assert change_words(Interval(estimate=-0.1, lower=-0.15, upper=-0.05, n=9)) == "−10 % [−15, −5]"
    assert value_words(1e300, Kind.INSTANT) == "beyond the calendar"
    assert value_words(0.0, Kind.INSTANT) == "1 Jan 1970, 00:00 UTC"
    assert needed_words(None) == ""
    assert needed_words(RowsNeeded(current=1_500, each=900)) == "1,500 rows in the window would tell"
    assert needed_words(RowsNeeded(current=None, each=900)) == "900 rows in each would tell"
    assert sparkline([]) == sparkline([0.0]) == "" and sparkline([0.0, 0.001, 1.0]) == " ▁█"


def test_words_of_thin_columns() -> None:
    """One value has a mean without interval; none has no words; an unlooked kind says so."""
    table = pa.table({"one": pa.array([7.5, None]), "none": pa.array([math.inf, -math.inf]), "list": [[1], [2]]})
    one, none, rest = profile_table(from_arrow(table, "thin")).columns
    assert one.numbers is not None and none.numbers is not None
    assert (mean_words(one.numbers), spread_words(one.numbers), deviation_words(one.numbers)) == ("7.5", "7.5", "")
    assert (mean_words(none.numbers), summary_words(none), summary_words(rest)) == (
        "",
        "no finite value",
        "not looked into",
    )
    assert windows.profile_view(profile_table(from_arrow(table, "thin"))).rows == "2 rows"
    assert windows.profile_view(profile_table(from_arrow(table.slice(0, 1), "thin"))).rows == "1 row"


def test_words_of_values_that_the_reference_did_not_know() -> None:
    """Known ones first, then the rest; without a known one only the rest."""
    first = profile_table(from_arrow(pa.table({"w": ["a", "b"]}), "first"))
    some = profile_table(from_arrow(pa.table({"w": ["a", "z"]}), "some"), reference=first.reference).columns[0]
    none = profile_table(from_arrow(pa.table({"w": ["y", "z"]}), "none"), reference=first.reference).columns[0]
    assert summary_words(some) == "more than 1 values: a 50.0 %, not known before 50.0 %"
    assert summary_words(none) == "not known before 100.0 %"
    many = profile_table(from_arrow(pa.table({"w": list("aaabbcd")}), "many")).columns[0]
    assert summary_words(many) == "4 values: a 42.9 %, b 28.6 %, c 14.3 %, …"
