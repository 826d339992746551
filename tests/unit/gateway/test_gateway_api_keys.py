"""API keys: made, kept as hashes, and refused without saying why."""

from datetime import UTC, datetime

import pytest

from roadworthy.base.clock import parse_instant
from roadworthy.base.errors import ManifestError
from roadworthy.gateway.identity.api_keys import ApiKeys, new_key, parse_keys

END = datetime(2027, 1, 1, tzinfo=UTC)
END_S = END.timestamp()


def key_file(tmp_path, *lines):
    path = tmp_path / "keys.yaml"
    path.write_text("api_keys: 1\nkeys:\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_a_new_key_opens_with_its_line(tmp_path):
    """Text and line belong together, and every member reaches the caller."""
    text, line = new_key(
        "ward-3",
        owner="Dr. Ärztin 😀",
        expires_at=END,
        roles=["clinician"],
        cohort="pilot",
        scopes=["a"],
        purposes=["p"],
    )
    keys = ApiKeys(key_file(tmp_path, line), 0.0)
    caller = keys.caller(text.encode(), 0.0)
    assert caller is not None
    assert (caller.id, caller.credential, caller.cohort) == ("key:Dr. Ärztin 😀", "ward-3", "pilot")
    assert (caller.roles, caller.scopes, caller.purposes) == (frozenset({"clinician"}), frozenset("a"), frozenset("p"))
    assert text.startswith("rw_ward-3_")
    assert text.rpartition("_")[2] not in line


def test_two_keys_have_nothing_in_common(tmp_path):
    """Each secret is new, and opens its own id only."""
    one, first = new_key("one", expires_at=END)
    two, second = new_key("two", expires_at=END)
    keys = ApiKeys(key_file(tmp_path, first, second), 0.0)
    assert one.rpartition("_")[2] != two.rpartition("_")[2]
    swapped = "rw_one_" + two.rpartition("_")[2]
    assert keys.caller(swapped.encode(), 0.0) is None
    assert keys.caller(one.encode(), 0.0) is not None


def test_a_new_key_ends_by_itself():
    """Without an end of its own it has one in 90 days; a bad id makes no key."""
    _, line = new_key("short")
    assert '"expires_at": "20' in line
    with pytest.raises(ManifestError):
        new_key("Bad Id")


def test_an_end_is_exclusive(tmp_path):
    """At the instant itself the key counts no more."""
    text, line = new_key("k", expires_at=END)
    keys = ApiKeys(key_file(tmp_path, line), 0.0)
    assert keys.caller(text.encode(), END_S - 0.001) is not None
    assert keys.caller(text.encode(), END_S) is None


def test_what_does_not_count_is_none(tmp_path):
    """Disabled, unknown, cut, empty, longer, or in another encoding."""
    text, line = new_key("k", expires_at=END)
    off, off_line = new_key("off", expires_at=END)
    keys = ApiKeys(key_file(tmp_path, line, off_line.replace("}", ', "disabled": true}')), 0.0)
    good = text.encode()
    bad = [
        off.encode(),
        b"rw_unknown_" + b"0" * 64,
        good[:-1],
        good + b"0",
        b"rw_k_",
        b"rw_k",
        b"rw_",
        b"rw__",
        b"\xff",
    ]
    assert [keys.caller(key, 0.0) for key in bad] == [None] * len(bad)
    assert keys.caller(good, 0.0) is not None


def test_a_disabled_key_is_noticed_while_running(tmp_path):
    """The file is read again when it changes."""
    text, line = new_key("k", expires_at=END)
    path = key_file(tmp_path, line)
    keys = ApiKeys(path, 0.0)
    assert keys.caller(text.encode(), 0.5) is not None
    key_file(tmp_path, line.replace("}", ', "disabled": true}'))
    assert keys.caller(text.encode(), 1.5) is None


def test_a_damaged_file_keeps_its_keys_for_a_minute(tmp_path):
    """Long enough for an editor, not for a mistake; the fault is told at once."""
    text, line = new_key("k", expires_at=END)
    path = key_file(tmp_path, line)
    keys = ApiKeys(path, 0.0)
    path.write_text("api_keys: 1\nkeys: {")
    assert keys.caller(text.encode(), 30.0) is not None
    assert "not YAML" in keys.fault
    assert keys.caller(text.encode(), 61.0) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line + "\n" + line,
        lambda line: line.replace('"owner"', '"ownr"'),
        lambda line: line.replace('"sha256": "', '"sha256": "z'),
        lambda line: line.replace("+00:00", "").replace('Z"', '"'),
        lambda line: "\x00",
    ],
)
def test_a_file_with_a_mistake_is_no_start(tmp_path, change):
    """Repeated ids, unknown keys, bad hashes, ends without a zone, no YAML."""
    _, line = new_key("k", expires_at=END)
    with pytest.raises(ManifestError):
        ApiKeys(key_file(tmp_path, change(line)), 0.0)


def test_a_missing_file_is_no_start(tmp_path):
    """The gateway does not begin without its keys."""
    with pytest.raises(ManifestError, match="cannot be read"):
        ApiKeys(tmp_path / "none.yaml", 0.0)


def test_a_long_list_may_be_json(tmp_path):
    """What a program writes is read without YAML."""
    text, line = new_key("k", expires_at=END)
    path = tmp_path / "keys.json"
    path.write_text('{"api_keys": 1, "keys": [' + line.removeprefix("- ") + "]}")
    assert ApiKeys(path, 0.0).caller(text.encode(), 0.0) is not None


def test_the_end_in_the_file_is_the_end_of_the_caller():
    """To the second since 1970."""
    _, line = new_key("k", expires_at=parse_instant("2026-12-01T00:00:00Z"))
    (key,) = parse_keys(f"api_keys: 1\nkeys:\n{line}".encode(), "f").values()
    assert key.caller.expires_at_s == 1_796_083_200.0
