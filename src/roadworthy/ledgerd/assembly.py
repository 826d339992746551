"""The ledger's process, put together. Owns the order of start and stop, and the first leaf of a run.

Rules kept here:
1. What is published is compared with what is durable before anything is taken.
2. The first leaf of every run says which run it is, what recovery cut, and what an operator gave up.
3. A stop goes the other way round: answer what waits, then publish it, then let go of the folder.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from roadworthy.base.clock import Clock, format_instant, parse_instant
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import ClockWentBack, MissingFile
from roadworthy.domain.exchange import LeafKind
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.cosignature import WitnessPolicy, parse_cosigner_vkey
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.keys import PublicKey, SigningKey, generate_key, load_key, save_key
from roadworthy.ledger.leaf import PAYLOAD_ERASED, open_commitment, runtime_leaf_bytes
from roadworthy.ledgerd.acknowledgement import published_leaves, read_acknowledged
from roadworthy.ledgerd.commit import GroupCommit
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.own_leaves import STARTED
from roadworthy.ledgerd.payloads import Payloads, finish_erasures
from roadworthy.ledgerd.proofs import Proofs, telling
from roadworthy.ledgerd.publisher import Publisher, published_size
from roadworthy.ledgerd.recovery import Recovered, recover
from roadworthy.ledgerd.segment import FOLDER, parse_segment_name
from roadworthy.ledgerd.server import LedgerServer
from roadworthy.ledgerd.settings import LedgerSettings
from roadworthy.ledgerd.storage import PosixStorage, sync_folder
from roadworthy.ledgerd.witness_client import WitnessClient, Witnesses
from roadworthy.ledgerd.writer import SegmentWriter
from roadworthy.wire.ledger_messages import LedgerRecord

PUBLISHED = "log"
"""The folder within the ledger's that may be shown to everybody: tiles, bundles, checkpoints; no payload, no key."""

_MARK = PAYLOAD_ERASED.encode()


@asynccontextmanager
async def running(settings: LedgerSettings, clock: Clock) -> AsyncIterator[LedgerServer]:
    """Recover, compare, serve; on the way out finish what waits.

    Raises:
        RoadworthyError: it cannot start.
    """
    # 1. The folder is ours, and what is in it is known.
    storage = PosixStorage(settings.folder)
    try:
        begun = any(parse_segment_name(name) is not None for name in storage.names(FOLDER))
        signer = CheckpointSigner(settings.origin, signing_key(settings.key_path, begun=begun))
        recovered = recovered_from(settings, storage, signer)
        reader = FrameReader(storage, recovered.frames, recovered.lost_leaves)
        publisher = Publisher(
            settings.folder / PUBLISHED, signer, segments=reader.leaves, witnesses=witnesses_of(settings)
        )
        # 2. What was published, what witnesses saw and what was erased agrees with it.
        suspects: list[tuple[int, bytes]] = []
        publisher.recover(_passing(reader, suspects))
        await publisher.ask_witnesses()
        erasures = finish_erasures(suspects, reader)
        leaf = start_leaf(settings, recovered, clock)
        # 3. Take records.
        writer = SegmentWriter(storage, recovered.tail, recovered.frames, segment_bytes=settings.segment_bytes)
        commit = GroupCommit(
            writer,
            most_waiting=settings.most_waiting,
            most_waiting_bytes=settings.most_waiting_bytes,
            most_batch_bytes=settings.most_batch_bytes,
        )
        commit.listen(publisher.on_durable)
        publisher.when_broken(commit.break_off)
        publisher.start()
        payloads = Payloads(reader, partial(_append, commit), erasures=erasures, clock=clock)
        payloads.start()
        proofs = Proofs(publisher)
        asks = {**proofs.handlers(), **payloads.handlers()}
        server = LedgerServer(commit, origin=settings.origin, vkey=signer.verifier.text(), asks=asks)
        server.asks["status"] = telling(server.asks["status"], proofs.faults, erasures.facts)
        try:
            await _append(commit, leaf, b"")
            await server.start(settings.socket_path)
            yield server
        finally:
            await server.stop()
            await payloads.close()
            await publisher.close()
    finally:
        storage.release()


