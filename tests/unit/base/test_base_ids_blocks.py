import os
import uuid

from roadworthy.base import ids
from roadworthy.base.clock import now_us
from roadworthy.base.ids import new_uuid7, quick_salt, random_share


def test_uuids_are_of_version_7_and_of_now():
    """The layout of RFC 9562: milliseconds, version, variant, and the rest unpredictable."""
    before = now_us() // 1000
    made = [uuid.UUID(new_uuid7()) for _ in range(2_000)]
    after = now_us() // 1000
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in made) and len(set(made)) == 2_000
    assert {str(each)[19] for each in made} == set("89ab")


def test_salts_out_of_blocks_are_all_different():
    """Also across the ends of blocks."""
    salts = [quick_salt() for _ in range(2_000)]
    assert len(set(salts)) == 2_000 and {len(salt) for salt in salts} == {32}


def test_a_forked_process_draws_its_own_block():
    """Parent and child never hand out the same piece."""
    quick_salt()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"".join(quick_salt() for _ in range(50)))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    theirs = {data[start : start + 32] for start in range(0, len(data), 32)}
    assert len(theirs) == 50 and not theirs & {quick_salt() for _ in range(500)}
    ids._SALTS.forget()
    assert quick_salt() not in theirs


def test_a_system_without_fork_needs_no_hook(monkeypatch):
    """There, nobody can copy a block."""
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    block = ids._Block(4)
    assert len(block.take()) == 4 and block.take() != block.take()


def test_shares_lie_in_their_interval_and_differ() -> None:
    """1,000 draws: all in [0, 1), spread over its quarters, none twice."""
    drawn = [random_share() for _ in range(1_000)]
    assert all(0 <= share < 1 for share in drawn)
    assert len(set(drawn)) == 1_000
    assert {int(4 * share) for share in drawn} == {0, 1, 2, 3}
