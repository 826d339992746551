"""Every way to change a bundle: both verifiers find it, and the index is named where one can be."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from ledger_story import ALICE, LOG, PRODUCER, START, LedgerStory, broken_steps, envelope, packed

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.layout import Sealed, payload_member
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledger.tiles import entry_bundle, entry_bundles, hash_tiles, parse_entry_bundle
from roadworthy.ledger.verify import Report, verify_bytes

Both = Callable[..., Report]
ENTRIES = "tile/entries/000.p/8"
TILE = "tile/0/000.p/8"


def indexes(report: Report) -> set[int]:
    """All indexes that the report names."""
    return {problem.index for problem in report.problems if problem.index is not None}


@pytest.fixture
def small() -> bytes:
    """A bundle with one registered key and one piece of evidence."""
    told = LedgerStory().record("producer.registered", {"producer": {"id": "p", "public_key": PRODUCER.public.hex}})
    return packed(told.record("evidence.recorded", {"envelope": envelope(PRODUCER)}).members())


def test_every_flipped_byte_is_found(small: bytes, second: Any) -> None:
    """One bit of each byte of the whole file, headers, dates and checksums included, by both verifiers."""
    assert verify_bytes(small).holds
    for offset in range(len(small)):
        bad = bytearray(small)
        bad[offset] ^= 1 << offset % 8
        assert 1 in broken_steps(verify_bytes(bytes(bad))), offset
        with pytest.raises(Exception):  # noqa: B017  # any exception is the second verifier's word for broken
            second.verify(bytes(bad))


@pytest.mark.parametrize(
    "change", [lambda data: data + b"\0", lambda data: b"\0" + data, lambda data: data[:-1], lambda data: data * 2]
)
def test_bytes_before_after_and_missing(small: bytes, both: Both, change: Callable[[bytes], bytes]) -> None:
    """The file must begin and end with the container."""
    assert 1 in broken_steps(both(change(small)))


def changed_entries(leaves: list[bytes]) -> Iterator[tuple[str, list[bytes], int]]:
    """What was done, the entries after it, and the first index that is no longer right."""
    bit = bytearray(leaves[3])
    bit[20] ^= 1
    yield "flipped bit", [*leaves[:3], bytes(bit), *leaves[4:]], 3
    yield "changed word", [*leaves[:3], leaves[3].replace(b"alice", b"mally"), *leaves[4:]], 3
    yield "swapped", [*leaves[:2], leaves[3], leaves[2], *leaves[4:]], 2
    yield "dropped", [*leaves[:4], *leaves[5:]], 4
    yield "dropped last", leaves[:-1], 7
    yield "duplicated", [*leaves[:5], leaves[4], *leaves[5:]], 5
    yield "duplicated last", [*leaves, leaves[-1]], 8
    yield "reordered", leaves[::-1], 0
    yield "truncated", [*leaves[:6], leaves[6][:-1], leaves[7]], 6
    yield "emptied", [b"", *leaves[1:]], 0


CHANGES = [
    "flipped bit",
    "changed word",
    "swapped",
    "dropped",
    "dropped last",
    "duplicated",
    "duplicated last",
    "reordered",
    "truncated",
    "emptied",
]


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("renamed", [False, True], ids=["same name", "fitting name"])
def test_changed_entries_are_named(story: LedgerStory, both: Both, what: str, renamed: bool) -> None:
    """The container is made anew around the changed entries; the tiles tell which entry is not the one."""
    _, leaves, index = next(case for case in changed_entries(story.leaves) if case[0] == what)
    members = story.members()
    del members[ENTRIES]
    members |= entry_bundles(leaves) if renamed else {ENTRIES: entry_bundle(leaves)}
    report = both(packed(members))
    assert {4, 5} & broken_steps(report)
    assert not {1, 2, 3} & broken_steps(report)
    assert min(each.index for step in report.steps[3:5] for each in step.problems if each.index is not None) == index


@pytest.mark.parametrize("what", CHANGES)
def test_changed_entries_with_fitting_tiles_are_still_found(story: LedgerStory, both: Both, what: str) -> None:
    """Whoever rewrites the tiles as well cannot sign the root; the payloads still tell the index when they can."""
    _, leaves, index = next(case for case in changed_entries(story.leaves) if case[0] == what)
    members = {name: data for name, data in story.members().items() if not name.startswith("tile/")}
    report = both(packed({**members, **entry_bundles(leaves), **hash_tiles([leaf_hash(leaf) for leaf in leaves])}))
    assert 5 in broken_steps(report)
    if what not in ("changed word", "flipped bit"):
        assert min(indexes(report)) <= index


def test_a_cut_bundle_of_entries(story: LedgerStory, both: Both) -> None:
    """The frame of an entry longer than what is left: its index is named."""
    members = story.members()
    members[ENTRIES] = members[ENTRIES][:-1]
    report = both(packed(members))
    assert any("ends inside entry 7" in problem.what for problem in report.problems)
    assert indexes(report) == {6, 7}, "the entry that was cut off had named 6 as erased"
    assert parse_entry_bundle(story.members()[ENTRIES]) == tuple(story.leaves)


def test_a_changed_tile_is_named(story: LedgerStory, both: Both) -> None:
    """A hash in the lowest tile, a cut tile, a missing one, a stranger, a second bundle."""
    good = story.members()
    bit = bytearray(good[TILE])
    bit[32 * 5] ^= 1
    report = both(packed({**good, TILE: bytes(bit)}))
    assert broken_steps(report) == {5}
    assert indexes(report) == {5}
    assert any("hash tiles is" in problem.what for problem in report.problems)
    for members in (
        {**good, TILE: good[TILE][:-1]},
        {name: data for name, data in good.items() if name != TILE},
        {**good, "tile/1/000.p/1": root([leaf_hash(leaf) for leaf in story.leaves])},
        {**good, "tile/0/0": b""},
        {**good, "tile/entries/001.p/1": entry_bundle([story.leaves[0]])},
        {name: data for name, data in good.items() if name != ENTRIES},
        {**{name: data for name, data in good.items() if name != ENTRIES}, "tile/entries/001.p/8": good[ENTRIES]},
    ):
        assert {4, 5} & broken_steps(both(packed(members)))


def test_a_wrong_hash_higher_up_is_named(both: Both) -> None:
    """A tile of level 1 must follow from those of level 0."""
    told = LedgerStory()
    for index in range(257):
        told.record("note", {"n": index})
    members = told.members()
    members["tile/1/000.p/1"] = bytes(32)
    report = both(packed(members))
    assert [(problem.where, problem.index) for problem in report.problems] == [("tile/1/000.p/1", None)]


MALLORY = CheckpointSigner("ledger.example", key_from_seed(b"\x07" * 32))


def test_a_replaced_checkpoint_is_found(story: LedgerStory, both: Both) -> None:
    """Another key, another size, another root, another origin, none at all."""
    good = story.members()
    hashes = [leaf_hash(leaf) for leaf in story.leaves]
    other = CheckpointSigner("other.example", LOG.key)
    for note, steps in (
        (MALLORY.sign(8, root(hashes)), {3}),
        (LOG.sign(7, root(hashes[:7])), {4, 5}),
        (LOG.sign(9, root(hashes)), {4}),
        (LOG.sign(8, root(hashes[:7])), {5}),
        (other.sign(8, root(hashes)), {3}),
        (good["checkpoint"].decode().replace("\n8\n", "\n7\n"), {3, 4}),
        ("", {3}),
    ):
        assert broken_steps(both(packed({**good, "checkpoint": note.encode()}))) == steps
    assert 3 in broken_steps(both(packed({**good, "checkpoint": b"\xff"})))
    report = both(packed({**good, "checkpoint": LOG.sign(7, root(hashes[:7])).encode()}))
    assert 7 in indexes(report)


def test_an_older_ledger_under_its_own_name_has_another_origin(story: LedgerStory, both: Both) -> None:
    """The text must be of the key's ledger, even when the key signed it."""
    name, _, rest = story.members()["checkpoint"].decode().partition("\n")
    assert name == "ledger.example"
    text = "another.example\n" + rest.split("\n\n", maxsplit=1)[0] + "\n"
    note = text + "\n" + signature_line(text)
    report = both(packed({**story.members(), "checkpoint": note.encode()}))
    assert broken_steps(report) == {3}
    assert "origin" in report.problems[0].what


