"""What a rehearsal reads of the operator's files, and what it writes instead."""

import json
from pathlib import Path

import pytest
import yaml

from roadworthy.base.errors import ManifestError, MissingFile, ParameterError
from roadworthy.domain.exchange import RungKind
from roadworthy.gateway.load_config import load_config
from roadworthy.gateway.policy import load_policy
from roadworthy.probes.rehearsal.declared import Combination, read_declared, read_mapping
from roadworthy.probes.rehearsal.derive import derive
from roadworthy.probes.rehearsal.identities import admin_identity, drill_identities, key_file, new_identity
from roadworthy.probes.rehearsal.requests import requests_of, tagged
from roadworthy.probes.rehearsal.small import ALTERNATE, ROLE, SCOPE, USE_CASE, grant, small_gateway

ZERO = "0" * 64


def edited(folder: Path, change) -> Path:
    """The small gateway with its configuration changed."""
    path = small_gateway(folder)
    config = json.loads(path.read_text())
    change(config, config["use_cases"][USE_CASE])
    path.write_text(json.dumps(config))
    return path


def derived(path: Path, workdir: Path, upstreams=None) -> dict:
    """The derived configuration, and its changes under ``changes``."""
    declared = read_declared(path, USE_CASE)
    workdir.mkdir()
    made = derive(
        declared,
        workdir=workdir,
        socket=Path("s.sock"),
        upstreams=upstreams or {},
        identities=drill_identities(declared),
        admin=admin_identity(),
    )
    return json.loads(made.path.read_text()) | {"changes": " ".join(made.changes)}


def test_a_combination_of_each_grant(tmp_path):
    """Literal names are taken as they are, stars become a name, and what is denied is passed over."""
    path = small_gateway(tmp_path, grants=[grant(ROLE), grant("*", scope="*"), grant("clerk")])
    policy = json.loads((tmp_path / "policy.json").read_text())
    policy["grants"].append({**grant("nurse"), "use_cases": ["another"]})
    policy["deny"] = [{"roles": ["clerk"]}]
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    found = read_declared(path, USE_CASE).granted()
    assert found == (
        Combination(ROLE, "care", SCOPE, "rehearsal"),
        Combination("rehearsal", "care", "rehearsal", "rehearsal"),
    )


def test_the_combinations_are_those_that_the_gateway_allows(tmp_path):
    """Two readers of one policy agree."""
    path = small_gateway(tmp_path, grants=[grant(ROLE), grant("*", scope="*")])
    gateway = load_policy(tmp_path / "policy.json")
    for each in read_declared(path, USE_CASE).granted():
        allowed = gateway.who_may(
            roles=[each.role],
            cohorts=[each.cohort],
            use_cases=[USE_CASE],
            purposes=[each.purpose],
            scopes=[each.data_scope],
        )
        assert list(allowed)


@pytest.mark.parametrize(
    ("grants", "deny"),
    [
        ([], []),
        ([grant(ROLE)], [{"use_cases": [USE_CASE]}]),
        ([{**grant(ROLE), "purposes": ["research"]}], []),
    ],
)
def test_a_policy_that_lets_nobody_ask(tmp_path, grants, deny):
    """Nothing can be rehearsed then."""
    path = small_gateway(tmp_path)
    (tmp_path / "policy.json").write_text(json.dumps({"policy": 1, "grants": grants, "deny": deny}))
    with pytest.raises(ManifestError, match="nobody"):
        read_declared(path, USE_CASE).granted()


