"""The checks that rehearse a gateway: what they need of a manifest, what they say, and an operator's own gateway."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from roadworthy.base.errors import ManifestError, TargetAnswer
from roadworthy.checks.access.least_privilege import LeastPrivilegeCheck
from roadworthy.checks.audit.logging import LoggingCheck
from roadworthy.checks.fallback.ladder import LadderCheck
from roadworthy.checks.rehearsed import longest_answer_s
from roadworthy.checks.switch.stop import StopCheck
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.rehearsal.access import Approved, matrix_cases, matrix_identities, read_approved, universe
from roadworthy.probes.rehearsal.declared import Combination, read_declared
from roadworthy.probes.rehearsal.small import OTHER_ROLE, ROLE, SCOPE, USE_CASE, grant, small_gateway

AT = datetime(2026, 11, 21, tzinfo=UTC)
ZERO = "0" * 64
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: patients
version: 1.0.0
status: active
schema:
  - name: patients
    properties:
      - {name: age, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0, maximum: 120}}
"""


def context(folder: Path, gateway: Gateway | None = None) -> CheckContext:
    """A context with nothing but a gateway."""
    folder.mkdir(parents=True, exist_ok=True)
    return CheckContext(
        use_case_id="u",
        title="U",
        intended_use="Tests.",
        root=folder,
        files={},
        recorded={},
        data={},
        target=None,
        quality=None,
        at=AT,
        seed=1,
        workdir=folder,
        gateway=gateway,
    )


def run(**more) -> Run:
    """A run that nobody cancels."""
    return Run(**{"at": AT, "seed": 1, "cancelled": lambda: False, **more})


def observed(check, found: CheckContext, **params) -> dict[str, tuple[float, int]]:
    """Estimate and count of each metric of the declared gateway."""
    with check.subject(found) as subject:
        seen = check.observe(subject, check.params(**params), run())
    assert check.explain(seen) == (), check.explain(seen)
    return {each.metric: (each.interval.estimate, each.interval.n) for each in seen.estimates}


def pair(folder: Path) -> None:
    """A certificate of an address that is not this machine's, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway.example.org")])
    at = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(at - timedelta(days=1)).not_valid_after(at + timedelta(days=1))
    pem = serialization.Encoding.PEM
    (folder / "c.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "k.pem").write_bytes(secret)


@pytest.fixture
def operator(tmp_path) -> Gateway:
    """A gateway as an operator has it: TLS, two workers, a filter, no certificate yet, and somebody else's use case."""
    folder = tmp_path / "operator"
    path = small_gateway(folder, grants=[{**grant("doctor"), "data_scopes": ["a", "b"], "cohorts": ["ward-1"]}])
    config = json.loads(path.read_text())
    block = config["use_cases"][USE_CASE]
    pair(folder)
    (folder / "contract.yaml").write_text(CONTRACT)
    rule = {"name": "old", "when": [{"pointer": "/nothing", "comparator": "present"}], "body": {"a": 1}}
    (folder / "rules.yaml").write_text(json.dumps({"rules": 1, "answers": [rule]}))
    config |= {"listen": "192.0.2.1:443", "workers": 2, "tls": {"certificate": "c.pem", "key": "k.pem"}}
    config["ledger"] |= {"witnesses": ["http://127.0.0.1:1"], "witness_keys": ["w"], "witness_quorum": 1}
    config["identity"]["oidc"] = {"issuer": "https://i.example.org", "audience": "a"}
    config["use_cases"]["other"] = {**block, "routes": [{"protocol": "json", "path": "/other"}]}
    block |= {
        "tier": "R3",
        "purposes": ["care", "research"],
        "routes": [{"protocol": "json", "path": "/score"}, {"protocol": "open-inference", "model": "heart"}],
        "filter": {"contract": "contract.yaml", "records_at": "/records/*"},
        "admission": {"certificate": "none.json", "trusted_keys": [ZERO]},
        "limits": {"caller_rps": 1},
    }
    block["fallback"].insert(0, {"rule": "rules.yaml", "evidence": f"sha256:{ZERO}"})
    path.write_text(json.dumps(config))
    policy = json.loads((folder / "policy.json").read_text()) | {"deny": [{"data_scopes": ["b"]}]}
    (folder / "policy.json").write_text(json.dumps(policy))
    body = {"records": [{"age": 50}], "tag": "{{tag}}"}
    samples = [{"path": place, "body": body} for place in ("/score", "/v2/models/heart/infer")]
    (folder / "samples.yaml").write_text(json.dumps({"samples": 1, "requests": samples}))
    line = {"role": "doctor", "purpose": "care", "data_scope": "a", "cohort": "ward-1"}
    (folder / "access.yaml").write_text(json.dumps({"access": 1, "approved": [line]}))
    return Gateway(config=path, use_case=USE_CASE, samples=folder / "samples.yaml", access=folder / "access.yaml")


