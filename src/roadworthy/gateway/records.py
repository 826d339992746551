"""The leaves of an exchange. Owns their members and how they are built on the hot path; their order is the ledger's.

A leaf is the base of ``ledger.entry`` (``v`` is 2) and flat extra members, texts and whole numbers only::

    id          the exchange, a UUID of version 7; also the subject, except of feedback
    node epoch wseq     where it was written: node, start of the worker in microseconds, count of the worker's leaves;
                        a gap in wseq is a leaf that was built and never became durable
    credential cohort purpose scope tier route model trace      who asked for what, from where
    release policy admission filter rules                       under which permission
    intent      index of the intent leaf; -1 when there is none
    reason status rung attempts review released_bytes usage_in usage_out took_us    how it ended (outcome)
    part        number of the piece of a stream (exchange.part); on an outcome, ``parts`` is how many came before it
    record rating       what a feedback is about; on an outcome, ``record`` is the background answer that was read

Rules kept here:
1. The bytes are those of ``base.canonical.canonical_bytes``: sorted members, integers that a double holds.
2. No text that a caller chooses is longer than ``MAX_TEXT`` characters, so a leaf always fits.
3. Persons stand in it under a pseudonym: HMAC-SHA256 with a key of the installation.
"""

import asyncio
import hashlib
import hmac
import time
from base64 import b32encode
from collections.abc import Sequence
from typing import Any

import orjson

from roadworthy.base.clock import now_us
from roadworthy.base.ids import new_uuid7
from roadworthy.domain.exchange import Caller, LeafKind
from roadworthy.gateway.exchange import Attempt
from roadworthy.gateway.sealing import Sealer
from roadworthy.gateway.stages import Span, UseCaseStages

VERSION = 2
MAX_TEXT = 256
MAX_LONG_TEXT = 4096
_MOST_PSEUDONYMS = 65_536
# In Python 3.11 reading a member of an enumeration, and its value, is a call; these are read with every leaf.
_INTENT, _PART, _OUTCOME = LeafKind.INTENT.value, LeafKind.PART.value, LeafKind.OUTCOME.value
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER

Members = dict[str, str | int]
Record = tuple[bytes, bytes]
"""Leaf and sealed payload."""


class Exchange:
    """What is known so far about one exchange. Filled by the pipeline, read by the recorder."""

    __slots__ = (
        "admission",
        "attempts",
        "began_s",
        "body_read",
        "caller",
        "filter",
        "held_bytes",
        "id",
        "intent",
        "lasting",
        "model",
        "parts",
        "placed",
        "policy",
        "purpose",
        "release",
        "review",
        "route",
        "rules",
        "rung",
        "scope",
        "span",
        "task",
        "trace",
        "usage_in",
        "usage_out",
        "use",
    )

    def __init__(self, route: str, began_s: float) -> None:
        self.id = new_uuid7()
        self.route = route
        self.began_s = began_s
        self.use: UseCaseStages | None = None
        self.caller: Caller | None = None
        self.span: Span | None = None
        self.task: asyncio.Task[Any] | None = None
        self.purpose = self.scope = self.model = self.trace = self.release = self.policy = self.admission = ""
        self.filter, self.rules, self.rung, self.attempts, self.review = "none", "", "", "", ""
        self.intent, self.parts, self.usage_in, self.usage_out, self.held_bytes = -1, 0, 0, 0, 0
        self.body_read = self.placed = self.lasting = False

    @property
    def use_case(self) -> str:
        """Id of the use case; "" while it is not known."""
        return self.use.id if self.use else ""

    def took_us(self) -> int:
        """Microseconds since it began."""
        return int((time.perf_counter() - self.began_s) * 1e6)


