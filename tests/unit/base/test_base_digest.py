"""Digests: known values, the one text form, and files that are not there."""

from pathlib import Path

import pytest

from roadworthy.base.digest import digest_bytes, digest_file, digest_of, is_digest, sha256_hex
from roadworthy.base.errors import MissingFile

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_known_values() -> None:
    """The FIPS 180 example, bare and with its prefix."""
    assert sha256_hex(b"abc") == ABC
    assert digest_bytes(b"abc") == "sha256:" + ABC


def test_a_value_is_digested_by_its_canonical_bytes() -> None:
    """Member order does not matter; the bytes are those of RFC 8785."""
    assert digest_of({"b": 1.0, "a": 2}) == digest_of({"a": 2, "b": 1}) == digest_bytes(b'{"a":2,"b":1}')


def test_a_file_is_digested_by_its_bytes(tmp_path: Path) -> None:
    """Also when it is longer than one piece of reading."""
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 1_000_000)
    assert digest_file(path) == digest_bytes(b"abc" * 1_000_000)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or a folder: our error, with the path."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(MissingFile) as caught:
            digest_file(path)
        assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sha256:" + ABC, True),
        (ABC, False),
        ("sha256:" + ABC.upper(), False),
        ("sha256:" + ABC[1:], False),
        ("sha256:" + ABC + "\n", False),
        ("sha512:" + ABC, False),
    ],
)
def test_the_one_text_form(text: str, expected: bool) -> None:
    """Only the prefix with 64 lower-case hex digits is a digest."""
    assert is_digest(text) is expected
