import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import ClockWentBack, InputError, LedgerBroken, MissingFile, RoadworthyError
from roadworthy.ledger.cosignature import CosignatureType, CosignerKey
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.leaf import parse_leaf
from roadworthy.ledger.log import verify_log
from roadworthy.ledgerd.acknowledgement import FILE, LostBytes, acknowledge
from roadworthy.ledgerd.assembly import PUBLISHED, running, signing_key, start_leaf, witnesses_of
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import segment_name
from roadworthy.ledgerd.settings import LedgerSettings
from roadworthy.wire.ledger_messages import LedgerRecord

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OPERATOR = key_from_seed(b"o" * 32)


@pytest.fixture
def settings(tmp_path):
    return LedgerSettings(
        folder=tmp_path / "ledger",
        origin="example.org/x",
        key_path=tmp_path / "key.pem",
        socket_path=tmp_path / "l.sock",
        segment_bytes=1 << 16,
        operator_keys=(OPERATOR.public.hex,),
    )


def lived(settings, story=None, *, at=NOON):
    """One life of the process: what ``story(server)`` returns."""

    async def run():
        async with running(settings, lambda: at) as server:
            return await story(server) if story else None

    return asyncio.run(run())


def stored(settings):
    storage = FaultyStorage(settings.folder)
    try:
        return recover(storage)
    finally:
        storage.release()


async def ask(server, what, **members):
    return await server.asks[what]({"what": what, **members})


def test_every_run_begins_with_a_leaf_that_says_so(settings):
    """Kind, actor, epoch; published and provable."""

    async def story(server):
        return [await ask(server, "proof", index=0), await ask(server, "status")]

    proof, status = lived(settings, story)
    leaf = parse_leaf(proof["leaf"].encode())
    assert (leaf.base.kind, leaf.base.actor, leaf.base.subject) == ("gateway.node", "ledgerd", "ledgerd started")
    assert (dict(leaf.facts), leaf.base.at, status["size"]) == ({"epoch": 1}, NOON, 1)
    lived(settings)
    assert stored(settings).tail.epoch == 3
    assert verify_log(settings.folder / PUBLISHED, status["vkey"]).holds


def test_the_first_leaf_says_what_recovery_cut(settings):
    """Segment, offset, length and digest of the torn bytes."""
    lived(settings)
    tail = stored(settings).tail
    with (settings.folder / segment_name(0)).open("r+b") as stream:
        stream.seek(tail.offset)
        stream.write(b"torn bytes")

    async def story(server):
        return (await ask(server, "proof", index=1))["leaf"]

    facts = parse_leaf(lived(settings, story).encode()).facts
    assert (facts["epoch"], facts["cut_segment"], facts["cut_offset"]) == (2, segment_name(0), tail.offset)
    assert facts["cut_bytes"] == 10
    assert facts["cut_digest"].startswith("sha256:")


def test_the_first_leaf_says_what_an_operator_gave_up(settings):
    """Damage is refused; signed for, and with its leaves in the published bundles, it is bridged and said."""
    for _ in range(3):
        lived(settings)
    offset = _damage(settings, 1)
    with pytest.raises(LedgerBroken, match="damaged") as caught:
        lived(settings)
    words = caught.value.what.split()
    lost = LostBytes(segment_name(0), offset, int(words[0]), words[4].strip("();"))
    (settings.folder / FILE).write_bytes(acknowledge([lost], OPERATOR))

    async def story(server):
        return [(await ask(server, "proof", index=index))["leaf"] for index in range(4)]

    leaves = [parse_leaf(leaf.encode()) for leaf in lived(settings, story)]
    assert [leaf.facts["epoch"] for leaf in leaves] == [1, 2, 3, 4]
    assert leaves[3].facts["lost_count"] == 1


def _damage(settings, index):
    storage = FaultyStorage(settings.folder)
    name, offset = recover(storage).frames.locate(index)
    storage.release()
    with (settings.folder / name).open("r+b") as stream:
        stream.seek(offset + 79)
        stream.write(b"\xff\xff\xff")
    return offset


def test_damage_below_what_was_published_is_no_torn_tail(settings):
    """The checkpoint knows how long the ledger was; nothing is cut."""
    lived(settings)
    lived(settings)
    _damage(settings, 1)
    before = (settings.folder / segment_name(0)).read_bytes()
    with pytest.raises(LedgerBroken, match="entries 1 up to 2") as caught:
        lived(settings)
    assert (settings.folder / segment_name(0)).read_bytes() == before
    # Signed for, the published entries come from the bundles, and the ledger goes on in a new segment.
    words = caught.value.what.split()
    name, _, offset = caught.value.where.partition(":")
    lost = LostBytes(name, int(offset), int(words[0]), words[4].strip("();"))
    (settings.folder / FILE).write_bytes(acknowledge([lost], OPERATOR))
    for _ in range(2):
        lived(settings)
    assert (settings.folder / segment_name(0)).read_bytes() == before
    assert stored_names(settings) == [segment_name(0), segment_name(2)]
    assert verify_log(settings.folder / PUBLISHED, lived(settings, status)["vkey"]).holds


async def status(server):
    return await ask(server, "status")


def stored_names(settings):
    return sorted(f"segments/{path.name}" for path in (settings.folder / "segments").glob("*.seg"))


