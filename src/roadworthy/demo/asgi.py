"""What the demonstration's servers share. Owns the types of ASGI, reading a body, and ending with the process that began."""

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def read_body(receive: Receive, most_bytes: int) -> bytes | None:
    """The body, or None when it is larger; all of it is taken from the connection either way."""
    parts: list[bytes] = []
    size_bytes = 0
    more = True
    while more:
        message = await receive()
        part: bytes = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes <= most_bytes:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts) if size_bytes <= most_bytes else None


def end_with_stdin() -> None:
    """Send this process SIGTERM when its standard input ends; returns at once."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    # The buffered reader's lock would be held by this thread when the process ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
