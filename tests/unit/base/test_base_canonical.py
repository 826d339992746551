"""Canonical JSON against RFC 8785's vectors, the ECMAScript number table and an independent encoder."""

import hashlib
import io
import json
import math
import re
import struct
import tarfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base import canonical
from roadworthy.base.canonical import MAX_SAFE_INTEGER, canonical_bytes, parse_canonical, parse_json
from roadworthy.base.errors import NotCanonical

# The published SHA-256 of the first n lines "hex,text" of the ECMAScript number table.
TABLE_DIGESTS = {
    1_000: "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687",
    10_000: "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892",
    100_000: "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7",
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | texts
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@pytest.fixture(scope="module")
def jcs(shared_data: Path) -> dict[str, bytes]:
    """The published test files, by their names."""
    archive = (shared_data / "conformance" / "jcs_testdata.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar.getmembers() if each.isfile()}
        return {name: stream.read() for name, stream in files.items() if stream is not None}


def test_all_published_vectors(jcs: dict[str, bytes]) -> None:
    """Every input gives its output, and the output's bytes in hex."""
    names = sorted(name for name in jcs if "/input/" in name)
    assert len(names) == 6
    for name in names:
        found = canonical_bytes(parse_json(jcs[name]))
        assert found == jcs[name.replace("/input/", "/output/")], name
        hexed = jcs[name.replace("/input/", "/outhex/").replace(".json", ".txt")]
        assert found == bytes.fromhex(hexed.decode()), name
        assert canonical_bytes(parse_canonical(found)) == found


def number_table(constants: list[int], count: int) -> Iterator[int]:
    """The bits of the doubles of the published table, by its published recipe."""
    yield from constants[:count]
    serial = [0x0010000000000000 + i for i in range(2000)]
    yield from serial[: max(0, count - len(constants))]
    block, left = bytes(32), count - len(constants) - len(serial)
    while left > 0:
        block = hashlib.sha256(block).digest()
        for (bits,) in struct.iter_unpack("<Q", block):
            value = struct.unpack("<d", struct.pack("<Q", bits))[0]
            if value != 0 and math.isfinite(value) and left > 0:
                left -= 1
                yield bits


@pytest.mark.parametrize("count", sorted(TABLE_DIGESTS))
def test_ecmascript_number_table(jcs: dict[str, bytes], count: int) -> None:
    """The numbers of the published table, derived by its recipe, have the published digest."""
    source = next(data for name, data in jcs.items() if name.endswith("README.md")).decode()
    listing = source.split("staticU64s = new BigUint64Array([")[1].split("])")[0]
    constants = [int(text, 16) for text in re.findall(r"0x([0-9a-f]{16})n", listing)]
    digest = hashlib.sha256()
    for bits in number_table(constants, count):
        value = struct.unpack("<d", struct.pack("<Q", bits))[0]
        digest.update(b"%x,%b\n" % (bits, canonical_bytes(value)))
    assert digest.hexdigest() == TABLE_DIGESTS[count]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e20, "100000000000000000000"),
        (-1e21, "-1e+21"),
        (1.5e21, "1.5e+21"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (0.0000012, "0.0000012"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (MAX_SAFE_INTEGER, "9007199254740991"),
        (-MAX_SAFE_INTEGER, "-9007199254740991"),
    ],
)
def test_numbers_at_the_edges_of_each_layout(value: float, text: str) -> None:
    """Each branch of ECMAScript's number layout, at its boundary."""
    assert canonical_bytes(value).decode() == text


def test_names_are_ordered_by_utf16_and_not_by_code_point() -> None:
    """U+1F600 is a surrogate pair that sorts before U+FB33, although its code point is greater."""
    assert canonical_bytes({"\ufb33": 1, "\U0001f600": 2, "a": 3}).decode() == '{"a":3,"\U0001f600":2,"\ufb33":1}'


class Colour(StrEnum):
    """A text with a class of its own."""

    RED = "red"


def test_what_counts_as_a_plain_value() -> None:
    """Tuples, read-only mappings and subclasses of the scalars are written as what they hold."""
    value = {"a": (1, True, None, False), "b": MappingProxyType({"c": Colour.RED}), "d": []}
    assert canonical_bytes(value) == b'{"a":[1,true,null,false],"b":{"c":"red"},"d":[]}'


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, math.nan]}, "$.a[1]"),
        ([math.inf], "$[0]"),
        ({"n": 2**53}, "$.n"),
        ({"n": -(2**53)}, "$.n"),
        ({"t": "\ud800"}, "$.t"),
        ({"\udfff": 1}, "$.\\udfff"),
        ({"a": {1: 2}}, "$.a"),
        ([b"bytes"], "$[0]"),
        ({"s": {1, 2}}, "$.s"),
    ],
)
def test_what_has_no_canonical_form_is_named_with_its_path(value: Any, where: str) -> None:
    """Every refused value says where it stands."""
    with pytest.raises(NotCanonical) as caught:
        canonical_bytes(value)
    assert caught.value.where == where
    assert str(caught.value).encode("utf-8")