def signature_line(text: str) -> str:
    """The ledger's own signature over any text."""
    blob = LOG.verifier.key_id + LOG.key.sign(text.encode())
    return f"— {LOG.name} {base64.b64encode(blob).decode()}\n"


def test_a_replaced_ledger_needs_the_auditors_own_key(story: LedgerStory, both: Both) -> None:
    """A forger who signs with a key of his own and puts that in is found only by who kept the ledger's key."""
    hashes = [leaf_hash(leaf) for leaf in story.leaves]
    forged = packed(
        {
            **story.members(),
            "checkpoint": MALLORY.sign(8, root(hashes)).encode(),
            "log.vkey": (MALLORY.verifier.text() + "\n").encode(),
        }
    )
    assert both(forged).holds
    assert broken_steps(both(forged, LOG.verifier.text())) == {3}


def test_time_that_goes_back_is_named(both: Both) -> None:
    """A ledger that was written with such entries, tree and signature fitting."""
    told = LedgerStory().record("note", {}, at=START + timedelta(days=1))
    early = LedgerStory().record("note", {"early": 1}, at=START)
    told.leaves += early.leaves
    told.payloads += early.payloads
    members = {name: data for name, data in told.members().items() if name != "checkpoint"}
    note = LOG.sign(2, root([leaf_hash(leaf) for leaf in told.leaves]))
    report = both(packed({**members, "checkpoint": note.encode()}))
    assert broken_steps(report) == {4}
    assert indexes(report) == {1}


