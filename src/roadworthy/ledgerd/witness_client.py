"""Asking witnesses to cosign. Owns the call of c2sp.org/tlog-witness, its deadlines, and putting the answers together.

Rules kept here:
1. Only the URLs that the operator wrote are called; nothing that a witness answers leads anywhere else.
2. Every call has one deadline, from the look-up of the name to the last byte, and an answer has a largest size.
3. What a witness answers counts only when its own key verifies it.
4. A witness that is down, slow or wrong is noted and left out; the others are not kept waiting for more than the deadline.
5. ``LedgerBroken`` means one thing only: a witness says that it saw a larger tree of this log, or another one.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from roadworthy.base.errors import (
    LedgerBroken,
    ParameterError,
    RoadworthyError,
    SignatureBroken,
    TargetAnswer,
    TargetUnreachable,
)
from roadworthy.ledger.checkpoint import NoteSignature, parse_note, parse_signatures
from roadworthy.ledger.cosignature import CosignerKey, WitnessPolicy
from roadworthy.ledger.witness import SIZE_TYPE, CosignRequest

DEADLINE_S = 1.0
MAX_ANSWER_BYTES = 64 * 1024
CALL = "/add-checkpoint"
_MAX_TRIES = 3
_CONFLICT, _OTHER_TREE, _OK = 409, 422, 200
_LENGTH = re.compile(r"[0-9]{1,9}")
_SEEN = re.compile(r"0|[1-9][0-9]{0,17}")
_PORTS = {"http": 80, "https": 443}

Consistency = Callable[[int, int], Awaitable[tuple[bytes, ...]]]
"""The proof from an old size to a new one."""


class HttpAnswer(NamedTuple):
    """What came back."""

    status: int
    content_type: str
    body: bytes


class WitnessClient:
    """One witness.

    Args:
        url: the prefix under which it takes submissions.
        keys: by which its answers are verified.
        deadline_s: for one round with it.

    Raises:
        ParameterError: not an http or https URL (RW-114).
    """

    def __init__(self, url: str, keys: Sequence[CosignerKey], *, deadline_s: float = DEADLINE_S) -> None:
        _place(url)
        self.url = url
        self._keys = {(key.name, key.key_id): key for key in keys}
        self._deadline_s = deadline_s
        self._seen_size = 0

    async def cosign(self, note: str, size: int, consistency: Consistency) -> tuple[NoteSignature, ...]:
        """The witness's signatures under a checkpoint, verified.

        Raises:
            TargetUnreachable: no answer within the deadline (RW-401).
            TargetAnswer: an answer that the protocol does not allow, or a refusal (RW-402).
            LedgerBroken: the witness cosigned a larger tree of this log before, or another one (RW-503).
            SignatureBroken: its signature does not verify (RW-502).
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._cosign(note, size, consistency)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            what = f"The witness did not answer: {type(error).__name__}."
            raise TargetUnreachable(what, remedy="Ask its operator; it is asked again.", where=self.url) from error

    async def _cosign(self, note: str, size: int, consistency: Consistency) -> tuple[NoteSignature, ...]:
        for _ in range(_MAX_TRIES):
            # 1. Show that the new tree continues what the witness saw last.
            proof = () if self._seen_size in (0, size) else await consistency(self._seen_size, size)
            request = CosignRequest(old_size=self._seen_size, proof=proof, note=note)
            answer = await post(self.url + CALL, request.body())
            # 2. It may have seen more, or less, than is remembered here.
            if answer.status == _CONFLICT and answer.content_type == SIZE_TYPE:
                self._seen_size = self._size(answer.body, size)
                continue
            if answer.status == _CONFLICT:
                raise self._forked(f"The witness cosigned another tree of {size} entries before.")
            if answer.status == _OTHER_TREE and self._seen_size not in (0, size):
                what = (
                    f"The tree of {size} entries does not begin with the {self._seen_size} that the witness cosigned."
                )
                raise self._forked(what)
            if answer.status != _OK:
                what = f"The witness refused with {answer.status}: {answer.body[:200].decode('utf-8', 'replace')!r}."
                raise TargetAnswer(what, remedy="Register the log with the witness.", where=self.url)
            # 3. Only its own key says whether it cosigned.
            signatures = self._verified(note, answer.body)
            self._seen_size = size
            return signatures
        raise TargetAnswer("The witness changes its mind.", remedy="Ask its operator.", where=self.url)

    def _size(self, body: bytes, size: int) -> int:
        text = body.decode("ascii", "replace").removesuffix("\n")
        if not _SEEN.fullmatch(text):
            what = f"The witness says that it saw {text[:40]!r} entries."
            raise TargetAnswer(what, remedy="Ask its operator.", where=self.url)
        if int(text) > size:
            raise self._forked(f"The witness saw {text} entries, but there are {size}.")
        return int(text)

    def _forked(self, what: str) -> LedgerBroken:
        remedy = (
            "Do not write to this ledger: entries were lost, for example by restoring an old backup, or it was forked. "
            "Restore the newest copy; if it is gone, begin a new log with a new key, or leave out a witness that is wrong."
        )
        return LedgerBroken(what, remedy=remedy, where=self.url)

    def _verified(self, note: str, body: bytes) -> tuple[NoteSignature, ...]:
        text = parse_note(note).text
        try:
            lines = parse_signatures(body.decode("utf-8", "replace"))
        except LedgerBroken as error:
            raise _not_allowed(self.url) from error
        good = []
        for each in lines:
            key = self._keys.get((each.name, each.key_id))
            if key is not None:
                key.timestamp_s(text, each.signature)
                good.append(each)
        if not good:
            what = "The witness answered without a signature by a key that is known."
            raise SignatureBroken(what, remedy="Write its key line into the settings.", where=self.url)
        return tuple(good)