def recovered_from(settings: LedgerSettings, storage: PosixStorage, signer: CheckpointSigner) -> Recovered:
    """What the segments hold, which is never less than what the published checkpoint says.

    Raises:
        RoadworthyError: see ``recover``; or checkpoint or acknowledgement cannot be read.
    """
    published = settings.folder / PUBLISHED
    operators = [PublicKey.from_hex(each) for each in settings.operator_keys]
    return recover(
        storage,
        acknowledged=read_acknowledged(settings.folder, operators),
        restore=partial(published_leaves, published),
        published_size=published_size(published, signer.verifier),
    )


def start_leaf(settings: LedgerSettings, recovered: Recovered, clock: Clock) -> bytes:
    """The first leaf of a run. It keeps no payload.

    Raises:
        ClockWentBack: the clock shows an instant before that of the newest leaf that this process wrote (RW-504).
    """
    at, newest, cut = clock(), recovered.newest_at, recovered.cut
    if newest is not None and at < parse_instant(newest):
        what = f"The clock shows {format_instant(at)}, the newest leaf of the ledger itself {newest}."
        raise ClockWentBack(what, remedy="Set the clock, then start again.")
    facts: dict[str, str | int] = {"epoch": recovered.tail.epoch}
    if cut is not None:
        facts |= {"cut_segment": cut.segment, "cut_offset": cut.offset}
        facts |= {"cut_bytes": cut.length, "cut_digest": cut.digest}
    if recovered.lost:
        lost = [each._asdict() for each in recovered.lost]
        facts |= {"lost_count": len(lost), "lost_digest": digest_of(lost)}
    commitment, size = open_commitment(facts)
    base = Entry(
        kind=LeafKind.NODE.value,
        at=at,
        actor=settings.node,
        use_case="",
        subject=STARTED,
        commitment=commitment,
        size=size,
    )
    return runtime_leaf_bytes(base, facts)


def signing_key(path: Path, *, begun: bool) -> SigningKey:
    """The log's key; at the first start it is made, with mode 0600.

    Args:
        path: its file.
        begun: whether the log has entries: then nobody needs a new key, but the old one.

    Raises:
        MissingFile: it cannot be made, or the key of a log that has entries is gone (RW-102); or see ``load_key``.
    """
    if not path.exists() and not begun:
        # Under its name only when it is whole and will stay: a log whose key is lost can never be continued.
        try:
            fresh = path.with_name(path.name + ".new")
            fresh.unlink(missing_ok=True)
            save_key(generate_key(), fresh)
            fresh.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            remedy = "Name a path in a folder that this user may write."
            raise MissingFile(f"The key cannot be made: {error.strerror}.", remedy=remedy, where=str(path)) from error
    return load_key(path)


def witnesses_of(settings: LedgerSettings) -> Witnesses | None:
    """Who cosigns; None when no cosignature is asked for.

    Raises:
        RoadworthyError: a URL or a key line is malformed.
    """
    if not settings.quorum:
        return None
    keys = tuple(parse_cosigner_vkey(line) for line in settings.witness_keys)
    clients = [WitnessClient(url, keys) for url in settings.witnesses]
    return Witnesses(clients, WitnessPolicy(keys=keys, quorum=settings.quorum))


def _passing(reader: FrameReader, suspects: list[tuple[int, bytes]]) -> Iterator[bytes]:
    """Every leaf; those that may be erasures are noted on the way, so that the segments are read once."""
    for first, leaves in reader.leaves():
        for index, leaf in enumerate(leaves, first):
            if _MARK in leaf:
                suspects.append((index, leaf))
            yield leaf


async def _append(commit: GroupCommit, leaf: bytes, sealed: bytes) -> int:
    return await commit.append([LedgerRecord(leaf, sealed)])
