"""Patterns of RE2 in Python's matcher: the same answer, or none."""

import time

import duckdb
import pytest

from roadworthy.measure.patterns import NotCarriedOver, searcher

TEXTS = [
    "",
    "a",
    "b\n",
    "a\n",
    "\n",
    "ab",
    "aab",
    "é",
    "e\u0301",
    "٣",
    "3",
    "_",
    "-",
    "]",
    "\v",
    "\t",
    " ",
    "a-b",
    "x.y",
    "A",
    "k",
    "K",
]
TEXTS += ["a{2}", "p-000123", "me@x.org", "\x00", "a\x00b", "^a$", "aaaa", "\u212a", "ß", "\u2028"]
CARRIED = [
    *["", "a$", "^a", "^$", r"\Aa\z", r"a\b", r"\Ba", ".", "..", r"\d", r"\D", r"\w", r"\W+", r"^\s$", r"\S", r"[^a]", r"[a-]"],
    *[r"[-a]", r"[\w.-]+@", r"[^\d\s]", r"[\]\-]", r"a{2}", r"a{2,}", r"a{1,2}$", r"a|b", r"(a|b)c?", r"(?:ab)+", "a*?b", r"\.", r"\x20".replace("\\x20", " ")],
    *["^p-[0-9]{6}$", "é", r"\t|\n|\r|\f", r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}", "[K]", r"(a?)?", "k"],
]  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    """One connection; a pattern over all texts is one query."""
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("pattern", CARRIED)
def test_carried_over_patterns_find_the_same(engine, pattern):
    """Against RE2 itself, as DuckDB runs it, over texts where the two dialects differ."""
    found = engine.execute("SELECT regexp_matches(unnest(?::VARCHAR[]), ?)", [TEXTS, pattern]).fetchall()
    search = searcher(pattern)
    assert [search(text) is not None for text in TEXTS] == [row[0] for row in found]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+$", "more than one way"), ("(a|a)*$", "more than one way"), ("(a?){9}", "more than one way"),
        ("(?i)a", "flags"), ("(?P<x>a)", "flags"), (r"\pL", "escape"), (r"\x41", "escape"), (r"\é", "escape"),
        ("[[:alpha:]]", "named class"), ("[]a]", "empty class"), (r"[\D]", "escape"), ("a{1001}", "repetitions"),
        ("a**", "repetition of"), ("*a", "nothing can be repeated"), ("^*", "repetition of nothing"), ("(*a)", "repetition of nothing"),
        ("a{,2}", "brace"), ("(a", "not closed"), ("a)", "not opened"), ("[a", "too early"), ("a\\", "too early"),
        ("a*b*c*d*e*f*g*", "open repetitions"), (r"\b+", "repetition of nothing"),
        ("a*a*a*a*a*a*b", "open repetitions"), ("a*a*a*b", "open repetitions"), ("^a*a*a*a*b", "open repetitions"),
        ("^a|a*a*a*b", "open repetitions"),
    ],
)  # fmt: skip
def test_others_stay_with_the_batch(pattern, why):
    """Differences of the dialects, and repetitions that a crafted text could make take forever."""
    with pytest.raises(NotCarriedOver, match=why):
        searcher(pattern)


@pytest.mark.parametrize("pattern", ["a*a*b", "^a*a*a*b", r"\Aa*(?:b|a+)a*c", r"^[^@\s]+@[^@\s]+\.[^@\s]+$"])
def test_few_open_repetitions_are_quick(pattern):
    """The most that is carried over, on a text made to be backtracked over."""
    start = time.process_time()
    assert searcher(pattern)("a" * 300) is None
    assert time.process_time() - start < 2.0
