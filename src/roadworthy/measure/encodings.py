"""In which encoding a text file is written. Owns detection and the turn into UTF-8; parses no table.

Rules kept here:
1. Detection is a proof or a refusal: a mark at the start of the file, or the one of UTF-8 and Windows-1252 in which every
   byte of the file means something. UTF-8 is asked first, since other text is hardly ever valid UTF-8 by accident.
2. Nothing is replaced or dropped: a byte that means nothing stops the reading, with its position.
3. Files are read in pieces, whatever their size.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from roadworthy.base.errors import MissingFile, ParameterError, UnreadableData

UTF_8 = "utf-8"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CANDIDATES = (UTF_8, "cp1252")
_PIECE_BYTES = 1 << 20


def detect_encoding(path: Path) -> str:
    """The encoding of a text file, by Python's name for it.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        UnreadableData: it is neither marked nor valid UTF-8 or Windows-1252 (RW-103).
    """
    start = next(_pieces(path), b"")
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    for name in _CANDIDATES:
        if _decodes(path, name):
            return name
    raise UnreadableData(
        f"Cannot tell the encoding of {path.name}.", remedy="Say in which encoding it was saved.", where=str(path)
    )


def write_utf_8(source: Path, target: Path, encoding: str) -> None:
    """Write the same text in UTF-8.

    Raises:
        ParameterError: Python knows no such encoding (RW-114).
        MissingFile: a file cannot be opened (RW-102).
        UnreadableData: a byte means nothing in this encoding (RW-103).
    """
    try:
        with target.open("wb") as out:
            for text in _texts(source, encoding):
                out.write(text.encode(UTF_8))
    except LookupError as error:
        raise ParameterError(
            f"{encoding!r} is no encoding.", remedy="Use for example utf-8, cp1252 or utf-16.", where="encoding"
        ) from error
    except UnicodeError as error:
        raise UnreadableData(
            f"{source.name} is not {encoding}: {error}.",
            remedy="Say in which encoding it was saved.",
            where=str(source),
        ) from error


def _texts(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    for piece in _pieces(path):
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in _texts(path, encoding):
            pass
    except UnicodeError:
        return False
    return True


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
