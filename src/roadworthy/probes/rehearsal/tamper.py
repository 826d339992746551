"""Ways to tamper with a copy of a published log, each of which a verifier must find.

Owns the ways. Leaves alone the verifier. The copy is the check's own; nothing here touches a log in use.

Rules kept here:
1. Every way leaves a log that is well formed at first sight; what is plainly torn anybody would see.
2. Only what the checkpoint covers is changed: what lies beyond it nobody has signed yet.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from roadworthy.ledger.checkpoint import parse_note
from roadworthy.ledger.keys import generate_key
from roadworthy.ledger.log import CHECKPOINT
from roadworthy.ledger.merkle import HASH_BYTES
from roadworthy.ledger.tiles import level_paths, split_entries

Tamper = Callable[[Path, int], None]
"""Changes the copy in a folder; a number chooses the place."""
_FRAME_BYTES = 2


def tampers() -> Iterator[tuple[str, Tamper]]:
    """Name and deed of each."""
    yield "a bit of an entry changed", _change_entry
    yield "two entries swapped", _swap_entries
    yield "an entry left out", _drop_entry
    yield "an entry put in twice", _repeat_entry
    yield "a hash of a tile changed", _change_tile
    yield "the size of the checkpoint changed", _change_size
    yield "the root of the checkpoint changed", _change_root
    yield "the checkpoint signed by somebody else", _sign_anew


def _change_entry(log: Path, number: int) -> None:
    def change(entries: list[bytes], place: int) -> None:
        entry = bytearray(entries[place])
        entry[number % len(entry)] ^= 1
        entries[place] = bytes(entry)

    _with_entries(log, number, change)


def _swap_entries(log: Path, number: int) -> None:
    def swap(entries: list[bytes], place: int) -> None:
        other = (place + 1) % 2
        entries[place], entries[other] = entries[other], entries[place]

    _with_entries(log, number % 2, swap)


def _drop_entry(log: Path, number: int) -> None:
    def drop(entries: list[bytes], place: int) -> None:
        del entries[place]

    _with_entries(log, number, drop)


def _repeat_entry(log: Path, number: int) -> None:
    def repeat(entries: list[bytes], place: int) -> None:
        entries.insert(place, entries[place])

    _with_entries(log, number, repeat)


def _change_tile(log: Path, number: int) -> None:
    path, width = _first(log, 0)
    data = bytearray(path.read_bytes())
    data[number % (width * HASH_BYTES)] ^= 1
    path.write_bytes(bytes(data))


def _change_size(log: Path, _number: int) -> None:
    lines = _lines(log)
    lines[1] = str(int(lines[1]) - 1)
    _write(log, "\n".join(lines))


def _change_root(log: Path, _number: int) -> None:
    lines = _lines(log)
    lines[2] = ("B" if lines[2][0] == "A" else "A") + lines[2][1:]
    _write(log, "\n".join(lines))


def _sign_anew(log: Path, _number: int) -> None:
    note = parse_note("\n".join(_lines(log)))
    forged = note.signatures[0]._replace(signature=generate_key().sign(note.text.encode()))
    _write(log, f"{note.text}\n{forged.line()}")


def _with_entries(log: Path, number: int, change: Callable[[list[bytes], int], None]) -> None:
    path, width = _first(log, None)
    entries = list(split_entries(path.read_bytes())[0])
    change(entries, number % width)
    path.write_bytes(bytes(chain.from_iterable(len(each).to_bytes(_FRAME_BYTES, "big") + each for each in entries)))


def _first(log: Path, level: int | None) -> tuple[Path, int]:
    """File of the first tile of a level (of the entries without one), and how much of it the checkpoint covers."""
    path = next(level_paths(level, int(_lines(log)[1])))
    place = log / path.text()
    return (place if place.exists() else place.parent.with_suffix("")), path.width


def _lines(log: Path) -> list[str]:
    return (log / CHECKPOINT).read_text(encoding="utf-8").split("\n")


def _write(log: Path, note: str) -> None:
    (log / CHECKPOINT).write_text(note, encoding="utf-8")
