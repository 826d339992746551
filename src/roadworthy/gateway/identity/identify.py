"""Who asks: from the headers of a request to a caller. Owns where a credential may stand; judging it belongs to its kind.

Rules kept here:
1. One credential, in ``authorization: Bearer`` or in ``x-api-key``. Two of them are an error, since the next system
   could read the other one.
2. The id of a caller begins with who vouches for it: ``key:`` and the owner of the key, or ``oidc:``, 16 hex digits of
   the issuer's SHA-256, and the subject. So nobody becomes another by choosing that one's name elsewhere, and waves,
   limits, kept answers and pseudonyms, which all go by the id, never mix two of them. Policy goes by roles and cohorts.
3. Every refusal has the same words, whatever was wrong, and never repeats the credential.
"""

from typing import NoReturn

from roadworthy.base.clock import now_us
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.config import Identity
from roadworthy.gateway.exchange import Headers, Reason, Refused
from roadworthy.gateway.identity.api_keys import PREFIX, ApiKeys
from roadworthy.gateway.identity.jwks import Clock, Jwks
from roadworthy.gateway.identity.tokens import Tokens

WHAT = "The request carries no credential that counts."

_BEARER = b"bearer "
_US_IN_S = 1e-6


def unix_s() -> float:
    """Seconds since 1970."""
    return now_us() * _US_IN_S


class Identify:
    """The stage that names the caller.

    Args:
        keys: the API keys; None when there are none.
        tokens: the provider's tokens; None when there is no provider.
        jwks: whose background work ``begin`` starts and ``close`` ends.
        clock: seconds since 1970.
    """

    def __init__(
        self, keys: ApiKeys | None, tokens: Tokens | None = None, *, jwks: Jwks | None = None, clock: Clock = unix_s
    ) -> None:
        self._keys, self._tokens, self._jwks, self._clock = keys, tokens, jwks, clock

    def begin(self) -> None:
        """Start to fetch the provider's keys, in the running loop."""
        if self._jwks is not None:
            self._jwks.begin()

    async def close(self) -> None:
        """End the work in the background."""
        if self._jwks is not None:
            await self._jwks.close()

    def faults(self) -> list[str]:
        """What is wrong with the files and the provider now; for the people who run the gateway."""
        sources = (self._keys, self._tokens)
        return [source.fault for source in sources if source is not None and source.fault]

    async def caller(self, headers: Headers) -> Caller:
        """Who asks.

        Raises:
            Refused: nobody who is known (401).
        """
        credential = _credential(headers)
        now_s = self._clock()
        found = None
        if credential.startswith(PREFIX):
            found = None if self._keys is None else self._keys.caller(credential, now_s)
        elif self._tokens is not None and credential:
            found = await self._tokens.caller(credential, now_s)
        return found if found is not None else _refuse()


def identify_of(identity: Identity, *, clock: Clock = unix_s) -> Identify:
    """The stage as the configuration asks for it.

    Raises:
        ManifestError: the file of keys cannot be read (RW-101).
    """
    keys = None if identity.keys is None else ApiKeys(identity.keys, clock())
    if identity.oidc is None:
        return Identify(keys, clock=clock)
    jwks = Jwks(identity.oidc, clock)
    return Identify(keys, Tokens(identity.oidc, jwks), jwks=jwks, clock=clock)


def _credential(headers: Headers) -> bytes:
    """The one credential; empty when there is none."""
    found: bytes | None = None
    for name, value in headers:
        if name in (b"authorization", b"x-api-key"):
            if found is not None:
                _refuse()
            found = value if name == b"x-api-key" else _bearer(value)
    return found or b""


def _bearer(value: bytes) -> bytes:
    return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else b""


def _refuse() -> NoReturn:
    raise Refused(Reason.UNAUTHENTICATED, 401, WHAT)
