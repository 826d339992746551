import pytest

from roadworthy.ledgerd.own_leaves import own_instant, why_not_from_outside


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        (b"hello payload.erased", "JSON object"),
        (b'"text"', "JSON object"),
        (b'{"n":"\xff\xfe"}', "UTF-8"),
        (b'{"erases":1,"kind":"payload.erased","reason":"r"}', "only the ledger"),
        (b'{"at":"2999-01-01T00:00:00.000000Z","kind":"gateway.node","subject":"ledgerd started"}', "only the ledger"),
    ],
)
def test_what_only_the_ledger_may_write_is_refused_from_outside(leaf, why):
    """So is what is no text, or no JSON object."""
    assert why in why_not_from_outside(leaf)


@pytest.mark.parametrize(
    "leaf",
    [
        '{"kind":"gateway.node","subject":"reloaded"}',
        '{"kind":"exchange.intent","subject":"ledgerd started"}',
        '{"kind":"exchange.intent","subject":"a \\"kind\\":\\"payload.erased\\" in a text, \u00fc"}',
    ],
)
def test_what_only_looks_like_it_is_taken(leaf):
    """What stands within a text is no member."""
    assert why_not_from_outside(leaf.encode()) is None


@pytest.mark.parametrize(
    ("leaf", "instant"),
    [
        (b'{"at":"2026-01-01T11:30:00+02:00"}', "2026-01-01T09:30:00.000000Z"),
        (b'{"at":7}', None),
        (b'{"at":"noon"}', None),
        (b"[]", None),
        (b"no json", None),
    ],
)
def test_an_instant_is_read_if_there_is_one(leaf, instant):
    """Anything else names none, and raises nothing."""
    assert own_instant(leaf) == instant
