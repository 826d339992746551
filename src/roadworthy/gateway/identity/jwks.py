"""The public keys of an identity provider. Owns getting, keeping and choosing them; tokens belong to ``tokens``.

Source: OpenID Connect Discovery 1.0, section 4; RFC 7517 (JSON Web Key Set).

Rules kept here:
1. The provider says itself who it is: a discovery document of another issuer is refused.
2. A token with an unknown key id leads to a new look, at most once in ``MISS_PAUSE_S``, and all who wait share it.
3. While the provider does not answer, its last good keys count, for ``OUTAGE_S``; then none do.
4. Only public keys for signatures are taken, each for the algorithms of its own kind: neither a symmetric key nor a
   private one, so that no public key can be used as a shared secret.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from roadworthy.base.digest import digest_of
from roadworthy.base.errors import NotCanonical, RoadworthyError, TargetAnswer
from roadworthy.gateway.config import Oidc
from roadworthy.gateway.identity.fetch import fetch_json

MISS_PAUSE_S = 10.0
FIRST_PAUSE_S = 1.0
"""Between looks until the first one succeeds."""
OUTAGE_S = 24 * 3600.0
MOST_KEYS = 100
FEWEST_RSA_BITS = 2048

_log = logging.getLogger(__name__)
_REMEDY = "Check the issuer in gateway.yaml against the provider's discovery document."
_KINDS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        "RS256": ("RSA", None),
        "PS256": ("RSA", None),
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "EdDSA": ("OKP", "Ed25519"),
    }
)
_KEY_TYPES = tuple(kind for kind, _ in _KINDS.values())
_BITS_OF_A_SIGN = 6
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Key = RSAKey | ECKey | OKPKey
Clock = Callable[[], float]
Fetch = Callable[[str], Awaitable[Any]]


class KeyRing:
    """The keys of one document.

    Attributes:
        digest: of the document's keys; another one means that something changed.
    """

    def __init__(self, document: Any) -> None:
        members = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(members, list) or len(members) > MOST_KEYS:
            raise TargetAnswer(f"This is not a set of at most {MOST_KEYS} keys.", remedy=_REMEDY)
        try:
            self.digest = digest_of(members)
        except NotCanonical as error:
            raise TargetAnswer("The set of keys is not plain JSON.", remedy=_REMEDY) from error
        self._keys = [(each, key) for each in members if (key := _public_key(each)) is not None]

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key for a token; without a key id only when no other key could be meant."""
        kind, curve = _KINDS[algorithm]
        fitting = [
            (each.get("kid"), key)
            for each, key in self._keys
            if each.get("kty") == kind and each.get("crv") == curve and each.get("alg") in (None, algorithm)
        ]
        if kid is None:
            return fitting[0][1] if len(fitting) == 1 else None
        return next((key for name, key in fitting if name == kid), None)


class Jwks:
    """The provider's keys as last seen.

    Args:
        oidc: whose.
        clock: seconds since any fixed instant.
        fetch: gets a JSON document; refuses with one of our errors.

    Attributes:
        version: grows when the keys change.
        fault: why the last look failed; "" when it did not.
        good_until_s: until when the keys count without another look.
    """

    def __init__(self, oidc: Oidc, clock: Clock, fetch: Fetch = fetch_json) -> None:
        self.version = 0
        self.fault = "The keys were not fetched yet."
        self.good_until_s = float("-inf")
        self._oidc, self._clock, self._fetch = oidc, clock, fetch
        self._ring: KeyRing | None = None
        self._tried_s = float("-inf")
        self._look: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Fetch the keys now and every ``jwks_refresh_s``, in the running loop, until ``close``."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh_on_time())

    async def close(self) -> None:
        """End all tasks."""
        tasks = [task for task in (self._refreshing, self._look) if task is not None]
        self._refreshing = self._look = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """The key for a token; None when there is none, also after a new look."""
        found = self._find(kid, algorithm)
        if found is None and await self._look_again():
            found = self._find(kid, algorithm)
        return found

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        # 3
        if self._ring is None or self._clock() >= self.good_until_s:
            return None
        return self._ring.find(kid, algorithm)

    async def _look_again(self) -> bool:
        """Whether there was a new look; whoever comes during one waits for it."""
        # 2
        if self._look is None or self._look.done():
            now_s = self._clock()
            if self._tried_s <= now_s < self._tried_s + self._pause_s():
                return False
            self._look = asyncio.create_task(self.refresh())
        # A caller who gives up must not end the look of the others.
        await asyncio.shield(self._look)
        return True

    async def _refresh_on_time(self) -> None:
        while True:
            if self._look is None or self._look.done():
                self._look = asyncio.create_task(self.refresh())
            await asyncio.shield(self._look)
            # After a failure the next try comes sooner: an outage should end when the provider's does.
            await asyncio.sleep(
                min(self._pause_s(), self._oidc.jwks_refresh_s) if self.fault else self._oidc.jwks_refresh_s
            )

    def _pause_s(self) -> float:
        # Without any key nobody gets in, so until the first look succeeds the next one comes soon.
        return MISS_PAUSE_S if self._ring is not None else FIRST_PAUSE_S

    async def refresh(self) -> None:
        """Look once. A failure is kept as ``fault`` and changes nothing else."""
        self._tried_s = self._clock()
        try:
            ring = KeyRing(await self._fetch(await self._keys_address()))
        except RoadworthyError as error:
            self.fault = error.what
            _log.warning("The keys of %s could not be fetched: %s", self._oidc.issuer, error.what)
            return
        if self._ring is None or ring.digest != self._ring.digest:
            self.version += 1
            self._ring = ring
        self.fault = ""
        self.good_until_s = self._clock() + OUTAGE_S

    async def _keys_address(self) -> str:
        issuer = self._oidc.issuer
        document = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        members = document if isinstance(document, dict) else {}
        # 1
        if members.get("issuer") != issuer:
            raise TargetAnswer("The discovery document is of another issuer.", remedy=_REMEDY, where=issuer)
        address = members.get("jwks_uri")
        if not isinstance(address, str) or (issuer.startswith("https:") and not address.startswith("https:")):
            raise TargetAnswer("The discovery document names no safe jwks_uri.", remedy=_REMEDY, where=issuer)
        return address


def _public_key(members: Any) -> Key | None:
    """A key that may be used for signatures; None for every other."""
    # 4
    if not isinstance(members, dict) or _PRIVATE_MEMBERS & set(members):
        return None
    if members.get("kty") not in _KEY_TYPES or members.get("use") not in (None, "sig"):
        return None
    modulus = members.get("n", "")
    if members.get("kty") == "RSA" and not (
        isinstance(modulus, str) and len(modulus) * _BITS_OF_A_SIGN >= FEWEST_RSA_BITS
    ):
        return None  # the library would warn of it with every look
    operations = members.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    try:
        key = JWKRegistry.import_key(members)
        # Reading the key itself is put off by the library: a bad point or number must show now.
        public = key.get_op_key("verify")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(key, RSAKey):
        return key if isinstance(public, RSAPublicKey) and public.key_size >= FEWEST_RSA_BITS else None
    return key if isinstance(key, ECKey | OKPKey) else None
