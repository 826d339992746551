"""An upstream that works well and fails on command: chat completions, Open Inference, and plain JSON.

Owns the sound answers, the choice of the fault that is due, and the log of what was asked. Leaves alone: how a fault looks
(``faults``).

How the fault of a request is chosen, the first that says something counts:
1. the header ``x-fault`` of the request names it, or names ``none``;
2. the path starts with ``/fault/<name>``; the rest is the path that was meant;
3. the schedule names one for the number of the request;
4. the owner has switched one on, for all paths or for those that start with a prefix.

Rule kept here: every request is in the log, with the fault that it met, whether or not its answer went out whole. That is
the upstream's side when client, ledger and upstream are reconciled.
"""

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from roadworthy.base.clock import now
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import ParameterError
from roadworthy.probes.chat import DONE, EVENT_STREAM, Completion, Question, encode, event, models_body, read_question
from roadworthy.probes.fault.faults import Fault, Sizes, Sound, play, send_sound
from roadworthy.probes.http_server import Asked, HttpServer, Reply
from roadworthy.probes.loop_thread import LoopThread

MODEL = "stand-in"
HEADER = "x-fault"
NO_FAULT = "none"
_PREFIX = "/fault/"

Schedule = Callable[[int], Fault | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as the upstream saw it.

    Attributes:
        number: from 1, in the order of arrival.
        at: when it had arrived whole.
        method: for example ``POST``.
        path: that was meant, without a fault's prefix.
        traceparent: the W3C trace context; "" when there was none.
        request_id: the header ``x-request-id``; "" when there was none.
        body_digest: of the request's body, ``sha256:...``.
        fault: that it met; None when it was answered well.
        whole: whether the handler came to its end, so that all that it meant to send was handed to the kernel.
    """

    number: int
    at: datetime
    method: str
    path: str
    traceparent: str
    request_id: str
    body_digest: str
    fault: Fault | None
    whole: bool


class FaultUpstream:
    """A context manager around a server in a thread of its own.

    Args:
        sizes: how long and how large the faults are.
        schedule: from the number of a request, from 1, to its fault.
        answer: from the text of a question to the text of its answer.
        tls: to speak TLS with; plain HTTP when None.
        release: the digest that ``GET /release`` names.
    """

    def __init__(
        self,
        *,
        sizes: Sizes | None = None,
        schedule: Schedule | None = None,
        answer: Callable[[str], str] | None = None,
        tls: ssl.SSLContext | None = None,
        release: str = digest_bytes(b"fault upstream"),
    ) -> None:
        self._sizes = sizes or Sizes()
        self._schedule = schedule
        self._answer = answer or _echo
        self._scheme = "http" if tls is None else "https"
        self._release = release
        self._server = HttpServer(self._handle, tls=tls)
        self._loop: LoopThread | None = None
        self._switched: dict[str, Fault] = {}
        self._seen: list[Seen] = []

    def __enter__(self) -> Self:
        """Start on a free loopback port."""
        self._loop = LoopThread("fault-upstream")
        self._loop.call(self._server.listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        loop = self._running()
        loop.call(self._server.vanish())
        loop.stop()
        self._loop = None

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The log so far, in the order of arrival."""
        return tuple(self._seen)

    def forget(self) -> None:
        """Empty the log; numbers begin at 1 again."""
        self._seen.clear()

    def switch(self, fault: Fault | None, *, path: str = "") -> None:
        """Switch a fault on, or off with None, for all paths that start with ``path``; the longest prefix counts."""
        switched = dict(self._switched)
        if fault is None:
            switched.pop(path, None)
        else:
            switched[path] = fault
        self._switched = switched  # replaced at once: the other thread reads it without a lock

    def go_down(self) -> None:
        """Refuse connections and reset those that are open, as if the process had been killed."""
        self._running().call(self._server.vanish())

    def come_back(self) -> None:
        """Listen again on the same port."""
        self._running().call(self._server.listen())

    def _running(self) -> LoopThread:
        if self._loop is None:
            raise ParameterError("The upstream does not run.", remedy="Use it inside its with block.")
        return self._loop

    async def _handle(self, asked: Asked, reply: Reply) -> None:
        number = len(self._seen) + 1
        named, path = _named_fault(asked)
        fault = self._due(number, path, named)
        seen = Seen(
            number=number,
            at=now(),
            method=asked.method,
            path=path,
            traceparent=asked.headers.get("traceparent", ""),
            request_id=asked.headers.get("x-request-id", ""),
            body_digest=digest_bytes(asked.body),
            fault=fault,
            whole=False,
        )
        self._seen.append(seen)
        log = self._seen
        sound = self._sound(asked, path)
        await (send_sound(sound, reply) if fault is None else play(fault, sound, reply, self._sizes))
        if len(log) >= number and log[number - 1] is seen:  # nobody emptied the log meanwhile
            log[number - 1] = replace(seen, whole=True)

    def _due(self, number: int, path: str, named: str | None) -> Fault | None:
        if named is not None:  # 1 and 2
            return None if named == NO_FAULT else Fault(named)
        scheduled = self._schedule(number) if self._schedule else None  # 3
        if scheduled is not None:
            return scheduled
        prefixes = [prefix for prefix in self._switched if path.startswith(prefix)]  # 4
        return self._switched[max(prefixes, key=len)] if prefixes else None

    def _sound(self, asked: Asked, path: str) -> Sound:
        if path == "/release":
            return _whole({"release": self._release})
        if path.endswith("/models"):
            return Sound(content_type="application/json", parts=(models_body((MODEL,)),), streamed=False)
        question = read_question(asked.body) if path.endswith("/chat/completions") else None
        if question is not None:
            return self._completion(question, asked.body)
        if path.endswith("/infer"):
            return _whole(_inference(asked.body))
        return _whole({"ok": True, "method": asked.method, "path": path, "received": digest_bytes(asked.body)})

    def _completion(self, question: Question, body: bytes) -> Sound:
        text = self._answer(question.text)
        completion = Completion(
            id=f"chatcmpl-{digest_bytes(body)[7:31]}",
            model=question.model or MODEL,
            text=text,
            prompt_tokens=len(question.text.split()),
            completion_tokens=len(text.split()),
        )
        if not question.stream:
            return _whole(completion.whole())
        events = [event(part) for part in completion.parts(include_usage=question.include_usage)]
        return Sound(content_type=EVENT_STREAM, parts=(*events, DONE), streamed=True)


def _named_fault(asked: Asked) -> tuple[str | None, str]:
    """What the request itself names, and the path that was meant. An unknown name counts as none."""
    path, named = asked.path, asked.headers.get(HEADER)
    if path.startswith(_PREFIX):
        in_path, _, rest = path.removeprefix(_PREFIX).partition("/")
        path, named = f"/{rest}", named or in_path
    return (named if named in _NAMES else None), path


def _whole(value: Mapping[str, Any]) -> Sound:
    return Sound(content_type="application/json", parts=(encode(value),), streamed=False)


def _inference(body: bytes) -> dict[str, Any]:
    """The mean of each row of the first tensor; 0.5 for what cannot be read."""
    try:
        tensor = json.loads(body)["inputs"][0]
        rows, data = int(tensor["shape"][0]), [float(each) for each in tensor["data"]]
        width = len(data) // rows
        scores = [sum(data[row * width : (row + 1) * width]) / width for row in range(rows)]
    except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError, OverflowError, RecursionError):
        scores = [0.5]
    output = {"name": "probability", "datatype": "FP64", "shape": [len(scores)], "data": scores}
    return {"model_name": MODEL, "model_version": "1", "id": digest_bytes(body)[7:23], "outputs": [output]}


def _echo(text: str) -> str:
    return f"You asked: {text}"


_NAMES = frozenset({NO_FAULT, *(fault.value for fault in Fault)})
