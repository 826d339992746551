import json
import time

import orjson
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.canonical import canonical_bytes
from roadworthy.domain.exchange import Caller
from roadworthy.gateway import records
from roadworthy.gateway.records import Exchange, Recorder
from roadworthy.gateway.sealing import Sealer, unseal
from roadworthy.gateway.streaming import EventCutter
from roadworthy.ledger.entry import commit
from roadworthy.ledger.leaf import parse_leaf

KEY = bytes(32)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=8)
MEMBERS = st.dictionaries(NAMES, st.one_of(TEXTS, st.integers(-(2**53) + 1, 2**53 - 1)), max_size=12)
RECORDER = Recorder(node="node-1", epoch=1, sealer=Sealer(KEY), pseudonym_key=KEY)


@given(MEMBERS)
def test_the_quick_writer_writes_canonical_bytes(members):
    """For any texts and whole numbers under ASCII names, the options of the hot path give RFC 8785 bytes."""
    assert orjson.dumps(members, option=records._OPTIONS) == canonical_bytes(members)


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 2**53 - 1), st.integers(100, 599))
def test_every_leaf_is_canonical_and_fits(model, purpose, scope, rules, tokens, status):
    """Whatever a caller puts into the texts, the leaf is canonical, flat and short enough."""
    exchange = Exchange("chat/completions", time.perf_counter())
    exchange.caller = Caller(
        id="alice",
        credential="k",
        roles=frozenset(),
        cohort="c",
        scopes=frozenset(),
        purposes=frozenset(),
        expires_at_s=0.0,
    )
    exchange.model, exchange.purpose, exchange.scope = model * 50, purpose * 50, scope * 50
    exchange.rules, exchange.usage_in = rules * 500, tokens
    leaf, _ = RECORDER.outcome(exchange, status=status, reason="", body=b"", released_bytes=0)
    assert leaf == canonical_bytes(json.loads(leaf)) and len(leaf) <= 65_535
    assert parse_leaf(leaf).facts["usage_in"] == tokens


@given(st.binary(max_size=500), st.binary(max_size=40))
def test_what_is_sealed_opens_and_fits_its_commitment(payload, aad):
    """Salt and payload come back, and the commitment is that of ledger.entry."""
    commitment, sealed, size = Sealer(KEY).seal(payload, aad)
    salt, opened = unseal(KEY, sealed, aad)
    assert opened == payload and size == len(payload) and commitment == commit(salt, payload)


@given(st.lists(st.sampled_from([b"a", b"data: x", b"\n", b"\r\n", b"\r", b"\n\n"]), max_size=30))
def test_cutting_events_loses_and_changes_nothing(pieces):
    """However a stream is cut, the blocks and the rest are its bytes."""
    cutter = EventCutter()
    blocks = [cutter.feed(piece) for piece in pieces]
    assert b"".join(blocks) + cutter.rest() == b"".join(pieces)
    assert all(block.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")) for block in blocks if block)
