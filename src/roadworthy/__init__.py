"""Roadworthy carries an AI use case from pilot to production.

The whole in one sentence: a gate is a pure function of evidence, signatures and an instant; everything else either
produces evidence, stores it, or shows it.

Importing this package loads nothing but itself. What is public to other packages stands in ``roadworthy.kit``; the
command line and the packs are public to everybody. ``roadworthy.profile`` and ``roadworthy.compare`` look at tables; they
and what they need are loaded when one of them is first named.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "profile"]

_PUBLIC = {"compare": "roadworthy.measure.profile.public", "profile": "roadworthy.measure.profile.public"}


def __getattr__(name: str) -> Any:
    """The functions that need more than the standard library, when they are first named (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """What can be named."""
    return sorted({*globals(), *_PUBLIC})
