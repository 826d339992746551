"""What the whole process promises about payloads, backups and witnesses, told by its own answers."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from faulty_storage import records

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.ledger.checkpoint import VerifierKey, parse_vkey
from roadworthy.ledger.cosignature import Cosigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledgerd.assembly import PUBLISHED, running
from roadworthy.ledgerd.segment import segment_name
from roadworthy.ledgerd.settings import LedgerSettings
from roadworthy.ledgerd.witness_server import Memory, Witness, WitnessServer
from roadworthy.wire.ledger_messages import LedgerRecord, RefusalCode

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WITNESS = Cosigner("witness.example/w1", key_from_seed(b"w" * 32))


@pytest.fixture
def settings(tmp_path):
    """Of a small ledger without witnesses."""
    return LedgerSettings(
        folder=tmp_path / "ledger",
        origin="example.org/x",
        key_path=tmp_path / "key.pem",
        socket_path=tmp_path / "l.sock",
        segment_bytes=1 << 16,
    )


def lived(settings, story):
    """One life of the process: what ``story(server)`` returns."""

    async def run():
        async with running(settings, lambda: NOON) as server:
            return await story(server)

    return asyncio.run(run())


async def ask(server, what, **members):
    """One ask, past the socket."""
    return await server.asks[what]({"what": what, **members})


async def until(condition) -> None:
    """Wait a little for something."""
    for _ in range(1_000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("It did not happen within five seconds.")


async def vkey(server) -> VerifierKey:
    """By which the log is verified."""
    return parse_vkey((await ask(server, "status"))["vkey"])


@contextmanager
def witnessing(path, log: VerifierKey) -> Iterator[WitnessServer]:
    """A real witness in a thread."""
    server = WitnessServer(("127.0.0.1", 0), Witness([log], [WITNESS], Memory(path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def cosigned_story(server) -> int:
    """Some entries, all of them cosigned; how many there are."""
    await server.commit.append(records(1))
    await server.commit.append(records(2))
    size = (await ask(server, "status"))["size"]

    async def all_cosigned() -> bool:
        return (await ask(server, "proof", index=size - 1))["cosigned"]

    await until(all_cosigned)
    return size


def test_an_older_backup_does_not_start_while_a_witness_remembers(settings, tmp_path):
    """It would give the same indices to other entries; nothing is written, and a newer copy starts."""
    log = lived(settings, vkey)
    with witnessing(tmp_path / "state", log) as witness:
        watched = replace(settings, witnesses=(witness.url,), witness_keys=(WITNESS.key.text(),), quorum=1)
        shutil.copytree(settings.folder, tmp_path / "older")
        lived(watched, cosigned_story)
        shutil.copytree(settings.folder, tmp_path / "newest")
        shutil.rmtree(settings.folder)
        shutil.copytree(tmp_path / "older", settings.folder)
        before = (settings.folder / segment_name(0)).read_bytes()
        with pytest.raises(LedgerBroken, match="The witness saw"):
            lived(watched, cosigned_story)
        assert (settings.folder / segment_name(0)).read_bytes() == before
        shutil.rmtree(settings.folder)
        shutil.copytree(tmp_path / "newest", settings.folder)
        assert lived(watched, cosigned_story) > 4


def test_a_contradiction_while_it_runs_refuses_every_append(settings):
    """A second history is not continued: whoever appends hears why, and so does whoever asks for the status."""

    async def story(server):
        folder = settings.folder / PUBLISHED
        await ask(server, "proof", index=0)
        (folder / "tile/0/000.p/2").write_bytes(b"another tile")
        await server.commit.append(records(1))

        async def broken() -> bool:
            return (await ask(server, "status"))["fault"] is not None

        await until(broken)
        with pytest.raises(StoreBroken, match="BROKEN"):
            await server.commit.append(records(2))
        assert server.commit.refusal.code is RefusalCode.BROKEN
        return await ask(server, "status")

    status = lived(settings, story)
    assert (status["refusing"], status["witness_faults"]) == ("BROKEN", {})
    assert "other bytes than the entries make" in status["fault"]


def test_a_cosigned_checkpoint_counts_as_published(settings):
    """A restored backup of the segments is too short even when only this note is left of the later time."""

    async def story(server):
        await server.commit.append(records(1))
        await ask(server, "proof", index=1)

    lived(settings, story)
    note = (settings.folder / PUBLISHED / "checkpoint").read_text(encoding="utf-8")
    shutil.rmtree(settings.folder)
    (settings.folder / PUBLISHED).mkdir(parents=True)
    (settings.folder / PUBLISHED / "checkpoint.cosigned").write_text(note, encoding="utf-8")
    with pytest.raises(LedgerBroken, match="published checkpoint 2"):
        lived(settings, story)


def test_four_ways_in_which_a_payload_is_absent(settings):
    """Erased, never kept, and overwritten by somebody: each is another answer, and the last is reported."""

    async def first(server):
        for number in (7, 8):
            await server.commit.append(records(number, payload=b"sealed%d" % number))
        await server.commit.append(records(9, payload=b""))
        erased_by = (await ask(server, "erase", index=1, reason="asked for", actor="clerk"))["erased_by"]
        assert (await ask(server, "payload", index=1))["erased_by"] == erased_by

    lived(settings, first)
    path = settings.folder / segment_name(0)
    data = path.read_bytes()
    assert b"sealed7" not in data
    path.write_bytes(data.replace(b"sealed8", bytes(7)))

    async def second(server):
        async def looked() -> bool:
            return (await ask(server, "status"))["payloads_missing"] is not None

        await until(looked)
        status = await ask(server, "status")
        return [(await ask(server, "payload", index=index))["absent"] for index in (1, 2, 3)], status

    absent, status = lived(settings, second)
    assert absent == ["erased", "missing", "not kept"]
    assert (status["payloads_missing"], status["erasures"]) == (1, 1)
    assert status["payload_problems"] == ["The payload of entry 2 was overwritten, and no entry says so."]


def test_a_leaf_that_only_looks_like_an_erasure_stops_no_start(settings):
    """It is reported, at every start."""

    async def first(server):
        await server.commit.append([LedgerRecord(b'{"kind":"payload.erased"}', b"")])

    lived(settings, first)

    async def second(server):
        return await ask(server, "status")

    status = lived(settings, second)
    assert (status["payload_problem_count"], status["erasures"]) == (1, 0)


def test_an_erasure_survives_whoever_asked_for_it(settings):
    """The ask is cancelled between the word and the deed; the stop waits for the deed."""

    async def story(server):
        index = await server.commit.append(records(7, payload=b"sealed"))
        said = asyncio.Event()
        server.commit.listen(lambda *_: said.set())
        asked = asyncio.create_task(ask(server, "erase", index=index, reason="asked for", actor="clerk"))
        await said.wait()
        asked.cancel()

    lived(settings, story)
    assert b"sealed" not in (settings.folder / segment_name(0)).read_bytes()
