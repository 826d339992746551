"""The gateway before the demonstration's model. Owns its files and the evaluation that arms its fallback.

::

    gateway/gateway.yaml   policy.yaml   keys.yaml   rules.yaml   evaluation.json
    gateway/inspection.json   worklist.json   site-a.json      headers with one API key each, mode 0600
    gateway/ledger/                                            made by the gateway at its first start
    release.json                                               which release was deployed; the model server tells it

The fallback is one measurement against one bound that was fixed beforehand: a mass with large nuclei is read first, any
other one in its turn, and the score says "undecided" then. It claims nothing about how probable malignancy is. What it
does on the pilot's patients is counted, and the count's digest stands in gateway.yaml as what armed the rung.

Rules kept here:
1. A secret stands in one file, readable by its owner; gateway.yaml and the policy hold none.
2. The gateway trusts the certificates of this folder's control plane only. There is no certificate yet, so it serves the
   pilot cohort and nobody else.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_bytes
from roadworthy.demo.cohorts import COHORT, LABEL, PILOT, SITES
from roadworthy.demo.documents import MODEL, USE_CASE
from roadworthy.demo.gateway_places import secret_file, short_socket
from roadworthy.demo.measurements import FEATURES
from roadworthy.demo.server import RELEASE
from roadworthy.domain.case_file import fold
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.stats.proportions import wilson
from roadworthy.wiring.keyring import certificate_key, machine_keys
from roadworthy.wiring.workspace import FOLDER_NAME, Workspace

FOLDER = "gateway"
INSPECTION, WORKLIST, SITE_A = "inspection.json", "worklist.json", "site-a.json"
LARGE_NUCLEI_UM = 15.0
NOTICE = "The model did not answer. Masses with large nuclei are read first, all others in their turn."
REFUSAL = "The worklist cannot be ordered. Read the masses in the order of their arrival."
_COLUMN = FEATURES[0]
_PURPOSE = "triage"
# Who asks, by the file of its key: id, role and cohort.
_CALLERS = {
    INSPECTION: ("inspection", "inspection", PILOT),
    WORKLIST: ("worklist", "reader", PILOT),
    SITE_A: ("worklist-site-a", "reader", SITES[0]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPaths:
    """Where the gateway's files lie.

    Attributes:
        folder: of them all.
        config: gateway.yaml.
        log: folder of the published log.
    """

    folder: Path
    config: Path
    log: Path


def write_gateway(folder: Path, *, model_port: int, listen: int, admin: int) -> GatewayPaths:
    """Write everything that the gateway needs before its first start.

    Args:
        folder: of the demonstration, written already.
        model_port: where the model listens on 127.0.0.1.
        listen: port for callers.
        admin: port for administrators.
    """
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    lines = []
    for name, (key_id, role, cohort) in _CALLERS.items():
        key, line = new_key(key_id, owner=key_id, roles=[role], cohort=cohort, scopes=["*"], purposes=[_PURPOSE])
        secret_file(home / name, json.dumps({"authorization": f"Bearer {key}"}))
        lines.append(line)
    secret_file(home / "keys.yaml", "\n".join(["api_keys: 1", "keys:", *lines, ""]))
    (home / "policy.yaml").write_text(_POLICY.format(use_case=USE_CASE, purpose=_PURPOSE), encoding="utf-8")
    (home / "rules.yaml").write_text(_RULES.format(model=MODEL, bound=LARGE_NUCLEI_UM), encoding="utf-8")
    evaluation = canonical_bytes(evaluate_rule(folder / "data" / "pilot.parquet"))
    (home / "evaluation.json").write_bytes(evaluation)
    config = home / "gateway.yaml"
    text = _GATEWAY.format(
        use_case=USE_CASE,
        model=MODEL,
        purpose=_PURPOSE,
        listen=listen,
        admin=admin,
        upstream=model_port,
        socket=short_socket(home / "ledger"),
        key=_control_plane_key(folder),
        pilot=PILOT,
        evidence=digest_bytes(evaluation),
        notice=NOTICE,
        refusal=REFUSAL,
    )
    config.write_text(text, encoding="utf-8")
    deployed = {"release": Workspace(folder / "roadworthy.yaml").proposal().subject.release_digest}
    (folder / RELEASE).write_text(json.dumps(deployed) + "\n", encoding="utf-8")
    return GatewayPaths(folder=home, config=config, log=home / "ledger" / "log")


def evaluate_rule(pilot: Path) -> dict[str, object]:
    """What the rule does to the pilot's patients: whom of each outcome it puts first, with 95 % intervals.

    Args:
        pilot: Parquet file of the pilot set.
    """
    table = pq.read_table(pilot)
    first = np.asarray(table[_COLUMN]) >= LARGE_NUCLEI_UM
    malignant = np.asarray(table[LABEL]) == 1
    counted: dict[str, object] = {}
    for name, rows in (("malignant", malignant), ("benign", ~malignant)):
        put_first, of = int(np.count_nonzero(first & rows)), int(np.count_nonzero(rows))
        share = wilson(put_first, of)
        interval = [round(share.lower, 4), round(share.upper, 4)]
        counted[name] = {"put_first": put_first, "of": of, "share": round(share.estimate, 4), "interval_95": interval}
    return {
        "rule": f"{_COLUMN} >= {LARGE_NUCLEI_UM:g}",
        "data": f"{table.num_rows} patients of {table[COHORT][0].as_py()}",
        "found": counted,
        "limits": "The bound was not fitted. A length in another unit makes the rule wrong without a sign.",
    }


def _control_plane_key(folder: Path) -> str:
    """The public key by which this folder's control plane signs certificates; made now, before there is any."""
    store = folder / FOLDER_NAME
    machine_keys(store)
    return certificate_key(store, fold(())).public.hex


