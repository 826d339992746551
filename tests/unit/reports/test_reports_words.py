"""How values read."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.domain.criterion import Comparator, Effort, Kind, ReadinessDomain, Verdict
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Meaning, RunOutcome
from roadworthy.domain.gap import GapKind
from roadworthy.domain.people import Role
from roadworthy.reports import words

NAN = float("nan")


def test_every_member_of_every_enum_has_words():
    """A new state, area, kind or verdict cannot reach a page without a word."""
    assert len({words.state_word(state) for state in State}) == len(State)
    assert set(words.STATE_MEANINGS) == set(State)
    assert all(words.state_look(state).sign for state in State)
    assert len({words.domain_words(domain) for domain in ReadinessDomain}) == len(ReadinessDomain)
    assert len({words.kind_words(kind) for kind in GapKind}) == len(GapKind)
    assert len({words.proof_words(kind) for kind in Kind}) == len(Kind)
    assert [words.verdict_word(verdict) for verdict in Verdict] == ["met", "not met", "cannot tell"]
    assert [words.run_words(outcome) for outcome in RunOutcome] == ["completed", "ended in an error", "was terminated"]
    assert [words.side_words(side) for side in Comparator] == ["at least", "at most"]
    assert [words.outcome_word(outcome) for outcome in Outcome] == ["Open", "Conditional", "Closed", "Lapsed"]
    assert (words.enum_words(Role.BUSINESS_OWNER), words.enum_words(Meaning.APPROVED)) == ("business owner", "approved")


def test_signs_tell_states_apart_without_colour():
    """No two states share a sign."""
    assert len({words.state_look(state).sign for state in State}) == len(State)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.6871, None, "0.687"),
        (0.0, None, "0"),
        (-0.0, 1, "0.0"),
        (65535, None, "65,535"),
        (1234.56, None, "1,235"),
        (0.000012, None, "0.00001"),
        (-3.25, None, "−3.25"),
        (0.9, 3, "0.900"),
        (NAN, None, "not known"),
        (float("inf"), 2, "not known"),
    ],
)
def test_number(value, decimals, text):
    """Three significant digits, thousands apart, a true minus, and no number for what is not finite."""
    assert words.number(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.687, "1", "0.687"),
        (0.0004, "%", "0.04 %"),
        (431, "ms", "431 ms"),
        (1, "rule", "1 rule"),
        (3, "rule", "3 rules"),
        (2, "query", "2 queries"),
        (512, "bytes", "512 bytes"),
        (NAN, "ms", "not known"),
    ],
)
def test_quantity(value, unit, text):
    """A symbol stays, a noun follows its number."""
    assert words.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("metric", "unit", "shown", "name"),
    [
        ("p99_ms", "ms", "ms", "p99"),
        ("error_share", "1", "%", "error share"),
        ("worst_cohort_quality", "1", "1", "worst cohort quality"),
        ("rules_broken", "rule", "1", "rules broken"),
        ("auc", "1", "1", "AUC"),
        ("ms", "ms", "ms", "ms"),
        ("backlog", "case", "case", "backlog"),
    ],
)
def test_metric_and_its_unit(metric, unit, shown, name):
    """What the name already says is not said twice."""
    assert (words.shown_unit(metric, unit), words.metric_words(metric)) == (shown, name)


@pytest.mark.parametrize(
    ("values", "bound", "unit", "decimals"),
    [
        ((0.687, 0.611, 0.762), 0.8, "1", 3),
        ((0.9, 0.86, 0.94), 0.88, "1", 2),
        ((431, 412.2, 455.1), 500, "ms", 0),
        ((4.4, 3.1, 6.03), 15, "min", 1),
        ((2, 2, 2), 0, "rule", 0),
        ((0.79996, 0.79996, 0.79996), 0.8, "1", 5),
        ((NAN, NAN, NAN), 0.8, "1", 0),
        ((31.25, 31.25, 31.25), NAN, "ms", 0),
    ],
)
def test_decimals(values, bound, unit, decimals):
    """Enough to read the interval, and more where a value would read like its bound."""
    assert words.decimals_for(values, bound, unit) == decimals


@given(st.floats(0, 1), st.floats(0, 1).map(lambda bound: round(bound, 2)))
def test_a_value_never_reads_like_a_bound_that_it_is_not(value, bound):
    """Down to a hundred-thousandth, the text tells on which side a score stands."""
    decimals = words.decimals_for((value,), bound, "1")
    if abs(value - bound) > 1e-5:
        assert words.number(value, decimals) != words.number(bound, decimals)


@pytest.mark.parametrize(
    ("span_s", "text"),
    [
        (140.5 * 86400, "140 d"),
        (86399, "23 h"),
        (3600, "1 h"),
        (130, "2 min"),
        (31, "31 s"),
        (0.8, "0.8 s"),
        (0, "0 s"),
    ],
)
def test_span(span_s, text):
    """The largest unit that fits, rounded down: nobody is promised time that is not there."""
    assert words.span_words(span_s) == text


def test_dates_do_not_ask_the_locale():
    """English, always."""
    assert words.day_words(date(2026, 12, 9), date(2026, 11, 21)) == "9 Dec"
    assert words.day_words(date(2027, 1, 9), date(2026, 11, 21)) == "9 Jan 2027"
    assert words.instant_words(datetime(2026, 11, 21, 9, 5, tzinfo=UTC)) == "21 Nov 2026, 09:05 UTC"


def test_counts_and_lists():
    """Small numbers are words."""
    assert words.counted(1, "criterion") == "one criterion"
    assert words.counted(3, "criterion") == "three criteria"
    assert words.counted(14, "gap") == "14 gaps"
    assert words.plural("process", 2) == "processes"
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([]) == ""
    assert words.sentence("worst") == "Worst"
    assert words.sentence("p99") == "p99"


def test_effort_and_digest():
    """Short forms."""
    assert words.effort_words(Effort(low_days=2, likely_days=3, high_days=8)) == "2–8 d"
    assert words.effort_words(Effort(low_days=0.5, likely_days=0.5, high_days=0.5)) == "0.5 d"
    assert words.short_digest("sha256:7f3ac91e00") == "7f3a·c91e"


def test_roles_inside_a_sentence():
    """The gate writes ids; people read words."""
    assert words.in_words("Nobody has signed it as business_owner.") == "Nobody has signed it as business owner."
