"""An AI system that costs next to nothing: answers chat completions with one fixed body, or with a stream of 40 chunks.

Prints its port and serves until it is terminated. A body that says ``"stream":true`` gets server-sent events, one every
20 ms, each with the instant at which it was written, so that a reader on this machine can tell how long it took.
"""

import asyncio
import sys
import time

import uvloop

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"' + b"The policy says so. " * 12 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":40,"completion_tokens":60,"total_tokens":100}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKS, EVERY_S = 40, 0.02


class Connection(asyncio.Protocol):
    """Reads requests by their content length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        buffer = self.buffer + data if self.buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(buffer) < end + 4 + length:
                break
            body, buffer = buffer[end + 4 : end + 4 + length], buffer[end + 4 + length :]
            if b'"stream":true' in body:
                self.transport.write(STREAM)
                self._chunk(0)
            else:
                self.transport.write(ANSWER)
        self.buffer = buffer

    def _chunk(self, number: int) -> None:
        if self.transport.is_closing():
            return
        if number == CHUNKS:
            self.transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            return
        text = b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % time.perf_counter_ns()
        self.transport.write(b"%x\r\n%b\r\n" % (len(text), text))
        asyncio.get_running_loop().call_later(EVERY_S, self._chunk, number + 1)


async def serve() -> None:
    """Serve on a free port of the loopback interface."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
