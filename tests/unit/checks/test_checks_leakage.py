"""Leaks across the split and into the inputs."""

import numpy as np

from roadworthy.checks.leakage.split import SplitCheck

RNG = np.random.default_rng(12)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: rows
version: 1.0.0
status: active
schema:
  - name: rows
    logicalType: object
    properties:
      - {name: a, logicalType: number, customProperties: [{property: roadworthy, value: {knownAt: referral}}]}
      - {name: b, logicalType: number, customProperties: [{property: roadworthy, value: {knownAt: follow-up}}]}
"""


def rows(count=200, start=0):
    """Two inputs, an outcome, a key and a patient."""
    return {
        "a": RNG.normal(size=count),
        "b": RNG.normal(size=count),
        "ill": RNG.integers(0, 2, count).astype(float),
        "id": [f"r{start + row}" for row in range(count)],
        "patient": [f"p{(start + row) // 2}" for row in range(count)],
    }


def declared(**more):
    """What the manifest says."""
    return {"features": ("a", "b"), "label": "ill", "key": "id", **more}


def test_nobody_says_when_inputs_are_known(case, figure):
    """Then the bound is neither met nor missed."""
    case.add("pilot", rows(), **declared())
    case.add("production", rows(start=500), **declared())
    seen, findings = case.observe(SplitCheck())
    interval = figure(seen, "inputs_known_too_late")
    assert (interval.lower, interval.upper) == (0, 2)
    assert figure(seen, "rows_on_both_sides").upper == 0
    assert findings == [
        "The steps in a case's life are not named, so nobody can tell which inputs come before the decision."
    ]


def test_the_contract_says_it_and_the_manifest_has_the_last_word(case, figure):
    """b comes after the decision by the contract, and before it by the manifest."""
    path = case.folder / "rows.odcs.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    case.steps, case.decided_at = ("referral", "decision", "follow-up"), "decision"
    case.add("pilot", rows(), **declared())
    case.add("production", rows(start=500), **declared(contract=path))
    seen, findings = case.observe(SplitCheck())
    assert figure(seen, "inputs_known_too_late").lower == 1
    assert findings == ["b is known at 'follow-up', after the decision at 'decision'."]
    case.add("production", rows(start=500), **declared(contract=path, known_at={"b": "referral"}))
    seen, findings = case.observe(SplitCheck())
    assert figure(seen, "inputs_known_too_late").upper == 0
    assert findings == []


def test_an_input_that_is_left_out_of_the_steps_is_named(case):
    """One of two is dated."""
    case.steps, case.decided_at = ("referral", "decision"), "decision"
    case.add("pilot", rows(), **declared())
    case.add("production", rows(start=500), **declared(known_at={"a": "referral"}))
    _, findings = case.observe(SplitCheck())
    assert findings == ["Whether b can be known before the decision cannot be told."]


def test_rows_and_patients_of_the_training_set_are_found_in_both_tests(case, figure):
    """Ten rows under new keys in the pilot, and forty rows of shared patients in production."""
    training, pilot = rows(), rows(start=1_000)
    for name in ("a", "b"):
        pilot[name][:10] = training[name][:10]
    case.add("training", training, label="ill", key="id")
    case.add("pilot", pilot, **declared(cluster="patient"))
    case.add("production", rows(start=160), **declared(cluster="patient"))
    seen, findings = case.observe(SplitCheck())
    assert figure(seen, "rows_on_both_sides").estimate == 10 + 40
    assert seen.facts["tested on"] == ["pilot", "production"]
    assert any(finding.startswith("pilot against training: 10 of 200 test rows") for finding in findings)
    assert any(finding.startswith("production against training: 20 values of patient") for finding in findings)


def test_suspicions_are_shown_and_decide_nothing(case, figure):
    """An input that gives the outcome away, and a file sorted by outcome."""
    pilot = rows()
    pilot["ill"] = np.sort(pilot["ill"])
    pilot["a"] = pilot["ill"] + RNG.normal(size=200) / 100
    case.add("pilot", pilot, **declared())
    case.add("production", rows(start=500), **declared())
    seen, findings = case.observe(SplitCheck())
    assert figure(seen, "suspicions").estimate == 2
    assert figure(seen, "rows_on_both_sides").upper == 0
    assert any("a alone gives an AUC" in finding for finding in findings)


def test_few_outcomes_leave_suspicions_unknown(case, figure):
    """Nine positives: no input could be searched, so nothing found is not nothing there; what is found still counts."""
    pilot = rows()
    pilot["ill"] = (np.arange(200) % 22 == 0).astype(float)
    pilot["ill"][198] = 0.0
    pilot["ill"] = np.where(np.cumsum(pilot["ill"]) <= 9, pilot["ill"], 0.0)
    case.add("pilot", pilot, **declared())
    case.add("production", rows(start=500), **declared())
    seen, findings = case.observe(SplitCheck())
    assert not figure(seen, "suspicions").known
    assert any("cannot be told: pilot has 9 rows of the rarer outcome, ten are needed" in each for each in findings)
    pilot["a"][:2], pilot["b"][:2] = 7.0, 7.0
    case.add("pilot", pilot, **declared())
    seen, _ = case.observe(SplitCheck())
    assert (figure(seen, "suspicions").lower, figure(seen, "suspicions").upper) == (1, 4)


def test_rows_of_nobody_known_keep_it_open(case, figure):
    """Three learned rows without a patient may be the six test rows of any three patients; without the column, anybody."""
    pilot, production = rows(), rows(start=500)
    pilot["patient"][:3] = [None] * 3
    production["patient"][-1] = None
    case.add("pilot", pilot, **declared(cluster="patient"))
    case.add("production", production, **declared(cluster="patient"))
    seen, findings = case.observe(SplitCheck())
    both = figure(seen, "rows_on_both_sides")
    assert (both.lower, both.upper) == (0, 6 + 1)
    assert any(each.startswith("production against pilot: 7 test rows may share their patient") for each in findings)
    del pilot["patient"]
    case.add("pilot", pilot, **declared())
    seen, _ = case.observe(SplitCheck())
    assert figure(seen, "rows_on_both_sides").upper == 200


def test_two_rows_to_learn_from_show_nothing(case, figure):
    """Nothing found there is not nothing there."""
    case.add("training", rows(2), label="ill", key="id")
    case.add("pilot", rows(start=100), **declared())
    case.add("production", rows(start=500), **declared())
    seen, findings = case.observe(SplitCheck())
    assert not figure(seen, "rows_on_both_sides").known
    assert any(each.startswith("training has 2 rows, too few") for each in findings)


def test_a_running_number_hides_no_equal_rows(case, figure):
    """The same rows numbered on; different rows with a number are still different."""
    pilot, other = rows(), rows(start=500)
    names = ("a", "b", "number")
    case.add("pilot", pilot | {"number": np.arange(200) / 7}, **declared(features=names))
    again = {**pilot, "id": other["id"], "number": 1_000 + np.arange(200) / 7}
    case.add("production", again, **declared(features=names))
    seen, findings = case.observe(SplitCheck())
    assert figure(seen, "rows_on_both_sides").estimate == 200
    assert any(each.endswith("number is left out of this.") for each in findings)
    case.add("production", other | {"number": 1_000 + np.arange(200) / 7}, **declared(features=names))
    seen, _ = case.observe(SplitCheck())
    assert figure(seen, "rows_on_both_sides").upper == 0
