"""Every way to tamper with a published log that we could think of: all are found, and no clean log raises an alarm.

The attacker of the first part can write files but has no key. That of the second part has the log's own key; only what
stands outside of his reach can find him: a witness, or a checkpoint that somebody kept.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from published_log import LOG, POLICY, SECOND_WITNESS, VKEY, WITNESS, cosigned, entries, write_log
from roadworthy.ledger.checkpoint import open_checkpoint
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.tiles import entry_bundle, parse_entry_bundle

CLEAN_SIZES = sorted(
    {2**power + step for power in range(14) for step in (-1, 0, 1)}
    | {256 * tiles + step for tiles in (1, 2, 3, 17) for step in (-1, 0, 1)}
)
SIZE = 1_300

Tamper = Callable[[Path], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """The log that is tampered with; it stood at two earlier sizes, and two witnesses cosigned it at the second."""
    folder = tmp_path_factory.mktemp("tamper") / "log"
    then = write_log(folder.parent / "then", entries(1_100))
    write_log(folder, entries(SIZE), sizes=[700, 1_100])
    (folder / "checkpoint.cosigned").write_text(cosigned(then, WITNESS, SECOND_WITNESS), encoding="utf-8")
    return folder


@pytest.fixture
def log(original, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, tmp_path / "log"))


def files(folder: Path) -> list[str]:
    """Every file of the log."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", CLEAN_SIZES)
def test_no_false_alarm(tmp_path, size):
    """Clean logs around every power of two and every end of a tile, cosigned and pinned at odd places."""
    older = size * 2 // 3
    then = write_log(tmp_path / "then", entries(older))
    write_log(tmp_path / "log", entries(size), sizes=[older, max(older, size - 1)])
    (tmp_path / "log" / "checkpoint.cosigned").write_text(cosigned(then, WITNESS, SECOND_WITNESS), encoding="utf-8")
    kept = open_checkpoint(then, [LOG.verifier])
    report = verify_log(tmp_path / "log", VKEY, policy=POLICY, pinned=kept)
    assert report.problems == ()
    assert report.entries == size


@pytest.mark.parametrize("size", [256**2 - 1, 256**2, 256**2 + 1])
def test_no_false_alarm_where_a_level_begins(tmp_path, size):
    """65,536 entries fill the first tile of level 1."""
    write_log(tmp_path / "log", entries(size), sizes=[size - 1])
    assert verify_log(tmp_path / "log", VKEY).problems == ()


def test_one_bit_in_any_file(log):
    """The first, the last and twelve bits between, in every file there is."""
    missed, dice = [], random.Random(20_261_121)
    for name in files(log):
        path = log / name
        good = path.read_bytes()
        for bit in {0, len(good) * 8 - 1, *(dice.randrange(len(good) * 8) for _ in range(12))}:
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bytes(bad))
            report = verify_log(log, VKEY, policy=POLICY)
            if report.holds or not any(name.startswith(each.where.split(".p/")[0]) for each in report.problems):
                missed.append((name, bit))
        path.write_bytes(good)
    assert missed == []


