"""The texts of the demonstration: manifest, data contract, tier answers, serving. Owns their wording, writes no file.

They are what a team would write for its own system, so they carry comments and nothing that only a demonstration needs.
"""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.clock import format_instant
from roadworthy.demo.cohorts import COHORT, KEY, LABEL, MEASURED, RECEIVED, SCANNER, SCANNERS
from roadworthy.demo.measurements import FEATURES, MEASUREMENTS, Measurement

USE_CASE = "breast-mass-triage"
MODEL = "breast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What the contract says of files that exist: SHA-256 in hex, of the source file and of the pilot data set."""

    source_sha256: str
    pilot_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPorts:
    """Where a gateway listens on the own machine: for callers, and for administrators."""

    listen: int
    admin: int


def manifest_text(port: int, gateway: GatewayPorts | None = None) -> str:
    """``roadworthy.yaml`` for a server on this port of the own machine, or for the gateway before it."""
    asked = port if gateway is None else gateway.listen
    block = "" if gateway is None else _GATEWAY.format(listen=gateway.listen, admin=gateway.admin)
    return _MANIFEST.format(
        use_case=USE_CASE,
        model=MODEL,
        port=asked,
        headers="" if gateway is None else _HEADERS,
        gateway=block,
        features=", ".join(FEATURES),
        label=LABEL,
        key=KEY,
        cohort=COHORT,
        scanner=SCANNER,
        measured=MEASURED,
    )


def contract_text(at: datetime, digests: Digests) -> str:
    """The ODCS 3.1 contract that pilot and feed keep."""
    return _CONTRACT.format(
        created=format_instant(at),
        use_case=USE_CASE,
        label=LABEL,
        key=KEY,
        cohort=COHORT,
        measured=MEASURED,
        received=RECEIVED,
        scanner=SCANNER,
        scanners=", ".join(SCANNERS),
        columns="".join(_column(each) for each in MEASUREMENTS),
        source_sha256=digests.source_sha256,
        pilot_sha256=digests.pilot_sha256,
    )


def answers_text() -> str:
    """The 24 factual answers of the use case."""
    return _ANSWERS


def serving_text() -> str:
    """``serving.yaml`` as the pilot left it: requests are not validated."""
    return _SERVING


def _column(each: Measurement) -> str:
    sentinels = ", sentinels: [0]" if each.zero_means_missing else ""
    low, high = each.median_range
    return f"""\
      - name: {each.column}
        logicalType: number
        logicalTypeOptions: {{minimum: {each.lowest:g}, maximum: {each.highest:g}}}
        quality: [{{metric: nullValues, mustBeLessOrEqualTo: 2, unit: percent, dimension: completeness}}]
        customProperties:
          - property: roadworthy
            value: {{unit: {each.unit!r}, medianRange: [{low:g}, {high:g}], knownAt: cytology{sentinels}}}
"""


_MANIFEST = """\
# Breast-mass triage: from a pilot that went well to three sites.
roadworthy: 1

use_case:
  id: {use_case}
  title: Breast-mass triage at three sites
  intended_use: Orders the cytologists' worklist by the probability that a breast mass is malignant; a doctor decides.
  decision: order of the worklist
  # A case's life; the output is used at triage, so an input known later would be a leak.
  steps: [referral, cytology, triage, biopsy]
  decided_at: triage
  owners: {{business: ada, system: ben, data: registry-office, validator: chi, change_lead: rollout-team}}
  builders: [ben]
  tier: answers/tier.yaml

packs: [enterprise@2, hardening@2]

release:
  model: models/{model}.json
  config: serving.yaml

data:
  # The pilot was judged on the very rows that the model learned from; nobody held any back.
  training:
    path: data/pilot.parquet
    label: {label}
    key: {key}
    cluster: {key}
  pilot:
    path: data/pilot.parquet
    contract: contracts/breast.odcs.yaml
    label: {label}
    key: {key}
    cluster: {key}
    known_at: {{{label}: biopsy}}
    features: [{features}]
  production:
    path: data/feed/*.parquet
    contract: contracts/breast.odcs.yaml
    label: {label}
    key: {key}
    cluster: {key}
    cohort: {cohort}
    acquisition: [{scanner}]
    time: {measured}
    known_at: {{{label}: biopsy}}
    features: [{features}]

target:
  protocol: open-inference
  url: http://127.0.0.1:{port}/v2/models/{model}
{headers}  # Assumption: after an outage all three sites deliver their backlog at once, 600 masses in the busiest minute. If they
  # arrive independently within it (Poisson, 10 a second), 998 of 1,000 such minutes stay below these rates.
  peak:
    per_1_s: 20
    per_10_s: 14
    per_60_s: 10
    derived_from: backlog of three sites after an outage, 600 masses in one minute, Poisson arrivals

# Some 120 patients of a site, 46 of them with a malignant mass, can prove a bound of 0.85, and could not prove 0.90.
quality:
  metric: auc
  bound: 0.85
  side: lower
  margin_from_pilot: 0.05

slo: {{p99_ms: 100, error_share: 0.01}}
{gateway}"""