@pytest.mark.parametrize("text", ["- a list", "a: [", "use_cases: {}", "use_cases: {specimen: {purposes: [x]}}"])
def test_files_that_are_none(tmp_path, text):
    """The use case must be there, with what a rehearsal needs."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError):
        read_declared(path, USE_CASE)


def test_a_grant_that_is_incomplete_and_a_file_that_is_not_there(tmp_path):
    """The first is no policy, the second is named."""
    path = small_gateway(tmp_path)
    (tmp_path / "policy.json").write_text(json.dumps({"policy": 1, "grants": [{"roles": ["a"]}]}))
    with pytest.raises(ManifestError, match="five lists"):
        read_declared(path, USE_CASE)
    with pytest.raises(MissingFile):
        read_mapping(tmp_path / "nothing.yaml")


def test_the_words_of_a_declaration(tmp_path):
    """Headers have defaults, and the ladder is read by kind."""

    def change(_config, block):
        block["scope_header"] = "x-scope"
        block["fallback"].insert(0, {"human": "desk", "evidence": f"sha256:{ZERO}"})

    declared = read_declared(edited(tmp_path, change), USE_CASE)
    assert declared.ladder == (RungKind.HUMAN, RungKind.ALTERNATE, RungKind.REFUSE)
    assert (declared.purpose_header, declared.scope_header) == ("x-purpose", "x-scope")
    assert declared.upstreams == ("main", ALTERNATE)


def test_only_what_must_change_is_changed(tmp_path):
    """Everything that is not in the list of changes is the operator's own."""
    path = small_gateway(tmp_path / "operator")
    before = json.loads(path.read_text())
    after = derived(path, tmp_path / "work", {"primary": "http://127.0.0.1:1"})
    block, was = after["use_cases"][USE_CASE], before["use_cases"][USE_CASE]
    assert block["upstreams"]["main"] == {**was["upstreams"]["main"], "url": "http://127.0.0.1:1"}
    assert {**block, "upstreams": 0} == {**was, "upstreams": 0}
    assert block["upstreams"][ALTERNATE] == was["upstreams"][ALTERNATE]
    assert after["policy"] == str(tmp_path / "operator" / "policy.json")
    assert after["ledger"]["origin"] == "example.org/specimen/rehearsal"
    assert {key for key in after if key != "changes" and after[key] != before.get(key)} == {
        "listen", "admin", "node", "ledger", "identity", "admin_keys", "policy", "use_cases",
    }  # fmt: skip


def test_what_reaches_beyond_a_rehearsal_is_left_out(tmp_path):
    """Witnesses, collector, provider, credentials of the replaced upstream, rates, and other use cases."""

    def change(config, block):
        config["ledger"] |= {"witnesses": ["http://w"], "witness_quorum": 1, "most_waiting": 7}
        config["telemetry"] = {"otlp_url": "http://c"}
        config["identity"]["oidc"] = {"issuer": "https://i", "audience": "a"}
        config["tls"] = {"certificate": "c.pem", "key": "k.pem"}
        config["use_cases"]["other"] = dict(block)
        block["upstreams"]["main"] |= {"headers": {"x-key": "secret"}, "ca": "ca.pem"}
        block["upstreams"][ALTERNATE] |= {"headers": {"x-key": "other"}, "ca": "ca.pem"}
        block["limits"] = {"caller_rps": 1, "in_flight": 3}
        block["admission"] = {"certificate": "c.json", "trusted_keys": [ZERO], "pilot_cohorts": ["ward"]}
        block["filter"] = {"contract": "contract.yaml", "records_at": "/r"}
        block["citations"] = {"ids_at": "/i", "scopes": "scopes.yaml"}
        block["fallback"].insert(0, {"rule": "rules.yaml", "evidence": f"sha256:{ZERO}"})

    operator = tmp_path / "operator"
    after = derived(edited(operator, change), tmp_path / "work", {"main": "http://127.0.0.1:1"})
    block = after["use_cases"][USE_CASE]
    assert set(after["ledger"]) == {"folder", "origin", "socket", "most_waiting"}
    assert "telemetry" not in after
    assert set(after["identity"]) == {"keys"}
    assert after["tls"] == {"certificate": str(operator / "c.pem"), "key": str(operator / "k.pem")}
    assert list(after["use_cases"]) == [USE_CASE]
    assert not {"headers", "ca"} & set(block["upstreams"]["main"])
    assert block["upstreams"][ALTERNATE]["headers"] == {"x-key": str(operator / "other")}
    assert block["limits"] == {"in_flight": 3}
    assert block["admission"]["certificate"] == str(operator / "c.json")
    assert block["admission"]["pilot_cohorts"] == ["rehearsal", "ward"]
    assert block["filter"]["contract"] == str(operator / "contract.yaml")
    assert block["citations"]["scopes"] == str(operator / "scopes.yaml")
    assert block["fallback"][0]["rule"] == str(operator / "rules.yaml")
    for word in ("admission", "limits", "use cases", "upstream main", "telemetry", "identity"):
        assert word in after["changes"]


