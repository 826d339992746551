"""How single values are read; the agreement with the batch engine is a law (tests/property)."""

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal

import pytest

from roadworthy.measure.reading import clock_of, instant_of, is_missing, microseconds, number_of, text_of, truth_of


class _Undecided(tzinfo):
    def utcoffset(self, dt):
        return None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1e3", 1000.0), (" -.5\n", -0.5), ("1e999", float("inf")), ("nan", None), ("0x10", None), ("1_0", None), ("١", None),
        (True, 1.0), (7, 7.0), (2**53 + 1, float(2**53)), (10**400, float("inf")), (-(10**400), float("-inf")), (1.5, 1.5),
        (Decimal("0.10"), 0.1), (Decimal("-12345678901234567.890"), -12345678901234567.89), (Decimal("1E+30"), 1e30),
        (Decimal("-0.00"), -0.0), (Decimal("1E-50"), 1e-50), (Decimal("NaN"), None), (None, None), ([1], None), (date(2026, 1, 1), None),
    ],
)  # fmt: skip
def test_numbers(value, number):
    """Decimal text, every number type, and what is none."""
    assert number_of(value) == number


def test_instants_and_times_of_day():
    """UTC without a zone, cut fractions, offsets, dates, and what is none."""
    first = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
    assert first == 1_767_225_600_000_000
    assert microseconds(datetime(2026, 1, 1, tzinfo=_Undecided())) == first
    assert microseconds(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == first
    assert [instant_of(v) for v in (date(2026, 1, 1), "2026-01-01", "2026-01-01T00:00:00.0000009+00")] == [first] * 3
    assert [instant_of(v) for v in ("2026-02-29", "2026-1-1", "24:00", 5, None, time(1))] == [None] * 6
    assert clock_of(datetime(1969, 12, 31, 23, tzinfo=UTC)) == clock_of("23:00") == clock_of(time(23)) == 82_800_000_000
    assert [clock_of(v) for v in ("24:00:00", date(2026, 1, 1), 5)] == [None] * 3


def test_texts_truths_and_missing_values():
    """As the batch engine writes them; lists and bytes have no text."""
    noon = datetime(2026, 1, 1, 12, 0, 0, 500_000)
    values = ["a", True, 1.0, 3, Decimal("1.50"), noon, noon.replace(tzinfo=UTC), date(2026, 1, 1), time(10, 20)]
    wanted = [
        "a",
        "true",
        "1.0",
        "3",
        "1.50",
        "2026-01-01 12:00:00.5",
        "2026-01-01 12:00:00.5+00",
        "2026-01-01",
        "10:20:00",
    ]
    assert [text_of(value) for value in values] == wanted
    assert [text_of(value) for value in ([1], b"a", {}, None)] == [None] * 4
    huge = text_of(10**9_000)
    assert huge is not None and huge.startswith("0x")
    assert [truth_of(v) for v in ("Yes", "2", 1, 0.0, 2, True, None, Decimal(1))] == [
        True,
        False,
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert [is_missing(v) for v in (None, float("nan"), "", 0.0)] == [True, True, False, False]
