import json
import stat

import pytest
from demo_specimens import AT, PORT, SEED

from roadworthy.base.digest import digest_file
from roadworthy.demo.documents import GatewayPorts
from roadworthy.demo.gateway import INSPECTION, SITE_A, WORKLIST, write_gateway
from roadworthy.demo.gateway_places import short_socket
from roadworthy.demo.materials import write_demo
from roadworthy.domain.risk import Tier
from roadworthy.gateway.exchange import Question
from roadworthy.gateway.load_config import LONGEST_SOCKET_BYTES, load_config
from roadworthy.gateway.rule_answers import RuleAnswers
from roadworthy.packs.tier import classify, load_answers
from roadworthy.wiring.load_manifest import load_manifest
from roadworthy.wiring.runtime import check_gateway
from roadworthy.wiring.workspace import Workspace

PORTS = GatewayPorts(listen=8400, admin=8401)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    paths = write_demo(folder, at=AT, seed=SEED, port=PORT, gateway=PORTS)
    return paths, write_gateway(folder, model_port=PORT, listen=PORTS.listen, admin=PORTS.admin)


def asked(radius):
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": [radius, None]}
    return Question(b"POST", b"/", [], json.dumps({"inputs": [tensor]}).encode())


def test_the_gateway_would_start(demo):
    """Its files fit together, its tier is the one that the answers give, and the pilot alone needs no certificate."""
    paths, gateway = demo
    check_gateway(gateway.config)
    (use_case,) = load_config(gateway.config).use_cases.values()
    assert use_case.tier is classify(load_answers(paths.answers)).tier is Tier.R3
    assert use_case.admission.pilot_cohorts == ["pilot-clinic"]
    assert not use_case.admission.certificate.exists()


def test_the_manifest_leads_through_the_gateway(demo):
    """The target is the gateway's port, with a key that is in no digest; the gateway's files are."""
    paths, _ = demo
    manifest = load_manifest(paths.manifest)
    assert manifest.target.url == f"http://127.0.0.1:{PORTS.listen}/v2/models/breast"
    assert (paths.folder / manifest.target.headers_file).is_file()
    context = Workspace(paths.manifest).proposal()
    assert context.use_case.tier is Tier.R3


def test_the_control_plane_that_is_trusted_is_the_one_of_the_folder(demo):
    """The key that will sign the first certificate."""
    paths, gateway = demo
    workspace = Workspace(paths.manifest)
    keys = {path.name for path in (workspace.folder / "keys").iterdir()}
    assert "certificate.key" in keys
    (use_case,) = load_config(gateway.config).use_cases.values()
    assert len(use_case.admission.trusted_keys) == 1


def test_the_rule_is_armed_by_its_own_count(demo):
    """The digest in gateway.yaml is that of the file, whose figures are the pilot's."""
    _, gateway = demo
    (use_case,) = load_config(gateway.config).use_cases.values()
    path = gateway.folder / "evaluation.json"
    assert use_case.fallback[0].evidence == digest_file(path)
    found = json.loads(path.read_bytes())["found"]
    assert (found["malignant"]["of"], found["benign"]["of"]) == (75, 125)
    assert found["malignant"]["interval_95"][0] > found["benign"]["interval_95"][1]


@pytest.mark.parametrize(("radius", "score"), [(15.0, 1.0), (14.9, None), (None, None)])
def test_the_rule_puts_large_nuclei_first_and_decides_nothing_else(demo, radius, score):
    """At the bound itself, below it, and where the radius is missing."""
    _, gateway = demo
    answer = RuleAnswers(gateway.folder / "rules.yaml").find(asked(radius))
    assert json.loads(answer.body)["outputs"][0]["data"] == [score]


def test_secrets_are_their_owners_alone(demo):
    """Mode 0600, and no key in any other file."""
    _, gateway = demo
    names = {INSPECTION, WORKLIST, SITE_A}
    keys = {json.loads((gateway.folder / name).read_bytes())["authorization"][7:] for name in names}
    assert len(keys) == 3
    assert all(stat.S_IMODE((gateway.folder / name).stat().st_mode) == 0o600 for name in {*names, "keys.yaml"})
    others = [path for path in gateway.folder.iterdir() if path.is_file() and path.name not in names]
    assert not any(key in path.read_text(encoding="utf-8") for key in keys for path in others)


def test_a_socket_finds_a_place_short_enough(tmp_path):
    """Beside the ledger, or, where that is too deep, in the temporary folder under a name of its own."""
    assert short_socket(tmp_path / "l") == "l/ledgerd.sock"
    deep = [tmp_path / ("x" * 100) / name / "ledger" for name in ("a", "b")]
    assert all(len(short_socket(each).encode()) <= LONGEST_SOCKET_BYTES for each in deep)
    assert short_socket(deep[0]) == short_socket(deep[0]) != short_socket(deep[1])


def test_the_deployed_release_is_the_one_that_is_inspected(demo):
    """So that the gateway, which asks the model server for it, can be compared with what was approved."""
    paths, gateway = demo
    told = json.loads((paths.folder / "release.json").read_bytes())["release"]
    assert told == Workspace(paths.manifest).proposal().subject.release_digest
    (use_case,) = load_config(gateway.config).use_cases.values()
    assert use_case.upstreams["model"].release_from == "/release"
