"""Verifying a published log: clean ones hold, and what is wrong is named with its place."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from published_log import LOG, POLICY, SECOND_WITNESS, VKEY, WITNESS, cosigned, entries, write_log
from roadworthy.base.errors import MissingFile, SignatureBroken
from roadworthy.ledger.checkpoint import Checkpoint, CheckpointSigner, NoteSignature, open_checkpoint
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.log import SHOWN_PROBLEMS, entry_hashes, main, render, verify_log
from roadworthy.ledger.merkle import EMPTY_ROOT, leaf_hash, root


@pytest.fixture
def log(tmp_path) -> Path:
    """A log of 600 entries that also stood at 300 and 590."""
    write_log(tmp_path / "log", entries(600), sizes=[300, 590])
    return tmp_path / "log"


def problems(folder: Path, **options) -> list[tuple[int | None, str]]:
    """Index and place of every problem."""
    return [(each.index, each.where) for each in verify_log(folder, VKEY, **options).problems]


def edit(path: Path, change) -> None:
    """Write a file anew."""
    path.write_bytes(change(path.read_bytes()))


def test_a_clean_log_holds(log):
    """With its checkpoint and the number of its entries."""
    report = verify_log(log, VKEY)
    assert (report.holds, report.entries, report.cosigned) == (True, 600, None)
    assert report.checkpoint == Checkpoint(
        origin=LOG.name, size=600, root=root([leaf_hash(each) for each in entries(600)])
    )


def test_the_empty_log_holds(tmp_path):
    """A ledger begins with nothing."""
    write_log(tmp_path / "log", [])
    report = verify_log(tmp_path / "log", VKEY, pinned=Checkpoint(origin=LOG.name, size=0, root=EMPTY_ROOT))
    assert (report.holds, report.entries) == (True, 0)


def test_a_log_ahead_of_its_checkpoint_holds(log, tmp_path):
    """Files are written before the checkpoint; a copy taken in between is no alarm."""
    note = write_log(tmp_path / "old", entries(500))
    write_log(log, entries(800))
    (log / "checkpoint").write_text(note, encoding="utf-8")
    shutil.rmtree(log / "tile" / "0" / "001.p", ignore_errors=True)
    shutil.rmtree(log / "tile" / "entries" / "001.p", ignore_errors=True)
    assert problems(log) == []
    assert verify_log(log, VKEY).entries == 500


def test_a_changed_entry_is_named_by_its_index(log):
    """The tiles are the ones that were signed, so the entry is wrong."""
    edit(log / "tile/entries/001", lambda data: data.replace(b'{"n":300,', b'{"n":999,'))
    assert problems(log) == [(300, "tile/entries/001")]


def test_a_changed_tile_is_named_as_such(log):
    """The entries have the signed root, so the tile is wrong."""
    edit(log / "tile/0/002.p/88", lambda data: data[:64] + bytes(32) + data[96:])
    assert problems(log)[0] == (514, "tile/0/002.p/88")


def test_a_changed_higher_tile_is_named(log):
    """It is what the tiles below make, or it is wrong."""
    edit(log / "tile/1/000.p/2", lambda data: data[::-1])
    assert problems(log)[0] == (None, "tile/1/000.p/2")


def test_a_replaced_partial_tile_is_still_looked_at(log):
    """Somebody may hold it."""
    edit(log / "tile/0/002.p/78", lambda data: data[:-1] + b"\x00")
    assert problems(log) == [(None, "tile/0/002.p/78")]


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "tile/entries/000", "tile/entries/002.p/88", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"],
)
def test_a_missing_file_is_named(log, name):
    """Whatever it is."""
    (log / name).unlink()
    assert (None, name) in problems(log)


def test_entry_and_tile_missing_together(log):
    """Then no root can be made, but both are named."""
    (log / "tile/0/001").unlink()
    (log / "tile/entries/001").unlink()
    assert {(None, "tile/0/001"), (None, "tile/entries/001")} <= set(problems(log))


@pytest.mark.parametrize(("cut", "index"), [(-1, 255), (1, 0), (40, 2)])
def test_a_cut_bundle_is_named(log, cut, index):
    """With the entry at which it ends."""
    edit(log / "tile/entries/000", lambda data: data[:cut])
    assert (index, "tile/entries/000") in problems(log)


def test_more_entries_than_asked_for(log):
    """A bundle has exactly its width."""
    edit(log / "tile/entries/000", lambda data: data + b"\x00\x01x")
    assert problems(log)[0] == (256, "tile/entries/000")


def test_a_cut_tile_is_named(log):
    """A tile has exactly its width."""
    edit(log / "tile/0/000", lambda data: data[:-32])
    assert problems(log)[0] == (None, "tile/0/000")


def test_a_file_that_does_not_belong(log):
    """And one that is being written is passed over."""
    (log / "tile/0/.partial-1").write_bytes(b"")
    (log / "tile/0/999x").write_bytes(b"")
    assert problems(log) == [(None, "tile/0/999x")]


def test_entries_and_tiles_changed_together(log):
    """Then the root is not the signed one, and only the checkpoint can be named."""
    write_log(log, entries(600, "other"), sizes=[300, 590])
    note = write_log(log.parent / "real", entries(600))
    (log / "checkpoint").write_text(note, encoding="utf-8")
    assert problems(log) == [(None, "checkpoint")]


def test_entries_and_tiles_changed_in_different_ways(log):
    """Both are named when neither has the signed root."""
    edit(log / "tile/entries/000", lambda data: data.replace(b'{"n":30,', b'{"n":99,'))
    edit(log / "tile/0/000", lambda data: bytes(32) + data[32:])
    found = problems(log)
    assert {(30, "tile/entries/000"), (0, "tile/0/000"), (None, "checkpoint")} <= set(found)


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"", b"something", CheckpointSigner(LOG.name, key_from_seed(b"\x09" * 32)).sign(0, EMPTY_ROOT).encode()],
)
def test_a_bad_checkpoint(log, text):
    """Not UTF-8, not a note, or signed by another key."""
    (log / "checkpoint").write_bytes(text)
    report = verify_log(log, VKEY)
    assert report.checkpoint is None
    assert report.problems[0].where == "checkpoint"


def test_a_checkpoint_of_another_origin(log):
    """The same key may have signed for another log."""
    text = Checkpoint(origin="other.example", size=0, root=EMPTY_ROOT).text()
    note = f"{text}\n{NoteSignature(LOG.name, LOG.verifier.key_id, LOG.key.sign(text.encode())).line()}"
    assert open_checkpoint(note, [LOG.verifier]).origin == "other.example"
    (log / "checkpoint").write_text(note, encoding="utf-8")
    assert problems(log)[0] == (None, "checkpoint")


def pinned(leaves: list[bytes], origin: str = LOG.name) -> Checkpoint:
    """A checkpoint that was kept elsewhere."""
    return Checkpoint(origin=origin, size=len(leaves), root=root([leaf_hash(each) for each in leaves]))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 599, 600])
def test_a_pinned_prefix_holds(log, size):
    """At every kind of size."""
    assert problems(log, pinned=pinned(entries(size))) == []


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (pinned(entries(601)), "covers 601 entries, but the log has only 600"),
        (pinned(entries(300, "other")), "does not begin with the 300 entries"),
        (pinned(entries(600, "other")), "does not begin with the 600 entries"),
        (pinned([], "other.example"), "of another log"),
    ],
)
def test_a_pinned_checkpoint_that_does_not_fit(log, kept, message):
    """Longer than the log, another history, or another log."""
    (problem,) = verify_log(log, VKEY, pinned=kept).problems
    assert problem.where == "the pinned checkpoint"
    assert message in problem.what


def test_witnesses_vouch_for_the_newest_they_saw(log):
    """The cosigned checkpoint may be a little behind."""
    note = write_log(log.parent / "then", entries(590))
    (log / "checkpoint.cosigned").write_text(cosigned(note, WITNESS, SECOND_WITNESS), encoding="utf-8")
    report = verify_log(log, VKEY, policy=POLICY)
    assert report.holds
    assert report.cosigned == open_checkpoint(note, [LOG.verifier])
    assert {each.name for each in report.cosignatures} == {WITNESS.name, SECOND_WITNESS.name}


def test_a_cosigned_newest_checkpoint_needs_no_second_file(log):
    """Other logs publish only that one."""
    note = (log / "checkpoint").read_text(encoding="utf-8")
    (log / "checkpoint").write_text(cosigned(note, WITNESS, SECOND_WITNESS), encoding="utf-8")
    assert verify_log(log, VKEY, policy=POLICY).cosigned == open_checkpoint(note, [LOG.verifier])


def test_too_few_witnesses(log):
    """One of two, or none."""
    assert problems(log, policy=POLICY) == [(None, "checkpoint.cosigned")]
    note = (log / "checkpoint").read_text(encoding="utf-8")
    (log / "checkpoint.cosigned").write_text(cosigned(note, WITNESS), encoding="utf-8")
    assert problems(log, policy=POLICY) == [(None, "checkpoint.cosigned")]
    (log / "checkpoint").unlink()
    assert (None, "checkpoint.cosigned") in problems(log, policy=POLICY)


def test_hashes_of_a_bundle():
    """As one string; what is cut off is told."""
    assert entry_hashes(b"") == (b"", False)
    assert entry_hashes(b"\x00\x01a\x00\x00") == (leaf_hash(b"a") + leaf_hash(b""), False)
    assert entry_hashes(b"\x00\x01a\x00\x02b") == (leaf_hash(b"a"), True)
    assert entry_hashes(b"\x00\x01a\x00") == (leaf_hash(b"a"), True)


def test_unusable_input(tmp_path):
    """No folder, or no key line."""
    with pytest.raises(MissingFile):
        verify_log(tmp_path / "nothing", VKEY)
    with pytest.raises(SignatureBroken):
        verify_log(tmp_path, "no key")


def test_the_command_line(log, capsys):
    """Code 0 and the witnesses for a good one, 5 and the problems for a broken one, 2 for what cannot be used."""
    note = (log / "checkpoint").read_text(encoding="utf-8")
    (log / "checkpoint.cosigned").write_text(cosigned(note, WITNESS), encoding="utf-8")
    (log.parent / "pinned").write_text(note, encoding="utf-8")
    options = [str(log), "--vkey", VKEY, "--pinned", str(log.parent / "pinned"), "--witness", WITNESS.key.text()]
    assert main(options) == 0
    assert capsys.readouterr().out.endswith(f"seen     600 entries, by {WITNESS.name}\nVERIFIED\n")
    assert main([*options, "--quorum", "2"]) == 2
    assert main([*options[:3], "--pinned", str(log / "nowhere")]) == 2
    capsys.readouterr()
    shutil.rmtree(log / "tile")
    assert main(options[:3]) == 5
    assert "✗ tile/entries/000: The file is missing." in capsys.readouterr().out


def test_many_problems_are_counted(log):
    """A reader sees the first ones."""
    edit(log / "tile/0/000", lambda data: bytes(len(data)))
    text = render(verify_log(log, VKEY))
    assert f"... and {256 - SHOWN_PROBLEMS} more" in text
    assert text.endswith("BROKEN: 256 problems")


def test_a_report_without_a_checkpoint(log):
    """Nothing is said about what was not verified."""
    (log / "checkpoint").unlink()
    assert "root " not in render(verify_log(log, VKEY))


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_it_runs_as_a_program(log, monkeypatch):
    """As auditors run it."""
    monkeypatch.setattr(sys, "argv", ["log", str(log), "--vkey", VKEY])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("roadworthy.ledger.log", run_name="__main__")
    assert ended.value.code == 0