def test_the_gateway_reads_what_was_derived(tmp_path):
    """The copy is a configuration by the gateway's own reader, and its keys open it."""
    path = small_gateway(tmp_path / "operator")
    derived(path, tmp_path / "work")
    config = load_config(tmp_path / "work" / "gateway.json")
    assert config.policy == tmp_path / "operator" / "policy.json"
    assert config.identity.keys == tmp_path / "work" / "keys.json"
    assert config.identity.keys.stat().st_mode & 0o777 == 0o600


def test_an_upstream_that_is_not_declared(tmp_path):
    """A check that replaces nothing would look at the wrong system."""
    with pytest.raises(ParameterError, match="third"):
        derived(small_gateway(tmp_path / "operator"), tmp_path / "work", {"third": "http://127.0.0.1:1"})


def test_keys_hold_what_their_grant_names():
    """One key for one grant; the secret stands in no file."""
    identity = new_identity("a", "role", "ward", scopes=("s",), purposes=("p",), expired=True, disabled=True)
    file = yaml.safe_load(json.dumps(key_file([identity])))
    (entry,) = file["keys"]
    assert identity.secret not in json.dumps(file)
    assert (entry["roles"], entry["cohort"], entry["scopes"], entry["purposes"]) == (["role"], "ward", ["s"], ["p"])
    assert entry["disabled"] is True
    assert identity.key == f"rw_a_{identity.secret}"
    assert identity.asking("x", "y").asks == ("x", "y")


def test_a_request_for_every_route(tmp_path):
    """OpenAI with its stream, Open Inference, and a declared path; every body tells its tag."""

    def change(_config, block):
        block["routes"].append({"protocol": "open-inference", "model": "heart"})

    found = requests_of(read_declared(edited(tmp_path, change), USE_CASE))
    assert [(each.method, each.path, each.stream) for each in found] == [
        ("POST", "/v1/chat/completions", False),
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/completions", False),
        ("POST", "/v1/embeddings", False),
        ("POST", "/v1/responses", False),
        ("GET", "/v1/models", False),
        ("POST", "/score", False),
        ("POST", "/v2/models/heart/infer", False),
        ("GET", "/v2/models/heart/ready", False),
        ("GET", "/v2/models/heart", False),
    ]
    assert b"Rehearsal t1" in tagged(found[0], "t1").body
    assert [each.path for each in found if not each.forwarded] == ["/v1/models"]


def test_samples_stand_for_the_operators_own_requests(tmp_path):
    """The model of the route stays, and a use case with a filter cannot do without."""

    def change(_config, block):
        block["filter"] = {"contract": "c.yaml", "records_at": "/records"}

    declared = read_declared(edited(tmp_path, change), USE_CASE)
    with pytest.raises(ManifestError, match="guess"):
        requests_of(declared)
    samples = tmp_path / "samples.yaml"
    bodies = [
        {"path": "/v1/chat/completions", "body": {"messages": [], "stream": True}},
        {"path": "/v1/completions", "body": {"prompt": "p"}},
        {"path": "/score", "body": {"records": ["{{tag}}"]}},
    ]
    samples.write_text(json.dumps({"samples": 1, "requests": bodies}))
    found = {each.route: json.loads(tagged(each, "t").body or b"{}") for each in requests_of(declared, samples)}
    assert found["chat/completions"] == {"model": "stand-in", "messages": []}
    assert found["chat/completions, streamed"] == {"model": "stand-in", "messages": [], "stream": True}
    assert found["completions"] == {"model": "stand-in", "prompt": "p"}
    assert found["/score"] == {"records": ["t"]}


@pytest.mark.parametrize("content", [{"samples": 2}, {"samples": 1, "requests": [{"path": "/score"}]}])
def test_samples_that_are_none(tmp_path, content):
    """Each needs a path and a body."""
    samples = tmp_path / "samples.yaml"
    samples.write_text(json.dumps(content))
    with pytest.raises(ManifestError):
        requests_of(read_declared(small_gateway(tmp_path), USE_CASE), samples)