class Witnesses:
    """All witnesses of one log.

    Args:
        clients: who is asked.
        policy: how many must answer.

    Attributes:
        faults: why a witness is left out now, by its URL.
    """

    def __init__(self, clients: Sequence[WitnessClient], policy: WitnessPolicy) -> None:
        self.faults: dict[str, RoadworthyError] = {}
        self._clients = tuple(clients)
        self._policy = policy

    def contradiction(self) -> LedgerBroken | None:
        """What a witness says against this log, of those that were asked last; None when none does."""
        return next((fault for fault in self.faults.values() if isinstance(fault, LedgerBroken)), None)

    async def gather(self, note: str, size: int, consistency: Consistency) -> str | None:
        """The note with the signatures of all who answered; None when they are too few for the policy."""
        answers = await asyncio.gather(*(self._ask(client, note, size, consistency) for client in self._clients))
        cosigned = note + "".join(each.line() for answer in answers for each in answer)
        try:
            self._policy.require(cosigned)
        except SignatureBroken:
            # Who is missing, and why, stands in ``faults``.
            return None
        return cosigned

    async def _ask(
        self, client: WitnessClient, note: str, size: int, consistency: Consistency
    ) -> tuple[NoteSignature, ...]:
        try:
            signatures = await client.cosign(note, size, consistency)
        except RoadworthyError as error:
            self.faults[client.url] = error
            return ()
        self.faults.pop(client.url, None)
        return signatures


async def post(url: str, body: bytes) -> HttpAnswer:
    """One POST on a connection of its own, in HTTP/1.0, so that an answer has a length or ends with the connection.

    Raises:
        TargetAnswer: not such an answer, or a longer one than 64 KiB (RW-402).
        OSError: no connection; the deadline is the caller's.
    """
    scheme, host, port, path = _place(url)
    tls = ssl.create_default_context() if scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=MAX_ANSWER_BYTES)
    try:
        head = (
            f"POST {path} HTTP/1.0\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"), url)
        length = headers.get("content-length")
        if "transfer-encoding" in headers or (length is not None and not _LENGTH.fullmatch(length)):
            raise _not_allowed(url)
        answer = await _rest(reader, None if length is None else int(length), url)
    finally:
        # Everything that counts was read or never will be; a polite end would wait for the other side.
        writer.transport.abort()
    return HttpAnswer(status, headers.get("content-type", ""), answer)


async def _rest(reader: asyncio.StreamReader, length: int | None, url: str) -> bytes:
    if length is not None:
        if length > MAX_ANSWER_BYTES:
            raise _not_allowed(url)
        return await reader.readexactly(length)
    answer = bytearray()
    while piece := await reader.read(MAX_ANSWER_BYTES):
        answer += piece
        if len(answer) > MAX_ANSWER_BYTES:
            raise _not_allowed(url)
    return bytes(answer)


def _head(data: bytes, url: str) -> tuple[int, dict[str, str]]:
    first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version not in ("HTTP/1.0", "HTTP/1.1") or not (status.isdecimal() and status.isascii()):
        raise _not_allowed(url)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status), headers


def _place(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
        # A name that cannot be looked up is found now, not when a checkpoint is due.
        (parts.hostname or "").encode("idna")
    except (KeyError, ValueError) as error:
        raise _not_a_url(url) from error
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or not url.isascii():
        raise _not_a_url(url)
    if any(sign.isspace() for sign in url):
        raise _not_a_url(url)
    return parts.scheme, parts.hostname, port, parts.path or "/"


def _not_a_url(url: str) -> ParameterError:
    what = f"{url[:120]!r} is not the URL of a witness."
    return ParameterError(what, remedy="Give http:// or https://, a host, and a path without a query.")


def _not_allowed(url: str) -> TargetAnswer:
    return TargetAnswer("The witness answered something that is not its protocol.", remedy="Check the URL.", where=url)
