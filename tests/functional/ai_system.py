"""An AI system for the gateway's tests: it answers by the whole OpenAI interface and keeps every request that reached it.

What a question's text asks for decides how it is answered: ``slowly`` pauses before every event of a stream, and ``wait``
holds a whole answer back, and ``fail`` refuses it with 400.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import struct
from typing import Self

from roadworthy.probes.chat import DONE, EVENT_STREAM, Completion, event
from roadworthy.probes.http_server import Asked, HttpServer, Reply, chunk, response
from roadworthy.probes.loop_thread import LoopThread

PAUSE_S = 0.1
WAIT_S = 2.0
VECTOR = [0.25, -1.5, 3.0]
ERROR = b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"not_this"}}'
CREATED = 1_700_000_000


class AiSystem:
    """A context manager around the server."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.broken_off = 0

    def __enter__(self) -> Self:
        self._loop = LoopThread("ai-system")
        self._server = HttpServer(self._handle)
        self._loop.call(self._server.listen())
        self.url = f"http://127.0.0.1:{self._server.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call(self._server.vanish())
        self._loop.stop()

    async def _handle(self, asked: Asked, reply: Reply) -> None:
        self.asked.append(asked)
        try:
            await self._answer(asked, reply)
        except (ConnectionResetError, asyncio.CancelledError):
            self.broken_off += 1
            raise

    async def _answer(self, asked: Asked, reply: Reply) -> None:
        answer = {
            "/v1/chat/completions": _chat,
            "/v1/completions": _completion,
            "/v1/embeddings": _embedding,
            "/v1/responses": _response,
        }.get(asked.path)
        members = json.loads(asked.body) if asked.body else {}
        text = json.dumps(members)
        if "fail" in text:
            await reply.send(response(400, ERROR))
            return
        found = _score(asked) if answer is None else answer(members)
        if isinstance(found, list):
            await _stream(reply, found, PAUSE_S if "slowly" in text else 0.0)
            return
        if "wait" in text:
            await asyncio.sleep(WAIT_S)
        body, more = json.dumps(found).encode(), b"X-Answered-By: ai-system\r\nOpenAI-Processing-Ms: 7\r\n"
        if "gzip" in asked.headers.get("accept-encoding", "") and asked.path == "/score":
            body, more = gzip.compress(body, mtime=0), more + b"Content-Encoding: gzip\r\n"
        await reply.send(response(200, body, more=more))


async def _stream(reply: Reply, events: list[bytes], pause_s: float) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {EVENT_STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    await reply.send(head.encode())
    for each in events:
        await asyncio.sleep(pause_s)
        await reply.send(chunk(each))
    await reply.send(chunk(b""))


def _chat(members: dict):
    text = members["messages"][-1]["content"]
    answer = Completion(
        id="chatcmpl-1",
        model=members["model"],
        text=f"You asked: {text}",
        prompt_tokens=5,
        completion_tokens=7,
        more={"system_fingerprint": "fp_1", "x_extra": {"kept": [1, 2.50, "ü"]}},
    )
    if not members.get("stream"):
        return answer.whole()
    usage = bool((members.get("stream_options") or {}).get("include_usage"))
    return [*(event(part) for part in answer.parts(include_usage=usage)), DONE]


def _completion(members: dict):
    named = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": members["model"]}
    choice = {"index": 0, "logprobs": None}
    words = ["once ", "upon ", "a time"]
    if not members.get("stream"):
        ended = {**choice, "text": "".join(words), "finish_reason": "stop"}
        usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        return {**named, "choices": [ended], "usage": usage}
    parts = [{**named, "choices": [{**choice, "text": word, "finish_reason": None}]} for word in words]
    parts.append({**named, "choices": [{**choice, "text": "", "finish_reason": "stop"}]})
    return [*map(event, parts), DONE]


def _embedding(members: dict):
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    vector = packed if members.get("encoding_format") == "base64" else VECTOR
    texts = members["input"] if isinstance(members["input"], list) else [members["input"]]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(texts)]
    return {
        "object": "list",
        "data": data,
        "model": members["model"],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


def _response(members: dict):
    text = f"You asked: {members['input']}"
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    whole = {
        "id": "resp_upstream",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": members["model"],
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 7,
        },
    }
    if not members.get("stream"):
        return whole
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        _named({"type": "response.created", "sequence_number": 0, "response": {**whole, "status": "in_progress"}}),
        _named({"type": "response.output_text.delta", "sequence_number": 1, **place, "delta": text, "logprobs": []}),
        _named({"type": "response.completed", "sequence_number": 2, "response": whole}),
    ]


def _named(members: dict) -> bytes:
    return f"event: {members['type']}\ndata: {json.dumps(members)}\n\n".encode()


def _score(asked: Asked) -> dict:
    return {"path": asked.target, "length": len(asked.body), "sha256": hashlib.sha256(asked.body).hexdigest()}