def test_a_signed_entry_that_is_none_is_named(both: Both) -> None:
    """Also when tree and signature fit: its payload is not looked at, but its index is told."""
    told = LedgerStory().record("note", {}).record("note", {})
    told.leaves[1] = told.leaves[1].replace(b'"v":1', b'"v":2')
    members = told.members()
    members["checkpoint"] = LOG.sign(2, root([leaf_hash(leaf) for leaf in told.leaves])).encode()
    report = both(packed(members))
    assert broken_steps(report) == {4}
    assert indexes(report) == {1}


def changed_payload(story: LedgerStory, index: int, payload: bytes) -> bytes:
    """The member of another payload under the same salt."""
    sealed = story.payloads[index]
    assert sealed is not None
    return payload_member(Sealed(sealed.salt, payload))


def test_a_changed_payload_is_named(story: LedgerStory, both: Both) -> None:
    """Other contents, another salt, the payload of a neighbour, another form, none, one too many."""
    good = story.members()
    neighbour = good["payloads/7.json"]
    salt = parse_canonical(good["payloads/5.json"]) | {"salt": "11" * 32}
    for member in (
        changed_payload(story, 5, canonical_bytes({"envelope": 1})),
        canonical_bytes(salt),
        neighbour,
        b"{}",
        b"\xff",
    ):
        report = both(packed({**good, "payloads/5.json": member}))
        assert 6 in broken_steps(report)
        assert indexes(report) == {5}
    report = both(packed({name: data for name, data in good.items() if name != "payloads/5.json"}))
    assert (broken_steps(report), indexes(report)) == ({6}, {5})
    report = both(packed({**good, "payloads/8.json": neighbour}))
    assert broken_steps(report) == {6}
    assert report.problems[0].where == "payloads/8.json"


def test_erasing_is_allowed_but_not_of_a_key(story: LedgerStory, both: Both) -> None:
    """Erased evidence is counted; an erased registration leaves its signatures without a key."""
    report = both(packed(story.erase(2).members()))
    assert report.holds
    assert report.erased == 2
    assert indexes(both(packed(story.erase(0).members()))) == {3}


@pytest.mark.parametrize("index", [2, 5, 7])
def test_an_erasure_that_no_entry_names_is_named(story: LedgerStory, both: Both, index: int) -> None:
    """Marking needs no key, so the mark alone is a fault; also the mark of an erasure itself, and what it had named."""
    report = both(packed({**story.members(), f"payloads/{index}.json": payload_member(None)}))
    assert broken_steps(report) == {6}
    assert indexes(report) == ({6, 7} if index == 7 else {index})
    assert "no entry says that it was" in report.problems[0].what


def test_an_erasure_of_what_is_still_there_is_named(story: LedgerStory, both: Both) -> None:
    """The entry says that it is gone, and it is not."""
    kept = story.payloads[5]
    story.erase(5)
    story.payloads[5] = kept
    report = both(packed(story.members()))
    assert (broken_steps(report), indexes(report)) == ({6}, {5})
    assert "entry 8" in report.problems[0].what


