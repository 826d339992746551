"""A small server that gives set answers, for checks' own specimens. Owns starting and ending it.

What it answers is the caller's: a table of answers by method and path, or a function where the answer depends on what was
asked. Whatever is in neither is a 404.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

from roadworthy.probes.http_server import Asked, HttpServer, Reply, response
from roadworthy.probes.loop_thread import LoopThread

Respond = Callable[[Asked], tuple[int, bytes]]


@contextlib.contextmanager
def answering(respond: Respond, *, headers: bytes = b"") -> Iterator[str]:
    """Serve on a free loopback port for as long as the context lasts.

    Args:
        respond: status and body for a request; it runs in the server's loop and must not block.
        headers: further header lines of every answer, each with its line end.

    Yields:
        the URL, without a slash at its end.
    """

    async def handle(asked: Asked, reply: Reply) -> None:
        status, body = respond(asked)
        await reply.send(response(status, body, more=headers))

    loop = LoopThread("answering")
    server = HttpServer(handle)
    try:
        port = loop.call(server.listen())
        yield f"http://127.0.0.1:{port}"
        loop.call(server.vanish())
    finally:
        loop.stop()


def table(answers: Mapping[str, bytes]) -> Respond:
    """Answers by ``METHOD /path``, each with status 200."""

    def respond(asked: Asked) -> tuple[int, bytes]:
        found = answers.get(f"{asked.method} {asked.path}")
        return (404, b"{}") if found is None else (200, found)

    return respond
