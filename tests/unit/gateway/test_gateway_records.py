import json
import time

from gateway_rig import ALICE, EPOCH, PAYLOAD_KEY

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.gateway import records
from roadworthy.gateway.exchange import Attempt
from roadworthy.gateway.records import Exchange, Recorder, attempts_text
from roadworthy.gateway.sealing import Sealer
from roadworthy.ledger.leaf import parse_leaf


def recorder(**changes):
    fields = {"node": "node-1", "epoch": EPOCH, "sealer": Sealer(PAYLOAD_KEY), "pseudonym_key": b"k" * 32}
    return Recorder(**{**fields, **changes})


def test_every_leaf_has_the_base_members_of_an_entry():
    """Those of ledger.entry, in version 2, and the place where it was written."""
    leaf, _ = recorder().intent(Exchange("infer", time.perf_counter()), b"body")
    members = json.loads(leaf)
    assert {"v", "kind", "at", "actor", "use_case", "subject", "commitment", "size"} < members.keys()
    assert (members["v"], members["node"], members["epoch"], members["wseq"]) == (2, "node-1", EPOCH, 1)
    assert (members["actor"], members["size"]) == ("node-1", 4)


def test_instants_have_the_form_of_the_house(monkeypatch):
    """Also across the end of a second, with leading zeros."""
    writer = recorder()
    for now_us in (1_700_000_000_000_001, 1_700_000_000_999_999, 1_700_000_001_000_000):
        monkeypatch.setattr(records, "now_us", lambda now_us=now_us: now_us)
        text = writer._at()
        at = parse_instant(text)
        assert format_instant(at) == text and round(at.timestamp() * 1e6) == now_us


def test_a_lost_leaf_is_a_gap_in_the_count():
    """wseq counts what was built, durable or not."""
    writer, exchange = recorder(), Exchange("x", time.perf_counter())
    counts = [json.loads(writer.part(exchange, b"")[0])["wseq"] for _ in range(3)]
    assert counts == [1, 2, 3] and exchange.parts == 3


def test_a_pseudonym_is_stable_and_belongs_to_the_installation(monkeypatch):
    """The same person, the same 16 characters; under another key other ones; memory is bounded."""
    monkeypatch.setattr(records, "_MOST_PSEUDONYMS", 2)
    writer = recorder()
    first = writer.pseudonym("alice")
    assert len(first) == 16 and first == writer.pseudonym("alice") and first == recorder().pseudonym("alice")
    assert first != recorder(pseudonym_key=b"o" * 32).pseudonym("alice")
    assert [writer.pseudonym(name) for name in ("bob", "carol", "alice")][2] == first
    assert len(writer._pseudonyms) <= 2


def test_a_feedback_is_about_a_record_and_its_comment_is_sealed():
    """The free text is not in the leaf."""
    exchange = Exchange("feedback", time.perf_counter())
    exchange.caller = ALICE
    leaf, sealed = recorder().feedback(exchange, record="r-1", rating=-5, comment=b"wrong rhythm")
    members = json.loads(leaf)
    assert (members["kind"], members["subject"], members["record"], members["rating"]) == (
        "exchange.feedback",
        "r-1",
        "r-1",
        -5,
    )
    assert b"rhythm" not in leaf and len(sealed) == 12 + 32 + len(b"wrong rhythm") + 16


def test_attempts_are_short_text():
    """Each with its outcome and time, hedges marked, and cut at the limit."""
    tries = [Attempt("a", "503", 10), Attempt("b", "connect_refused", 20, hedge=True)]
    assert attempts_text(tries) == "a:503:10,b:connect_refused:20:hedge" and attempts_text(tries[:1]) == "a:503:10"
    assert attempts_text([]) == "" and len(attempts_text(tries * 500)) == records.MAX_LONG_TEXT


def test_leaves_of_every_kind_are_leaves_of_the_runtimes_ledger():
    """The ledger's own reader takes them, byte for byte."""
    writer, exchange = recorder(), Exchange("infer", time.perf_counter())
    exchange.caller = ALICE
    leaves = [
        writer.intent(exchange, b"q"),
        writer.part(exchange, b"p"),
        writer.outcome(exchange, status=200, reason="", body=b"a", released_bytes=1),
        writer.abandoned(exchange),
        writer.feedback(exchange, record="r", rating=1, comment=b""),
    ]
    kinds = [parse_leaf(leaf).base.kind for leaf, _ in leaves]
    assert kinds == [
        "exchange.intent",
        "exchange.part",
        "exchange.outcome",
        "exchange.abandoned",
        "exchange.feedback",
    ]
