"""Random bytes and names: length, form, and that two differ."""

import re

from roadworthy.base.ids import new_id, salt_bytes


def test_salts_have_their_length_and_differ() -> None:
    """32 bytes unless asked otherwise."""
    assert len(salt_bytes()) == 32
    assert len(salt_bytes(8)) == 8
    assert salt_bytes() != salt_bytes()


def test_names_have_their_prefix_and_differ() -> None:
    """The prefix, a dash and 12 hex digits."""
    assert re.fullmatch(r"waiver-[0-9a-f]{12}", new_id("waiver"))
    assert new_id("x") != new_id("x")
