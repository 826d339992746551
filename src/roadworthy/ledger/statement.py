"""in-toto Statement v1: a predicate about subjects that are named by digest. Owns building and strict reading.

What a predicate means belongs to its type; signing belongs to ``dsse``.
Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.errors import MalformedEvidence, NotCanonical

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REMEDY = "Record it again with this version of Roadworthy."


class Subject(NamedTuple):
    """What a statement is about: a name, and the SHA-256 as 64 lower-case hex digits, without prefix."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that was read.

    Attributes:
        subjects: at least one.
        predicate_type: the URI that says how to read the predicate.
        predicate: plain JSON members.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]


def statement(subjects: Sequence[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a statement.

    Args:
        subjects: pairs of name and SHA-256 in hex; at least one.
        predicate_type: a URI.
        predicate: plain JSON members.

    Raises:
        MalformedEvidence: no subject, a digest that is not SHA-256 in hex, or an empty type (RW-201).
        NotCanonical: the predicate has no canonical form (RW-111).
    """
    _require([Subject(*pair) for pair in subjects], predicate_type)
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def parse_statement(data: bytes) -> Statement:
    """Read a statement from its canonical bytes.

    Raises:
        MalformedEvidence: not canonical JSON, a member that is missing, unknown or of the wrong type, or a subject
            without a well-formed SHA-256 (RW-201).
    """
    try:
        value = parse_canonical(data)
    except NotCanonical as error:
        raise MalformedEvidence(f"The statement is not canonical JSON: {error.what}", remedy=_REMEDY) from error
    members = _object(value, {"_type", "subject", "predicateType", "predicate"}, "statement")
    if members["_type"] != STATEMENT_TYPE:
        raise MalformedEvidence(f"The statement's type is {members['_type']!r}.", remedy=_REMEDY)
    kind, predicate, subjects = members["predicateType"], members["predicate"], members["subject"]
    if not isinstance(kind, str) or not isinstance(predicate, dict) or not isinstance(subjects, list):
        what = "The statement needs predicateType as text, predicate as an object and subject as a list."
        raise MalformedEvidence(what, remedy=_REMEDY)
    read = tuple(_subject(each) for each in subjects)
    _require(read, kind)
    return Statement(subjects=read, predicate_type=kind, predicate=predicate)


def _subject(value: Any) -> Subject:
    members = _object(value, {"name", "digest"}, "subject")
    digest = _object(members["digest"], {"sha256"}, "digest of a subject")
    if not isinstance(members["name"], str) or not isinstance(digest["sha256"], str):
        raise MalformedEvidence("The name and the digest of a subject are text.", remedy=_REMEDY)
    return Subject(members["name"], digest["sha256"])


def _require(subjects: Sequence[Subject], predicate_type: str) -> None:
    if not subjects or not predicate_type:
        raise MalformedEvidence("A statement needs a subject and a predicate type.", remedy=_REMEDY)
    for subject in subjects:
        if not _SHA256.fullmatch(subject.sha256):
            what = f"The digest {subject.sha256[:80]!r} of the subject {subject.name!r} is not SHA-256 in hex."
            raise MalformedEvidence(what, remedy="Give 64 lower-case hex digits, without a prefix.")


def _object(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise MalformedEvidence(f"The {what} does not have exactly the members {sorted(names)}.", remedy=_REMEDY)
    return value
