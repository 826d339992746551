"""Keys: the published Ed25519 vectors, names, and files that are kept safe."""

import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from roadworthy.base.errors import InputError, MissingFile, ReauthenticationFailed, SignatureBroken, UnreadableData
from roadworthy.ledger.keys import PublicKey, generate_key, key_from_seed, load_key, save_key

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_all_published_ed25519_vectors(shared_data: Path) -> None:
    """Every Wycheproof case is accepted or refused as it says."""
    groups = json.loads((shared_data / "conformance" / "ed25519_test.json").read_text())["testGroups"]
    cases = [(group["publicKey"]["pk"], case) for group in groups for case in group["tests"]]
    assert len(cases) >= 150
    for public, case in cases:
        found = PublicKey.from_hex(public).verifies(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        assert found is (case["result"] == "valid"), case["tcId"]


def test_the_seed_decides_the_key() -> None:
    """RFC 8032, section 7.1, test 1."""
    key = key_from_seed(SEED)
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")
    assert key.public.verifies(b"", key.sign(b""))
    assert not key.public.verifies(b"x", key.sign(b""))
    assert key.public.keyid == PublicKey.from_hex(key.public.hex).keyid
    assert key.public.keyid.startswith("ed25519:")
    assert len(key.public.keyid) == len("ed25519:") + 32


def test_new_keys_differ_and_hide_their_secret() -> None:
    """Two keys are never the same, and printing one shows nothing."""
    assert generate_key().public != generate_key().public
    assert "rivate" not in repr(generate_key()).replace("SigningKey", "")


@pytest.mark.parametrize("text", ["", "zz", PUBLIC.upper(), PUBLIC[:-2], PUBLIC + "00", " " + PUBLIC])
def test_a_public_key_has_one_text_form(text: str) -> None:
    """64 lower-case hex digits and nothing else."""
    with pytest.raises(SignatureBroken):
        PublicKey.from_hex(text)


def test_a_seed_has_32_bytes() -> None:
    """Anything else makes no key."""
    with pytest.raises(InputError):
        key_from_seed(b"short")


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_saved_key_is_private_and_loads_again(tmp_path: Path, passphrase: bytes | None) -> None:
    """Mode 0600 whatever the mask; the same key comes back."""
    path = tmp_path / "a.key"
    before = os.umask(0)
    try:
        save_key(key_from_seed(SEED), path, passphrase=passphrase)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path, passphrase=passphrase).public == key_from_seed(SEED).public
    assert (b"ENCRYPTED" in path.read_bytes()) is bool(passphrase)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """The second save fails and leaves the first key as it was."""
    path = tmp_path / "a.key"
    save_key(key_from_seed(SEED), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        save_key(generate_key(), path)
    assert path.read_bytes() == before


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    """No folder to write to, no file to read from."""
    with pytest.raises(MissingFile):
        save_key(generate_key(), tmp_path / "none" / "a.key")
    with pytest.raises(MissingFile):
        load_key(tmp_path / "a.key")


def test_the_passphrase_must_be_right(tmp_path: Path) -> None:
    """Missing, wrong and needless passphrases are all refused."""
    locked, plain = tmp_path / "locked.key", tmp_path / "plain.key"
    save_key(generate_key(), locked, passphrase=b"right")
    save_key(generate_key(), plain)
    for path, passphrase in ((locked, None), (locked, b"wrong"), (plain, b"needless")):
        with pytest.raises(ReauthenticationFailed):
            load_key(path, passphrase=passphrase)


def test_a_passphrase_can_be_too_long(tmp_path: Path) -> None:
    """The longest one works; beyond it nothing is written, and nothing is called wrong."""
    path = tmp_path / "a.key"
    with pytest.raises(InputError, match="1024 bytes"):
        save_key(generate_key(), path, passphrase=b"x" * 1024)
    assert not path.exists()
    save_key(key_from_seed(SEED), path, passphrase=b"x" * 1023)
    assert load_key(path, passphrase=b"x" * 1023).public == key_from_seed(SEED).public
    with pytest.raises(InputError, match="1024 bytes"):
        load_key(path, passphrase=b"x" * 1024)


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    """Nonsense, and a key of another algorithm."""
    path = tmp_path / "a.key"
    path.write_bytes(b"nonsense")
    with pytest.raises(UnreadableData):
        load_key(path)
    path.write_bytes(
        x25519.X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(UnreadableData):
        load_key(path)
