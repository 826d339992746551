"""Site and acquisition: what could be used is shown, what is used decides."""

import numpy as np
import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.shortcut.site import SiteCheck

RNG = np.random.default_rng(8)


def rows(count=600, *, told=0.0, effect=0.0):
    """Two sites; by ``told`` an input shows which, by ``effect`` the outcome differs there."""
    site = RNG.integers(0, 2, count)
    size = RNG.normal(size=count)
    return {
        "size": size,
        "grain": RNG.normal(size=count) + told * site,
        "scanner": np.where(site == 1, "new", "old").tolist(),
        "ill": (RNG.random(count) < 1 / (1 + np.exp(-2 * size - effect * site))).astype(float),
        "at": (np.datetime64("2026-01-01") + RNG.integers(0, 300, count).astype("timedelta64[D]")).astype(
            "datetime64[us]"
        ),
    }


def sound(row):
    """A model of the size alone."""
    return float(1 / (1 + np.exp(-2 * row["size"])))


def test_a_site_that_can_be_told_is_shown_and_decides_nothing(case, figure):
    """The model takes no circumstance, so no decision can change with one."""
    case.add("production", rows(told=2.0), features=("size", "grain"), label="ill", cohort="scanner", time="at")
    case.answer(sound)
    seen, findings = case.observe(SiteCheck())
    assert figure(seen, "decisions_flipped_share").upper == 0.0
    assert figure(seen, "circumstances_auc").lower > 0.8
    (finding,) = findings
    assert finding.startswith("scanner can be told from the inputs")
    assert "most of all by grain" in finding
    assert [row["circumstance"] for row in seen.facts["predicted"]] == ["scanner", "early or late"]
    assert seen.facts["predicted"][1]["p"] > 0.02


def test_a_model_that_reads_the_scanner_is_caught(case, figure):
    """Its decisions change when nothing else does."""
    case.add("production", rows(), features=("size", "scanner"), label="ill", acquisition=("scanner",))
    case.answer(lambda row: 0.9 if row["scanner"] == "new" else sound(row) / 3)
    seen, findings = case.observe(SiteCheck())
    assert figure(seen, "decisions_flipped_share").lower > 0.5
    assert "of the decisions change when only scanner does" in findings[0]
    assert seen.facts["swap"]["to positive"] > 0


def test_a_score_that_means_another_thing_elsewhere_is_shown(case):
    """Given the score, more are ill at the new scanner."""
    case.add("production", rows(effect=2.0), features=("size",), label="ill", cohort="scanner")
    case.answer(sound)
    seen, findings = case.observe(SiteCheck())
    assert any(finding.startswith("Given the score, the outcome still depends on scanner") for finding in findings)
    assert len(seen.facts["beyond the score"]["excess of positives"]) == 2


def test_rows_without_a_score_leave_it_open(case, figure):
    """A decision that was not taken cannot be said not to have changed."""
    case.add("production", rows(), features=("size", "scanner"), label="ill", acquisition=("scanner",))
    case.answer(lambda row: None if row["size"] > 1.5 else sound(row))
    seen, findings = case.observe(SiteCheck())
    assert not figure(seen, "decisions_flipped_share").known
    assert findings[0].startswith("Some rows got no score")


def test_training_sites_show_what_an_unseen_one_costs(case, figure):
    """At each site the input points the other way, so what was learned at one is wrong at the other."""
    training = rows(800)
    new = np.asarray(training["scanner"]) == "new"
    outcome = np.asarray(training["ill"])
    training["grain"] = np.where(new, 1.0, -1.0) * (2 * outcome - 1) + RNG.normal(size=800) / 4
    case.add("training", training, features=("size", "grain"), label="ill", cohort="scanner")
    case.add("production", rows(), features=("size", "grain"), label="ill", cohort="scanner")
    case.answer(sound)
    seen, findings = case.observe(SiteCheck())
    assert figure(seen, "unseen_site_loss").lower > 0.05
    assert any(finding.startswith("A plain recipe loses") for finding in findings)
    assert len(seen.facts["unseen sites"]) == 2


@pytest.mark.parametrize("cohort", [None, "scanner"])
def test_training_rows_of_one_site_or_of_none_say_nothing_of_others(case, cohort):
    """Nothing is left out."""
    case.add("training", rows() | {"scanner": ["old"] * 600}, features=("size",), label="ill", cohort=cohort)
    case.add("production", rows(), features=("size",), label="ill", cohort="scanner")
    case.answer(sound)
    seen, _ = case.observe(SiteCheck())
    assert seen.facts["unseen sites"] is None


def test_only_circumstances_as_inputs_leave_nothing_to_predict_from(case, figure):
    """And nobody claims an AUC."""
    case.add("production", rows(), features=("scanner",), label="ill", cohort="scanner")
    case.answer(lambda row: 0.5)
    seen, _ = case.observe(SiteCheck())
    assert not figure(seen, "circumstances_auc").known
    assert seen.facts["predicted"] == []


def test_very_many_rows_are_sampled_and_two_sites_are_needed(case):
    """Every probe asks the endpoint for all rows."""
    case.add("production", rows(2_400), features=("size",), label="ill", cohort="scanner")
    case.answer(sound)
    seen, _ = case.observe(SiteCheck())
    assert seen.facts["rows"] == 2_000
    case.add("production", rows(100) | {"scanner": ["old"] * 100}, features=("size",), label="ill", cohort="scanner")
    with pytest.raises(ManifestError, match="two sites"):
        case.observe(SiteCheck())


def test_undated_rows_are_not_called_early(case):
    """They take no part in the question of time, and without any there is no question."""
    columns = rows()
    columns["at"] = [None] * 600
    case.add("production", columns, features=("size",), label="ill", cohort="scanner", time="at")
    case.answer(sound)
    seen, _ = case.observe(SiteCheck())
    assert [row["circumstance"] for row in seen.facts["predicted"]] == ["scanner"]


def test_an_undeclared_copy_of_the_site_leaves_it_open(case, figure):
    """The model decides by a code that is the scanner under another name; beside a declared one the swap misses it."""
    columns = rows()
    columns["code"] = (np.asarray(columns["scanner"]) == "new").astype(float)
    case.add("production", columns, features=("size", "code"), label="ill", cohort="scanner")
    case.answer(lambda row: 0.9 if row["code"] else 0.1)
    seen, findings = case.observe(SiteCheck())
    assert not figure(seen, "decisions_flipped_share").known
    assert findings[0].startswith("code alone tells new of scanner (AUC 1.000)")
    case.add("production", columns, features=("size", "code", "scanner"), label="ill", cohort="scanner")
    seen, _ = case.observe(SiteCheck())
    assert (figure(seen, "decisions_flipped_share").lower, figure(seen, "decisions_flipped_share").upper) == (0, 1)


def test_a_model_that_declines_rows_is_not_cleared(case, figure):
    """Also where it takes no circumstance."""
    case.add("production", rows(), features=("size",), label="ill", cohort="scanner")
    case.answer(lambda row: None)
    seen, findings = case.observe(SiteCheck())
    assert not figure(seen, "decisions_flipped_share").known
    assert findings[0].startswith("Some rows got no score")
