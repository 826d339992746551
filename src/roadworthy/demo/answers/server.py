"""A policy search behind HTTP: ``python -m roadworthy.demo.answers.server``. Owns the endpoints of a small real AI system.

It knows ``POST /v1/chat/completions``, whole and streamed, ``GET /v1/models``, ``GET /release`` (a digest of the documents,
the mode and every number that shapes an answer), ``GET /sources`` (the data scope of each document by id) and
``GET /health``. An answer carries its sources in the member ``citations``.

Rule kept here: nothing depends on the clock or on chance. The same question gets the same bytes.
"""

import argparse
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import uvicorn

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import RoadworthyError
from roadworthy.demo.answers.documents import HANDBOOK, SCOPES, read_documents, scopes_of
from roadworthy.demo.answers.extractive import Answerer, Mode
from roadworthy.demo.answers.ranking import words_of
from roadworthy.demo.asgi import Message, Receive, Send, end_with_stdin, read_body
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

MODEL = "policy-search"
_JSON = "application/json"
_MAX_BODY_BYTES = 1024 * 1024
_COMPLETIONS = "/v1/chat/completions"


class Application:
    """The ASGI application.

    Args:
        answerer: the system.
    """

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        described = {"release": answerer.release, "mode": answerer.mode.value, "documents": len(answerer.documents)}
        self._documents = {
            "/v1/models": models_body((MODEL,)),
            "/release": encode(described),
            "/sources": encode(scopes_of(answerer.documents)),
            "/health": encode({"ready": True}),
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if method == "GET" and path in self._documents:
            await _send(send, 200, self._documents[path])
        elif (method, path) != ("POST", _COMPLETIONS):
            await _refuse(send, 404, f"There is no {method} {path}.")
        else:
            await self._complete(await read_body(receive, _MAX_BODY_BYTES), send)

    async def _complete(self, body: bytes | None, send: Send) -> None:
        if body is None:
            await _refuse(send, 413, f"The body is larger than {_MAX_BODY_BYTES} bytes.")
            return
        question = read_question(body)
        if question is None:
            await _refuse(send, 400, "There is no message of a user.", param="messages")
            return
        completion = self._completion(question, body)
        if question.stream:
            await _stream(send, completion, include_usage=question.include_usage)
        else:
            await _send(send, 200, encode(completion.whole()))

    def _completion(self, question: Question, body: bytes) -> Completion:
        answer = self._answerer.answer(question.text)
        return Completion(
            id=f"chatcmpl-{digest_bytes(body)[7:31]}",
            model=MODEL,
            text=answer.text,
            prompt_tokens=len(words_of(question.text)),
            completion_tokens=len(answer.text.split()),
            more={"citations": [asdict(each) for each in answer.citations]},
        )


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", _JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, status: int, message: str, param: str | None = None) -> None:
    await _send(send, status, error_body(message, kind="invalid_request_error", param=param))


async def _stream(send: Send, completion: Completion, *, include_usage: bool) -> None:
    headers = [(b"content-type", EVENT_STREAM.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in completion.parts(include_usage=include_usage):
        await send({"type": "http.response.body", "body": event(part), "more_body": True})
    await send({"type": "http.response.body", "body": DONE})


def main() -> None:
    """Serve until stopped; the port is printed as the first line."""
    parser = argparse.ArgumentParser(description="Answer questions with sentences of a handbook.")
    parser.add_argument("--documents", type=Path, default=HANDBOOK, help="folder of Markdown files")
    parser.add_argument("--scopes", default=",".join(SCOPES), help="data scopes to serve, separated by commas")
    parser.add_argument(
        "--mode", choices=[mode.value for mode in Mode], default=Mode.TEXTS.value, help="what is searched"
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one when 0")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    given = parser.parse_args()
    try:
        documents = read_documents(given.documents, scopes=given.scopes.split(","))
    except RoadworthyError as error:
        sys.exit(str(error))
    application = Application(Answerer(documents, Mode(given.mode)))
    if given.until_stdin_closes:
        end_with_stdin()
    settings = uvicorn.Config(application, log_level="warning", access_log=False, http="httptools", lifespan="off")
    with socket.create_server(("127.0.0.1", given.port), backlog=settings.backlog) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