def test_nesting_without_end_is_an_error_of_ours() -> None:
    """A circle, and a text of brackets, end in NotCanonical and not in a crash."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotCanonical, match="too deeply"):
        canonical_bytes(circle)
    with pytest.raises(NotCanonical, match="too deeply"):
        parse_json(b"[" * 200_000)


def test_a_hundred_thousand_repeated_names_are_told_in_one_pass_and_in_one_line() -> None:
    """Strangers choose what is read: ten names are shown, and the work grows with the bytes."""
    body = "{" + ",".join(f'"{number % 50_000}":1' for number in range(100_000)) + "}"
    with pytest.raises(NotCanonical, match="and more") as refused:
        parse_json(body.encode())
    assert len(refused.value.what) < 300


def test_an_escape_deep_down_is_read_or_refused_but_never_a_crash() -> None:
    """One escape makes the reader look for lone surrogates; nesting without end stays an error of ours."""
    assert parse_json(b'["\\u0061"]') == ["a"]
    deep: Any = "a"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotCanonical, match="nested"):
        canonical._refuse_lone_surrogates(deep)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":2}', "more than once"),
        (b"NaN", "not a JSON number"),
        (b"[-Infinity]", "not a JSON number"),
        (b"1e400", "too large"),
        (b"1" + b"0" * 400, "too large"),
        (b'"\\ud800"', "lone surrogate"),
        (b"\xff", "not UTF-8"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_strict_reading_refuses(data: bytes, words: str) -> None:
    """What I-JSON forbids is an error that says so."""
    with pytest.raises(NotCanonical, match=words):
        parse_json(data)


@pytest.mark.parametrize(
    "data", [b"1.0", b" 1", b'{"b":1,"a":2}', b'"\\u0041"', b"[1, 2]", b"-0", b"1e2", b'{"a":1}\n']
)
def test_another_layout_is_json_but_not_canonical(data: bytes) -> None:
    """The strict reader takes it, the canonical one does not."""
    parse_json(data)
    with pytest.raises(NotCanonical, match="not canonical from offset"):
        parse_canonical(data)


def test_integers_beyond_2_53_are_read_as_doubles() -> None:
    """The value is the double that the digits stand for, so that writing it again gives the same digits."""
    assert parse_canonical(b"9007199254740994") == 9007199254740994.0
    assert isinstance(parse_json(b"9007199254740992"), float)
    assert parse_json(b"9007199254740991") == MAX_SAFE_INTEGER
    with pytest.raises(NotCanonical):
        parse_canonical(b"9007199254740993")


def obvious(value: Any) -> str:
    """The encoder as one would first write it: exact decimal arithmetic, names compared as UTF-16, no short cuts."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: list(memoryview(name.encode("utf-16-be"))))
        return "{" + ",".join(f"{obvious(name)}:{obvious(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(obvious(item) for item in value) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if value == 0:
        return "0"
    digits, exponent = next(
        f"{abs(value):.{p}e}" for p in range(18) if float(f"{abs(value):.{p}e}") == abs(value)
    ).split("e")
    digits = digits.replace(".", "").rstrip("0")
    point = int(exponent) + 1
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


@given(values)
def test_the_obvious_encoder_agrees(value: Any) -> None:
    """On arbitrary values, the encoder and the obvious one write the same bytes."""
    assert canonical_bytes(value) == obvious(value).encode()


@given(values)
def test_writing_what_was_read_gives_the_same_bytes(value: Any) -> None:
    """Canonical bytes are a fixed point, and plain JSON for everybody else."""
    data = canonical_bytes(value)
    assert canonical_bytes(parse_canonical(data)) == data
    assert canonical_bytes(json.loads(data, parse_int=float)) == data
