"""Small real servers for the probes' tests: good ones, and ones that misbehave in a chosen way."""

import contextlib
import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """One request as a server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reset:
    """Instead of bytes: end the connection with a reset."""


class Close:
    """Instead of bytes: end the connection in an orderly way."""


Reply = bytes | type[Reset] | type[Close] | Iterable[bytes]


def answer(status=200, body=b"{}", content_type="application/json", extra=""):
    """The bytes of a whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n{extra}\r\n"
    return head.encode() + data


class ScriptedServer:
    """Answers every request with what a function makes of it; one thread for each connection."""

    def __init__(self, respond: Callable[[Asked], Reply]) -> None:
        self.respond = respond
        self.asked: list[Asked] = []
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        self._workers: list[threading.Thread] = []
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # already gone
                connection.shutdown(socket.SHUT_RDWR)
        for worker in self._workers:
            worker.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            worker = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while (asked := _read(stream)) is not None:
                    self.asked.append(asked)
                    reply = self.respond(asked)
                    if reply is Reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if reply is Close:
                        return
                    for part in [reply] if isinstance(reply, bytes) else reply:
                        connection.sendall(part)
        except (OSError, ValueError):  # gone, or not HTTP
            return


def _read(stream):
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Asked(method, path, headers, stream.read(int(headers.get("content-length", 0))))


def slowly(parts, pause_s):
    """Yield parts with a pause before each."""
    for part in parts:
        time.sleep(pause_s)
        yield part


COLUMNS = ("age", "weight", "sex")


def metadata(*, wide=False, name="triage"):
    """The metadata of the toy model: three columns, or one input of three columns."""
    inputs = (
        [{"name": "rows", "datatype": "FP64", "shape": [-1, len(COLUMNS)]}]
        if wide
        else [
            {"name": "age", "datatype": "FP64", "shape": [-1]},
            {"name": "weight", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "sex", "datatype": "BYTES", "shape": [-1]},
        ]
    )
    outputs = [{"name": "score", "datatype": "FP64", "shape": [-1]}]
    return {"name": name, "versions": ["1"], "platform": "toy", "inputs": inputs, "outputs": outputs}


class Refused(Exception):
    """The toy model says 422."""


def careful_model(asked: Asked, *, wide=False) -> bytes:
    """A model that checks everything: rejects what it cannot understand, is undecided where a value is missing."""
    if asked.method == "GET":
        return _say(asked, wide=wide)
    try:
        inputs = _checked_inputs(asked.body, wide=wide)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Refused) as error:
        return answer(422, {"error": str(error)[:80]})
    rows, first = inputs
    scores = [None if value is None else 1 / (1 + math.exp(-value / 100)) for value in first]
    return answer(body=inference("score", "FP64", [rows], scores))


def careless_model(asked: Asked, *, wide=False) -> bytes:
    """A model that answers 0.5 with confidence, whatever it is asked."""
    if asked.method == "GET":
        return _say(asked, wide=wide)
    return answer(body=inference("score", "FP64", [1], [0.5]))


def inference(name, datatype, shape, data, **more):
    """An answer of the protocol with one output."""
    output = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return {"model_name": "triage", "outputs": [output]} | more


def _say(asked, *, wide):
    known = {"/v2/health/live": {}, "/v2/health/ready": {}, "/v2/models/triage/ready": {}}
    known["/v2/models/triage"] = metadata(wide=wide)
    return answer(200, known[asked.path]) if asked.path in known else answer(404, {"error": "unknown"})


def _checked_inputs(body, *, wide):
    declared = {each["name"]: each for each in metadata(wide=wide)["inputs"]}
    request = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    tensors = request["inputs"]
    if sorted(each["name"] for each in tensors) != sorted(declared):
        raise Refused("inputs")
    for each in tensors:
        ours = declared[each["name"]]
        if each["datatype"] != ours["datatype"] or math.prod(each["shape"]) != len(each["data"]):
            raise Refused(each["name"])
        if ours["shape"][1:] not in ([], [1]) and each["shape"][1:] != ours["shape"][1:]:
            raise Refused("width")
        for cell in each["data"]:
            _check_cell(cell, each["datatype"])
    width = len(COLUMNS) if wide else 1
    lengths = {len(each["data"]) // width for each in tensors}
    if len(lengths) != 1 or lengths == {0}:
        raise Refused("rows")
    first = tensors[0]["data"][::width]
    missing = any(cell is None for each in tensors for cell in each["data"])
    return lengths.pop(), [None] * len(first) if missing else first


def _check_cell(cell, datatype):
    if datatype == "BYTES":
        if cell is not None and not isinstance(cell, str):
            raise Refused("text")
    elif cell is not None and (isinstance(cell, bool) or not isinstance(cell, int | float) or not 0 <= cell < 1000):
        raise Refused("number")


def _refuse(name):
    raise Refused(name)
