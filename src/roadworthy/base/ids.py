"""Unpredictable bytes and names. The only place that asks the machine for randomness.

What is wanted often is drawn in blocks, because a call into the system costs more than the use that is made of it. A
process that was forked throws its parent's block away: no piece is ever handed out twice.
"""

import os
import secrets

from roadworthy.base.clock import now_us

_PIECES = 512


class _Block:
    """Unpredictable pieces of one size. Safe to use from several threads: ``list.pop`` is one step."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pieces: list[bytes] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def take(self) -> bytes:
        """One piece that nobody had before."""
        try:
            return self._pieces.pop()
        except IndexError:
            size, block = self._size, secrets.token_bytes(self._size * _PIECES)
            pieces = [block[start : start + size] for start in range(0, len(block), size)]
            piece = pieces.pop()
            self._pieces = pieces
            return piece

    def forget(self) -> None:
        """Throw away what is left of the block."""
        self._pieces = []


_SALTS = _Block(32)
_TAILS = _Block(10)


def salt_bytes(count: int = 32) -> bytes:
    """``count`` unpredictable bytes."""
    return secrets.token_bytes(count)


def quick_salt() -> bytes:
    """32 unpredictable bytes out of a block."""
    return _SALTS.take()


def new_id(prefix: str) -> str:
    """A name such as ``waiver-4f1d0c2a9b7e``: 48 unpredictable bits after the prefix."""
    return f"{prefix}-{secrets.token_hex(6)}"


def new_uuid7() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 unpredictable bits."""
    at, tail = f"{now_us() // 1000:012x}", _TAILS.take().hex()
    variant = "89ab"[int(tail[3], 16) & 3]
    return f"{at[:8]}-{at[8:]}-7{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


def random_share() -> float:
    """A number in [0, 1), evenly spread over the doubles that are multiples of 2**-53."""
    return secrets.randbits(53) / (1 << 53)