@pytest.mark.slow
def test_the_audit_log_of_an_operators_gateway(tmp_path, operator):
    """Every canary is on record, those that the filter held back as well."""
    found = observed(LoggingCheck(), context(tmp_path / "w", operator))
    assert found["unrecorded_canaries"][0] == found["answers_without_sink"][0] == found["undetected_tampers"][0] == 0
    assert found["unrecorded_canaries"][1] >= 100


@pytest.mark.slow
def test_the_ladder_of_an_operators_gateway(tmp_path, operator):
    """A rule that knows no answer is passed over; both workers have breakers of their own."""
    check, found = LadderCheck(), context(tmp_path / "w", operator)
    with check.subject(found) as subject:
        some = tuple(each for each in subject.scenarios if each.id in {"status-500", "slow-head", "connect-refused"})
        seen = check.observe(replace(subject, scenarios=some), check.params(), run())
    assert check.explain(seen) == ()
    assert {row["scenario"]: row["rung"] for row in seen.facts["scenarios"]} == {
        "connect-refused": "alternate",
        "slow-head": "primary",
        "status-500": "alternate",
    }


@pytest.mark.slow
def test_access_to_an_operators_gateway(tmp_path, operator):
    """What is approved passes, and nothing else; one more approved line is a false denial."""
    found = observed(LeastPrivilegeCheck(), context(tmp_path / "w", operator))
    assert (found["false_grants"][0], found["false_denials"][0]) == (0, 0)
    file = json.loads(operator.access.read_text())
    file["approved"].append({**file["approved"][0], "data_scope": "b"})
    operator.access.write_text(json.dumps(file))
    check = LeastPrivilegeCheck()
    with check.subject(context(tmp_path / "w2", operator)) as subject:
        seen = check.observe(subject, check.params(), run())
    (finding,) = check.explain(seen)
    assert "approved, and it is refused: role doctor, purpose care, data scope b" in finding.what


@pytest.mark.slow
def test_the_switch_of_an_operators_gateway(tmp_path, operator):
    """Both workers stop."""
    found = observed(StopCheck(), context(tmp_path / "w", operator))
    assert (found["answered_while_off"][0], found["not_resumed"][0], found["unrecorded_switches"][0]) == (0, 0, 0)
    assert found["stop_s"][0] <= 60


@pytest.mark.slow
def test_a_gateway_that_answers_nothing_proves_nothing(tmp_path, operator):
    """Where the samples are not what the filter admits, there is no verdict."""
    body = {"nothing": "of the kind"}
    samples = [{"path": place, "body": body} for place in ("/score", "/v2/models/heart/infer")]
    operator.samples.write_text(json.dumps({"samples": 1, "requests": samples}))
    config = json.loads(operator.config.read_text())
    config["use_cases"][USE_CASE]["routes"] = [{"protocol": "json", "path": "/score"}]
    operator.config.write_text(json.dumps(config))
    for number, check in enumerate((LoggingCheck(), StopCheck())):
        with (
            check.subject(context(tmp_path / f"w{number}", operator)) as subject,
            pytest.raises(TargetAnswer, match="nothing"),
        ):
            check.observe(subject, check.params(), run())


@pytest.mark.parametrize("check", [LoggingCheck(), LadderCheck(), LeastPrivilegeCheck(), StopCheck()])
def test_no_gateway(tmp_path, check):
    """There is nothing to rehearse."""
    with pytest.raises(ManifestError, match="no gateway"), check.subject(context(tmp_path)):
        pass


def test_what_else_a_manifest_must_name(tmp_path):
    """A ladder for the one, the approved list for the other."""
    gateway = Gateway(config=small_gateway(tmp_path / "o", fallback=[]), use_case=USE_CASE)
    with pytest.raises(ManifestError, match="ladder"), LadderCheck().subject(context(tmp_path, gateway)):
        pass
    with pytest.raises(ManifestError, match="access"), LeastPrivilegeCheck().subject(context(tmp_path, gateway)):
        pass


