"""A use case whose gate can really open: two criteria, nothing to serve. For tests of the upper floors.

T14 is proven by the check ``release.pinned``, which only hashes files; G2 is signed by the business owner. The pack is a
file of the project's own, so every bound can be moved by a test.
"""

from pathlib import Path

from roadworthy.cli.app import execute
from roadworthy.demo.documents import answers_text
from roadworthy.wiring.workspace import Workspace

PASSPHRASE = "correct horse battery"

PACK = """\
id: road
version: 1
title: Road
status: active
sources:
- {document: House rules, checked_on: 2026-11-21}
gates:
- id: go-live
  title: Go-live
  quorum:
    R1: [{role: business_owner, count: 1}]
    R2: [{role: business_owner, count: 1}]
    R3: [{role: business_owner, count: 1}, {role: validator, count: 1}]
    R4: [{role: business_owner, count: 1}, {role: validator, count: 1}]
  independent_from: R3
  waiver_days: {R1: 90, R2: 60, R3: 30, R4: 14}
  max_waivers: 2
  conditional_wave_share: 0.05
criteria:
- id: T14
  domain: technical
  title: Everything pinned
  kind: executable
  check: release.pinned
  accept:
  - {metric: parts_unpinned, op: "<=", bound: 0, unit: part, n_min: 1, provenance: House rule.}
  - {metric: parts_changed, op: "<=", bound: 0, unit: part, n_min: 1, provenance: House rule.}
  depends_on: [model, config, data_contract]
  max_age_days: {R1: 60, R2: 30, R3: 30, R4: 15}
  waivable_at: [R1, R2, R3, R4]
  min_assurance: executed
  signer_roles: []
  may_not_apply: false
  required_from: R1
  effort: {low: 1, likely: 2, high: 4}
  owner_role: system_owner
  gap_depends_on: []
  sources: [{document: House rules, clause: "1"}]
- id: G2
  domain: governance
  title: Somebody answers for it
  kind: signature
  check: null
  accept: []
  depends_on: [people]
  max_age_days: {R1: 365, R2: 180, R3: 90, R4: 90}
  waivable_at: []
  min_assurance: self_attested
  signer_roles: [business_owner]
  may_not_apply: false
  required_from: R1
  effort: {low: 1, likely: 1, high: 2}
  owner_role: business_owner
  gap_depends_on: []
  sources: [{document: House rules, clause: "2"}]
"""

MANIFEST = """\
roadworthy: 1
use_case:
  id: road
  title: A short road
  intended_use: Shows that a gate can open.
  decision: none
  owners: {business: ada, system: ben}
  builders: [ben]
  tier: answers/tier.yaml
packs: [packs/road.yaml]
release: {model: models/model.json, config: serving.yaml}
data:
  pilot: {path: data/pilot.csv, contract: contracts/data.yaml}
  production: {path: data/feed/*.csv, contract: contracts/data.yaml}
"""

FILES = {
    "roadworthy.yaml": MANIFEST,
    "packs/road.yaml": PACK,
    "models/model.json": '{"weights": [1]}\n',
    "serving.yaml": "threads: 1\n",
    "data/pilot.csv": "id\n1\n",
    "data/feed/a.csv": "id\n1\n",
    "data/feed/b.csv": "id\n2\n",
    "contracts/data.yaml": "apiVersion: v3.1.0\nkind: DataContract\nid: data\nversion: 1.0.0\nstatus: active\n",
    "passphrase.txt": PASSPHRASE,
}

PEOPLE = {"ada": ("business_owner",), "ben": ("business_owner", "system_owner"), "chi": ("validator", "quality")}


def write_small(folder: Path) -> Path:
    """Write the project; returns its manifest. Nothing is on record yet."""
    for name, text in {**FILES, "answers/tier.yaml": answers_text()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "roadworthy.yaml"


class Project:
    """The project in a folder, driven by command lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "roadworthy.yaml"

    def run(self, *words: str) -> int:
        """One command line on this project; returns its exit code."""
        return execute([*words, "--manifest", str(self.manifest)])

    def as_person(self, *words: str, person: str = "ada", reason: str = "I answer for it.") -> int:
        """The same, signed by somebody."""
        secret = str(self.folder / "passphrase.txt")
        return self.run(*words, "--as", person, "--reason", reason, "--passphrase-file", secret)

    def add_people(self) -> None:
        """Everybody, each with a key."""
        secret = str(self.folder / "passphrase.txt")
        for person, roles in PEOPLE.items():
            asked = [word for role in roles for word in ("--role", role)]
            code = self.run("person", "add", person, "--name", person.title(), *asked, "--passphrase-file", secret)
            assert code == 0

    def open_gate(self) -> None:
        """Sign what there is to sign."""
        assert self.as_person("sign", "G2") == 0
        assert self.as_person("sign", "gate") == 0
        assert self.as_person("sign", "gate", person="chi") == 0

    def prepare(self) -> None:
        """Inspected, everybody registered, gate open, exported to ``bundle.zip``."""
        assert self.run("inspect") == 1
        self.add_people()
        self.open_gate()
        assert self.run("gate") == 0
        assert self.run("export", str(self.folder / "bundle.zip")) == 0

    def size(self) -> int:
        """How many entries the ledger has; 0 when there is none."""
        workspace = Workspace(self.manifest)
        try:
            return workspace.case().size if workspace.begun else 0
        finally:
            workspace.close()

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one file of the project; the old text must be there."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
