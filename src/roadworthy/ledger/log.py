"""Verify a published log offline: ``python -m roadworthy.ledger.log FOLDER --vkey LINE``.

Owns reading a folder in the C2SP tlog-tiles layout and saying whether it is the log that was signed, whole and unchanged,
and if not, which entry or which file is wrong. What the entries mean is left to others. Needs the standard library and
cryptography. Nothing is raised for what is broken: every problem is listed with its place.

1. ``checkpoint`` is signed by the log's key, and ``checkpoint.cosigned``, where there is one, too; ``log.vkey``, where
   there is one, is that key.
2. Every bundle of entries is there, has as many entries as the checkpoint asks for, and nothing more.
3. Every hash tile has exactly the hashes that the entries make.
4. The root of the entries is the checkpoint's. Where it is not, the tiles tell which entries were changed; where the
   entries have the root and the tiles do not, the tiles were changed.
5. An older checkpoint that the auditor pinned, and the one that witnesses cosigned, are prefixes of this log.
6. With a policy, enough witnesses have cosigned: this is what finds a log that was written anew with its own key.
7. No file is there that does not belong to a log, and a partial tile that was replaced is the beginning of its successor.

Memory does not grow with the entries but for one hash of each 256; a million entries are a few seconds of one core.
Files beyond the checkpoint's size are left alone: a log that runs is ahead of its checkpoint.

Exit codes: 0 everything holds; 5 something is broken; 2 the folder or the command line cannot be used.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from roadworthy.base.errors import IntegrityError, LedgerBroken, MissingFile, RoadworthyError
from roadworthy.ledger.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from roadworthy.ledger.cosignature import Cosignature, WitnessPolicy, parse_cosigner_vkey
from roadworthy.ledger.merkle import EMPTY_ROOT, HASH_BYTES
from roadworthy.ledger.open_tiles import TILE_BYTES, beginning_of, frontier_root, tile_frontier, tile_root
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, level_paths, parse_path

CHECKPOINT = "checkpoint"
COSIGNED = "checkpoint.cosigned"
LOG_VKEY = "log.vkey"
SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class LogProblem:
    """What is wrong: the index of the entry when it can be told, the file, and a sentence."""

    index: int | None
    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """The outcome.

    Attributes:
        checkpoint: what the log signed; None if that could not be verified.
        cosigned: the newest checkpoint that enough witnesses cosigned; None without one, or without a policy.
        cosignatures: by whom and when.
        entries: how many were read.
        problems: in the order of the steps; empty when everything holds.
    """

    checkpoint: Checkpoint | None
    cosigned: Checkpoint | None
    cosignatures: tuple[Cosignature, ...]
    entries: int
    problems: tuple[LogProblem, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_log(
    folder: Path, vkey: str, *, policy: WitnessPolicy | None = None, pinned: Checkpoint | None = None
) -> LogReport:
    """Verify the log in a folder.

    Args:
        folder: with ``checkpoint`` and ``tile/``.
        vkey: the auditor's own copy of the log's key line.
        policy: which witnesses must have cosigned; None when the log's own word is enough.
        pinned: a checkpoint of this log that was kept elsewhere.

    Raises:
        MissingFile: there is no such folder (RW-102).
        SignatureBroken: the key line is malformed (RW-502).
    """
    if not folder.is_dir():
        raise MissingFile("There is no such folder.", remedy="Give the folder of a log.", where=str(folder))
    return _Examination(folder, parse_vkey(vkey)).run(policy, pinned)


def entry_hashes(bundle: bytes) -> tuple[bytes, bool]:
    """The leaf hashes of a bundle of entries, one after the other, and whether it ended inside an entry.

    A hash is SHA-256(0x00 || entry). Written as one loop: it runs once for every entry of a log.
    """
    hashes: list[bytes] = []
    offset, end = 0, len(bundle)
    while offset + 2 <= end:
        start = offset + 2
        offset = start + (bundle[offset] << 8 | bundle[offset + 1])
        if offset > end:
            return b"".join(hashes), True
        hashes.append(sha256(b"\x00" + bundle[start:offset]).digest())
    return b"".join(hashes), offset != end


class _Tree:
    """What is kept of a tree while its leaf hashes pass by: all hashes above the lowest tiles, and the open tile."""

    def __init__(self) -> None:
        self.levels: list[bytearray] = []
        self.open = b""

    def add(self, hashes: bytes) -> None:
        """Take the leaf hashes of the next tile; only the last one may be partial."""
        if len(hashes) < TILE_BYTES:
            self.open = hashes
            return
        root, level = tile_root(hashes), 0
        while True:
            if level == len(self.levels):
                self.levels.append(bytearray())
            self.levels[level] += root
            if len(self.levels[level]) % TILE_BYTES:
                return
            root = tile_root(bytes(self.levels[level][-TILE_BYTES:]))
            level += 1

    def root(self, size: int, lowest: bytes) -> bytes:
        """The root of the first ``size`` leaves; ``lowest`` are the leaf hashes after the last full tile of these."""
        frontier, count = tile_frontier(lowest), size
        for hashes in self.levels:
            count //= TILE_WIDTH
            begin = count - count % TILE_WIDTH
            frontier = tile_frontier(bytes(hashes[begin * HASH_BYTES : count * HASH_BYTES])) + frontier
        return frontier_root(frontier)


class _Examination:
    """One run over one folder."""

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        self.folder = folder
        self.key = key
        self.problems: list[LogProblem] = []
        self.read_entries = 0

    def run(self, policy: WitnessPolicy | None, pinned: Checkpoint | None) -> LogReport:
        # 1. Checkpoints, and the key line beside them.
        checkpoint = self._checkpoint(CHECKPOINT)
        if self._read(LOG_VKEY) not in (None, self.key.text().encode() + b"\n"):
            self._note(None, LOG_VKEY, "The log publishes another key than the one that you gave.")
        cosigned = self._checkpoint(COSIGNED) if (self.folder / COSIGNED).exists() else None
        seen: tuple[Cosignature, ...] = ()
        if checkpoint is not None:
            # 5a. What else must be a prefix of this log.
            prefixes = [(COSIGNED, cosigned)] if cosigned else []
            prefixes += [("the pinned checkpoint", pinned)] if pinned else []
            # 2 to 5. Entries, tiles, root, prefixes.
            self._tree(checkpoint, prefixes)
        # 6. Witnesses.
        vouched = None
        if policy is not None:
            vouched, seen = self._witnessed(policy, checkpoint, cosigned)
        # 7. Strangers, and partial tiles that a longer one replaced.
        self._others(checkpoint.size if checkpoint is not None else 0)
        return LogReport(
            checkpoint=checkpoint,
            cosigned=vouched,
            cosignatures=seen,
            entries=self.read_entries,
            problems=tuple(self.problems),
        )

    def _note(self, index: int | None, where: str, what: str) -> None:
        self.problems.append(LogProblem(index, where, what))

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _tile(self, path: TilePath) -> tuple[str, bytes | None]:
        """The bytes of a tile with the name of the file; the full tile may stand where a partial one was deleted."""
        name = path.text()
        data = self._read(name)
        if data is None and path.width < TILE_WIDTH:
            full = TilePath(path.level, path.index, TILE_WIDTH).text()
            whole = self._read(full)
            if whole is not None:
                return full, beginning_of(whole, path)
        return name, data

    def _checkpoint(self, name: str) -> Checkpoint | None:
        data = self._read(name)
        if data is None:
            self._note(None, name, "The file is missing.")
            return None
        try:
            checkpoint = open_checkpoint(data.decode("utf-8"), [self.key])
        except UnicodeDecodeError:
            self._note(None, name, "The file is not UTF-8.")
            return None
        except IntegrityError as error:
            self._note(None, name, error.what)
            return None
        if checkpoint.origin != self.key.name:
            self._note(None, name, f"It is a checkpoint of {checkpoint.origin!r:.120}, not of {self.key.name!r:.120}.")
            return None
        return checkpoint

    def _tree(self, checkpoint: Checkpoint, prefixes: list[tuple[str, Checkpoint]]) -> None:
        entries, tiles = _Tree(), _Tree()
        wrong: list[tuple[str, str, bytes, bytes, int]] = []
        watched = {each.size // TILE_WIDTH: b"" for _, each in prefixes}
        for path in level_paths(0, checkpoint.size):
            # 2. The bundle of entries.
            bundle_name, hashes = self._bundle(TilePath(None, path.index, path.width))
            # 3. The tile above it.
            tile_name, tile = self._tile(path)
            if tile is None:
                self._note(None, tile_name, "The file is missing.")
                tile = hashes
            elif len(tile) != path.width * HASH_BYTES:
                self._note(None, tile_name, f"The tile has {len(tile)} bytes, not {path.width * HASH_BYTES}.")
                tile = hashes
            elif hashes is not None and tile != hashes:
                wrong.append((bundle_name, tile_name, hashes, tile, path.index))
            if hashes is None:
                hashes = tile
            if hashes is None or tile is None:
                # Neither can be read: no root can be made, and both files are named already.
                return
            entries.add(hashes)
            tiles.add(tile)
            if path.index in watched:
                watched[path.index] = hashes
        # 4. Whose root is the checkpoint's?
        good = self._judge(checkpoint, entries, tiles, wrong)
        self._higher(checkpoint.size, good)
        # 5. Prefixes.
        for name, prefix in prefixes:
            self._prefix(name, prefix, checkpoint, entries, watched[prefix.size // TILE_WIDTH])

    def _bundle(self, path: TilePath) -> tuple[str, bytes | None]:
        name, data = self._tile(path)
        if data is None:
            self._note(None, name, "The file is missing.")
            return name, None
        hashes, torn = entry_hashes(data)
        count = len(hashes) // HASH_BYTES
        self.read_entries += count
        first = path.index * TILE_WIDTH
        if torn:
            self._note(first + count, name, f"The bundle ends inside its entry {count}.")
        if count != path.width:
            self._note(first + min(count, path.width), name, f"The bundle has {count} entries, not {path.width}.")
        if torn or count != path.width:
            return name, None
        return name, hashes

    def _judge(
        self, checkpoint: Checkpoint, entries: _Tree, tiles: _Tree, wrong: list[tuple[str, str, bytes, bytes, int]]
    ) -> _Tree:
        """Name what differs, and return the tree whose root is the checkpoint's (or that of the entries)."""
        entries_hold = entries.root(checkpoint.size, entries.open) == checkpoint.root
        tiles_hold = tiles.root(checkpoint.size, tiles.open) == checkpoint.root
        for bundle_name, tile_name, hashes, tile, place in wrong:
            spots = [i for i in range(0, len(hashes), HASH_BYTES) if hashes[i : i + 32] != tile[i : i + 32]]
            for i in spots:
                index = place * TILE_WIDTH + i // HASH_BYTES
                if not entries_hold:
                    self._note(index, bundle_name, "The entry is not the one that was hashed into the tree.")
                if not tiles_hold:
                    self._note(index, tile_name, "The hash is not that of the entry.")
        if not entries_hold and not tiles_hold:
            what = f"The root of the {checkpoint.size} entries is not the one that the log signed."
            self._note(None, CHECKPOINT, what)
        return tiles if tiles_hold else entries

    def _higher(self, size: int, tree: _Tree) -> None:
        """The tiles above the lowest, which are known whole once the lowest are."""
        for level, hashes in enumerate(tree.levels, 1):
            for path in level_paths(level, size // TILE_WIDTH**level):
                name, tile = self._tile(path)
                start = path.index * TILE_WIDTH * HASH_BYTES
                expected = bytes(hashes[start : start + path.width * HASH_BYTES])
                if tile is None:
                    self._note(None, name, "The file is missing.")
                elif tile != expected:
                    self._note(None, name, "The tile is not what the tiles below it make.")

    def _prefix(self, name: str, prefix: Checkpoint, newest: Checkpoint, tree: _Tree, lowest: bytes) -> None:
        if prefix.origin != newest.origin:
            self._note(None, name, f"It is a checkpoint of another log, {prefix.origin!r:.120}.")
        elif prefix.size > newest.size:
            self._note(None, name, f"It covers {prefix.size} entries, but the log has only {newest.size}.")
        else:
            rest = lowest[: prefix.size % TILE_WIDTH * HASH_BYTES]
            root = tree.root(prefix.size, rest) if prefix.size else EMPTY_ROOT
            if root != prefix.root:
                what = f"The log does not begin with the {prefix.size} entries that it vouches for."
                self._note(None, name, what)

    def _witnessed(
        self, policy: WitnessPolicy, newest: Checkpoint | None, cosigned: Checkpoint | None
    ) -> tuple[Checkpoint | None, tuple[Cosignature, ...]]:
        """The newest checkpoint that the policy accepts; a problem when there is none."""
        faults: list[str] = []
        for name, checkpoint in ((CHECKPOINT, newest), (COSIGNED, cosigned)):
            if checkpoint is None:
                continue
            try:
                note = (self._read(name) or b"").decode("utf-8", "replace")
                return checkpoint, policy.require(note)
            except IntegrityError as error:
                faults.append(f"{name}: {error.what}")
        self._note(None, COSIGNED, "Not enough witnesses vouch for this log. " + " ".join(faults))
        return None, ()

    def _others(self, size: int) -> None:
        for name in _names(self.folder / "tile", "tile"):
            try:
                path = parse_path(name)
            except LedgerBroken:
                self._note(None, name, "No log has such a file.")
                continue
            count = size // TILE_WIDTH ** (path.level or 0)
            width = min(TILE_WIDTH, count - path.index * TILE_WIDTH)
            if path.width >= width:
                continue
            # It was published once, so somebody may hold it; the longer one was judged above.
            whole = self._tile(TilePath(path.level, path.index, width))[1]
            if whole is not None and self._read(name) != beginning_of(whole, path):
                self._note(None, name, "The partial tile is not the beginning of the one that replaced it.")


def _names(folder: Path, prefix: str) -> Iterator[str]:
    """Every file below, hidden ones left out: these are being written."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        name = f"{prefix}/{path.name}"
        if path.is_dir():
            yield from _names(path, name)
        else:
            yield name


def render(report: LogReport) -> str:
    """The report as a person reads it."""
    lines = [
        f"✗ {problem.where}{'' if problem.index is None else f' entry {problem.index}'}: {problem.what}"
        for problem in report.problems[:SHOWN_PROBLEMS]
    ]
    if len(report.problems) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(report.problems) - SHOWN_PROBLEMS} more")
    if report.checkpoint is not None:
        lines += [f"origin   {report.checkpoint.origin}", f"root     {report.checkpoint.root.hex()}"]
    lines.append(f"size     {report.entries} entries")
    if report.cosigned is not None:
        names = ", ".join(sorted({each.name for each in report.cosignatures}))
        lines.append(f"seen     {report.cosigned.size} entries, by {names}")
    lines.append("VERIFIED" if report.holds else f"BROKEN: {len(report.problems)} problems")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roadworthy.ledger.log", description="Verify a log offline.")
    parser.add_argument("folder", type=Path, help="the folder with checkpoint and tile/")
    parser.add_argument("--vkey", required=True, help="the log's key line: name+8 hex digits+base64")
    parser.add_argument("--pinned", type=Path, help="an older checkpoint of this log that you kept")
    parser.add_argument("--witness", action="append", default=[], help="the key line of a witness; may be repeated")
    parser.add_argument("--quorum", type=int, help="how many witnesses must have cosigned; all when not given")
    options = parser.parse_args(arguments)
    try:
        policy = None
        if options.witness:
            keys = tuple(parse_cosigner_vkey(line) for line in options.witness)
            names = len({key.name for key in keys})
            policy = WitnessPolicy(keys=keys, quorum=names if options.quorum is None else options.quorum)
        pinned = None
        if options.pinned is not None:
            pinned = open_checkpoint(_pinned_text(options.pinned), [parse_vkey(options.vkey)])
        report = verify_log(options.folder, options.vkey, policy=policy, pinned=pinned)
    except RoadworthyError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the output of a command
        return error.exit_code
    print(render(report))  # noqa: T201  # the output of a command
    return 0 if report.holds else IntegrityError.exit_code


def _pinned_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingFile("The checkpoint cannot be read.", remedy="Check the path.", where=str(path)) from error


if __name__ == "__main__":
    sys.exit(main())
