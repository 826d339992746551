"""A published log for tests: its files, without the syncs of a running one; and one whose owner writes it anew."""

from collections.abc import Sequence
from pathlib import Path

from roadworthy.ledger.checkpoint import CheckpointSigner, parse_note
from roadworthy.ledger.cosignature import Cosigner, WitnessPolicy, ml_dsa_cosigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.open_tiles import OpenTiles
from roadworthy.ledger.tiles import TilePath

LOG = CheckpointSigner("ledger.example/log", key_from_seed(b"\x03" * 32))
WITNESS = Cosigner("witness.example/w1", key_from_seed(b"\x04" * 32))
SECOND_WITNESS = ml_dsa_cosigner("witness.example/w2", b"\x05" * 32)
POLICY = WitnessPolicy(keys=(WITNESS.key, SECOND_WITNESS.key), quorum=2)
VKEY = LOG.verifier.text()


def entries(count: int, salt: str = "") -> list[bytes]:
    """Entries of different lengths."""
    return [b'{"n":%d,"salt":"%s"}' % (index, salt.encode() + b"x" * (index % 40)) for index in range(count)]


def cosigned(note: str, *cosigners: Cosigner) -> str:
    """The note with the signatures of the witnesses."""
    text = parse_note(note).text
    return note + "".join(each.cosign(text, 1_700_000_000).line() for each in cosigners)


def write_log(folder: Path, leaves: Sequence[bytes], *, sizes: Sequence[int] = ()) -> str:
    """Write the files; where the log stood at earlier sizes, the partial tiles of then, too. Gives the checkpoint."""
    tiles = OpenTiles()
    start = 0
    for size in [*sizes, len(leaves)]:
        for path, data in [*tiles.add(leaves[start:size]), *tiles.partial()]:
            put(folder, path, data)
        start = size
    note = LOG.sign(tiles.size, tiles.root())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint").write_text(note, encoding="utf-8")
    (folder / "log.vkey").write_text(VKEY + "\n", encoding="utf-8")
    return note


def put(folder: Path, path: TilePath, data: bytes) -> None:
    """Write one tile."""
    place = folder / path.text()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
