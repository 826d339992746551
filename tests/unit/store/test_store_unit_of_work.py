"""What happens inside one unit of work, beyond the guarantees that every store keeps."""

from datetime import datetime

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import InstantError, NotCanonical, StoreBroken
from roadworthy.kit.testing.store_suite import draft, write


def fill_the_disk(store):
    """Allow the file no more pages than it has."""
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_told_and_leaves_nothing(filled):
    """The reason is in the message; the store goes on as it was."""
    fill_the_disk(filled)
    with pytest.raises(StoreBroken, match="no room"):
        write(filled, draft(3), b"x" * 1_000_000)
    assert filled.head().size == 3


def test_after_a_failure_nothing_of_the_unit_is_kept(filled):
    """SQLite may have ended the transaction: who carries on regardless gets an error, not half a unit."""
    fill_the_disk(filled)

    def carry_on_regardless():
        with filled.unit_of_work() as unit:
            unit.put_blob(b"before")
            with pytest.raises(StoreBroken, match="no room"):
                unit.put_blob(b"x" * 1_000_000)
            with pytest.raises(StoreBroken, match="over"):
                unit.append(draft(3))

    with pytest.raises(StoreBroken, match="over"):
        carry_on_regardless()
    assert filled.head().size == len(filled.records()) == 3
    with pytest.raises(StoreBroken):
        filled.blob(digest_bytes(b"before"))


def test_a_swallowed_second_append_undoes_the_first(filled):
    """A unit that went wrong commits nothing."""

    def swallow():
        with filled.unit_of_work() as unit:
            unit.append(draft(3))
            with pytest.raises(StoreBroken, match="second"):
                unit.append(draft(4))

    with pytest.raises(StoreBroken, match="over"):
        swallow()
    assert filled.head().size == 3


@pytest.mark.parametrize("failing", [False, True])
def test_a_unit_that_was_left_is_over(filled, failing):
    """Whether it was left in order or not, nothing more can be done with it."""
    kept = []

    def use():
        with filled.unit_of_work() as unit:
            kept.append(unit)
            unit.append(draft(3))
            if failing:
                raise ZeroDivisionError

    if failing:
        with pytest.raises(ZeroDivisionError):
            use()
    else:
        use()
    unit = kept[0]
    for act in (unit.records, unit.head, lambda: unit.append(draft(4)), lambda: unit.put_blob(b"late")):
        with pytest.raises(StoreBroken, match="over"):
            act()


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        ({"payload": {"nan": float("nan")}}, NotCanonical),
        ({"payload": {"set": {1}}}, NotCanonical),
        ({"at": datetime(2030, 1, 1)}, InstantError),
    ],
)
def test_a_draft_that_cannot_be_written_is_the_callers_error(filled, spoilt, error):
    """It keeps its own name and leaves nothing."""
    with pytest.raises(error):
        write(filled, draft(3, **spoilt), b"left behind")
    assert filled.head().size == 3
    with pytest.raises(StoreBroken):
        filled.blob(digest_bytes(b"left behind"))
