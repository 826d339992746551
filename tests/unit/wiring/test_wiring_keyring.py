"""Keys on this machine: for their owner's eyes, made whole, never replaced in silence."""

import io
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roadworthy.base.clock import now
from roadworthy.base.errors import InputError, MissingFile, ReauthenticationFailed, UnknownPerson
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.ledger.keys import SigningKey, generate_key, save_key
from roadworthy.wiring import keyring
from roadworthy.wiring.keyring import (
    authenticate,
    certificate_key,
    keep_person_key,
    machine_keys,
    make_person_key,
    person_key_path,
    read_passphrase,
)

PASSPHRASE = b"correct horse battery"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    """Folder 0700, files 0600; the second look finds the first one's."""
    first, second = machine_keys(tmp_path / "w"), machine_keys(tmp_path / "w")
    assert first.log.public == second.log.public != first.producer.public == second.producer.public
    assert first.payload == second.payload
    assert len(first.payload) == 32
    assert mode(tmp_path / "w" / "keys") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "w" / "keys").iterdir()} == dict.fromkeys(
        ("log.key", "producer.key", "payload.key"), 0o600
    )
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == [".gitignore", "keys"]


def test_two_at_once_get_the_same_keys(tmp_path: Path) -> None:
    """Whoever is slower takes the other's."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        made = list(pool.map(machine_keys, [tmp_path / "w"] * 16))
    assert len({(keys.log.public.hex, keys.producer.public.hex, keys.payload) for keys in made}) == 1
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == [".gitignore", "keys"]


def test_half_made_keys_are_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped half-way, nothing is there, and the next one starts afresh."""

    def stop(count: int) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keyring, "salt_bytes", stop)
        with pytest.raises(KeyboardInterrupt):
            machine_keys(tmp_path / "w")
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".gitignore"]
    assert machine_keys(tmp_path / "w").payload


def test_git_passes_over_the_folder_of_the_keys(tmp_path: Path) -> None:
    """One hasty ``git add .`` must not publish them; what a user wrote there stays."""
    machine_keys(tmp_path / "w")
    assert (tmp_path / "w" / ".gitignore").read_text() == "*\n"
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".gitignore").write_text("keys\n")
    machine_keys(tmp_path / "x")
    assert (tmp_path / "x" / ".gitignore").read_text() == "keys\n"


@pytest.mark.parametrize("lost", ["keys", "log.key", "producer.key", "payload.key"])
def test_a_lost_key_is_never_replaced_by_a_new_one(tmp_path: Path, lost: str) -> None:
    """RW-102: a new key could neither read nor continue the store."""
    machine_keys(tmp_path)
    (tmp_path / "store.db").touch()
    keys = tmp_path / "keys"
    for path in [keys / lost] if lost != "keys" else list(keys.iterdir()):
        path.unlink()
    if lost == "keys":
        keys.rmdir()
    with pytest.raises(MissingFile, match="gone") as caught:
        machine_keys(tmp_path)
    assert caught.value.code == "RW-102"
    assert "backup" in caught.value.remedy


def test_the_certificate_key_is_made_once_and_apart(tmp_path: Path) -> None:
    """Before the first certificate, for its owner only; it is none of the keys that sign evidence or checkpoints."""
    keys = machine_keys(tmp_path)
    made = certificate_key(tmp_path, CaseFile())
    assert made.public not in {keys.log.public, keys.producer.public}
    assert certificate_key(tmp_path, CaseFile()).public == made.public
    assert mode(tmp_path / "keys" / "certificate.key") == 0o600
    assert len(list((tmp_path / "keys").iterdir())) == 4


def test_two_at_once_get_the_same_certificate_key(tmp_path: Path) -> None:
    """Whoever is slower takes the other's."""
    machine_keys(tmp_path)
    with ThreadPoolExecutor(max_workers=8) as pool:
        made = list(pool.map(lambda _: certificate_key(tmp_path, CaseFile()).public.hex, range(16)))
    assert len(set(made)) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 4


def test_a_registered_certificate_key_is_never_replaced(tmp_path: Path) -> None:
    """RW-102: no gateway would trust what a new one signs."""
    machine_keys(tmp_path)
    made = certificate_key(tmp_path, CaseFile())
    authority = Producer(id=CERTIFICATE_AUTHORITY, public_key=made.public.hex)
    (tmp_path / "keys" / "certificate.key").unlink()
    with pytest.raises(MissingFile, match="certificates is gone") as caught:
        certificate_key(tmp_path, CaseFile(producers={CERTIFICATE_AUTHORITY: authority}))
    assert caught.value.code == "RW-102"


