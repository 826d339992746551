"""Access tokens of an identity provider (OpenID Connect, JWT). Owns from the token's bytes to a caller.

Source: RFC 7519, with the advice of RFC 8725. Algorithm of ``caller``:

1. A token that was verified before is found by its SHA-256, and counts as long as nothing changed: its end, the keys
   of the provider, the list of revocations.
2. The head names an algorithm that the configuration allows, and nothing that we must understand but do not.
3. The key is the provider's, by its id; addresses and keys inside the token are never looked at.
4. The signature verifies.
5. Issuer, audience, subject and instants are right; a missing end is an error.
6. Neither the token nor its subject is revoked.

Rules kept here:
1. Whatever is wrong, the answer is None: the caller learns nothing about why.
2. The memory holds digests, not tokens, and is bounded.
3. A list of revocations that cannot be read revokes everything.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from pydantic import BaseModel, ConfigDict

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import NotCanonical
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.config import Oidc
from roadworthy.gateway.declared_file import parse_declared
from roadworthy.gateway.identity.jwks import Jwks
from roadworthy.gateway.watched_file import WatchedFile

MOST_TOKEN_BYTES = 16 * 1024
MOST_REMEMBERED = 16_384
MOST_NAME_CHARS = 256

_ISSUER_DIGITS = 16
_MUST_UNDERSTAND = frozenset({"crit", "b64"})


class RevokedFile(BaseModel):
    """The file of tokens and subjects that count no more, version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revoked: Literal[1]
    tokens: list[str] = []
    subjects: list[str] = []


class Revoked(NamedTuple):
    """Ids of tokens (jti), and subjects."""

    tokens: frozenset[str]
    subjects: frozenset[str]


class _Remembered(NamedTuple):
    caller: Caller
    until_s: float
    keys_version: int
    revoked_version: int


class _Registry(jws.JWSRegistry):
    """The library's registry without its opinion: what is allowed stands in the configuration."""

    max_header_length = 8 * 1024

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


class Tokens:
    """Verifies the tokens of one provider.

    Args:
        oidc: what to accept.
        jwks: the provider's keys.
        most_remembered: verified tokens that are kept.
    """

    def __init__(self, oidc: Oidc, jwks: Jwks, *, most_remembered: int = MOST_REMEMBERED) -> None:
        self._oidc, self._jwks, self._most = oidc, jwks, most_remembered
        self._id_prefix = f"oidc:{hashlib.sha256(oidc.issuer.encode()).hexdigest()[:_ISSUER_DIGITS]}:"
        self._registry = _Registry(algorithms=list(oidc.algorithms), strict_check_header=False)
        self._revoked = None if oidc.revoked is None else _revoked_file(oidc)
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    @property
    def fault(self) -> str:
        """Why the list of revocations or the keys cannot be had now; "" when both can."""
        return (self._revoked.fault if self._revoked is not None else "") or self._jwks.fault

    async def caller(self, token: bytes, now_s: float) -> Caller | None:
        """Who holds the token; None when it does not count, whatever the reason.

        Args:
            token: compact form.
            now_s: seconds since 1970.
        """
        # 1
        name = hashlib.sha256(token).digest()
        revoked, revoked_version = self._revocations(now_s)
        known = self._remembered.get(name)
        if (
            known is not None
            and now_s < known.until_s
            and known.keys_version == self._jwks.version
            and known.revoked_version == revoked_version
        ):
            self._remembered.move_to_end(name)
            return known.caller
        self._remembered.pop(name, None)
        # 2, 3, 4
        claims = await self._claims(token)
        # 5, 6
        caller = None if claims is None or revoked is None else self._examine(claims, revoked, now_s)
        if caller is not None:
            until_s = min(caller.expires_at_s + self._oidc.leeway_s, self._jwks.good_until_s)
            self._remembered[name] = _Remembered(caller, until_s, self._jwks.version, revoked_version)
            if len(self._remembered) > self._most:
                self._remembered.popitem(last=False)
        return caller

    def _revocations(self, now_s: float) -> tuple[Revoked | None, int]:
        if self._revoked is None:
            return _NOTHING, 0
        content = self._revoked.content(now_s)
        return content, self._revoked.version

    async def _claims(self, token: bytes) -> Mapping[str, Any] | None:
        if len(token) > MOST_TOKEN_BYTES:
            return None
        try:
            # 2. The head is read strictly before the library sees it.
            head = _object(jws.extract_compact(token, None, self._registry).headers())
            algorithm, kid = head.get("alg"), head.get("kid")
            if (
                algorithm not in self._oidc.algorithms
                or not isinstance(kid, str | None)
                or _MUST_UNDERSTAND & set(head)
            ):
                return None
            # 3
            key = await self._jwks.key(kid, algorithm)
            if key is None:
                return None
            # 4
            payload = jws.deserialize_compact(token, key, registry=self._registry).payload
            return _object(parse_json(payload))
        except (JoseError, NotCanonical, ValueError, TypeError, AttributeError, RecursionError):
            # Whatever a hostile token does to a reader, it is no token.
            return None

    def _examine(self, claims: Mapping[str, Any], revoked: Revoked, now_s: float) -> Caller | None:
        oidc, subject, token_id = self._oidc, claims.get("sub"), claims.get("jti")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        # 5
        if claims.get("iss") != oidc.issuer or oidc.audience not in audiences:
            return None
        if not isinstance(subject, str) or not 0 < len(subject) <= MOST_NAME_CHARS:
            return None
        if not isinstance(token_id, str | None):
            return None
        expires_at_s = _in_force_until(claims, now_s, oidc.leeway_s)
        # 6
        if expires_at_s is None or subject in revoked.subjects or token_id in revoked.tokens:
            return None
        cohort = claims.get(oidc.cohort_claim, "")
        return Caller(
            id=self._id_prefix + subject,
            credential=(token_id or "")[:MOST_NAME_CHARS] or "token",
            roles=_names(claims.get(oidc.roles_claim)),
            cohort=cohort if isinstance(cohort, str) and len(cohort) <= MOST_NAME_CHARS else "",
            scopes=_names(claims.get(oidc.scopes_claim)),
            purposes=_names(claims.get(oidc.purposes_claim)),
            expires_at_s=expires_at_s,
        )


_NOTHING = Revoked(frozenset(), frozenset())


def _in_force_until(claims: Mapping[str, Any], now_s: float, leeway_s: float) -> float | None:
    """The end (exp) of a token that is in force now, in seconds since 1970; None for every other."""
    end_s = _seconds(claims.get("exp"))
    if end_s is None or not now_s < end_s + leeway_s:
        return None
    for name in ("nbf", "iat"):
        if name in claims:
            begin_s = _seconds(claims[name])
            if begin_s is None or now_s < begin_s - leeway_s:
                return None
    return end_s


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _names(value: Any) -> frozenset[str]:
    """A list of names, or names with spaces between them as OAuth writes scopes; anything else gives no rights."""
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return frozenset(value)
    return frozenset()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _revoked_file(oidc: Oidc) -> WatchedFile[Revoked]:
    path = oidc.revoked
    assert path is not None

    def read(data: bytes) -> Revoked:
        file = parse_declared(data, path.name, RevokedFile)
        return Revoked(frozenset(file.tokens), frozenset(file.subjects))

    return WatchedFile(path, read)
