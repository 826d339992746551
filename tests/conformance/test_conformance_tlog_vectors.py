"""Bytes that others published: the sample log of Tessera, with its checkpoints and the key that it is built with.

Source of the facts: transparency-dev/trillian-tessera, testdata/build_log.sh at 1ef94ac (the public test key, the leaves)
and testdata/log/checkpoint.<size> at 842b908 and a508c5b.
"""

import asyncio
import base64

import pytest

from roadworthy.ledger.checkpoint import CheckpointSigner, open_checkpoint, parse_vkey
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.open_tiles import OpenTiles
from roadworthy.ledgerd.publisher import Publisher

ORIGIN = "example.com/log/testdata"
VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
SEED = base64.b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]
LEAVES = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
PUBLISHED = {
    0: (
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc4oufo5BvIVEgtQc=",
    ),
    1: (
        "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
        "M9e0lhr9kuLxGdAtaUrhm84TQffVsLdcy808sN0a3WyniNlfcr9+bywoiIke1YYciCNjJGkCgIlQ8b16jhsmg/SChAM=",
    ),
    7: (
        "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=",
        "M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv0dCed3neRGI6dMzBq9uANf2Qc=",
    ),
    12: (
        "uZo6M+IhVna+CLgWCrJs0xBPUHbozHkYTQASduHSLME=",
        "M9e0lrFzoTgi+ovhrqX0DpsEAp3wLu1coMLIkeCwSkGfS4Ox4pLXo2LHudqm4merh0ZkCNzHr8kQwq5gS5mmimIvdA4=",
    ),
    15: (
        "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
        "M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=",
    ),
}


def published(size: int) -> str:
    """The text of Tessera's checkpoint."""
    root, signature = PUBLISHED[size]
    return f"{ORIGIN}\n{size}\n{root}\n\n— {ORIGIN} {signature}\n"


@pytest.mark.parametrize("size", PUBLISHED)
def test_tessera_s_checkpoints_are_made_byte_for_byte(size):
    """Leaves, tree, note and signature agree with another implementation."""
    tiles = OpenTiles()
    tiles.add(LEAVES[:size])
    signer = CheckpointSigner(ORIGIN, key_from_seed(SEED))
    assert signer.sign(size, tiles.root()) == published(size)
    assert open_checkpoint(published(size), [parse_vkey(VKEY)]).root == tiles.root()


@pytest.mark.parametrize("size", PUBLISHED)
def test_tessera_s_log_verifies(tmp_path, size):
    """Its files, under its own checkpoint; and what our publisher writes from its leaves is that checkpoint."""
    publisher = Publisher(tmp_path, CheckpointSigner(ORIGIN, key_from_seed(SEED)))
    publisher.recover(LEAVES[:size])
    asyncio.run(publisher.close())
    assert (tmp_path / "checkpoint").read_text(encoding="utf-8") == published(size)
    if size:
        bundle = (tmp_path / "tile" / "entries" / "000.p" / str(size)).read_bytes()
        assert bundle == b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in LEAVES[:size])
    assert verify_log(tmp_path, VKEY).holds


def test_the_worked_example_of_the_specification():
    """c2sp.org/tlog-tiles: 70,000 entries are 273 full tiles and one of 112, one full and one of 17, one of 1."""
    tiles = OpenTiles()
    full = [path for path, _ in tiles.add(b"%d" % index for index in range(70_000)) if path.level is not None]
    assert [sum(path.level == level for path in full) for level in (0, 1, 2)] == [273, 1, 0]
    assert [(path.level, path.width) for path, _ in tiles.partial() if path.level is not None] == [
        (0, 112),
        (1, 17),
        (2, 1),
    ]
