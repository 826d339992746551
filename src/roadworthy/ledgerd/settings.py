"""What the ledger's process is told. Owns the settings file: JSON, written by whoever starts the process.

Rules kept here: unknown members are errors, so is a value of another type; nothing secret stands in the file.
"""

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import InputError, MissingFile, NotCanonical, ParameterError

_REMEDY = "Write one JSON object with the members of LedgerSettings."


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger lies, who it is, and its limits.

    Attributes:
        folder: of segments, tiles and checkpoint; made with mode 0700.
        origin: name of the log, unique in the world, without spaces and plus signs.
        key_path: file of the signing key; made at the first start with mode 0600.
        socket_path: Unix socket; mode 0600.
        node: id of this node: the actor of the leaves that the process writes itself.
        most_waiting: records under way before appends are refused.
        most_waiting_bytes: of their leaves and payloads, before appends are refused.
        segment_bytes: length of a segment file.
        most_batch_bytes: of one group commit, unless a single append is larger.
        witnesses: URLs of witnesses.
        witness_keys: their vkey lines.
        quorum: cosignatures that a checkpoint needs.
        operator_keys: public keys in hex; their owners may acknowledge lost bytes.
    """

    folder: Path
    origin: str
    key_path: Path
    socket_path: Path
    node: str = "ledgerd"
    most_waiting: int = 4_096
    most_waiting_bytes: int = 128 * 1024 * 1024
    segment_bytes: int = 64 * 1024 * 1024
    most_batch_bytes: int = 256 * 1024
    witnesses: tuple[str, ...] = ()
    witness_keys: tuple[str, ...] = ()
    quorum: int = 0
    operator_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (
            min(self.most_waiting, self.most_waiting_bytes, self.segment_bytes, self.most_batch_bytes) < 1
            or self.quorum < 0
        ):
            raise ParameterError("A limit of the ledger is below 1.", remedy="Leave it out to get its usual value.")
        if not self.origin or not self.node or self.quorum > len(self.witness_keys):
            what = "The ledger needs an origin, a node, and at least as many witness keys as cosignatures."
            raise ParameterError(what, remedy=_REMEDY)


def read_settings(path: Path) -> LedgerSettings:
    """Read the file; relative paths in it are relative to the file.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        NotCanonical: it is not JSON (RW-111).
        ParameterError: a member is missing, unknown, of the wrong type or out of range (RW-114).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "Name the settings file."
        raise MissingFile(f"It cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error
    try:
        return settings_from(parse_json(data), path.parent)
    except (NotCanonical, ParameterError) as error:
        place = f"{path} {error.where}" if error.where else str(path)
        raise type(error)(error.what, remedy=error.remedy, where=place) from error


def settings_from(members: Any, base: Path) -> LedgerSettings:
    """The settings of a plain JSON object.

    Raises:
        ParameterError: a member is missing, unknown, of the wrong type or out of range (RW-114).
    """
    if not isinstance(members, Mapping):
        raise ParameterError("The settings are not a JSON object.", remedy=_REMEDY)
    kinds = get_type_hints(LedgerSettings)
    needed = {each.name for each in fields(LedgerSettings) if each.default is MISSING}
    wrong = sorted((set(members) - set(kinds)) | (needed - set(members)))
    if wrong:
        raise ParameterError(f"These members are unknown or missing: {wrong}.", remedy=_REMEDY)
    return LedgerSettings(**{name: _value(name, kinds[name], value, base) for name, value in members.items()})


def _value(name: str, kind: type | types.GenericAlias, value: Any, base: Path) -> Any:
    if kind is Path and isinstance(value, str):
        return base / value
    if get_args(kind) and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if isinstance(kind, type) and kind in {str, int} and type(value) is kind:
        return value
    raise ParameterError(f"The member {name} has the wrong type: {value!r:.80}.", remedy=_REMEDY)


def require_short_socket(path: Path) -> None:
    """Refuse a path that no Unix socket can have.

    Raises:
        InputError: longer than 107 bytes (RW-100).
    """
    if len(str(path).encode()) > 107:
        remedy = "Name a shorter path for the socket; the folder may stay where it is."
        raise InputError("The path of the socket is longer than 107 bytes.", remedy=remedy, where=str(path))
