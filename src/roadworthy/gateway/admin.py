"""The admin address: health, metrics, the published log, switches, reviews, proofs, erasure. Owns its routes and roles.

::

    GET  /health/live  /health/ready           200, or 503 when not ready
    GET  /metrics                              Prometheus text
    GET  /log/checkpoint  /log/tile/...        the published log, as any static server would give it
    GET  /log/vkey                             the log's key line
    GET  /proof/<index>                        the receipt of one entry
    GET  /switch                               what is off; with any admin key also by whom
    POST /switch                               {"use_case", "on", "reason"}             role switch
    GET  /reviews?limit=<n>&after=<id>         a page of questions, the oldest first    role review
    GET  /reviews/<id>                         one question, whole                      role review
    POST /reviews/<id>                         {"answer", "reason"}                     role review
    POST /erase                                {"index", "reason"}                      role erase

Rules kept here:
1. Whatever writes, or shows content of questions, needs an admin key with the role of the route. Who asks is known
   before a byte of the body is read; a body that is not read ends the connection.
2. Whatever writes is a leaf. A review and a resumed switch take effect after it, a stop before it.
3. Only names that a log can have are read from the disk.
4. It answers problem+json (RFC 9457), and never holds the data plane up: files are read in a thread, bodies are bounded
   in bytes and in time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

import orjson

from roadworthy.base.clock import format_instant
from roadworthy.base.errors import LedgerBroken, ParameterError, RoadworthyError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.exchange import Headers, Reason, Refused
from roadworthy.gateway.health import Health
from roadworthy.gateway.human_queue import HumanQueue, ReviewItem
from roadworthy.gateway.metrics import CONTENT_TYPE, Meter
from roadworthy.gateway.node_log import NodeLog
from roadworthy.gateway.release import send_whole
from roadworthy.gateway.switches import Switches
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, entry_bundle, parse_path, split_entries

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

MOST_BODY_BYTES = 64 * 1024
MOST_ANSWER_BYTES = 4 * 1024 * 1024
"""Of the body that brings a person's answer."""
BODY_S = 10.0
"""For the whole of a body."""
MOST_SHOWN_BYTES = 64 * 1024
"""Of each question on a page of many."""
MOST_PAGE = 100
_PAGE = 50
_NOTES = {"checkpoint": "checkpoint", "checkpoint.cosigned": "checkpoint.cosigned", "vkey": "log.vkey"}
_HASH_BYTES = 32
_FOR_EVER = b"public, max-age=31536000, immutable"
_FRESH = b"no-store"
_JSON = b"application/json"
_PROBLEM = b"application/problem+json"
_TEXT = b"text/plain; charset=utf-8"
_TILE = b"application/octet-stream"
_LONGEST_REASON = 1_000
_MOST_DIGITS = 19
_INDEX_UNTIL = 2**63
_LIMITS = frozenset(str(size) for size in range(1, MOST_PAGE + 1))
_LENGTHS = (b"content-length", b"transfer-encoding")


class AdminIdentify(Protocol):
    """Who administers."""

    async def caller(self, headers: Headers) -> Caller:
        """The holder of the admin key in the headers.

        Raises:
            Refused: no key that counts (401).
        """