_HEADERS = """\
  # The inspection asks as a caller of the gateway; its key stands in this file and in no evidence.
  headers_file: gateway/inspection.json
"""

_GATEWAY = """
# Nobody reaches the model but through the gateway, the inspection as little as anybody else.
gateway:
  config: gateway/gateway.yaml
  url: http://127.0.0.1:{listen}
  admin_url: http://127.0.0.1:{admin}

fallback:
  - rule: masses with large nuclei first, all others in their turn
  - refuse: read the masses in the order of their arrival
"""

_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: breast-masses
name: Breast masses with ten cytological measurements
version: 1.0.0
status: active
contractCreatedTs: "{created}"
domain: cytology
description:
  purpose: Ten measurements of cell nuclei for each breast mass, and whether the mass was malignant.
  usage: Training and judging models that order a worklist; never a diagnosis by itself.
  limitations: One hospital, one period, no age, no ancestry; the unit of length is read as micrometres.
team:
  name: Registry office
  members:
    - {{username: dana, name: Dana Whitfield, role: data owner, dateIn: "2026-01-05"}}
    - {{username: eli, name: Eli Sorensen, role: data steward, dateIn: "2026-03-02"}}
servers:
  - {{server: files, type: local, path: ../data, format: parquet, environment: prod}}
slaProperties:
  - {{property: freshness, value: 7, unit: d, element: {measured}, description: A feed that stopped is noticed in a week.}}
  - {{property: latency, value: 2, unit: d, element: "{measured}, {received}", description: Masses are triaged while it helps.}}
schema:
  - name: breast_masses
    logicalType: object
    physicalType: parquet
    quality:
      - {{metric: rowCount, mustBeGreaterOrEqualTo: 100, dimension: coverage}}
      - name: consistency.outline
        type: custom
        engine: roadworthy
        dimension: consistency
        description: An outline is longer than a circle's, and shorter than that of a star; holds in any unit of length.
        implementation: {{expression: mean_perimeter BETWEEN 6 * mean_radius AND 9 * mean_radius}}
    properties:
      - name: {key}
        logicalType: string
        required: true
        unique: true
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {{pattern: "^wdbc-[0-9]{{3}}$"}}
      - name: {cohort}
        logicalType: string
        required: true
        customProperties:
          - property: roadworthy
            value: {{references: ../data/sites.csv#{cohort}, knownAt: referral}}
      - name: {scanner}
        logicalType: string
        required: true
        quality: [{{metric: invalidValues, mustBe: 0, arguments: {{validValues: [{scanners}]}}, dimension: conformity}}]
        customProperties: [{{property: roadworthy, value: {{knownAt: cytology}}}}]
      - name: {measured}
        logicalType: timestamp
        required: true
        customProperties: [{{property: roadworthy, value: {{maxAge: 90 d, knownAt: cytology}}}}]
      - name: {received}
        logicalType: timestamp
        required: true
{columns}      - name: {label}
        logicalType: integer
        required: true
        quality: [{{metric: invalidValues, mustBe: 0, arguments: {{validValues: [0, 1]}}, dimension: conformity}}]
        customProperties: [{{property: roadworthy, value: {{knownAt: biopsy}}}}]
customProperties:
  - property: roadworthy
    value:
      sources:
        - origin: Wisconsin Diagnostic Breast Cancer (Wolberg, Street, Mangasarian), as it comes with scikit-learn
          path: ../data/source.csv
          sha256: {source_sha256}
      transformations: >-
        Patients chosen within each outcome; columns renamed; key, site, scanner and instants added; no measurement changed.
      outputSha256: {pilot_sha256}
      suitableFor: [{use_case}]
      limitations:
        - {{text: The unit of length is read as micrometres., rule: validity.mean_radius.range}}
        - {{text: The pilot comes from one clinic., slice: {cohort}=pilot-clinic}}
        - {{text: A measurement may be missing in a few rows., rule: completeness.mean_concavity.nullValues}}
"""

_ANSWERS = """\
# Facts about breast-mass triage; the tier follows from them: roadworthy tier answers/tier.yaml
Q1: no                          # no prohibited practice
Q2: no                          # it is used on patients
Q3: deployer
Q4: third_party_assessed        # device software of class IIa
Q5: no                          # not in an area of Annex III
Q6: no                          # no profiling
Q7: no_exemption
Q8: no                          # doctors see a list; it talks to nobody
Q9: no                          # no GxP record
Q10: no                         # no regulatory decision
Q11: medium                     # one input beside image, history and examination
Q12: medium                     # a mass further down the list waits longer
Q13: no                         # a doctor sees every mass
Q14: no
Q15: class_iia
Q16: no                         # the model is frozen between releases
Q17: recommends
Q18: special_category_or_large_scale
Q19: no
Q20: no
Q21: under_5000_users_reversible
Q22: no                         # the model is ours
Q23: no
Q24: custom_5
"""

_SERVING = f"""\
# How the model is served; part of the release.
model: models/{MODEL}.json
# on: reject what cannot be understood, and decline rows far outside the training data. The pilot ran without.
validation: "off"
"""
