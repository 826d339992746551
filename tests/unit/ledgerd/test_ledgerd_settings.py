import json
from pathlib import Path

import pytest

from roadworthy.base.errors import InputError, MissingFile, NotCanonical, ParameterError
from roadworthy.ledgerd.settings import LedgerSettings, read_settings, require_short_socket

LEAST = {"folder": "ledger", "origin": "example.org/x", "key_path": "key.pem", "socket_path": "l.sock"}


@pytest.fixture
def read(tmp_path):
    def write_and_read(members):
        path = tmp_path / "settings.json"
        path.write_text(members if isinstance(members, str) else json.dumps(members), encoding="utf-8")
        return read_settings(path)

    return write_and_read


def test_paths_are_relative_to_the_file_and_the_rest_has_usual_values(read, tmp_path):
    """The least that must be said."""
    settings = read(LEAST)
    assert settings == LedgerSettings(
        folder=tmp_path / "ledger",
        origin="example.org/x",
        key_path=tmp_path / "key.pem",
        socket_path=tmp_path / "l.sock",
    )
    assert (settings.most_waiting, settings.segment_bytes, settings.quorum) == (4096, 64 * 1024 * 1024, 0)


def test_everything_can_be_said(read):
    """Lists become tuples; an absolute path stays."""
    settings = read(
        {**LEAST, "folder": "/l", "witnesses": ["http://w"], "witness_keys": ["k"], "quorum": 1, "node": "n"}
    )
    assert (settings.folder, settings.witnesses, settings.witness_keys) == (Path("/l"), ("http://w",), ("k",))
    assert (settings.quorum, settings.node) == (1, "n")


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"origin": None},
        {"origin": ""},
        {"node": ""},
        {"folder": 7},
        {"most_waiting": "many"},
        {"most_waiting": 0},
        {"most_waiting": True},
        {"segment_bytes": 1.5},
        {"quorum": -1},
        {"quorum": 1},
        {"witnesses": "http://w"},
        {"witnesses": [7]},
    ],
)
def test_what_is_wrong_is_refused(read, change):
    """An unknown name, another type, a value out of range; the file is named."""
    with pytest.raises(ParameterError) as caught:
        read({**LEAST, **change})
    assert "settings.json" in caught.value.where


def test_a_missing_member_is_named(read):
    """There is no ledger without a folder."""
    with pytest.raises(ParameterError, match="folder"):
        read({name: value for name, value in LEAST.items() if name != "folder"})


def test_a_file_that_is_no_settings_is_refused(read, tmp_path):
    """Not JSON, not an object, not there."""
    with pytest.raises(NotCanonical):
        read("{")
    with pytest.raises(ParameterError, match="object"):
        read("[]")
    with pytest.raises(MissingFile):
        read_settings(tmp_path / "none.json")


def test_a_socket_path_has_at_most_107_bytes():
    """That is all that the kernel takes."""
    require_short_socket(Path("/" + "x" * 106))
    with pytest.raises(InputError, match="107"):
        require_short_socket(Path("/" + "x" * 107))
