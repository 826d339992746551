"""API keys: the file of hashes and the test of one key. Owns both; who may do what with it belongs to ``policy``.

A key reads ``rw_<id>_<secret>``. The file holds the SHA-256 of the secret part, never the secret. A plain digest is
right here, other than for passwords: the secret is 256 random bits, so there is no dictionary to try, and a slow hash
would only make every request slow.

Rules kept here:
1. Unknown, wrong, expired and disabled keys get the same answer after the same work: one SHA-256 and one comparison in
   constant time, also where there is nothing to compare with.
2. A key ends: ``expires_at`` is mandatory, and its end is exclusive.
3. The file is read again when it changes. One that cannot be read keeps its last good content for a minute, since
   people save files in two steps; after that no key counts.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from roadworthy.base.clock import days, format_instant, now
from roadworthy.base.errors import ManifestError
from roadworthy.base.ids import salt_bytes
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.config import Name
from roadworthy.gateway.declared_file import parse_declared
from roadworthy.gateway.watched_file import WatchedFile

PREFIX = b"rw_"
SECRET_BYTES = 32
GRACE_S = 60.0
DEFAULT_DAYS = 90

_NO_HASH = bytes(32)
_Text = Annotated[str, Field(min_length=1, max_length=256)]


class KeyEntry(BaseModel):
    """One key of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the secret part of the key.")
    owner: _Text = Field(description="The person or workload that asks with it.")
    expires_at: AwareDatetime
    roles: list[_Text] = []
    cohort: Annotated[str, Field(max_length=256)] = ""
    scopes: list[_Text] = Field(default=[], description="Data scopes that it may name; * for every one.")
    purposes: list[_Text] = Field(default=[], description="Purposes that it may name; * for every one.")
    disabled: bool = False


class KeyFile(BaseModel):
    """The file of keys, version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_keys: Literal[1]
    keys: list[KeyEntry]


@dataclass(frozen=True, slots=True)
class _Key:
    hash: bytes
    disabled: bool
    caller: Caller


class ApiKeys:
    """The keys of one file.

    Args:
        path: the file.

    Raises:
        ManifestError: it is not there or cannot be read now, at the beginning (RW-101).
    """

    def __init__(self, path: Path, now_s: float) -> None:
        self._file = WatchedFile(path, lambda data: parse_keys(data, path.name), grace_s=GRACE_S)
        if self._file.content(now_s) is None:
            raise ManifestError(self._file.fault, remedy="Correct the file of API keys.", where=str(path))

    @property
    def fault(self) -> str:
        """Why the file as it is now cannot be read; "" when it can."""
        return self._file.fault

    def caller(self, key: bytes, now_s: float) -> Caller | None:
        """Whose key it is; None when it does not count, whatever the reason.

        Args:
            key: as it came, with its prefix.
            now_s: seconds since 1970.
        """
        key_id, _, secret = key[len(PREFIX) :].partition(b"_")
        keys = self._file.content(now_s) or {}
        found = keys.get(key_id)
        # 1. One path for all: nothing below returns early.
        expected = _NO_HASH if found is None else found.hash
        same = hmac.compare_digest(hashlib.sha256(secret).digest(), expected)
        in_force = found is not None and not found.disabled and now_s < found.caller.expires_at_s
        return found.caller if same & in_force and found is not None else None


def parse_keys(data: bytes, name: str) -> Mapping[bytes, _Key]:
    """Read the file of keys.

    Args:
        data: YAML, or JSON when the name says so.
        name: of the file, for messages.

    Raises:
        ManifestError: not such a file, or an id that stands twice (RW-101).
    """
    file = parse_declared(data, name, KeyFile)
    keys = {entry.id.encode(): _key(entry) for entry in file.keys}
    if len(keys) != len(file.keys):
        raise ManifestError("An id of a key stands twice.", remedy="Give every key an id of its own.", where=name)
    return keys


def new_key(
    key_id: str,
    *,
    owner: str = "",
    expires_at: datetime | None = None,
    roles: Sequence[str] = (),
    cohort: str = "",
    scopes: Sequence[str] = (),
    purposes: Sequence[str] = (),
) -> tuple[str, str]:
    """Make a key: its text, which is shown once and kept nowhere, and its line for the file.

    Args:
        key_id: its id; small letters, digits and hyphens.
        owner: who asks with it; the id of the key when not given.
        expires_at: its exclusive end; 90 days from now when not given.
        roles: that it holds.
        cohort: that it belongs to.
        scopes: data scopes that it may name.
        purposes: that it may name.

    Raises:
        ManifestError: the id or another value cannot stand in the file (RW-101).
    """
    secret = salt_bytes(SECRET_BYTES).hex()
    members = {
        "id": key_id,
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "owner": owner or key_id,
        "expires_at": format_instant(expires_at or now() + days(DEFAULT_DAYS)),
        "roles": list(roles),
        "cohort": cohort,
        "scopes": list(scopes),
        "purposes": list(purposes),
    }
    line = "- " + json.dumps(members, ensure_ascii=False)  # JSON is YAML, with every value quoted
    parse_declared(f"api_keys: 1\nkeys:\n{line}\n".encode(), "the new key", KeyFile)
    return f"rw_{key_id}_{secret}", line


def _key(entry: KeyEntry) -> _Key:
    caller = Caller(
        id=f"key:{entry.owner}",
        credential=entry.id,
        roles=frozenset(entry.roles),
        cohort=entry.cohort,
        scopes=frozenset(entry.scopes),
        purposes=frozenset(entry.purposes),
        expires_at_s=entry.expires_at.timestamp(),
    )
    return _Key(bytes.fromhex(entry.sha256), entry.disabled, caller)
