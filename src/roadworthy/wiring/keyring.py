"""Keys on this machine. Owns where they lie and how a person proves who they are.

``<folder>/keys/log.key`` signs checkpoints, ``producer.key`` signs evidence, ``payload.key`` encrypts payloads; they are
made at first use, for their owner's eyes only, in a folder that git passes over. ``certificate.key`` joins them when the
first certificate is issued: gateways trust that key alone, and evidence is never signed by it. A person's key, ``people/<id>.key``,
is always encrypted: signing takes the key file and its passphrase, each time. There is no session that signs by itself.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from getpass import getpass
from pathlib import Path
from shutil import rmtree

from roadworthy.actions.evidence import Signer
from roadworthy.base.errors import InputError, MissingFile, ReauthenticationFailed, UnknownPerson
from roadworthy.base.ids import new_id, salt_bytes
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.ledger.keys import SigningKey, generate_key, load_key, save_key

_NAMES = ("log.key", "producer.key", "payload.key")
_CERTIFICATE = "certificate.key"
_SHORTEST_PASSPHRASE = 12
COMPONENTS = ("key file", "passphrase")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKeys:
    """Keys of this installation.

    Attributes:
        log: signs checkpoints.
        producer: signs evidence.
        payload: 32 bytes that encrypt the payload keys.
    """

    log: SigningKey
    producer: SigningKey
    payload: bytes


def machine_keys(folder: Path) -> MachineKeys:
    """Load the keys of this installation, or make them at first use.

    Raises:
        MissingFile: a key is gone (RW-102); a new one in its place could neither read nor continue the store.
    """
    keys = folder / "keys"
    if not keys.is_dir() and not (folder / "store.db").exists():
        _make_keys(keys)
    if any(not (keys / name).is_file() for name in _NAMES):
        raise MissingFile(
            "The keys of this store are gone.",
            remedy="Restore them from a backup; the store is of no use without.",
            where=str(keys),
        )
    return MachineKeys(
        log=load_key(keys / "log.key"),
        producer=load_key(keys / "producer.key"),
        payload=(keys / "payload.key").read_bytes(),
    )


def _make_keys(keys: Path) -> None:
    """Make all three beside their place and move them there at once: nobody ever sees half of them."""
    beside = keys.with_name(new_id("keys"))
    beside.mkdir(parents=True, mode=0o700)
    # Before any key: a folder of secrets that stands beside a manifest is one hasty commit away from everybody.
    ignore = keys.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    try:
        for name in ("log.key", "producer.key"):
            save_key(generate_key(), beside / name)
        (beside / "payload.key").touch(mode=0o600)
        (beside / "payload.key").write_bytes(salt_bytes(32))
        # It fails when another process was faster; then the keys are the other's.
        with suppress(OSError):
            beside.rename(keys)
    finally:
        rmtree(beside, ignore_errors=True)


def certificate_key(folder: Path, case: CaseFile) -> SigningKey:
    """The control plane's key, which signs certificates and revocations; made before the first of them.

    Args:
        folder: of the workspace.
        case: everything on record; once a key is registered there, it is never replaced by a new one.

    Raises:
        MissingFile: the registered key is gone (RW-102).
    """
    keys = folder / "keys"
    path = keys / _CERTIFICATE
    if not path.is_file():
        if CERTIFICATE_AUTHORITY in case.producers:
            raise MissingFile(
                "The key that signs certificates is gone.",
                remedy="Restore it from a backup; gateways trust no other.",
                where=str(path),
            )
        beside = keys / new_id(_CERTIFICATE)
        save_key(generate_key(), beside)
        try:
            # It fails when another process was faster; then the key is the other's. Nobody ever reads half of one.
            with suppress(FileExistsError):
                path.hardlink_to(beside)
        finally:
            beside.unlink()
    return load_key(path)


def person_key_path(folder: Path, person_id: str) -> Path:
    """Where a person's key lies."""
    return folder / "people" / f"{person_id}.key"


def make_person_key(passphrase: bytes) -> SigningKey:
    """A new key for a person; nothing is written yet.

    Raises:
        InputError: the passphrase is too short (RW-100).
    """
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise InputError(f"The passphrase has {len(passphrase)} bytes.", remedy=f"Use at least {_SHORTEST_PASSPHRASE}.")
    return generate_key()


def keep_person_key(folder: Path, person_id: str, key: SigningKey, passphrase: bytes) -> None:
    """Write a person's key, encrypted.

    Raises:
        InputError: there is a key of that id already (RW-100).
    """
    path = person_key_path(folder, person_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    save_key(key, path, passphrase=passphrase)


def read_passphrase(source: Path | None, person_id: str) -> bytes:
    """The passphrase from a file, or typed at the terminal.

    Raises:
        MissingFile: the file cannot be read (RW-102).
        ReauthenticationFailed: nothing was typed (RW-306).
    """
    if source is not None:
        try:
            typed = source.read_bytes().strip()
        except OSError as error:
            raise MissingFile(
                f"The passphrase file cannot be read: {error.strerror}.",
                remedy="Check --passphrase-file.",
                where=str(source),
            ) from error
    else:
        try:
            typed = getpass(f"Passphrase of {person_id}: ").encode()
        except EOFError:
            typed = b""
    if not typed:
        raise ReauthenticationFailed(
            "No passphrase was given.", remedy="Type it at the prompt, or give --passphrase-file FILE."
        )
    return typed


def authenticate(folder: Path, case: CaseFile, person_id: str, passphrase: bytes, at: datetime) -> Signer:
    """Prove that somebody is who they say: key file, passphrase, and the public key on record.

    Raises:
        UnknownPerson: not registered (RW-108).
        ReauthenticationFailed: wrong passphrase, or another key than the one on record (RW-306).
    """
    person = case.people.get(person_id)
    if person is None:
        known = ", ".join(sorted(case.people)) or "nobody"
        raise UnknownPerson(
            f"{person_id!r} is not registered; registered: {known}.",
            remedy="Register them: roadworthy person add ID --name NAME --role ROLE.",
        )
    key = load_key(person_key_path(folder, person_id), passphrase=passphrase)
    if key.public.raw.hex() != person.public_key:
        raise ReauthenticationFailed(
            f"The key file of {person_id} is not the one on record.", remedy="Restore the registered key file."
        )
    return Signer(person=person, key=key, components=COMPONENTS, authenticated_at=at)
