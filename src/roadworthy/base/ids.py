"""Unpredictable bytes and names. The only place that asks the machine for randomness."""

import secrets


def salt_bytes(count: int = 32) -> bytes:
    """``count`` unpredictable bytes."""
    return secrets.token_bytes(count)


def new_id(prefix: str) -> str:
    """A name such as ``waiver-4f1d0c2a9b7e``: 48 unpredictable bits after the prefix."""
    return f"{prefix}-{secrets.token_hex(6)}"
