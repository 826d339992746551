"""What ``roadworthy gateway init`` writes. Owns the starter files; what may stand in them belongs to the gateway.

Rules kept here: nothing is overwritten, files with hashes of keys have mode 0600, a secret is returned and never written.
"""

import os
from pathlib import Path
from typing import NamedTuple

from roadworthy.base.errors import InputError, MissingFile
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.gateway.load_config import load_config

CONFIG_NAME = "gateway.yaml"

GATEWAY = """\
# The gateway between callers and an AI system. Check it: roadworthy gateway -c gateway.yaml --check
gateway: 1
node: node-1                     # name of this machine in the ledger
listen: 127.0.0.1:8400           # where callers come in
admin: 127.0.0.1:8401            # health, metrics, published log, switches, reviews; not for the internet
# tls: {certificate: server.pem, key: server.key}
workers: 1                       # processes; one is enough for thousands of requests a second
drain_s: 20                      # how long a stop waits for exchanges under way

ledger:
  folder: ledger                 # durable records, their proofs and the keys; back it up
  origin: example.org/my-use-case  # name of the log, unique in the world

identity:
  keys: keys.yaml                # hashed API keys; roadworthy gateway key makes more
  # oidc: {issuer: "https://login.example.org", audience: my-use-case}
policy: policy.yaml              # who may use what, for which purpose, on which data
admin_keys: admin-keys.yaml      # roles: switch, review, erase

use_cases:
  my-use-case:
    tier: R2                     # from R3 on, admission by certificate is mandatory
    purposes: [production]       # callers name one in x-purpose; the only one needs no name
    record: strict               # strict, close-held (streams flow, their end waits), intent-only (R1)
    routes:
      - {protocol: openai, models: [my-model]}
      # - {protocol: open-inference, model: my-model}
      # - {protocol: json, path: /score}
    upstreams:                   # the first is the primary
      main: {url: "http://127.0.0.1:8000"}
    fallback:                    # each rung is armed by the evaluation that it passed
      # - {alternate: second, evidence: "sha256:..."}
      - {refuse: The assistant is not available. Please use the manual procedure.}
    limits: {body_bytes: 1048576, in_flight: 256}
    # admission: {certificate: certificate.json, trusted_keys: ["64 hex digits"], pilot_cohorts: [pilot]}
"""

POLICY = """\
# Who may use what. Nothing is allowed that is not granted; a denial wins over every grant. * stands for every one.
policy: 1
grants:
  - roles: [user]
    use_cases: [my-use-case]
    purposes: [production]
    data_scopes: ["*"]
    cohorts: ["*"]
"""

_KEYS = "# Hashes of API keys. The keys themselves are nowhere: whoever lost one gets a new one.\napi_keys: 1\nkeys:\n"


class Started(NamedTuple):
    """What was written, and the two keys, which nobody can show again."""

    written: tuple[Path, ...]
    key: str
    admin_key: str


def init_gateway(folder: Path) -> Started:
    """Write gateway.yaml, policy.yaml and two files of keys with one key each.

    Raises:
        InputError: one of them exists already (RW-100).
        MissingFile: the folder cannot be written (RW-102).
    """
    key, line = new_key("first", owner="me", roles=["user"], scopes=["*"], purposes=["production"])
    admin_key, admin_line = new_key("admin", owner="me", roles=["switch", "review", "erase"])
    texts = {
        CONFIG_NAME: GATEWAY,
        "policy.yaml": POLICY,
        "keys.yaml": f"{_KEYS}{line}\n",
        "admin-keys.yaml": f"{_KEYS}{admin_line}\n",
    }
    for name in texts:
        if (folder / name).exists():
            raise InputError(f"{folder / name} exists already.", remedy="Edit it, or choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        what = f"{folder} cannot be written: {error.strerror}."
        raise MissingFile(what, remedy="Choose another folder.") from error
    load_config(folder / CONFIG_NAME)
    return Started(tuple(folder / name for name in texts), key, admin_key)
