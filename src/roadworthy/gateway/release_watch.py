"""Which release runs upstream. Owns asking the AI system itself, again and again, and telling admission.

The answer is JSON with the member ``release``, the digest. While nobody answers, or says something else, the release is
unknown: a certificate for a release then admits nobody, since what stands behind the address may have been exchanged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from roadworthy.base.errors import RoadworthyError
from roadworthy.gateway.identity.fetch import fetch_json

AGAIN_S = 1.0
MEMBER = "release"


class ReleaseWatch:
    """Asks one upstream.

    Args:
        url: of the answer.
        learn: is told the digest, or "" when it is unknown.
        every_s: between two questions that were answered.
        fetch: gets a JSON document; refuses with one of our errors.
    """

    def __init__(
        self,
        url: str,
        learn: Callable[[str], None],
        *,
        every_s: float,
        fetch: Callable[[str], Awaitable[Any]] = fetch_json,
    ) -> None:
        self._url, self._learn, self._every_s, self._fetch = url, learn, every_s, fetch

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            release = await self.ask()
            self._learn(release)
            await asyncio.sleep(self._every_s if release else AGAIN_S)

    async def ask(self) -> str:
        """The digest now; "" when it is unknown."""
        try:
            found = await self._fetch(self._url)
        except RoadworthyError:
            return ""
        release = found.get(MEMBER) if isinstance(found, dict) else None
        return release if isinstance(release, str) else ""
