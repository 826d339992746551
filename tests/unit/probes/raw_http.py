"""A client for broken servers: raw bytes out, raw bytes in, and how it ended."""

import json
import socket


def chat_body(text="What is due?", **more):
    """The body of a chat completion."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()


def request(path, body=b"", method="POST", **headers):
    """The bytes of a request that asks to close."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_to_end(connection):
    """All bytes until the end, and how it came: ``end``, ``reset`` or ``silence``."""
    parts = []
    while True:
        try:
            part = connection.recv(1 << 20)
        except ConnectionResetError:
            return b"".join(parts), "reset"
        except TimeoutError:
            return b"".join(parts), "silence"
        if not part:
            return b"".join(parts), "end"
        parts.append(part)


def ask(port, data, timeout_s=3.0):
    """One connection: send, read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(data)
        return read_to_end(connection)


def split(answer):
    """Head and body of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def unchunked(body):
    """The parts of a sound chunked body."""
    parts = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        if count == 0:
            assert rest == b"\r\n"
            return parts
        assert rest[count : count + 2] == b"\r\n"
        parts.append(rest[:count])
        body = rest[count + 2 :]


def events(answer):
    """The objects of a sound stream, after which ``[DONE]`` stood."""
    parts = unchunked(split(answer)[1])
    assert parts[-1] == b"data: [DONE]\n\n"
    return [json.loads(part.removeprefix(b"data: ")) for part in parts[:-1]]
