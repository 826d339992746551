"""An operator signs for bytes of the runtime's ledger that are lost. Owns finding the bytes, and writing the signed file.

Rules kept here:
1. What is signed is what lies in the file now, by its digest; nobody types a digest.
2. An acknowledgement that is there is never overwritten: damage that comes later needs a word of its own.
"""

from pathlib import Path

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import InputError, MissingFile, ParameterError
from roadworthy.ledger.keys import SigningKey
from roadworthy.ledgerd.acknowledgement import FILE, LostBytes, acknowledge


def acknowledge_lost(folder: Path, segment: str, offset: int, length: int, key: SigningKey) -> LostBytes:
    """Write ``acknowledged.json`` into the ledger's folder.

    Args:
        folder: of the ledger, with ``segments`` in it.
        segment: name of the file, as the refusal to start names it.
        offset: of the first lost byte.
        length: how many bytes.
        key: of an operator whose public key stands in gateway.yaml.

    Raises:
        MissingFile: no such segment, or the file cannot be written (RW-102).
        ParameterError: the segment has no such bytes (RW-114).
        InputError: an acknowledgement is there already (RW-100).
    """
    path = folder / segment
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise MissingFile(f"The segment cannot be read: {error.strerror}.", remedy="Check folder and name.") from error
    if len(data) != length or not length:
        raise ParameterError(f"{segment} has no {length} bytes at {offset}.", remedy="Copy them from the refusal.")
    lost = LostBytes(segment, offset, length, digest_bytes(data))
    target = folder / FILE
    try:
        with target.open("xb") as stream:
            stream.write(acknowledge([lost], key))
    except FileExistsError as error:
        remedy = "Move it away when the ledger has started with it; it is on record."
        raise InputError("An acknowledgement is there already.", remedy=remedy, where=str(target)) from error
    except OSError as error:
        raise MissingFile(f"It cannot be written: {error.strerror}.", remedy="Check the folder.") from error
    return lost
