"""The cheapest HTTP/1.1 server that Python allows: one read, one fixed answer. For measuring the load generator itself.

Prints its port on standard output and serves until it is terminated. ``--pause-s`` makes it stand still once,
``--pause-after-s`` after its first request: a pause that an honest generator must show.
"""

import argparse
import asyncio
import sys
import time

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Pause:
    """Stands still once."""

    def __init__(self, after_s: float, length_s: float) -> None:
        self.after_s = after_s
        self.length_s = length_s
        self.first_s: float | None = None

    def ask(self) -> None:
        """Called with every request."""
        now = time.perf_counter()
        if self.first_s is None:
            self.first_s = now
        if self.length_s and now - self.first_s >= self.after_s:
            length_s, self.length_s = self.length_s, 0.0
            time.sleep(length_s)  # the whole process stands still, as in a long collection


class Server(asyncio.Protocol):
    """Answers every read; the generator writes a whole request at once."""

    def __init__(self, pause: Pause) -> None:
        self.pause = pause

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.pause.ask()
        self.transport.write(ANSWER)  # type: ignore[attr-defined]  # a stream protocol always gets a Transport


async def serve(pause: Pause) -> None:
    """Serve on a free port of the loopback interface."""
    server = await asyncio.get_running_loop().create_server(lambda: Server(pause), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause-after-s", type=float, default=0.0)
    parser.add_argument("--pause-s", type=float, default=0.0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Pause(options.pause_after_s, options.pause_s)))


if __name__ == "__main__":
    main()
