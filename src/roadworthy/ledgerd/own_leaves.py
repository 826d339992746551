"""What only the ledger's own process may write. Owns how such a leaf is recognised, and what a leaf from outside must be.

Everybody who may connect may append, and a leaf that was acknowledged stands for ever. So what is read back with
consequences - an erasure, the instant of the last start - is never taken from outside, and what could not be read back at
all is not taken either. Everything else about a leaf is the matter of whoever wrote it.
"""

from roadworthy.base.canonical import parse_json
from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import InputError
from roadworthy.domain.exchange import LeafKind

STARTED = "ledgerd started"
"""The subject of the first leaf of a run."""

# In canonical JSON a text inside a text has its quotation marks escaped, so these bytes are a member and nothing else.
_ERASED = f'"kind":"{LeafKind.ERASED.value}"'.encode()
_NODE = f'"kind":"{LeafKind.NODE.value}"'.encode()
_STARTED = f'"subject":"{STARTED}"'.encode()


def is_own(leaf: bytes) -> bool:
    """Whether a leaf says that it is an erasure or the beginning of a run."""
    return _ERASED in leaf or (_STARTED in leaf and _NODE in leaf)


def why_not_from_outside(leaf: bytes) -> str | None:
    """Why a leaf may not be appended over the socket; None when it may."""
    if not (leaf.startswith(b"{") and leaf.endswith(b"}")):
        return "a leaf is a JSON object"
    if not leaf.isascii():
        try:
            leaf.decode()
        except UnicodeDecodeError:
            return "a leaf is text in UTF-8"
    return "only the ledger itself writes erasures and the beginnings of its runs" if is_own(leaf) else None


def own_instant(leaf: bytes) -> str | None:
    """The instant that a leaf names; None when it names none."""
    try:
        value = parse_json(leaf)
        at = value.get("at") if isinstance(value, dict) else None
        return format_instant(parse_instant(at)) if isinstance(at, str) else None
    except InputError:
        return None
