"""The container: the same bytes for the same contents, and every byte accounted for."""

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import BundleBroken, MissingFile, ParameterError
from roadworthy.ledger import bundle
from roadworthy.ledger.bundle import MANIFEST, manifest_faults, manifest_of, pack, read_bundle, unpack, write_bundle

MEMBERS = {"b/two": b"2" * 70, "a": b"", "b/one.json": b"{}"}


def test_there_and_back(tmp_path: Path) -> None:
    """Members and their manifest come back; nothing else is left in the folder."""
    path = tmp_path / "bundle.zip"
    write_bundle(path, MEMBERS)
    assert read_bundle(path) == {**MEMBERS, MANIFEST: manifest_of(MEMBERS)}
    assert [each.name for each in tmp_path.iterdir()] == ["bundle.zip"]


def test_the_bytes_are_a_function_of_the_contents(tmp_path: Path) -> None:
    """The order in which members are given does not matter, and a file is replaced whole."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"an older bundle")
    write_bundle(path, MEMBERS)
    first = path.read_bytes()
    write_bundle(path, dict(reversed(MEMBERS.items())))
    assert path.read_bytes() == first == pack({**MEMBERS, MANIFEST: manifest_of(MEMBERS)})


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Payloads stand in it in clear: mode 0600 whatever the mask, also over a file that everybody could read."""
    path = tmp_path / "bundle.zip"
    path.touch(0o644)
    before = os.umask(0)
    try:
        write_bundle(path, MEMBERS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_zip_reader_can_open_it() -> None:
    """The standard library reads the members and finds no fault."""
    with zipfile.ZipFile(io.BytesIO(pack(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS
        assert archive.namelist() == sorted(MEMBERS)
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())


def test_every_changed_byte_is_found() -> None:
    """Each bit of the container, wherever it stands, and the first changed byte is named."""
    good = pack(MEMBERS)
    for offset in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[offset] ^= 1 << bit
            assert unpack(bytes(bad)).fault, offset
    assert unpack(good).fault is None


def test_the_place_of_a_change_is_named() -> None:
    """A date in a member's header, the central directory, and trailing bytes."""
    good = pack(MEMBERS)
    dated = bytearray(good)
    dated[10] ^= 1
    assert "offset 10, in a," in str(unpack(bytes(dated)).fault)
    central = bytearray(good)
    central[good.index(b"PK\1\2") + 5] ^= 1
    assert "in the central directory" in str(unpack(bytes(central)).fault)
    assert "in the central directory" in str(unpack(good + b"x").fault)
    assert "at the end of the file" in str(unpack(good[:-1]).fault)
    assert unpack(b"").fault


def test_names_that_drive_a_terminal_are_quoted() -> None:
    """A name is never shown raw unless it is plain."""
    bad = pack(MEMBERS).replace(b"b/two", b"b\x1btwo")
    members, fault = unpack(bad)
    assert fault
    assert "\x1b" not in fault + "".join(members)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "a b", "é", "a\\b"])
def test_only_plain_names(name: str) -> None:
    """What could be read in two ways cannot be written."""
    with pytest.raises(ParameterError):
        pack({name: b""})


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many members or bytes for a plain zip."""
    monkeypatch.setattr(bundle, "MAX_BYTES", 100)
    with pytest.raises(ParameterError, match="do not fit"):
        pack({"a": bytes(100)})


def test_a_broken_file_is_not_read(tmp_path: Path) -> None:
    """Neither with a changed container, nor with a manifest that does not fit, nor when it is missing."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack(MEMBERS) + b"x")
    with pytest.raises(BundleBroken, match="not what the members demand"):
        read_bundle(path)
    path.write_bytes(pack({**MEMBERS, MANIFEST: manifest_of({**MEMBERS, "a": b"x"})}))
    with pytest.raises(BundleBroken, match="a is not as the manifest lists it"):
        read_bundle(path)
    with pytest.raises(MissingFile):
        read_bundle(tmp_path / "none.zip")


def test_what_manifest_and_members_disagree_about() -> None:
    """A missing manifest, a changed, an added and a dropped member, another form of the same list."""
    good = {**MEMBERS, MANIFEST: manifest_of(MEMBERS)}
    assert manifest_faults(good) == []
    assert manifest_faults(MEMBERS) == ["manifest.json is missing."]
    assert manifest_faults({**good, "a": b"x", "c": b""}) == [
        "a is not as the manifest lists it.",
        "c is not as the manifest lists it.",
    ]
    dropped = {name: data for name, data in good.items() if name != "a"}
    assert manifest_faults(dropped) == ["manifest.json lists members that are not there, or in another form."]
    assert manifest_faults({**good, MANIFEST: good[MANIFEST] + b"\n"})
    assert manifest_faults({**good, MANIFEST: canonical_bytes([])})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The error names the path, and nothing is left behind."""
    with pytest.raises(MissingFile):
        write_bundle(tmp_path / "none" / "bundle.zip", MEMBERS)
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(MissingFile):
        write_bundle(target, MEMBERS)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