class Response(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    cache: bytes = _FRESH
    retry_after_s: int | None = None


class Admin:
    """The ASGI application of the admin address.

    Args:
        health: of this node.
        meter: whose figures, with the other workers', are the metrics.
        switches: the kill switch.
        queues: review queues by name.
        node_log: writes the leaves of what is done here.
        ask: puts a question to the ledger's process.
        folder: of the published log.
        identify: knows the admin keys; None when there are none, and then nothing can be written.
    """

    def __init__(
        self,
        *,
        health: Health,
        meter: Meter,
        switches: Switches,
        queues: Mapping[str, HumanQueue],
        node_log: NodeLog,
        ask: Ask,
        folder: Path,
        identify: AdminIdentify | None,
    ) -> None:
        self._health, self._meter, self._switches, self._queues = health, meter, switches, queues
        self._node_log, self._ask, self._folder, self._identify = node_log, ask, folder, identify
        self._deciding = asyncio.Lock()
        self._acts = {"switch/": ("switch", self._switch), "erase/": ("erase", self._erase)}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        body = _Body(scope["headers"], receive)
        try:
            response = await self._respond(scope, body)
        except Refused as refused:
            problem = _problem(refused.status, refused.reason.value, refused.what)
            response = Response(refused.status, problem, _PROBLEM, retry_after_s=refused.retry_after_s)
        except RoadworthyError as error:
            response = Response(error.http_status, orjson.dumps(error.problem()), _PROBLEM)
        headers = [
            (b"content-type", response.content_type),
            (b"cache-control", response.cache),
            (b"x-content-type-options", b"nosniff"),
        ]
        if response.retry_after_s is not None:
            headers.append((b"retry-after", str(response.retry_after_s).encode()))
        if response.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if body.pending:
            headers.append((b"connection", b"close"))
        await send_whole(send, response.status, headers, response.body)

    async def _respond(self, scope: Message, body: "_Body") -> Response:
        path, method, headers = scope["path"], scope["method"], scope["headers"]
        first, _, rest = path[1:].partition("/")
        if method in {"GET", "HEAD"}:
            if first == "reviews":
                await self._allowed(headers, "review")
                return self._question(rest) if rest else self._waiting(scope.get("query_string", b""))
            return await self._read(first, rest, headers)
        if method == "POST":
            if first == "reviews" and rest:
                caller = await self._allowed(headers, "review")
                return await self._decide(caller, rest, await body.members(MOST_ANSWER_BYTES))
            if f"{first}/{rest}" in self._acts:
                role, act = self._acts[f"{first}/{rest}"]
                caller = await self._allowed(headers, role)
                return await act(caller, await body.members(MOST_BODY_BYTES))
        return _nothing(method, path)

    async def _read(self, first: str, rest: str, headers: Headers) -> Response:
        plain = {
            "health/live": self._live,
            "health/ready": self._ready,
            "metrics/": self._metrics,
        }.get(f"{first}/{rest}")
        if plain is not None:
            return plain()
        if first == "log":
            return await asyncio.to_thread(self._published, rest)
        if first == "proof" and rest.isascii() and rest.isdecimal() and len(rest) <= _MOST_DIGITS:
            index = int(rest)
            if index < _INDEX_UNTIL:
                return _json(200, await self._ask({"what": "proof", "index": index}))
        if first == "switch" and not rest:
            return await self._stops(headers)
        return _nothing("GET", f"/{first}/{rest}")

    def _live(self) -> Response:
        return _json(200, {"live": True})

    def _ready(self) -> Response:
        return _json(200 if self._health.ready else 503, self._health.report())

    def _metrics(self) -> Response:
        return Response(200, self._meter.text(), CONTENT_TYPE.encode())

    async def _stops(self, headers: Headers) -> Response:
        """What is off. Anybody may know that, administrators also by whom."""
        stops = [asdict(stop) for stop in self._switches.stops]
        try:
            await self._administrator(headers)
        except Refused:
            for stop in stops:
                del stop["by"]
        return _json(200, {"off": stops})

    def _published(self, name: str) -> Response:
        if name in _NOTES:
            try:
                return Response(200, (self._folder / _NOTES[name]).read_bytes(), _TEXT)
            except OSError:
                return _nothing("GET", f"/log/{name}")
        try:
            path = parse_path(name)
        except LedgerBroken:
            return _nothing("GET", "/log/...")
        data = _tile(self._folder, path)
        if data is None:
            return _nothing("GET", f"/log/{name}")
        return Response(200, data, _TILE, _FOR_EVER)

    async def _switch(self, caller: Caller, members: Message) -> Response:
        use_case, on, reason = _text(members, "use_case"), members.get("on"), _text(members, "reason")
        if not isinstance(on, bool):
            raise ParameterError("on is neither true nor false.", remedy='Send {"use_case", "on", "reason"}.')
        if on:
            index = await self._switches.resume(use_case, by=caller.id, reason=reason, note=self._node_log.note)
            return _json(200, {"use_case": use_case, "on": True, "index": index})
        stop = await self._switches.stop(use_case, by=caller.id, reason=reason, note=self._node_log.note)
        return _json(200, {"use_case": use_case, "on": False, "recorded": stop.recorded})

    async def _erase(self, caller: Caller, members: Message) -> Response:
        index, reason = members.get("index"), _text(members, "reason")
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < _INDEX_UNTIL:
            raise ParameterError("index is not the index of an entry.", remedy='Send {"index", "reason"}.')
        actor = self._node_log.actor(caller.id)
        return _json(200, await self._ask({"what": "erase", "index": index, "reason": reason, "actor": actor}))

    def _waiting(self, query: bytes) -> Response:
        """A page of the questions of all queues, with the beginning of each; ``next`` is the ``after`` of the page behind.

        Raises:
            ParameterError: the page is not one of 1 to ``MOST_PAGE``, or begins after an unknown question (RW-114).
        """
        given = dict(parse_qsl(query.decode("latin-1")))
        limit, after = given.get("limit", str(_PAGE)), given.get("after")
        if limit not in _LIMITS:
            raise ParameterError("limit is no size of a page.", remedy=f"Ask for 1 to {MOST_PAGE} questions.")
        found = sorted(
            (item.asked_at, item.id, queue, item) for queue in self._queues.values() for item in queue.waiting()
        )
        if after is not None:
            last = next(filter(None, (queue.find(after) for queue in self._queues.values())), None)
            if last is None:
                raise ParameterError("There is no such question to go on after.", remedy="Begin at the first page.")
            found = [each for each in found if each[:2] > (last.asked_at, last.id)]
        page = found[: int(limit)]
        items = [_shown(queue, item, MOST_SHOWN_BYTES) for _, _, queue, item in page]
        return _json(200, {"reviews": items, "next": page[-1][1] if len(found) > len(page) else None})

    def _question(self, review_id: str) -> Response:
        for queue in self._queues.values():
            item = queue.find(review_id)
            if item is not None and item.decided_at is None:
                return _json(200, _shown(queue, item, len(item.body)))
        return _nothing("GET", "/reviews/<id>")

    async def _decide(self, caller: Caller, review_id: str, members: Message) -> Response:
        """A person's answer: durable first, then given out.

        1. The question must wait still; one decision at a time, so it waits until step 3.
        2. The leaf says who decided.
        3. The answer goes to the caller.
        """
        reason, answer = _text(members, "reason"), members.get("answer")
        if not isinstance(answer, dict | list):
            raise ParameterError("answer is no JSON document.", remedy='Send {"answer": {...}, "reason": "..."}.')
        try:
            body = orjson.dumps(answer)
        except orjson.JSONEncodeError as error:
            raise ParameterError("answer is nested too deep.", remedy="Send a flatter document.") from error
        async with self._deciding:
            for queue in self._queues.values():
                item = queue.find(review_id)
                if item is None or item.decided_at is not None:  # 1
                    continue
                facts: dict[str, str | int] = {"queue": queue.name, "reason": reason, "answer_bytes": len(body)}
                index = await self._node_log.review(caller.id, item.use_case, review_id, facts)  # 2
                queue.decide(review_id, caller.id, body)  # 3
                return _json(200, {"id": review_id, "index": index})
        return _nothing("POST", "/reviews/<id>")

    async def _allowed(self, headers: Headers, role: str) -> Caller:
        """The administrator, who must hold the role.

        Raises:
            Refused: no admin key that counts (401), or not the role (403).
        """
        caller = await self._administrator(headers)
        if role not in caller.roles:
            raise Refused(Reason.FORBIDDEN, 403, f"This admin key does not hold the role {role}.")
        return caller

    async def _administrator(self, headers: Headers) -> Caller:
        if self._identify is None:
            raise Refused(Reason.FORBIDDEN, 403, "No admin keys are configured; name a file in admin_keys.")
        return await self._identify.caller(headers)


class _Body:
    """The body of one request, which nobody has to read.

    Args:
        headers: of the request.
        receive: brings it.

    Attributes:
        pending: whether bytes of it may still come.
    """

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        self.pending = any(name in _LENGTHS and value != b"0" for name, value in headers)

    async def members(self, most_bytes: int) -> Message:
        """The one JSON object of the body.

        Raises:
            Refused: too long (413), too slow (408), or the caller went.
            ParameterError: not such a body (RW-114).
        """
        try:
            async with asyncio.timeout(BODY_S):
                body = await self._whole(most_bytes)
        except TimeoutError as error:
            raise Refused(Reason.DEADLINE, 408, f"The body did not come within {BODY_S:g} seconds.") from error
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParameterError("The body is not JSON.", remedy="Send one JSON object.") from error
        if not isinstance(members, dict):
            raise ParameterError("The body is no JSON object.", remedy="Send one JSON object.")
        return members

    async def _whole(self, most_bytes: int) -> bytearray:
        body, more = bytearray(), True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refused(Reason.CLIENT_GONE, 400, "The caller is gone.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most_bytes:
                raise Refused(Reason.TOO_LARGE, 413, f"The body is longer than {most_bytes} bytes.")
        self.pending = False
        return body


def _shown(queue: HumanQueue, item: ReviewItem, most_bytes: int) -> Message:
    return {
        "id": item.id,
        "queue": queue.name,
        "use_case": item.use_case,
        "asked_at": format_instant(item.asked_at),
        "body": item.body[:most_bytes].decode("utf-8", "replace"),
        "body_bytes": len(item.body),
    }


def _tile(folder: Path, path: TilePath) -> bytes | None:
    """A published tile; a partial one that was replaced is the beginning of the full one."""
    try:
        return (folder / path.text()).read_bytes()
    except OSError:
        if path.width == TILE_WIDTH:
            return None
    whole = _tile(folder, TilePath(path.level, path.index, TILE_WIDTH))
    if whole is None:
        return None
    if path.level is None:
        return entry_bundle(split_entries(whole)[0][: path.width])
    return whole[: path.width * _HASH_BYTES]


def _text(members: Message, name: str) -> str:
    text = members.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_REASON:
        raise ParameterError(f"{name} is missing.", remedy=f"Give a text of 1 to {_LONGEST_REASON} characters.")
    return text


def _json(status: int, value: object) -> Response:
    return Response(status, orjson.dumps(value))


def _nothing(method: str, path: str) -> Response:
    return Response(404, _problem(404, "no_route", f"There is nothing at {method} {path}."), _PROBLEM)


def _problem(status: int, code: str, what: str) -> bytes:
    return orjson.dumps({"type": "about:blank", "title": code, "status": status, "detail": what})
