"""What a check of the gateway needs from the manifest, or says that it is missing. Not a check itself."""

from pathlib import Path

from roadworthy.base.errors import ManifestError


def required_file(path: Path | None, key: str) -> Path:
    """A file that was declared beside the gateway.

    Args:
        path: of the gateway's block; None when it was not declared.
        key: of that block, for the message.

    Raises:
        ManifestError: it was not declared (RW-101).
    """
    if path is None:
        raise ManifestError(
            f"gateway.{key} is not declared.", remedy=f"Name its file as gateway.{key}.", where=f"gateway.{key}"
        )
    return path


def required_url(url: str, key: str) -> str:
    """An address of the gateway that serves.

    Raises:
        ManifestError: it was not declared (RW-101).
    """
    if not url:
        raise ManifestError(
            f"gateway.{key} is not declared, so nothing runs that could be looked at.",
            remedy=f"Deploy the gateway and name its address as gateway.{key}.",
            where=f"gateway.{key}",
        )
    return url
