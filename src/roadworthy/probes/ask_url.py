"""One question to a whole URL, query included, as operators write it. Owns taking the URL apart."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from roadworthy.probes.rehearsal.reply import Reply, ask


def ask_url(url: str, method: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
    """As ``ask``, of a URL with its path and query."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return ask(f"{parts.scheme}://{parts.netloc}", method, target, body, headers, timeout_s=timeout_s)
