"""An answer's head and the first piece of its body in one call into the system. Owns when a write goes out.

The server writes them one after the other, and each write of uvloop is a call of its own: the most expensive step of a
short answer. So the first write of a turn waits for a second one, at most until the turn of the event loop is over.
"""

import asyncio
from typing import Any


class JoinedWrites(asyncio.Transport):
    """A transport that holds the first write of a turn.

    Args:
        transport: what it stands before.
        loop: whose turns.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._held = b""
        self._due = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold the first piece, send the second with it."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        else:
            self._held = bytes(data)
            if not self._due:
                self._due = True
                self._loop.call_soon(self._end_of_turn)

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Send what is held, then close our half."""
        self._flush()
        self._transport.write_eof()

    def abort(self) -> None:
        """Close without sending anything."""
        self._held = b""
        self._transport.abort()

    def can_write_eof(self) -> bool:
        """Whether one half can be closed alone."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """Whether it closes or is closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport below."""
        return self._transport.get_extra_info(name, default)

    def _end_of_turn(self) -> None:
        self._due = False
        self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
