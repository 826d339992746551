"""What scores hang on, asked through the endpoint."""

import numpy as np
import pytest

from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.checks.attribution.stable import StableCheck

RNG = np.random.default_rng(10)
NAMES = ("a", "b", "c")


def prepare(case, *, rows=150, **declared):
    """Two sets of one law."""
    for name in ("pilot", "production"):
        columns = {column: RNG.normal(size=rows) for column in NAMES}
        case.add(name, columns, **({"features": NAMES} | declared))


def score(row):
    """Hangs on a most, on c not at all."""
    return float(1 / (1 + np.exp(-2 * row["a"] - row["b"])))


def test_an_unchanged_model_raises_no_alarm(case, figure):
    """Weights, cost and order are shown."""
    prepare(case, rows=300, acquisition=("made",))
    case.answer(score)
    seen, findings = case.observe(StableCheck())
    assert findings == []
    assert figure(seen, "attribution_alarms").upper == 0
    assert figure(seen, "attribution_rank_correlation").estimate == 1.0
    assert [row["input"] for row in seen.facts["weights"]] == ["a", "b", "c"]
    assert seen.facts["rows"] == {"pilot": 200, "production": 200}
    assert seen.facts["cost"]["rows a second"] > seen.facts["cost"]["rows a second with explanation"] > 0


def test_weight_on_where_a_row_was_made_is_found(case, figure):
    """Two thirds of it."""
    prepare(case, acquisition=("a",))
    case.answer(score)
    seen, findings = case.observe(StableCheck())
    assert figure(seen, "acquisition_mass_share").lower > 0.5
    assert "tells where a row was made" in findings[0]


def test_a_model_that_decides_otherwise_in_production_is_named(case, figure):
    """Production is told by a flag; there the heaviest input is another one, or the same one points the other way."""
    names = (*NAMES, "where")
    for name, flag in (("pilot", 0.0), ("production", 1.0)):
        columns = {column: RNG.normal(size=200) for column in NAMES} | {"where": np.full(200, flag)}
        case.add(name, columns, features=names)
    case.answer(lambda row: score(row if row["where"] == 0.0 else {"a": row["c"], "b": row["b"]}))
    seen, findings = case.observe(StableCheck())
    assert "weight" in seen.facts["alarms"]
    assert any(each.startswith("Decisions hang on other inputs than in the pilot (weight): ") for each in findings)
    case.answer(lambda row: score(row if row["where"] == 0.0 else {"a": -row["a"], "b": row["b"]}))
    seen, findings = case.observe(StableCheck())
    assert figure(seen, "attribution_alarms").estimate >= 1
    assert seen.facts["figures"]["furthest"]["direction"] == "a"
    assert any("(direction), most of all on a" in each for each in findings)


def test_rows_that_are_declined_are_left_out_and_counted(case):
    """Also those that are declined only once an input is taken away."""
    prepare(case)
    case.answer(lambda row: None if row["a"] > 1.2 else score(row))
    seen, _ = case.observe(StableCheck())
    assert seen.facts["rows"]["production"] + seen.facts["rows declined"]["production"] == 150
    assert seen.facts["rows declined"]["production"] > 0
    case.answer(lambda row: None if row["a"] * row["b"] > 1.0 else score(row))
    seen, _ = case.observe(StableCheck())
    assert seen.facts["scores kept where an input was taken away"]["production"] > 0


def test_an_endpoint_that_answers_all_alike_explains_nothing(case, figure):
    """No input has any weight, so its share is unknown."""
    prepare(case, acquisition=("a",))
    case.answer(lambda row: 0.5)
    seen, findings = case.observe(StableCheck())
    assert not figure(seen, "acquisition_mass_share").known
    assert findings == ["No input moves a score."]


def test_what_cannot_be_ranked_is_refused(case):
    """Two inputs, or no row with a score."""
    prepare(case)
    case.answer(lambda row: None)
    with pytest.raises(EmptyData, match="scores 0 of 150 rows of the pilot"):
        case.observe(StableCheck())
    prepare(case, features=("a", "b"))
    with pytest.raises(ManifestError, match="2 inputs"):
        case.observe(StableCheck())


def test_what_is_declined_when_swapped_may_carry_all(case, figure):
    """The model decides by the scanner and declines every row with another one: no weight is seen on it."""
    names = (*NAMES, "scanner")
    scanners = {}
    for name in ("pilot", "production"):
        columns = {column: RNG.normal(size=200) for column in NAMES} | {"scanner": np.arange(200) % 2 * 1.0}
        scanners |= dict(zip(columns["a"].tolist(), columns["scanner"].tolist(), strict=True))
        case.add(name, columns, features=names, acquisition=("scanner",))

    def decide(row):
        if scanners.get(row["a"], row["scanner"]) != row["scanner"]:
            return None
        return 0.1 + 0.7 * row["scanner"] + 0.05 * float(np.tanh(row["a"]))

    case.answer(decide)
    seen, findings = case.observe(StableCheck())
    assert figure(seen, "acquisition_mass_share").upper == 1.0
    assert any("tells where a row was made" in each for each in findings)


def test_where_nobody_says_what_tells_the_site_its_weight_is_unknown(case, figure):
    """And scores that are all alike raise no alarm that means anything."""
    prepare(case)
    case.answer(score)
    seen, findings = case.observe(StableCheck())
    assert not figure(seen, "acquisition_mass_share").known
    assert findings[-1].startswith("Nobody says which columns")
    case.answer(lambda row: 0.5)
    seen, _ = case.observe(StableCheck())
    assert not figure(seen, "attribution_alarms").known
