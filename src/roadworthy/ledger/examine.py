"""Looking into the members of a bundle. Owns steps 2 to 6 of ``verify``, each as a function that lists problems.

Rules kept here:
1. Nothing is raised for what is broken: the problem is noted with its place, and reading goes on with what is left.
2. An entry is named by its index wherever the bundle still allows to tell which one it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadworthy.base.clock import format_instant
from roadworthy.base.digest import sha256_hex
from roadworthy.base.errors import BundleBroken, IntegrityError, LedgerBroken
from roadworthy.ledger import layout
from roadworthy.ledger.bundle import MANIFEST, manifest_faults
from roadworthy.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, parse_vkey
from roadworthy.ledger.entry import Entry, commit, parse
from roadworthy.ledger.merkle import root
from roadworthy.ledger.tiles import (
    TilePath,
    hash_tiles,
    level_paths,
    parse_hash_tile,
    parse_path,
    split_entries,
)

_SINGLE = (MANIFEST, layout.PINNED, layout.CHECKPOINT, layout.VKEY)


@dataclass(frozen=True, slots=True)
class Problem:
    """What broke, and where: the index of an entry, if there is one, and the member or the place."""

    index: int | None
    where: str
    what: str


def member_text(members: Mapping[str, bytes], name: str) -> str:
    """A member as text; empty when it is missing or not UTF-8, which no later step accepts."""
    try:
        return members.get(name, b"").decode("utf-8")
    except UnicodeDecodeError:
        return ""


def manifest_problems(members: Mapping[str, bytes]) -> list[Problem]:
    """Step 2: the manifest against the members, the form of the bookmark, attachments by their digest, and strangers."""
    problems = [Problem(None, MANIFEST, fault) for fault in manifest_faults(members)]
    try:
        layout.parse_pinned(members.get(layout.PINNED, b""))
    except BundleBroken as error:
        problems.append(Problem(None, layout.PINNED, error.what))
    for name in sorted(members):
        if name.startswith(layout.BLOBS):
            if name != layout.BLOBS + sha256_hex(members[name]):
                problems.append(Problem(None, name, "The attachment does not have the digest that names it."))
        elif name not in _SINGLE and not name.startswith((layout.TILES, layout.PAYLOADS)):
            problems.append(Problem(None, name, "No bundle has such a member."))
    return problems


def checkpoint_problems(members: Mapping[str, bytes], key_line: str) -> tuple[Checkpoint | None, list[Problem]]:
    """Step 3: the checkpoint by the key line, and the bundle's own key line against it.

    When the signature does not hold, the checkpoint is returned all the same if it can be read: it proves nothing,
    but comparing it with the entries shows what was changed.
    """
    problems: list[Problem] = []
    note = member_text(members, layout.CHECKPOINT)
    if key_line.strip() != member_text(members, layout.VKEY).strip():
        problems.append(Problem(None, layout.VKEY, "The bundle's key is not the pinned one."))
    try:
        key = parse_vkey(key_line)
        checkpoint = open_checkpoint(note, [key])
    except IntegrityError as error:
        problems.append(Problem(None, layout.CHECKPOINT, error.what))
    else:
        if checkpoint.origin != key.name:
            what = f"The origin {checkpoint.origin!r} is not the key's name {key.name!r}."
            problems.append(Problem(None, layout.CHECKPOINT, what))
        return checkpoint, problems
    try:
        return parse_checkpoint(note.partition("\n\n")[0] + "\n"), problems
    except LedgerBroken:
        return None, problems


def read_leaves(members: Mapping[str, bytes]) -> tuple[list[bytes], list[Problem]]:
    """Step 4a: the bytes of all entries, in order, and what is wrong with the bundles that frame them."""
    tiles, strangers = _tile_members(members)
    problems = [Problem(None, name, "This is not the name of a tile.") for name in strangers]
    leaves: list[bytes] = []
    for path in tiles.get(None, []):
        name = path.text()
        entries, rest = split_entries(members[name])
        first = len(leaves)
        leaves += entries
        if rest:
            problems.append(Problem(len(leaves), name, f"The bundle ends inside entry {len(leaves)}."))
        if len(entries) != path.width:
            what = f"The bundle holds {len(entries)} entries; its name says {path.width}."
            problems.append(Problem(first + min(len(entries), path.width), name, what))
    found = {path.text() for path in tiles.get(None, [])}
    expected = {path.text() for path in level_paths(None, len(leaves))}
    problems += [Problem(None, name, "This bundle of entries is missing.") for name in sorted(expected - found)]
    problems += [Problem(None, name, "No bundle of entries belongs here.") for name in sorted(found - expected)]
    return leaves, problems


def read_entries(leaves: Sequence[bytes], checkpoint: Checkpoint | None) -> tuple[list[Entry | None], list[Problem]]:
    """Step 4b: the entries (None where one cannot be read), their order in time, and their number."""
    entries: list[Entry | None] = []
    problems: list[Problem] = []
    newest: Entry | None = None
    for index, leaf in enumerate(leaves):
        entry = None
        try:
            entry = parse(leaf)
        except LedgerBroken as error:
            problems.append(Problem(index, f"entry {index}", error.what))
        entries.append(entry)
        if entry is None:
            continue
        if newest is not None and entry.at < newest.at:
            what = f"Its instant {format_instant(entry.at)} is before {format_instant(newest.at)} of an earlier entry."
            problems.append(Problem(index, f"entry {index}", what))
        else:
            newest = entry
    if checkpoint is not None and checkpoint.size != len(leaves):
        what = f"The checkpoint says {checkpoint.size} entries; the bundle holds {len(leaves)}."
        problems.append(Problem(min(checkpoint.size, len(leaves)), layout.CHECKPOINT, what))
    return entries, problems


def tree_problems(
    members: Mapping[str, bytes], hashes: Sequence[bytes], checkpoint: Checkpoint | None
) -> list[Problem]:
    """Step 5: the leaf hashes of the entries, the hash tiles and the checkpoint against each other."""
    tiled: list[bytes] = []
    problems: list[Problem] = []
    for path in _tile_members(members)[0].get(0, []):
        try:
            tiled += parse_hash_tile(members[path.text()])
        except LedgerBroken as error:
            problems.append(Problem(len(tiled), path.text(), error.what))
    # a. Name every entry that is not the one the lowest tiles were made from.
    problems += _entry_differences(hashes, tiled)
    # b. Name every tile that does not follow from the lowest ones.
    expected = hash_tiles(tiled)
    found = {n: members[n] for n in members if n.startswith(layout.TILES) and not n.startswith(layout.ENTRIES)}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            state = "is missing" if name not in found else "does not follow from the lowest tiles"
            problems.append(Problem(None, name, f"The tile {state}."))
    # c. Compare the roots.
    if checkpoint is not None:
        for what, leaves in (("entries", hashes), ("hash tiles", tiled)):
            if root(leaves) != checkpoint.root:
                claim = f"The root of the {what} is {root(leaves).hex()}, not the checkpoint's {checkpoint.root.hex()}."
                problems.append(Problem(None, layout.CHECKPOINT, claim))
    return problems


def read_payloads(
    members: Mapping[str, bytes], entries: Sequence[Entry | None]
) -> tuple[list[layout.Sealed | None], list[int], list[Problem]]:
    """Step 6a: the payloads (None where erased or unreadable), which were erased, and the broken commitments."""
    payloads: list[layout.Sealed | None] = []
    problems: list[Problem] = []
    erased: list[int] = []
    for index, entry in enumerate(entries):
        name = layout.payload_name(index)
        sealed = None
        try:
            sealed = layout.parse_payload_member(members.get(name, b""))
            erased += [index] if sealed is None else []
        except BundleBroken as error:
            problems.append(Problem(index, name, error.what if name in members else "The payload is missing."))
        payloads.append(sealed)
        if sealed is not None and entry is not None and not _kept(entry, sealed):
            problems.append(Problem(index, name, "The payload is not the one that the entry commits to."))
    names = {layout.payload_name(index) for index in range(len(entries))}
    strangers = sorted(name for name in members if name.startswith(layout.PAYLOADS) and name not in names)
    problems += [Problem(None, name, "No entry has this payload.") for name in strangers]
    return payloads, erased, problems


def _kept(entry: Entry, sealed: layout.Sealed) -> bool:
    return commit(sealed.salt, sealed.payload) == entry.commitment and len(sealed.payload) == entry.size


def _entry_differences(hashes: Sequence[bytes], tiled: Sequence[bytes]) -> Iterator[Problem]:
    shared = min(len(hashes), len(tiled))
    for index in range(shared):
        if hashes[index] != tiled[index]:
            yield Problem(index, f"entry {index}", "Its hash is not the one in the hash tiles.")
    lacking = "hash tiles" if len(hashes) > shared else "bundles of entries"
    for index in range(shared, max(len(hashes), len(tiled))):
        yield Problem(index, f"entry {index}", f"The {lacking} lack this entry.")


def _tile_members(members: Mapping[str, bytes]) -> tuple[dict[int | None, list[TilePath]], list[str]]:
    """The tiles by level, in order, and the names below ``tile/`` that are no path of a tile."""
    levels: dict[int | None, list[TilePath]] = {}
    strangers: list[str] = []
    for name in sorted(members):
        if name.startswith(layout.TILES):
            try:
                path = parse_path(name)
            except LedgerBroken:
                strangers.append(name)
            else:
                levels.setdefault(path.level, []).append(path)
    for level in levels.values():
        level.sort(key=lambda path: (path.index, path.width))
    return levels, strangers
