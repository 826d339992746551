"""Runtime leaves: which bytes are one, what is read from them, and what an erasure must say."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import LedgerBroken, ParameterError
from roadworthy.ledger.entry import Entry, commit, leaf_bytes
from roadworthy.ledger.leaf import (
    ERASES,
    OPEN_SALT,
    PAYLOAD_ERASED,
    REASON,
    erased_index,
    open_commitment,
    parse_leaf,
    runtime_leaf_bytes,
)

BASE = Entry(
    kind="exchange.intent",
    at=datetime(2026, 11, 21, 10, 42, tzinfo=UTC),
    actor="alice",
    use_case="heart",
    subject="id-1",
    commitment=commit(b"\x07" * 32, b"question"),
    size=8,
)
FACTS = {"cohort": "pilot", "epoch": 3, "wseq": -1, "note": "ünïcode"}
MEMBERS = {
    "v": 2,
    "kind": "exchange.intent",
    "at": "2026-11-21T10:42:00.000000Z",
    "actor": "alice",
    "use_case": "heart",
    "subject": "id-1",
    "commitment": BASE.commitment,
    "size": 8,
    **FACTS,
}


def test_a_runtime_leaf_reads_back():
    """What is written is what is read, with the facts beside the base."""
    leaf = parse_leaf(runtime_leaf_bytes(BASE, FACTS))
    assert (leaf.version, leaf.base, dict(leaf.facts)) == (2, BASE, FACTS)


def test_the_gateway_s_writer_makes_the_same_bytes():
    """orjson with sorted names is the canonical form for texts and integers under ASCII names."""
    assert orjson.dumps(MEMBERS, option=orjson.OPT_SORT_KEYS) == runtime_leaf_bytes(BASE, FACTS)


def test_a_control_plane_leaf_is_read_too():
    """Version 1 has no facts."""
    leaf = parse_leaf(leaf_bytes(BASE))
    assert (leaf.version, leaf.base, dict(leaf.facts)) == (1, BASE, {})


def test_facts_cannot_be_changed():
    """A leaf is read once and handed around."""
    leaf = parse_leaf(runtime_leaf_bytes(BASE, FACTS))
    with pytest.raises(TypeError):
        leaf.facts["cohort"] = "all"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": 3}, "members|version"),
        ({"v": True}, "members|version"),
        ({"v": "2"}, "members|version"),
        ({"v": 1}, "members"),
        ({"kind": ""}, "no kind"),
        ({"kind": 5}, "wrong type"),
        ({"at": "2026-11-21T10:42:00Z"}, "another form"),
        ({"at": "yesterday"}, "not an instant"),
        ({"commitment": "sha256:00"}, "no commitment"),
        ({"size": -1}, "size is -1"),
        ({"size": True}, "size is True"),
        ({"size": "8"}, "size is '8'"),
        ({"fact": 1.5}, "neither text"),
        ({"fact": True}, "neither text"),
        ({"fact": None}, "neither text"),
        ({"fact": ["a"]}, "neither text"),
        ({"fact": {"a": 1}}, "neither text"),
        ({"façt": "a"}, "not ASCII"),
        ({"": "a"}, "not ASCII"),
    ],
)
def test_what_is_no_leaf_is_refused(change, message):
    """Every member has one type and one form."""
    with pytest.raises(LedgerBroken, match=message):
        parse_leaf(canonical_bytes({**MEMBERS, **change}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"v":2}',
        canonical_bytes(MEMBERS) + b"\n",
        canonical_bytes(MEMBERS).replace(b'"size":8', b'"size": 8'),
        canonical_bytes(MEMBERS).replace(b'"size":8', b'"size":8,"size":8'),
        b"\xff",
    ],
)
def test_other_bytes_are_refused(data):
    """Another layout, a name twice, or no object."""
    with pytest.raises(LedgerBroken):
        parse_leaf(data)


def test_a_leaf_fits_a_bundle():
    """A longer one could never be published."""
    with pytest.raises(LedgerBroken, match="more than 65535"):
        parse_leaf(canonical_bytes({**MEMBERS, "fact": "x" * 65_536}))
    with pytest.raises(ParameterError, match="more than 65535"):
        runtime_leaf_bytes(BASE, {"fact": "x" * 65_536})


@pytest.mark.parametrize("facts", [{"kind": "x"}, {"v": 2}, {"a": 1.5}, {"ä": 1}, {"a": False}])
def test_the_writer_refuses_what_the_reader_would(facts):
    """Nothing is written that cannot be read again."""
    with pytest.raises(ParameterError):
        runtime_leaf_bytes(BASE, facts)


def erasure(facts: dict, **changes) -> bytes:
    """The leaf of an erasure."""
    commitment, size = open_commitment({ERASES: 7, REASON: "asked to"})
    base = replace(BASE, kind=PAYLOAD_ERASED, commitment=commitment, size=size)
    return runtime_leaf_bytes(replace(base, **changes), facts)


def test_an_erasure_names_its_entry():
    """And everything else names none."""
    assert erased_index(parse_leaf(erasure({ERASES: 7, REASON: "asked to"}))) == 7
    assert erased_index(parse_leaf(runtime_leaf_bytes(BASE, {ERASES: 7, REASON: "asked to"}))) is None
    assert erased_index(parse_leaf(leaf_bytes(replace(BASE, kind=PAYLOAD_ERASED)))) is None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {ERASES: 7},
        {REASON: "asked to"},
        {ERASES: "7", REASON: "x"},
        {ERASES: -1, REASON: "x"},
        {ERASES: 7, REASON: 1},
    ],
)
def test_an_erasure_without_index_or_reason_is_refused(facts):
    """It would say that something is gone, but not what or why."""
    with pytest.raises(LedgerBroken, match="no entry, or no reason"):
        erased_index(parse_leaf(erasure(facts)))


def test_an_erasure_commits_to_what_it_says():
    """Its commitment can be checked by anybody."""
    with pytest.raises(LedgerBroken, match="commits to something else"):
        erased_index(parse_leaf(erasure({ERASES: 8, REASON: "asked to"})))
    assert open_commitment({"a": 1}) == (commit(OPEN_SALT, b'{"a":1}'), 7)
