"""One tagged transaction, carried through and looked for in every system that must know of it.

Owns sending it and counting its tag in each place. Leaves alone what was declared (``kit.declared``) and what counts as
complete (the check).

1. The request goes to the gateway with its tag.
2. Every place is asked again and again until the tag stands there as often as declared, or its time is over.
3. When all have it, or had their time, a while passes; then each is counted once more: what arrives twice comes late.

Rule kept here: the tag is counted as text, so that any system can be looked at; one that repeats it in its own record says
so with ``times``.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from roadworthy.base.clock import monotonic_s
from roadworthy.kit.declared.transactions import TAG, Place, Transaction
from roadworthy.probes.ask_url import ask_url
from roadworthy.probes.http import read_headers
from roadworthy.probes.rehearsal.reply import Reply, ask

MOST_FILE_BYTES = 16 * 1024 * 1024
_ANSWER_S = 60.0
_ASK_S = 5.0
_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What was seen in one place.

    Attributes:
        place: in words.
        found: how often the tag stood there at the end.
        expected: how often it should.
        after_s: from the answer until it first stood there; -1 when it never did.
    """

    place: str
    found: int
    expected: int
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One transaction, done.

    Attributes:
        name: of the transaction.
        tag: that was looked for.
        status: of the answer; 0 when nobody answered.
        fault: why the answer is not whole, in words.
        record_id: of the gateway; "" when the answer names none.
        arrivals: one for every declared place.
    """

    name: str
    tag: str
    status: int
    fault: str
    record_id: str
    arrivals: tuple[Arrival, ...]


def carry(transaction: Transaction, *, url: str, tag: str, folder: Path, settle_s: float) -> Carried:
    """Carry a transaction through.

    Args:
        transaction: as declared.
        url: of the gateway.
        tag: new, and safe in a URL.
        folder: where relative paths of the declaration start.
        settle_s: how long to wait for a second arrival.

    Raises:
        MissingFile: a file of headers does not exist (RW-102).
        ManifestError: it is no such file (RW-101).
    """
    body = json.dumps(dict(transaction.body), ensure_ascii=False).replace(TAG, tag).encode()
    sent = {"content-type": "application/json", **_headers(transaction.headers_file, folder)}
    reply = ask(url, transaction.method, transaction.path, body, sent, timeout_s=_ANSWER_S)  # 1
    watches = [_Watch(place, tag, folder, reply) for place in transaction.arrives]
    _wait(watches)  # 2
    time.sleep(settle_s)  # 3
    return Carried(
        name=transaction.name,
        tag=tag,
        status=reply.status,
        fault=reply.fault,
        record_id=reply.record_id,
        arrivals=tuple(watch.arrival() for watch in watches),
    )


class _Watch:
    """One place, looked at until the tag is there."""

    def __init__(self, place: Place, tag: str, folder: Path, reply: Reply) -> None:
        self.place, self._tag, self._folder, self._reply = place, tag, folder, reply
        self._headers = _headers(place.headers_file, folder)
        self._began_s, self._after_s = monotonic_s(), -1.0

    def done(self) -> bool:
        """Whether it is there, or its time is over."""
        if self._after_s >= 0:
            return True
        waited_s = monotonic_s() - self._began_s
        if self._count() >= self.place.times:
            self._after_s = waited_s
        # What is in the answer is there at once or never.
        return self._after_s >= 0 or self.place.answer is not None or waited_s >= self.place.within_s

    def arrival(self) -> Arrival:
        """What is there now."""
        found = self._count() if self._after_s >= 0 else 0
        return Arrival(place=self.place.title, found=found, expected=self.place.times, after_s=self._after_s)

    def _count(self) -> int:
        if self.place.answer is not None:
            return _pointed(self._reply, self.place.answer).count(self._tag)
        if self.place.get is not None:
            return self._asked(self.place.get.replace(TAG, self._tag))
        pattern = str(self.place.file).replace(TAG, self._tag)
        return sum(_in_file(path, self._tag.encode()) for path in _matching(self._folder, pattern))

    def _asked(self, url: str) -> int:
        reply = ask_url(url, "GET", b"", self._headers, timeout_s=_ASK_S)
        return reply.body.count(self._tag.encode()) if reply.answered else 0


def _wait(watches: list[_Watch]) -> None:
    waiting = watches
    while waiting := [watch for watch in waiting if not watch.done()]:
        time.sleep(_AGAIN_S)


def _pointed(reply: Reply, pointer: str) -> str:
    """The value at a JSON pointer (RFC 6901) as text; "" when there is none."""
    if not reply.answered:
        return ""
    try:
        value = json.loads(reply.body)
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (ValueError, LookupError, TypeError):
        return ""
    return json.dumps(value, ensure_ascii=False)


def _matching(folder: Path, pattern: str) -> list[Path]:
    whole = folder / pattern  # an absolute pattern stands for itself
    return [path for path in Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))) if path.is_file()]


def _in_file(path: Path, tag: bytes) -> int:
    try:
        with path.open("rb") as stream:
            return stream.read(MOST_FILE_BYTES).count(tag)
    except OSError:  # it went while it was looked for
        return 0


def _headers(path: Path | None, folder: Path) -> dict[str, str]:
    return {} if path is None else read_headers(folder / path)