def registered(key: SigningKey) -> CaseFile:
    person = Person(id="ada", printed_name="Ada", roles=(Role.QUALITY,), public_key=key.public.hex)
    return CaseFile(people={"ada": person})


@pytest.fixture
def ada(tmp_path: Path) -> CaseFile:
    """Ada is on record, and her key is kept."""
    key = make_person_key(PASSPHRASE)
    keep_person_key(tmp_path, "ada", key, PASSPHRASE)
    return registered(key)


def test_a_person_s_key_is_kept_encrypted_for_their_eyes_only(tmp_path: Path, ada: CaseFile) -> None:
    """The file does not hold the secret in the clear."""
    path = person_key_path(tmp_path, "ada")
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert b"ENCRYPTED" in path.read_bytes()


def test_the_right_passphrase_proves_who_it_is(tmp_path: Path, ada: CaseFile) -> None:
    """Key file and passphrase, at that instant."""
    at = now()
    signer = authenticate(tmp_path, ada, "ada", PASSPHRASE, at)
    assert signer.person is ada.people["ada"]
    assert signer.components == ("key file", "passphrase")
    assert signer.authenticated_at == at


def test_a_wrong_passphrase_proves_nothing(tmp_path: Path, ada: CaseFile) -> None:
    """RW-306."""
    with pytest.raises(ReauthenticationFailed) as caught:
        authenticate(tmp_path, ada, "ada", b"wrong", now())
    assert caught.value.code == "RW-306"


def test_a_stranger_is_unknown(tmp_path: Path, ada: CaseFile) -> None:
    """RW-108, with those who are registered."""
    with pytest.raises(UnknownPerson, match="registered: ada"):
        authenticate(tmp_path, ada, "eve", PASSPHRASE, now())
    with pytest.raises(UnknownPerson, match="registered: nobody"):
        authenticate(tmp_path, CaseFile(), "eve", PASSPHRASE, now())


def test_another_key_under_the_same_name_is_refused(tmp_path: Path, ada: CaseFile) -> None:
    """RW-306: the public key on record decides."""
    person_key_path(tmp_path, "ada").unlink()
    save_key(generate_key(), person_key_path(tmp_path, "ada"), passphrase=PASSPHRASE)
    with pytest.raises(ReauthenticationFailed, match="not the one on record"):
        authenticate(tmp_path, ada, "ada", PASSPHRASE, now())


@pytest.mark.parametrize("short", [b"", b"elevenbytes"])
def test_a_short_passphrase_is_refused(short: bytes) -> None:
    """Twelve bytes at least."""
    with pytest.raises(InputError, match=f"{len(short)} bytes"):
        make_person_key(short)


def test_a_key_is_never_overwritten(tmp_path: Path, ada: CaseFile) -> None:
    """RW-100."""
    with pytest.raises(InputError):
        keep_person_key(tmp_path, "ada", generate_key(), PASSPHRASE)


def test_a_passphrase_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    """As editors leave it."""
    (tmp_path / "p").write_bytes(PASSPHRASE + b"\n")
    assert read_passphrase(tmp_path / "p", "ada") == PASSPHRASE


def test_a_passphrase_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """RW-102."""
    with pytest.raises(MissingFile):
        read_passphrase(tmp_path / "p", "ada")


def test_a_passphrase_may_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for by name."""
    asked: list[str] = []

    def typed(prompt: str) -> str:
        asked.append(prompt)
        return "typed by hand"

    monkeypatch.setattr(keyring, "getpass", typed)
    assert read_passphrase(None, "ada") == b"typed by hand"
    assert asked == ["Passphrase of ada: "]


def test_no_passphrase_at_all_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RW-306, for an empty file and for a closed terminal."""
    (tmp_path / "p").write_bytes(b"\n")
    with pytest.raises(ReauthenticationFailed):
        read_passphrase(tmp_path / "p", "ada")

    def closed(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(keyring, "getpass", closed)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ReauthenticationFailed):
        read_passphrase(None, "ada")
