"""An OpenAI-compatible server that replays recorded answers: ``python -m roadworthy.probes.replay_llm.server --answers FILE``.

Owns the serving, the pacing and the log of what was served. Leaves alone the formats (``recorded``) and how long an answer
takes (``lengths``).

It knows ``POST /v1/chat/completions``, whole and streamed, ``GET /v1/models``, ``GET /release`` (a digest of the recording
and the pace) and ``GET /health``. A prompt that was not recorded gets 404 with the code ``unknown_prompt``.

Rules kept here:
1. An answer is the recorded one to the byte, whether whole or streamed; ``usage`` names the lengths by which it was paced.
2. A whole answer takes as long as its stream would have taken.
3. The log says which verdict the served answer had. The answer itself never shows it.
"""

import argparse
import asyncio
import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from roadworthy.base.clock import format_instant, monotonic_s, now
from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.base.errors import RoadworthyError
from roadworthy.probes.chat import (
    DONE,
    EVENT_STREAM,
    Completion,
    Question,
    encode,
    error_body,
    event,
    models_body,
    read_question,
)
from roadworthy.probes.http_server import Asked, HttpServer, Reply, chunk, response
from roadworthy.probes.replay_llm.lengths import Lengths, Pace, Timing, read_lengths
from roadworthy.probes.replay_llm.recorded import RecordedAnswer, Recording, read_recording

MODEL = "recorded"
_LAG_S = 0.001  # a pause shorter than a millisecond is not worth a turn of the loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One line of the log.

    Attributes:
        at: when the answer began, RFC 3339.
        status: HTTP status.
        prompt_digest: of the question's text; "" when it could not be read.
        marked: the person's verdict on the answer; None when there is none.
        stream: whether it was asked for as a stream.
        traceparent: the W3C trace context; "" when there was none.
        body_digest: of the request's body.
    """

    at: str
    status: int
    prompt_digest: str
    marked: bool | None
    stream: bool
    traceparent: str
    body_digest: str


class ReplayServer:
    """The handler of an ``HttpServer``.

    Args:
        recording: what is replayed.
        pace: how fast.
        lengths: pairs of lengths of a trace; the words of the texts when None.
        log: where every request is written as one line of JSON; nowhere when None.
    """

    def __init__(
        self, recording: Recording, *, pace: Pace, lengths: Lengths | None = None, log: TextIO | None = None
    ) -> None:
        self._recording = recording
        self._pace = pace
        self._lengths = lengths
        self._log = log
        self.release = digest_of({"recording": recording.digest, "pace": asdict(pace), "traced": lengths is not None})
        self._documents = {
            "/v1/models": models_body((MODEL,)),
            "/release": encode({"release": self.release, "answers": len(recording.answers)}),
            "/health": encode({"ready": True}),
        }

    async def handle(self, asked: Asked, reply: Reply) -> None:
        """Answer one request.

        Raises:
            ConnectionResetError: the peer is gone.
        """
        if asked.method == "GET" and asked.path in self._documents:
            await reply.send(response(200, self._documents[asked.path]))
            return
        if (asked.method, asked.path) != ("POST", "/v1/chat/completions"):
            body = error_body(f"There is no {asked.method} {asked.path}.", kind="invalid_request_error")
            await reply.send(response(404, body))
            return
        question = read_question(asked.body)
        found = self._recording.find(question.text) if question else None
        self._note(asked, question, found)
        if question is None:
            body = error_body("There is no message of a user.", kind="invalid_request_error", param="messages")
            await reply.send(response(400, body))
        elif found is None:
            await reply.send(response(404, _unknown()))
        else:
            await self._answer(question, found, reply, asked.body)

    async def _answer(self, question: Question, found: RecordedAnswer, reply: Reply, body: bytes) -> None:
        timing = self._pace.timing(found.prompt, found.answer, self._lengths)
        completion = Completion(
            id=f"chatcmpl-{digest_bytes(body)[7:31]}",
            model=question.model or MODEL,
            text=found.answer,
            prompt_tokens=timing.context_tokens,
            completion_tokens=timing.generated_tokens,
        )
        if question.stream:
            await _stream(completion, timing, reply, include_usage=question.include_usage)
        else:
            await asyncio.sleep(timing.first_s + timing.rest_s)
            await reply.send(response(200, encode(completion.whole())))

    def _note(self, asked: Asked, question: Question | None, found: RecordedAnswer | None) -> None:
        if self._log is None:
            return
        status = 400 if question is None else 404 if found is None else 200
        served = Served(
            at=format_instant(now()),
            status=status,
            prompt_digest=digest_bytes(question.text.strip().encode("utf-8", "replace")) if question else "",
            marked=found.marked if found else None,
            stream=question is not None and question.stream,
            traceparent=asked.headers.get("traceparent", ""),
            body_digest=digest_bytes(asked.body),
        )
        self._log.write(json.dumps(asdict(served)) + "\n")
        self._log.flush()


async def _stream(completion: Completion, timing: Timing, reply: Reply, *, include_usage: bool) -> None:
    """The events, the text's own spread evenly over the time that the answer takes."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {EVENT_STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    events = [event(part) for part in completion.parts(include_usage=include_usage)]
    last = max(1, len(events) - 1)
    from_s = monotonic_s() + timing.first_s
    await reply.send(head.encode("ascii"))
    for index, each in enumerate(events):
        wait_s = from_s + timing.rest_s * index / last - monotonic_s()
        if wait_s > _LAG_S:
            await asyncio.sleep(wait_s)
        await reply.send(chunk(each))
    await reply.send(chunk(DONE) + chunk(b""))


def _unknown() -> bytes:
    return error_body(
        "This prompt was not recorded.", kind="invalid_request_error", param="messages", code="unknown_prompt"
    )


async def _serve(replay: ReplayServer, port: int, *, until_stdin_closes: bool) -> None:
    server = HttpServer(replay.handle)
    sys.stdout.write(f"{await server.listen(port)}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    if until_stdin_closes:
        loop = asyncio.get_running_loop()
        threading.Thread(target=_end_with_stdin, args=(loop, stop), daemon=True).start()
    await stop.wait()
    await server.vanish()


def _end_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)


def main() -> None:
    """Serve until stopped; the port is printed as the first line."""
    parser = argparse.ArgumentParser(description="Replay recorded answers of a language model.")
    parser.add_argument("--answers", type=Path, required=True, help="file of recorded answers, one JSON object a line")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one when 0")
    parser.add_argument("--trace", type=Path, help="CSV with ContextTokens and GeneratedTokens")
    parser.add_argument("--first-token-s", type=float, default=Pace.__dataclass_fields__["first_token_s"].default)
    parser.add_argument("--read-token-s", type=float, default=Pace.__dataclass_fields__["read_token_s"].default)
    parser.add_argument("--token-s", type=float, default=Pace.__dataclass_fields__["token_s"].default)
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="file to which every request is appended as one line of JSON")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    given = parser.parse_args()
    try:
        recording = read_recording(given.answers)
        lengths = read_lengths(given.trace) if given.trace else None
        pace = Pace(
            first_token_s=given.first_token_s,
            read_token_s=given.read_token_s,
            token_s=given.token_s,
            spread=given.spread,
            seed=given.seed,
        )
    except RoadworthyError as error:
        sys.exit(str(error))
    log = given.log.open("a", encoding="utf-8") if given.log else None
    try:
        replay = ReplayServer(recording, pace=pace, lengths=lengths, log=log)
        asyncio.run(_serve(replay, given.port, until_stdin_closes=given.until_stdin_closes))
    finally:
        if log is not None:
            log.close()


if __name__ == "__main__":
    main()