_GATEWAY = """\
# The gateway before the triage model. Check it: roadworthy gateway -c gateway.yaml --check
gateway: 1
listen: 127.0.0.1:{listen}
admin: 127.0.0.1:{admin}
drain_s: 5
ledger: {{folder: ledger, origin: example.org/{use_case}, socket: "{socket}"}}
identity: {{keys: keys.yaml}}
policy: policy.yaml
use_cases:
  {use_case}:
    tier: R3
    title: Breast-mass triage at three sites
    purposes: [{purpose}]
    record: strict            # no answer leaves before its record is durable
    routes:
      - {{protocol: open-inference, model: {model}}}
    upstreams:
      model:
        url: http://127.0.0.1:{upstream}
        release_from: /release
        deadlines: {{connect_s: 1, first_byte_s: 5, idle_s: 5, total_s: 20}}
        breaker: {{least_requests: 100, open_s: 1}}
    fallback:
      - rule: rules.yaml
        evidence: {evidence}   # of evaluation.json
        notice: {notice}
      - refuse: {refusal}
    # From tier R3 on a certificate admits production traffic. Until one is there, the pilot goes on and nobody else.
    admission:
      certificate: certificate.json
      trusted_keys: ["{key}"]
      refresh_s: 1
      pilot_cohorts: [{pilot}]
"""

_POLICY = """\
# Nothing is allowed that is not granted.
policy: 1
grants:
  - {{roles: [reader], use_cases: [{use_case}], purposes: [{purpose}], data_scopes: ["*"], cohorts: ["*"]}}
  - {{roles: [inspection], use_cases: [{use_case}], purposes: [{purpose}], data_scopes: ["*"], cohorts: ["*"]}}
"""

_RULES = """\
# Without the model: one mass at a time, by the radius of its nuclei in micrometres. null says that nothing is decided.
rules: 1
answers:
  - name: large-nuclei-first
    when:
      - {{pointer: /inputs/0/shape/0, comparator: equals, value: 1}}
      - {{pointer: /inputs/0/data/0, comparator: at_least, value: {bound}}}
    body:
      model_name: {model}
      outputs:
        - {{name: probability, datatype: FP64, shape: [1], data: [1.0], parameters: {{rule: large-nuclei-first}}}}
  - name: in-its-turn
    when:
      - {{pointer: /inputs/0/shape/0, comparator: equals, value: 1}}
      - {{pointer: /inputs/0/data/0, comparator: present}}
    body:
      model_name: {model}
      outputs:
        - {{name: probability, datatype: FP64, shape: [1], data: [null], parameters: {{rule: in-its-turn}}}}
"""
