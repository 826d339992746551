"""Callers of a rehearsal: keys made for it alone. Owns making them and the file in which the gateway looks them up.

Rules kept here:
1. A key of a rehearsal opens the rehearsal and nothing else: the operator's own keys are neither read nor used.
2. The file holds digests of secrets, as the operator's does; the secrets live in this process only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from roadworthy.base.clock import format_instant, now
from roadworthy.base.ids import salt_bytes
from roadworthy.probes.rehearsal.declared import ANY, Combination, Declared

ADMIN_ROLES = ("switch", "review", "erase")
_LIFE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One caller.

    Attributes:
        id: of the key.
        secret: its secret part.
        roles: that it holds.
        cohort: to which it belongs.
        scopes: data scopes that its key carries.
        purposes: that its key carries.
        asks: the purpose and the data scope that it names; "" names none.
        expired: whether the key ended long ago.
        disabled: whether the key is switched off.
    """

    id: str
    secret: str
    roles: tuple[str, ...]
    cohort: str = ""
    scopes: tuple[str, ...] = (ANY,)
    purposes: tuple[str, ...] = (ANY,)
    asks: tuple[str, str] = ("", "")
    expired: bool = False
    disabled: bool = False

    @property
    def key(self) -> str:
        """As a caller sends it."""
        return f"rw_{self.id}_{self.secret}"

    def asking(self, purpose: str, data_scope: str) -> "Identity":
        """The same key, naming these."""
        return replace(self, asks=(purpose, data_scope))

    def entry(self) -> dict[str, Any]:
        """Its entry in the file of keys."""
        ends_at = now() - _LIFE if self.expired else now() + _LIFE
        return {
            "id": self.id,
            "sha256": hashlib.sha256(self.secret.encode()).hexdigest(),
            "owner": self.id,
            "expires_at": format_instant(ends_at),
            "roles": list(self.roles),
            "cohort": self.cohort,
            "scopes": list(self.scopes),
            "purposes": list(self.purposes),
            "disabled": self.disabled,
        }


def new_identity(name: str, role: str, cohort: str = "", **more: Any) -> Identity:
    """An identity with a new secret; ``more`` are its other attributes."""
    return Identity(id=name, secret=salt_bytes().hex(), roles=(role,), cohort=cohort, **more)


def drill_identities(declared: Declared) -> tuple[Identity, ...]:
    """One for each grant of the operator's policy that reaches the use case, holding exactly what the grant names.

    Raises:
        ManifestError: nobody may ask at all (RW-101).
    """
    return tuple(_holder(number, each) for number, each in enumerate(declared.granted()))


def admin_identity() -> Identity:
    """Who switches, reviews and erases in a rehearsal."""
    return Identity(id="drill-admin", secret=salt_bytes().hex(), roles=ADMIN_ROLES)


def key_file(identities: Sequence[Identity]) -> dict[str, Any]:
    """The file of keys, version 1."""
    return {"api_keys": 1, "keys": [identity.entry() for identity in identities]}


def _holder(number: int, held: Combination) -> Identity:
    return new_identity(
        f"drill-{number}",
        held.role,
        held.cohort,
        scopes=(held.data_scope,),
        purposes=(held.purpose,),
        asks=(held.purpose, held.data_scope),
    )
