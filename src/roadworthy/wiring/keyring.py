"""Keys on this machine. Owns where they lie and how a person proves who they are.

``<folder>/keys/log.key`` signs checkpoints, ``producer.key`` signs evidence, ``payload.key`` encrypts payloads; they are
made at first use, for their owner's eyes only. A person's key, ``people/<id>.key``, is always encrypted: signing takes
the key file and its passphrase, each time. There is no session that signs by itself.
"""

from dataclasses import dataclass
from datetime import datetime
from getpass import getpass
from pathlib import Path

from roadworthy.actions.evidence import Signer
from roadworthy.base.errors import InputError, MissingFile, ReauthenticationFailed, UnknownPerson
from roadworthy.base.ids import salt_bytes
from roadworthy.domain.case_file import CaseFile
from roadworthy.ledger.keys import SigningKey, generate_key, load_key, save_key

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
        MissingFile: a key is gone although a store exists (RW-102).
    """
    keys = folder / "keys"
    if not keys.is_dir() and (folder / "store.db").exists():
        raise MissingFile(
            "The keys of this store are gone.",
            remedy="Restore them from a backup; the store is of no use without.",
            where=str(keys),
        )
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("log.key", "producer.key"):
        if not (keys / name).exists():
            save_key(generate_key(), keys / name)
    payload = keys / "payload.key"
    if not payload.exists():
        payload.touch(mode=0o600, exist_ok=False)
        payload.write_bytes(salt_bytes(32))
    return MachineKeys(
        log=load_key(keys / "log.key"), producer=load_key(keys / "producer.key"), payload=payload.read_bytes()
    )


def person_key_path(folder: Path, person_id: str) -> Path:
    """Where a person's key lies."""
    return folder / "people" / f"{person_id}.key"


def make_person_key(folder: Path, person_id: str, passphrase: bytes) -> SigningKey:
    """Make and keep a person's key.

    Raises:
        InputError: the passphrase is too short, or there is a key already (RW-100).
    """
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise InputError(f"The passphrase has {len(passphrase)} bytes.", remedy=f"Use at least {_SHORTEST_PASSPHRASE}.")
    path = person_key_path(folder, person_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = generate_key()
    save_key(key, path, passphrase=passphrase)
    return key


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