@pytest.mark.parametrize(
    "file",
    [
        {"access": 2, "approved": []},
        {"access": 1, "approved": []},
        {"access": 1, "approved": [{"role": "r"}]},
        {"access": 1, "approved": [{"role": "r", "purpose": "p", "data_scope": "s", "cohort": "c", "x": 1}]},
        {"access": 1, "approved": [{"role": "r", "purpose": "p", "data_scope": "s", "cohort": "c"}], "names": ["x"]},
    ],
)
def test_lists_of_approved_access_that_are_none(tmp_path, file):
    """Every line has its four columns and nothing else."""
    (tmp_path / "access.yaml").write_text(json.dumps(file))
    with pytest.raises(ManifestError):
        read_approved(tmp_path / "access.yaml")


def test_the_universe_holds_more_than_what_is_approved(tmp_path):
    """Names of the policy and of the file, one that nobody knows, and no data scope at all."""
    path = small_gateway(tmp_path, grants=[grant(ROLE), grant(OTHER_ROLE, scope="*")])
    line = Combination(ROLE, "care", SCOPE, "*")
    approved = Approved(lines=(line,), names={"cohorts": frozenset({"ward"})})
    declared = read_declared(path, USE_CASE)
    names = universe(declared, approved)
    assert names == {
        "role": (OTHER_ROLE, ROLE, "nobody-knows"),
        "purpose": ("care", "nobody-knows"),
        "data_scope": (SCOPE, "nobody-knows", ""),
        "cohort": ("ward", "nobody-knows"),
    }
    cases = list(matrix_cases(declared, approved, names, matrix_identities(names)))
    assert len(cases) == 3 * 2 * 3 * 2
    assert len({case.what for case in cases}) == len(cases)
    allowed = [case.identity for case in cases if case.allowed]
    assert {(each.roles, each.cohort, each.asks) for each in allowed} == {
        ((ROLE,), cohort, ("care", SCOPE)) for cohort in ("ward", "nobody-knows")
    }


def test_only_a_star_approves_what_names_nothing():
    """Rule 1 of the list."""
    literal, star = (Approved(lines=(Combination("r", "p", scope, "*"),), names={}) for scope in ("s", "*"))
    assert [each.allows(Combination("r", "p", "", "c")) for each in (literal, star)] == [False, True]


def test_how_long_an_answer_may_take():
    """All deadlines together, the default where none is declared, and the waiting for a person."""
    upstreams = {"a": {"deadlines": {"total_s": 3}}, "b": {}}
    assert longest_answer_s({"upstreams": upstreams, "fallback": [{"human": "q", "wait_s": 4}]}) == 127


def test_what_is_said_of_a_log_that_fails():
    """Every figure that a predicate can miss has its sentence."""
    facts = {
        "unrecorded": [],
        "sink": [
            {"sink": "frozen", "without_record": 2, "recovered_s": 0.1},
            {"sink": "killed", "without_record": 0, "recovered_s": None},
        ],
        "undetected_tampers": ["an entry left out"],
        "most_skewed_s": 3.2,
    }
    found = [each.what for each in LoggingCheck().explain(Observation(estimates=(), facts=facts))]
    words = ("without a record while the ledger was frozen", "after the ledger was killed", "did not see", "3.2 s")
    assert len(found) == len(words)
    assert all(word in what for word, what in zip(words, found, strict=True))


def test_what_is_said_of_a_switch_that_fails():
    """As above."""
    facts = {"answered_while_off": {}, "stop_s": 120.0, "resumed": False, "leaves": ["switched off"]}
    found = [each.what for each in StopCheck().explain(Observation(estimates=(), facts=facts))]
    assert [("120 s" in what, "Not every route" in what, "switched on" in what).index(True) for what in found] == [
        0,
        1,
        2,
    ]


def test_what_is_said_of_callers_who_were_not_told():
    """As above."""
    row = {"scenario": "status-500", "why": "Why.", "problems": [], "told": False}
    (found,) = LadderCheck().explain(Observation(estimates=(), facts={"scenarios": [row]}))
    assert "not told" in found.what
