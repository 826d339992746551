"""A small endpoint that stands in for a target in self-tests: it speaks the Open Inference Protocol, well or badly.

A check of endpoints must fail on a bad one, in every run. This is the bad one, and the good one beside it. It serves on
a free port of the loopback interface, for as long as its context lasts, and answers each request after a fixed delay.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

MODEL = "stand-in"
COLUMNS = ("a", "b")
_WIDTH = len(COLUMNS)


class Manner(Enum):
    """How the stand-in behaves."""

    SOUND = "sound"
    """Validates its input and gives the same answer to the same request."""
    GULLIBLE = "gullible"
    """Answers anything with confidence, whatever it was asked."""
    MOODY = "moody"
    """Gives another answer each time."""
    BROKEN = "broken"
    """Answers every inference with an HTML page, and is never ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A running stand-in."""

    model_url: str

    @property
    def infer_url(self) -> str:
        """Where inference requests go."""
        return f"{self.model_url}/infer"


def good_body() -> bytes:
    """A request that a sound stand-in answers."""
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, _WIDTH], "data": [0.5, 0.25]}
    return json.dumps({"inputs": [tensor]}).encode()


@contextmanager
def stand_in(manner: Manner, *, delay_s: float = 0.0) -> Iterator[StandIn]:
    """Serve on a free loopback port.

    Args:
        manner: how to behave.
        delay_s: wait before every answer, in seconds.
    """
    server = _Server(manner, delay_s)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield StandIn(model_url=f"http://127.0.0.1:{server.server_address[1]}/v2/models/{MODEL}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Listens on a free port and knows how its handlers behave."""

    daemon_threads = True

    def __init__(self, manner: Manner, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manner = manner
        self.delay_s = delay_s
        self.moods = count(1)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Nagle's algorithm and delayed acknowledgements together add 40 ms to every small answer.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Health and metadata."""
        if self.server.manner is Manner.BROKEN:
            self._send(503, b"<html>maintenance</html>", "text/html")
        elif self.path == f"/v2/models/{MODEL}":
            self._send(200, json.dumps(_METADATA).encode())
        else:
            self._send(200, b"{}")

    def do_POST(self) -> None:
        """Inference."""
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.server.delay_s:
            time.sleep(self.server.delay_s)
        if self.server.manner is Manner.BROKEN:
            self._send(200, b"<html>maintenance</html>", "text/html")
        elif self.server.manner is Manner.GULLIBLE:
            self._send(200, _answer([0.99]))
        else:
            self._infer(content)

    def _infer(self, content: bytes) -> None:
        try:
            scores = _scores(content)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._send(400, json.dumps({"error": f"cannot use this request: {error!r}"}).encode())
            return
        if self.server.manner is Manner.MOODY:
            mood = next(self.server.moods)
            scores = [(score + mood / 7) % 1 for score in scores]
        self._send(200, _answer(scores))

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class's
        """Keep quiet; the check says what it saw."""


_METADATA = {
    "name": MODEL,
    "versions": ["1"],
    "platform": "roadworthy stand-in",
    "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, _WIDTH]}],
    "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
}


def _scores(content: bytes) -> list[float]:
    """Scores of a request that is sound in every respect; anything else is an error."""
    value = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    tensors = {each["name"]: each for each in value["inputs"]}
    if len(tensors) != len(value["inputs"]) or set(tensors) != {"features"}:
        raise ValueError("exactly one input, features")
    tensor = tensors["features"]
    rows, width = tensor["shape"]
    data = tensor["data"]
    if tensor["datatype"] != "FP64" or width != _WIDTH or rows < 1 or len(data) != rows * width:
        raise ValueError("datatype, shape and data do not fit")
    if any(isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each <= 1 for each in data):
        raise ValueError("a value is missing or out of range")
    return [sum(data[row * width : (row + 1) * width]) / width for row in range(rows)]


def _refuse(name: str) -> float:
    raise ValueError(name)


def _answer(scores: list[float]) -> bytes:
    output = {"name": "probability", "datatype": "FP64", "shape": [len(scores)], "data": scores}
    return json.dumps({"model_name": MODEL, "outputs": [output]}).encode()
