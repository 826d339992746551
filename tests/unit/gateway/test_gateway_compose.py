"""From gateway.yaml to stages: what one reading of the file hands to the next, and which stage gets what it needs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from roadworthy.domain.certificate import Caps, Certificate, Revocation
from roadworthy.domain.exchange import Caller
from roadworthy.domain.risk import Tier
from roadworthy.gates.certificate import certificate_statement, revocation_statement
from roadworthy.gateway import compose
from roadworthy.gateway.compose import Generation
from roadworthy.gateway.exchange import Refused
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.gateway.load_config import load_config
from roadworthy.gateway.metrics import Meter, Pages
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.gateway.switches import Switches
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.statement import PAYLOAD_TYPE, statement

KEY, RELEASE = key_from_seed(bytes(32)), "sha256:" + "a" * 64
FROM = datetime(2026, 11, 1, tzinfo=UTC)
NOW_S = (FROM + timedelta(days=1)).timestamp()
ANN = Caller(
    id="key:ann",
    credential="k",
    roles=frozenset({"user"}),
    cohort="",
    scopes=frozenset({"*"}),
    purposes=frozenset({"*"}),
    expires_at_s=9e9,
)
CERTIFICATE = Certificate(
    id="cert-1",
    use_case_id="heart",
    release_digest=RELEASE,
    decision_digest=RELEASE,
    gate_id="production",
    tier=Tier.R3,
    caps=Caps(data_scopes=("public", "closed")),
    obligations=(),
    valid_from=FROM,
    valid_until=FROM + timedelta(days=30),
    checkpoint="",
)
POLICY = {
    "policy": 1,
    "grants": [
        {"roles": ["user"], "use_cases": ["heart"], "purposes": ["care"], "data_scopes": ["*"], "cohorts": ["*"]}
    ],
    "deny": [{"data_scopes": ["closed"]}],
}


def sealed(parts):
    return sign(PAYLOAD_TYPE, statement(*parts), [KEY]).to_bytes()


class Node:
    """The files of a node, and the generations that are read from them."""

    def __init__(self, folder):
        self.folder, self.pages = folder, Pages(folder / "metrics", 1)
        files = {
            "keys.yaml": f"api_keys: 1\nkeys:\n{new_key('k')[1]}\n",
            "policy.yaml": yaml.safe_dump(POLICY),
            "scopes.yaml": "source_scopes: 1\nsources: {doc-1: public, doc-2: closed, doc-3: other}\n",
            "revocations.jsonl": "",
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        self.write(CERTIFICATE)
        keys = [KEY.public.hex]
        use_case = {
            "tier": "R3",
            "purposes": ["care"],
            "routes": [{"protocol": "json", "path": "/p"}],
            "upstreams": {"main": {"url": "http://127.0.0.1:9", "release": RELEASE}},
            "admission": {"certificate": "c.json", "revocations": "revocations.jsonl", "trusted_keys": keys},
            "citations": {"ids_at": "/s", "scopes": "scopes.yaml"},
        }
        config = {
            "gateway": 1,
            "ledger": {"folder": "ledger", "origin": "example.org/compose"},
            "identity": {"keys": "keys.yaml"},
            "policy": "policy.yaml",
            "use_cases": {"heart": use_case},
        }
        (folder / "gateway.yaml").write_text(yaml.safe_dump(config))
        NodeFiles(folder / "ledger").make()

    def write(self, certificate):
        (self.folder / "c.json").write_bytes(sealed(certificate_statement(certificate)))

    def read(self):
        config = load_config(self.folder / "gateway.yaml")
        switches = Switches(self.folder / "switches.json", frozenset(config.use_cases))
        return Generation(config, meter=Meter(self.pages, 0), switches=switches, export=None, queues={})


@pytest.fixture
def node(tmp_path, monkeypatch):
    monkeypatch.setattr(compose, "unix_s", lambda: NOW_S)
    made = Node(tmp_path)
    yield made
    made.pages.close()


def state(generation):
    return generation.certificates()["heart"]["state"]


def test_a_reload_does_not_undo_a_revocation(node):
    """Though its line was taken away before."""
    first = node.read()
    assert first.admits["heart"].check(ANN, "public", NOW_S) == "certificate:cert-1"
    revocation = Revocation(certificate_id="cert-1", at=FROM, reason="Drift.")
    (node.folder / "revocations.jsonl").write_bytes(sealed(revocation_statement(revocation)) + b"\n")
    with pytest.raises(Refused):
        first.admits["heart"].check(ANN, "public", NOW_S + 40)
    (node.folder / "revocations.jsonl").write_bytes(b"")
    again = node.read()
    with pytest.raises(Refused):
        again.admits["heart"].check(ANN, "public", NOW_S + 80)
    assert state(again) == "revoked"


def test_a_reload_and_a_clock_that_goes_back_do_not_undo_an_end(node):
    """Only a new certificate does."""
    with pytest.raises(Refused):
        node.read().admits["heart"].check(ANN, "public", CERTIFICATE.valid_until.timestamp())
    assert state(node.read()) == "expired"
    node.write(replace(CERTIFICATE, id="cert-2"))
    assert state(node.read()) == "valid"


def test_the_tier_of_the_use_case_bounds_the_certificate(node):
    """As gateway.yaml names it."""
    assert state(node.read()) == "valid"
    node.write(replace(CERTIFICATE, tier=Tier.R2))
    assert state(node.read()) == "other_tier"


def test_sources_are_asked_of_the_policy_and_of_the_certificate(node):
    """One is denied by the policy, one lies outside of the certificate."""
    generation = node.read()
    (use, _), *_ = generation.stages.served
    scopes = use.admit.data_scopes(use.admit.check(ANN, "public", NOW_S))
    assert use.cite is not None
    body, denied = use.cite.check(ANN, use.id, "care", scopes, b'{"s":["doc-1","doc-2","doc-3"]}')
    assert (body, denied) == (b'{"s":["doc-1","redacted","redacted"]}', ("doc-2", "doc-3"))