def test_any_file_cut_emptied_or_dropped(log):
    """Partial tiles that were replaced and the key line may be dropped; nothing else may."""
    missed = []
    for name in files(log):
        path = log / name
        good = path.read_bytes()
        for bad in (b"", good[:-1], good[: len(good) // 2], good + b"\x00", good + good):
            path.write_bytes(bad)
            if verify_log(log, VKEY, policy=POLICY).holds:
                missed.append((name, len(bad)))
        path.unlink()
        needed = (name != "log.vkey" and ".p/" not in name) or name.endswith((f".p/{SIZE % 256}", f".p/{SIZE // 256}"))
        if verify_log(log, VKEY, policy=POLICY).holds is needed:
            missed.append((name, -1))
        path.write_bytes(good)
    assert missed == []


def test_any_two_files_swapped(log):
    """Tiles of one level, bundles, and tiles for bundles."""
    names = [name for name in files(log) if ".p/" not in name]
    missed = []
    for first, second in [(a, b) for a in names for b in names if a < b]:
        one, other = (log / first).read_bytes(), (log / second).read_bytes()
        (log / first).write_bytes(other)
        (log / second).write_bytes(one)
        if verify_log(log, VKEY, policy=POLICY).holds:
            missed.append((first, second))
        (log / first).write_bytes(one)
        (log / second).write_bytes(other)
    assert missed == []


def edited(change: Callable[[list[bytes]], list[bytes]]) -> Tamper:
    """Change the entries of one bundle, well framed."""

    def tamper(log: Path) -> None:
        path = log / "tile/entries/002"
        path.write_bytes(entry_bundle(change(list(parse_entry_bundle(path.read_bytes())))))

    return tamper


EDITS = {
    "replaced": (edited(lambda each: [*each[:9], b"other", *each[10:]]), 512 + 9),
    "swapped": (edited(lambda each: [*each[:9], each[10], each[9], *each[11:]]), 512 + 9),
    "dropped": (edited(lambda each: [*each[:9], *each[10:]]), 512 + 255),
    "duplicated": (edited(lambda each: [*each[:9], each[8], *each[10:]]), 512 + 9),
    "inserted": (edited(lambda each: [*each[:9], b"other", *each[9:-1]]), 512 + 9),
    "reversed": (edited(lambda each: each[::-1]), 512),
    "emptied": (edited(lambda each: [*each[:9], b"", *each[10:]]), 512 + 9),
    "joined": (edited(lambda each: [*each[:9], each[9] + each[10], *each[11:], b"x"]), 512 + 9),
}


@pytest.mark.parametrize("kind", EDITS)
def test_entries_changed_in_a_well_framed_bundle(log, kind):
    """The first entry that is wrong is named by its index."""
    tamper, index = EDITS[kind]
    tamper(log)
    found = verify_log(log, VKEY).problems
    assert found[0].where == "tile/entries/002"
    assert found[0].index == index


def test_an_entry_and_its_hashes_changed_together(log):
    """Whoever mends every tile up to the top meets the signature."""
    note = (log / "checkpoint").read_text(encoding="utf-8")
    leaves = entries(SIZE)
    leaves[9] = b"other"
    shutil.rmtree(log / "tile")
    write_log(log, leaves)
    (log / "checkpoint").write_text(note, encoding="utf-8")
    assert "checkpoint" in {each.where for each in verify_log(log, VKEY).problems}


def test_an_older_checkpoint_put_back(log, original):
    """A log that was cut back is found by whoever kept its end."""
    kept = open_checkpoint((log / "checkpoint").read_text(encoding="utf-8"), [LOG.verifier])
    shutil.copy(original.parent / "then" / "checkpoint", log / "checkpoint")
    assert verify_log(log, VKEY).holds
    assert not verify_log(log, VKEY, pinned=kept).holds


def rewritten(log: Path, leaves: list[bytes]) -> None:
    """All files anew, signed with the stolen key of the log."""
    shutil.rmtree(log / "tile")
    write_log(log, leaves)


def test_a_history_written_anew_with_the_stolen_key(log):
    """Nothing in the folder contradicts it, but the witnesses' checkpoint and a kept one do."""
    kept = open_checkpoint((log / "checkpoint").read_text(encoding="utf-8"), [LOG.verifier])
    leaves = entries(SIZE)
    leaves[9] = b"other"
    rewritten(log, leaves)
    assert "checkpoint.cosigned" in {each.where for each in verify_log(log, VKEY).problems}
    (log / "checkpoint.cosigned").unlink()
    assert verify_log(log, VKEY).holds
    assert not verify_log(log, VKEY, policy=POLICY).holds
    assert not verify_log(log, VKEY, pinned=kept).holds


def test_a_cosignature_of_the_old_history_under_the_new_one(log):
    """A witness's line is for one tree."""
    lines = (log / "checkpoint.cosigned").read_text(encoding="utf-8").partition("\n\n")[2].split("\n")[1:]
    leaves = entries(SIZE)
    leaves[9] = b"other"
    rewritten(log, leaves)
    note = (log / "checkpoint").read_text(encoding="utf-8")
    (log / "checkpoint.cosigned").write_text(note + "\n".join(lines), encoding="utf-8")
    report = verify_log(log, VKEY, policy=POLICY)
    assert any("does not verify" in each.what for each in report.problems)


def test_what_no_witness_saw_yet_is_told(log):
    """Entries after the cosigned checkpoint rest on the log's own word, and the report shows where that begins."""
    leaves = entries(SIZE)
    leaves[1_200] = b"other"
    rewritten(log, leaves)
    report = verify_log(log, VKEY, policy=POLICY)
    assert report.holds
    assert report.cosigned is not None
    assert report.cosigned.size == 1_100