def test_what_a_worker_wrote_never_keeps_the_ledger_closed(settings):
    """An instant far ahead, texts that look like an erasure, a leaf that is none: it starts again after each."""
    leaves = [
        b'{"at":"2999-01-01T00:00:00.000000Z","kind":"exchange.intent"}',
        b'{"kind" : "payload.erased"}',
        b'{"model":"payload.erased"}',
        b"{no json}",
    ]

    async def story(server):
        return await server.commit.append([LedgerRecord(leaf, b"x" * 40) for leaf in leaves])

    assert lived(settings, story) == 1
    lived(settings)


def test_a_clock_that_went_back_refuses_the_start(settings):
    """The leaves of one log are in the order of their instants, as far as this process writes them."""
    lived(settings)
    with pytest.raises(ClockWentBack, match="2026-11-21T12:00:00"):
        lived(settings, at=NOON - timedelta(seconds=1))
    lived(settings)


def test_payloads_can_be_read_and_erased(settings):
    """Erased for good: also after a restart, and the erasure is a leaf."""

    async def story(server):
        index = await server.commit.append(records(7, payload=b"sealed"))
        before = await ask(server, "payload", index=index)
        erased = await ask(server, "erase", index=index, reason="asked for", actor="clerk")
        return before["erased"], (await ask(server, "payload", index=index))["erased"], erased["erased_by"]

    assert lived(settings, story) == (False, True, 2)
    assert b"sealed" not in (settings.folder / segment_name(0)).read_bytes()


def test_an_erasure_that_was_said_is_done_at_the_next_start(settings):
    """The process died between the leaf and the deed."""

    async def story(server):
        index = await server.commit.append(records(7, payload=b"sealed"))
        await ask(server, "erase", index=index, reason="asked for", actor="clerk")

    lived(settings, story)
    path = settings.folder / segment_name(0)
    data = path.read_bytes()
    before = b'{"n":7}\0\0\0\x06'
    path.write_bytes(data.replace(before + bytes(6), before + b"sealed"))
    assert b"sealed" in path.read_bytes()
    lived(settings)
    assert b"sealed" not in path.read_bytes()


def test_the_key_is_made_once(tmp_path):
    """Whole or not at all: what an interrupted start left is thrown away."""
    path = tmp_path / "key.pem"
    (tmp_path / "key.pem.new").write_bytes(b"half")
    key = signing_key(path, begun=False)
    assert signing_key(path, begun=True).public == key.public
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]


def test_a_log_with_entries_gets_no_new_key(settings):
    """A log that changes its key is another log; the old key is in the backup."""
    lived(settings)
    settings.key_path.unlink()
    with pytest.raises(MissingFile):
        lived(settings)
    assert not settings.key_path.exists()


def test_a_key_that_cannot_be_made_is_refused(tmp_path):
    """Nobody signs with a key that does not last."""
    (tmp_path / "key.pem.new").mkdir()
    with pytest.raises(MissingFile, match="key cannot be made"):
        signing_key(tmp_path / "key.pem", begun=False)


def test_a_start_that_fails_gives_the_folder_back(settings, tmp_path):
    """Whatever was wrong can be mended while nothing holds the lock."""
    (tmp_path / "key.pem").write_bytes(b"no key")
    with pytest.raises(RoadworthyError):
        lived(settings)
    FaultyStorage(settings.folder).release()


def test_a_socket_that_cannot_be_made_ends_cleanly(settings, tmp_path):
    """The ledger is closed again, and can be started elsewhere."""
    long = LedgerSettings(
        folder=settings.folder,
        origin=settings.origin,
        key_path=settings.key_path,
        socket_path=tmp_path / ("x" * 108),
    )
    with pytest.raises(InputError, match="107"):
        lived(long)
    lived(settings)


def test_witnesses_that_cosign_are_configured(settings):
    """By key lines and URLs; that they are asked is the publisher's matter."""
    key = CosignerKey("witness.example", CosignatureType.ED25519, OPERATOR.public.raw)
    asked = {"witnesses": ("http://127.0.0.1:1",), "witness_keys": (key.text(),), "quorum": 1}
    parts = {name: getattr(settings, name) for name in ("folder", "origin", "key_path", "socket_path")}
    assert witnesses_of(LedgerSettings(**parts, **asked)) is not None


def test_witnesses_are_asked_only_when_cosignatures_are_needed(settings):
    """Without a quorum there is nobody to wait for; a malformed key is refused."""
    assert witnesses_of(settings) is None
    asked = {"witnesses": ("http://127.0.0.1:1",), "witness_keys": ("nonsense",), "quorum": 1}
    parts = {name: getattr(settings, name) for name in ("folder", "origin", "key_path", "socket_path")}
    with pytest.raises(RoadworthyError):
        witnesses_of(LedgerSettings(**parts, **asked))


def test_a_start_leaf_of_an_empty_ledger(settings, tmp_path):
    """Nothing cut, nothing lost: only the epoch is said."""
    storage = FaultyStorage(tmp_path / "other")
    state, writer = begin(storage)
    writer.close()
    storage.release()
    members = json.loads(start_leaf(settings, state, lambda: NOON))
    assert {"epoch", "v", "kind"} <= set(members)
    assert not {"cut_bytes", "lost_count"} & set(members)