def test_erasing_twice_is_said_twice(story: LedgerStory, both: Both) -> None:
    """Whoever asks again is on record again."""
    assert both(packed(story.erase(6).members())).holds


@pytest.mark.parametrize(
    "payload",
    [
        {"index": 8, "reason": ""},
        {"index": 9, "reason": ""},
        {"index": -1, "reason": ""},
        {"index": True, "reason": ""},
        {"index": "6", "reason": ""},
        {"index": 6, "reason": None},
        {"index": 6},
        {"index": 6, "reason": "", "more": 1},
        b'{"index":6.0,"reason":""}',
        b'{"index":2,"index":6,"reason":""}',
        b"[]",
        b"no JSON",
    ],
)
def test_a_malformed_erasure_is_named(story: LedgerStory, both: Both, payload: Any) -> None:
    """It names one earlier entry, and a reason; nothing can be erased in advance."""
    report = both(packed(story.record("payload.erased", payload).members()))
    assert (broken_steps(report), indexes(report)) == ({6}, {8})


def test_an_erasure_of_a_later_entry_does_not_count(story: LedgerStory, both: Both) -> None:
    """The one that names it must come after it."""
    story.record("payload.erased", {"index": 9, "reason": "in advance"}).record("gap.assigned", {})
    story.payloads[9] = None
    assert indexes(both(packed(story.members()))) == {8, 9}


def test_the_mark_of_erasure_has_one_form(story: LedgerStory, both: Both) -> None:
    """One is not true, though it equals it in some languages."""
    report = both(packed({**story.members(), "payloads/6.json": b'{"erased":1}'}))
    assert (broken_steps(report), indexes(report)) == ({6}, {6})


@pytest.mark.parametrize("spoil", [str.upper, lambda salt: " " + salt, lambda salt: salt[:2] + " " + salt[2:]])
def test_a_salt_has_one_form(both: Both, spoil: Callable[[str], str]) -> None:
    """The same bytes in another text are refused, by both."""
    told = LedgerStory()
    for _ in range(11):
        told.record("note", {})
    good = parse_canonical(told.members()["payloads/10.json"])
    assert good["salt"] == "0a" * 32
    member = canonical_bytes({**good, "salt": spoil(good["salt"])})
    assert indexes(both(packed({**told.members(), "payloads/10.json": member}))) == {10}


def test_a_name_that_occurs_twice_in_signed_json_is_found(both: Both) -> None:
    """Two readers could take two values for it."""
    told = LedgerStory().register()
    twice = b'{"person":{"id":"bob","public_key":""},"person":{"id":"eve","public_key":""}}'
    assert indexes(both(packed(told.record("person.registered", twice).members()))) == {2}


def test_a_key_has_one_form(both: Both) -> None:
    """Registered in capitals, it is not taken."""
    told = LedgerStory().record("person.registered", {"person": {"id": "a", "public_key": ALICE.public.hex.upper()}})
    assert indexes(both(packed(told.members()))) == {0}


@pytest.mark.parametrize("name", ["notes.txt", "blobs/ab", "blobs/" + "00" * 32, "blobs/deep/er", "manifest.json.bak"])
def test_strangers_and_attachments_under_a_false_name_are_found(story: LedgerStory, both: Both, name: str) -> None:
    """The manifest lists them, and still no bundle has them."""
    report = both(packed({**story.members(), name: b"x"}))
    assert broken_steps(report) == {2}
    assert [problem.where for problem in report.problems] == [name]


def test_a_signature_by_another_person_is_named(both: Both) -> None:
    """An envelope re-signed by a key that nobody registered."""
    told = LedgerStory().register().record("waiver.approved", {"envelope": envelope(MALLORY.key, kind="t")})
    assert indexes(both(packed(told.members()))) == {2}
    told.record("waiver.approved", {"envelope": envelope(ALICE, MALLORY.key, kind="t")})
    assert indexes(both(packed(told.members()))) == {2}


def test_the_manifest_and_the_bookmark_are_checked(story: LedgerStory, both: Both) -> None:
    """A member that the manifest lists otherwise, and a bookmark of another form."""
    rest = story.members()
    good = packed(rest)
    assert both(good).holds
    report = both(packed({**rest, "pinned.json": b"{}"}))
    assert broken_steps(report) == {2}
    assert report.problems[0].where == "pinned.json"