class Recorder:
    """Builds the leaves of one worker.

    Args:
        node: name of the node.
        epoch: instant at which the worker began, in microseconds since 1970.
        sealer: of the payloads.
        pseudonym_key: of this installation; without it nobody can tell who a pseudonym is.

    Attributes:
        epoch: as given.
    """

    def __init__(self, *, node: str, epoch: int, sealer: Sealer, pseudonym_key: bytes) -> None:
        self._node, self.epoch, self._sealer, self._key = node, epoch, sealer, pseudonym_key
        self._wseq = 0
        self._second, self._prefix = -1, ""
        self._pseudonyms: dict[str, str] = {}

    def intent(self, exchange: Exchange, body: bytes) -> Record:
        """What is about to be asked. Durable before any other system is contacted."""
        return self._leaf(_INTENT, exchange, self._asked(exchange), body)

    def outcome(
        self, exchange: Exchange, *, status: int, reason: str, body: bytes, released_bytes: int, about: str = ""
    ) -> Record:
        """How it ended: ``body`` is what leaves after this record, ``released_bytes`` all that will have left."""
        members = self._asked(exchange)
        if about:
            members["record"] = about
        members["intent"] = exchange.intent
        members["reason"] = reason
        members["status"] = status
        members["rung"] = exchange.rung
        members["attempts"] = exchange.attempts
        members["review"] = exchange.review
        members["parts"] = exchange.parts
        members["released_bytes"] = released_bytes
        members["usage_in"] = exchange.usage_in
        members["usage_out"] = exchange.usage_out
        members["took_us"] = exchange.took_us()
        return self._leaf(_OUTCOME, exchange, members, body)

    def part(self, exchange: Exchange, body: bytes) -> Record:
        """The next piece of a stream. Durable before the piece leaves."""
        exchange.parts += 1
        members: Members = {"intent": exchange.intent, "part": exchange.parts}
        return self._leaf(_PART, exchange, members, body)

    def abandoned(self, exchange: Exchange) -> Record:
        """This worker never learnt of a durable outcome for an intent."""
        members: Members = {"intent": exchange.intent, "took_us": exchange.took_us()}
        return self._leaf(LeafKind.ABANDONED.value, exchange, members, b"")

    def feedback(self, exchange: Exchange, *, record: str, rating: int, comment: bytes) -> Record:
        """What a caller thinks of an answer; ``record`` is the exchange that it is about."""
        members = self._asked(exchange)
        members["record"] = record
        members["rating"] = rating
        return self._leaf(LeafKind.FEEDBACK.value, exchange, members, comment, subject=record)

    def pseudonym(self, caller_id: str) -> str:
        """16 characters of base32: the first 80 bits of HMAC-SHA256."""
        known = self._pseudonyms.get(caller_id)
        if known is None:
            if len(self._pseudonyms) >= _MOST_PSEUDONYMS:
                self._pseudonyms.clear()
            mac = hmac.digest(self._key, caller_id.encode(), hashlib.sha256)
            known = self._pseudonyms[caller_id] = b32encode(mac[:10]).decode().lower()
        return known

    @staticmethod
    def _asked(exchange: Exchange) -> Members:
        caller, use = exchange.caller, exchange.use
        return {
            "admission": exchange.admission,
            "cohort": caller.cohort[:MAX_TEXT] if caller else "",
            "credential": caller.credential[:MAX_TEXT] if caller else "",
            "filter": exchange.filter,
            "model": exchange.model[:MAX_TEXT],
            "policy": exchange.policy,
            "purpose": exchange.purpose[:MAX_TEXT],
            "release": exchange.release,
            "route": exchange.route,
            "rules": exchange.rules[:MAX_LONG_TEXT],
            "scope": exchange.scope[:MAX_TEXT],
            "tier": use.tier_name if use else "",
            "trace": exchange.trace,
        }

    def _leaf(self, kind: str, exchange: Exchange, members: Members, body: bytes, *, subject: str = "") -> Record:
        use, caller = exchange.use, exchange.caller
        if use is None or use.keep_payloads:
            commitment, sealed, size = self._sealer.seal(body, exchange.id.encode())
        else:
            commitment, sealed, size = self._sealer.commit_only(body)
        self._wseq += 1
        members["actor"] = self.pseudonym(caller.id) if caller else self._node
        members["at"] = self._at()
        members["commitment"] = commitment
        members["epoch"] = self.epoch
        members["id"] = exchange.id
        members["kind"] = kind
        members["node"] = self._node
        members["size"] = size
        members["subject"] = subject or exchange.id
        members["use_case"] = use.id if use else ""
        members["v"] = VERSION
        members["wseq"] = self._wseq
        return orjson.dumps(members, option=_OPTIONS), sealed

    def _at(self) -> str:
        # As base.clock.format_instant; the text of the second is kept, since thousands of leaves share it.
        second, microsecond = divmod(now_us(), 1_000_000)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._prefix}{microsecond:06d}Z"


def attempts_text(attempts: Sequence[Attempt]) -> str:
    """All tries as ``name:outcome:took_us``, a hedge with ``:hedge`` behind it, joined by commas."""
    if len(attempts) == 1:
        only = attempts[0]
        return f"{only.upstream}:{only.outcome}:{only.took_us}" + (":hedge" if only.hedge else "")
    texts = [f"{each.upstream}:{each.outcome}:{each.took_us}" + (":hedge" if each.hedge else "") for each in attempts]
    return ",".join(texts)[:MAX_LONG_TEXT]
