"""Instants: one text form, no naive values."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from roadworthy.base.clock import SECONDS_PER_DAY, days, format_instant, monotonic_s, now, parse_instant
from roadworthy.base.errors import InstantError


def test_now_is_aware_and_in_utc() -> None:
    """The clock never gives a naive instant."""
    assert now().utcoffset() == timedelta(0)


def test_the_monotonic_clock_does_not_go_back() -> None:
    """Two readings are in order."""
    assert monotonic_s() <= monotonic_s()


def test_a_day_has_86400_seconds() -> None:
    """Fractions of days are allowed."""
    assert days(1.5).total_seconds() == 1.5 * SECONDS_PER_DAY


def test_the_same_instant_has_the_same_text() -> None:
    """Another zone, the same text; always six digits and Z."""
    at = datetime(2026, 11, 21, 12, 42, tzinfo=timezone(timedelta(hours=2)))
    assert format_instant(at) == "2026-11-21T10:42:00.000000Z"
    assert parse_instant(format_instant(at)) == at


def test_a_bare_date_is_its_midnight() -> None:
    """A date is read as UTC."""
    assert parse_instant("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-21T10:42:00"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """Neither nonsense nor a time without a zone is guessed at."""
    with pytest.raises(InstantError):
        parse_instant(text)


def test_a_naive_instant_is_not_written() -> None:
    """A value without a zone has no text form."""
    with pytest.raises(InstantError):
        format_instant(datetime(2026, 11, 21))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_outside_the_calendar_in_utc_is_refused(text: str) -> None:
    """The zone pushes it beyond the first or last year."""
    with pytest.raises(InstantError, match="is not an instant"):
        parse_instant(text)
