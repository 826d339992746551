"""The manifest that ``roadworthy init`` writes: every key once, with its unit and meaning."""

MANIFEST_TEMPLATE = """\
# What Roadworthy inspects. Paths are relative to this file; digests are computed, never typed.
# Every key: roadworthy schema. A misspelt key is an error.
roadworthy: 1

use_case:
  id: my-use-case
  title: My use case
  intended_use: What it does, for whom, and who decides.
  decision: The decision that its output supports.
  owners:                        # a person or a team for each role
    business: name-of-the-business-owner
    system: name-of-the-system-owner
    data: name-of-the-data-owner
  builders: []                   # ids of the people who built it; from tier R3 on they cannot approve its gate
  tier: answers/tier.yaml        # 24 factual answers; the tier is computed from them

packs: [enterprise@2, hardening@2]

release:                         # the files that make one release; any change makes another one
  model: models/model.json
  config: serving.yaml

data:
  pilot:                         # the curated set on which the pilot was judged
    path: data/pilot.parquet
    contract: contracts/data.odcs.yaml
    label: outcome               # true outcome, 0 or 1
    key: id
    features: [feature_1, feature_2]
  production:                    # production-representative, with its damage
    path: data/feed/*.parquet
    contract: contracts/data.odcs.yaml
    label: outcome
    key: id
    cohort: site                 # results are shown for the worst cohort too
    features: [feature_1, feature_2]

target:                          # a running endpoint; the load test sends requests to it
  protocol: open-inference
  url: http://127.0.0.1:8080/v2/models/model
  peak: {per_1_s: 12, per_10_s: 9, per_60_s: 7, derived_from: pilot arrivals x expected users}

quality:
  metric: auc                    # auc | accuracy | sensitivity | specificity | brier
  bound: 0.80
  side: lower                    # the lower end of the interval must reach the bound
  margin_from_pilot: 0.05        # largest acceptable loss against the pilot

slo: {p99_ms: 200, error_share: 0.01}   # or the path of an OpenSLO file

# checks:                        # parameters of single checks; they can only get stricter
#   load.peak: {duration_s: 60}
"""
