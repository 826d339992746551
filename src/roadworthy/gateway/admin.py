"""The admin address: health, metrics, the published log, switches, reviews, proofs, erasure. Owns its routes and roles.

::

    GET  /health/live  /health/ready           200, or 503 when not ready
    GET  /metrics                              Prometheus text
    GET  /log/checkpoint  /log/tile/...        the published log, as any static server would give it
    GET  /log/vkey                             the log's key line
    GET  /proof/<index>                        the receipt of one entry
    GET  /switch      POST /switch             {"use_case", "on", "reason"}             role switch
    GET  /reviews     POST /reviews/<id>       {"answer", "reason"}                    role review
    POST /erase                                {"index", "reason"}                      role erase

Rules kept here:
1. Whatever writes, or shows content of questions, needs an admin key with the role of the route.
2. Whatever writes is a leaf. A review and a resumed switch take effect after it, a stop before it.
3. Only names that a log can have are read from the disk.
4. It answers problem+json (RFC 9457), and never holds the data plane up: files are read in a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from roadworthy.base.clock import format_instant
from roadworthy.base.errors import LedgerBroken, ParameterError, RoadworthyError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.exchange import Headers, Reason, Refused
from roadworthy.gateway.health import Health
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.metrics import CONTENT_TYPE, Meter
from roadworthy.gateway.node_log import NodeLog
from roadworthy.gateway.release import send_whole
from roadworthy.gateway.switches import Switches
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, entry_bundle, parse_path, split_entries

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

MOST_BODY_BYTES = 4 * 1024 * 1024
_NOTES = {"checkpoint": "checkpoint", "checkpoint.cosigned": "checkpoint.cosigned", "vkey": "log.vkey"}
_HASH_BYTES = 32
_FOR_EVER = b"public, max-age=31536000, immutable"
_FRESH = b"no-store"
_JSON = b"application/json"
_PROBLEM = b"application/problem+json"
_TEXT = b"text/plain; charset=utf-8"
_TILE = b"application/octet-stream"
_LONGEST_REASON = 1_000


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

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            response = await self._respond(scope, receive)
        except Refused as refused:
            body = _problem(refused.status, refused.reason.value, refused.what)
            response = Response(refused.status, body, _PROBLEM, retry_after_s=refused.retry_after_s)
        except RoadworthyError as error:
            response = Response(error.http_status, orjson.dumps(error.problem()), _PROBLEM)
        headers = [
            (b"content-type", response.content_type),
            (b"cache-control", response.cache),
            (b"x-content-type-options", b"nosniff"),
        ]
        if response.retry_after_s is not None:
            headers.append((b"retry-after", str(response.retry_after_s).encode()))
        await send_whole(send, response.status, headers, response.body)

    async def _respond(self, scope: Message, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        first, _, rest = path[1:].partition("/")
        if method in {"GET", "HEAD"}:
            return await self._read(first, rest, scope["headers"])
        if method == "POST":
            members = await _members(receive)
            if path == "/switch":
                return await self._switch(await self._allowed(scope["headers"], "switch"), members)
            if path == "/erase":
                return await self._erase(await self._allowed(scope["headers"], "erase"), members)
            if first == "reviews" and rest:
                return await self._decide(await self._allowed(scope["headers"], "review"), rest, members)
        return _nothing(method, path)

    async def _read(self, first: str, rest: str, headers: Headers) -> Response:
        plain = {
            "health/live": self._live,
            "health/ready": self._ready,
            "metrics/": self._metrics,
            "switch/": self._stops,
        }.get(f"{first}/{rest}")
        if plain is not None:
            return plain()
        if first == "log":
            return await asyncio.to_thread(self._published, rest)
        if first == "proof" and rest.isascii() and rest.isdecimal():
            return _json(200, await self._ask({"what": "proof", "index": int(rest)}))
        if first == "reviews" and not rest:
            await self._allowed(headers, "review")
            return self._waiting()
        return _nothing("GET", f"/{first}/{rest}")

    def _live(self) -> Response:
        return _json(200, {"live": True})

    def _ready(self) -> Response:
        return _json(200 if self._health.ready else 503, self._health.report())

    def _metrics(self) -> Response:
        return Response(200, self._meter.text(), CONTENT_TYPE.encode())

    def _stops(self) -> Response:
        stops = [{name: getattr(stop, name) for name in stop.__dataclass_fields__} for stop in self._switches.stops]
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
        if isinstance(index, bool) or not isinstance(index, int):
            raise ParameterError("index is not the index of an entry.", remedy='Send {"index", "reason"}.')
        return _json(200, await self._ask({"what": "erase", "index": index, "reason": reason, "actor": caller.id}))

    def _waiting(self) -> Response:
        items = [
            {
                "id": item.id,
                "queue": queue.name,
                "use_case": item.use_case,
                "asked_at": format_instant(item.asked_at),
                "body": item.body.decode("utf-8", "replace"),
            }
            for queue in self._queues.values()
            for item in queue.waiting()
        ]
        return _json(200, {"reviews": items})

    async def _decide(self, caller: Caller, review_id: str, members: Message) -> Response:
        """A person's answer: durable first, then given out.

        1. The question must wait still; one decision at a time, so it waits until step 3.
        2. The leaf says who decided.
        3. The answer goes to the caller.
        """
        reason, answer = _text(members, "reason"), members.get("answer")
        if not isinstance(answer, dict | list):
            raise ParameterError("answer is no JSON document.", remedy='Send {"answer": {...}, "reason": "..."}.')
        body = orjson.dumps(answer)
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
        if self._identify is None:
            raise Refused(Reason.FORBIDDEN, 403, "No admin keys are configured; name a file in admin_keys.")
        caller = await self._identify.caller(headers)
        if role not in caller.roles:
            raise Refused(Reason.FORBIDDEN, 403, f"This admin key does not hold the role {role}.")
        return caller


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


async def _members(receive: Receive) -> Message:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Reason.CLIENT_GONE, 400, "The caller is gone.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY_BYTES:
            raise Refused(Reason.TOO_LARGE, 413, f"The body is longer than {MOST_BODY_BYTES} bytes.")
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ParameterError("The body is not JSON.", remedy="Send one JSON object.") from error
    if not isinstance(members, dict):
        raise ParameterError("The body is no JSON object.", remedy="Send one JSON object.")
    return members


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
