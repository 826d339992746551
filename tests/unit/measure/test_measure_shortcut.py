"""Sites and times read off the inputs: known truth, real hospitals, exact levels; and what sites add to a score."""

import math
from pathlib import Path

import numpy as np
import pytest
from probing_worlds import HOSPITALS, hospitals, logistic

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.measure.probing.folds import deal, mean_auc
from roadworthy.measure.probing.inputs import inputs_of, is_missing, make_inputs, one_of_each, scores_of
from roadworthy.measure.probing.residual import site_beyond_score
from roadworthy.measure.probing.shortcut import predictable, predictable_time
from roadworthy.measure.table import open_table


def test_four_hospitals_can_be_told(shared_data: Path) -> None:
    """Site is all but known from thirteen inputs, and most of it from which values are missing."""
    inputs, _, site = hospitals(shared_data)
    told = predictable(inputs, site, seed=1, permutations=99)
    assert told.auc.lower > 0.95
    assert told.test is not None
    assert (told.test.p_value, told.rows_used) == (0.01, 920)
    assert told.test.usual == pytest.approx(0.5, abs=0.01)
    assert [name for name, _ in told.groups] == list(HOSPITALS)
    assert told.groups[0][1].estimate > 0.99
    carriers = {carrier.source: carrier.alone.estimate for carrier in told.carriers}
    assert told.carriers[0].source in {"ca", "ca (missing)"}
    assert carriers["ca (missing)"] > 0.7
    assert carriers["thal (missing)"] > carriers["age"]


def test_sites_that_differ_in_nothing_cannot_be_told() -> None:
    """Over 40 quiet worlds about 5 % alarm at 5 %, and the interval holds 0.5."""
    alarms = held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        inputs = make_inputs({"a": rng.normal(size=90), "b": rng.integers(0, 3, 90)})
        told = predictable(inputs, rng.integers(0, 3, 90), seed=seed, permutations=19)
        alarms += told.above_chance()
        held += told.auc.lower <= 0.5 <= told.auc.upper
    assert alarms <= 6
    assert held >= 36


def test_what_only_two_inputs_show_together_is_seen() -> None:
    """Each input is alike at both sites, their product is not; a third one tells nothing and carries nothing."""
    rng = np.random.default_rng(5)
    site = rng.integers(0, 2, 600)
    first = rng.normal(size=600)
    second = np.where(site == 1, 1, -1) * np.sign(first) * np.abs(rng.normal(size=600))
    told = predictable(
        make_inputs({"first": first, "second": second, "idle": rng.normal(size=600)}), site, seed=1, permutations=39
    )
    assert told.auc.lower > 0.8
    assert told.above_chance()
    lost = {carrier.source: carrier.lost_without for carrier in told.carriers}
    assert min(lost["first"], lost["second"]) > 0.25
    assert abs(lost["idle"]) < 0.05
    assert all(carrier.alone.estimate < 0.62 for carrier in told.carriers)


def test_texts_and_their_absence_carry() -> None:
    """A scanner's name, and a field that one site never fills."""
    rng = np.random.default_rng(6)
    site = np.repeat(["x", "y", "z"], 100)
    scanner = np.where(site == "x", "alpha", np.where(rng.random(300) < 0.5, "beta", "gamma")).astype(object)
    note = np.where(site == "y", None, "seen").astype(object)
    told = predictable(
        make_inputs({"scanner": scanner, "note": note, "flat": np.ones(300), "void": np.full(300, np.nan)}),
        site,
        seed=1,
    )
    alone = {carrier.source: carrier.alone.estimate for carrier in told.carriers}
    assert set(alone) == {"scanner", "note", "note (missing)"}
    assert alone["scanner"] > 0.7
    assert alone["note (missing)"] > 0.7
    assert told.auc.estimate > 0.99


def test_time_is_asked_as_late_against_early() -> None:
    """A slow change of a device is seen, in days or in instants; no change is not; a gap is refused."""
    rng = np.random.default_rng(7)
    day = rng.permutation(400)
    drifting = make_inputs({"signal": day / 400 + 0.3 * rng.normal(size=400)})
    told = predictable_time(drifting, day, seed=1, permutations=39)
    assert told.auc.lower > 0.8
    assert [name for name, _ in told.groups] == ["late"]
    instants = np.datetime64("2026-01-01") + day.astype("timedelta64[D]")
    assert predictable_time(drifting, instants, seed=1, permutations=39) == told
    steady = make_inputs({"signal": rng.normal(size=400)})
    assert not predictable_time(steady, day, seed=1, permutations=39).above_chance()
    with pytest.raises(ParameterError):
        predictable_time(drifting, np.where(day == 3, np.nan, day), seed=1)
    with pytest.raises(ParameterError):
        predictable_time(drifting, np.where(day == 3, np.datetime64("NaT"), instants), seed=1)


def test_small_groups_are_named_and_one_group_is_no_question() -> None:
    """Nine rows of a site take no part, and are listed; a single usable site leaves the answer unknown."""
    rng = np.random.default_rng(8)
    inputs = make_inputs({"a": rng.normal(size=69)})
    told = predictable(inputs, np.repeat(["a", "b", "c"], [30, 30, 9]), seed=1, permutations=9)
    assert told.too_small == (("c", 9),)
    assert told.rows_given == 60
    alone = predictable(inputs, np.repeat(["a", "c"], [60, 9]), seed=1)
    assert not alone.auc.known
    assert not alone.above_chance()


def test_large_data_are_sampled_and_it_is_said() -> None:
    """Of 12,000 rows 5,000 are used; a rare site keeps enough rows for every fold."""
    rng = np.random.default_rng(9)
    site = np.where(np.arange(12_000) < 15, "rare", "usual")
    told = predictable(make_inputs({"a": rng.normal(size=12_000)}), site, seed=1, permutations=3)
    assert told.rows_given == 12_000
    assert 4_990 <= told.rows_used <= 5_010
    assert told.auc.known


def test_many_inputs_bound_the_pairs() -> None:
    """Thirteen numbers make 78 pairs; the seed draws 66 of them, the same each time."""
    rng = np.random.default_rng(10)
    inputs = make_inputs({f"x{k:02}": rng.normal(size=60) for k in range(13)})
    site = rng.integers(0, 2, 60)
    first, again = (predictable(inputs, site, seed=3, permutations=9) for _ in range(2))
    assert first == again


def test_refusals_name_what_is_wrong() -> None:
    """No permutation, a name too few, no column, no row, a column that is not there, scores that do not fit."""
    inputs = make_inputs({"a": np.arange(30.0)})
    site = np.repeat(["x", "y"], 15)
    with pytest.raises(ParameterError):
        predictable(inputs, site, seed=1, permutations=0)
    with pytest.raises(ParameterError):
        predictable(inputs, site[1:], seed=1)
    with pytest.raises(ParameterError):
        make_inputs({})
    with pytest.raises(ParameterError):
        make_inputs({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(EmptyData):
        make_inputs({"a": []})
    with pytest.raises(ParameterError):
        inputs.only(["b"])
    with pytest.raises(ParameterError):
        inputs.replaced("a", np.arange(3.0))
    instants = np.array(["2026-01-01", "NaT"], dtype="datetime64[D]")
    assert is_missing(instants).tolist() == [False, True]
    with pytest.raises(ParameterError):
        scores_of(lambda _: np.zeros(3), inputs)


def test_a_table_becomes_inputs(tmp_path: Path) -> None:
    """Numbers, texts and nulls of a file arrive as columns."""
    (tmp_path / "a.csv").write_text("n,t\n1,x\n,y\n3,\n")
    inputs = inputs_of(open_table(tmp_path / "a.csv"), ["t", "n"])
    assert inputs.names == ("t", "n")
    assert inputs.column("t")[2] is None
    assert math.isnan(inputs.column("n")[1])


def test_folds_are_fair_and_averaged() -> None:
    """Each class is spread to within one row; a fold without a class leaves the average unknown."""
    labels = np.repeat([0, 1], [53, 27])
    fold = deal(labels, 5, np.random.default_rng(1))
    for label in (0, 1):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(fold)) <= 1
    assert not mean_auc(labels == 1, np.zeros(80), np.arange(80) // 40).known
    with pytest.raises(ParameterError):
        deal(labels, 1, np.random.default_rng(1))


def test_a_calibrated_score_leaves_nothing_to_the_site() -> None:
    """Over 200 worlds whose score is the truth, though sites differ in it, about 5 % alarm; ranks serve as well."""
    alarms = ranked = held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        site = rng.integers(0, 3, 300)
        truth = 1 / (1 + np.exp(-(rng.normal(size=300) + 0.8 * site - 0.8)))
        labels = rng.random(300) < truth
        effect = site_beyond_score(labels, truth, site, seed=seed, permutations=59)
        alarms += effect.p_value < 0.05
        held += all(part.lower <= 0 <= part.upper for _, part in effect.excess)
        if seed < 60:
            ranked += site_beyond_score(labels, 10 * truth - 3, site, seed=seed, permutations=59).p_value < 0.05
    assert 2 <= alarms <= 19
    assert ranked <= 8
    assert held >= 180


def test_many_small_sites_keep_the_level() -> None:
    """Forty sites of ten rows that say nothing: of 100 worlds about 5 % alarm at 5 %, not 15 %."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scale = rng.normal(size=400)
        labels = rng.random(400) < 1 / (1 + np.exp(1 - scale))
        effect = site_beyond_score(labels, 1 / (1 + np.exp(-scale)), np.arange(400) // 10, seed=seed, permutations=59)
        alarms += effect.p_value <= 0.05
    assert alarms <= 8


def test_a_file_in_order_of_sites_hides_no_site() -> None:
    """Equal scores are ties: strata are drawn, not cut from the file, so one site's excess is found."""
    site = np.repeat(["a", "b", "c", "d"], 100)
    labels = np.random.default_rng(13).random(400) < np.where(site == "d", 0.6, 0.3)
    assert site_beyond_score(labels, np.full(400, 0.4), site, seed=1).p_value == 0.001


def test_one_row_a_patient_is_kept() -> None:
    """Forty patients of twenty rows, sites unrelated to inputs: rows would tell the site, patients do not."""
    above = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(40), 20)
        site = rng.permutation(np.repeat(["x", "y"], 20))[patient]
        usual = rng.normal(size=(40, 3))[patient]
        inputs = make_inputs({f"x{k}": usual[:, k] + rng.normal(0, 0.5, 800) for k in range(3)})
        told = predictable(inputs, site, seed=seed, clusters=patient, permutations=19)
        assert (told.rows_used, told.rows_given) == (40, 40)
        above += told.above_chance()
        late = predictable_time(inputs, np.arange(800), seed=seed, clusters=patient, permutations=3)
        assert late.rows_given == 40
    assert above <= 2
    with pytest.raises(ParameterError):
        predictable(inputs, site, seed=1, clusters=patient[1:])


def test_the_row_of_a_patient_is_drawn_and_nobody_is_nobodys_twin() -> None:
    """Either row of two can be the one; rows without a patient all stay, and the seed decides."""
    clusters = np.array(["p", "q", "p", None, None], dtype=object)
    drawn = {tuple(one_of_each(clusters, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert drawn == {(0, 1, 3, 4), (1, 2, 3, 4)}
    assert one_of_each(np.array([2.0, np.nan, 2.0, np.nan]), np.random.default_rng(1)).size == 3


def test_the_strongest_of_many_inputs_has_a_wider_interval() -> None:
    """Each source alone is shown at the level at which all eight hold together."""
    rng = np.random.default_rng(14)
    inputs = make_inputs({f"x{k}": rng.normal(size=200) for k in range(8)})
    told = predictable(inputs, rng.integers(0, 2, 200), seed=1, permutations=3)
    assert len(told.carriers) == 8
    assert all(carrier.alone.confidence == pytest.approx(1 - 0.05 / 8) for carrier in told.carriers)
    assert told.auc.confidence == 0.95


def test_the_cleveland_score_means_something_else_elsewhere(shared_data: Path) -> None:
    """Given the score of a model trained at Cleveland, Switzerland has more disease and Hungary less."""
    inputs, labels, site = hospitals(shared_data)
    home = site == "cleveland"
    scores = logistic(inputs.take(home), labels[home])(inputs.take(~home))
    effect = site_beyond_score(labels[~home], scores, site[~home], seed=1)
    excess = dict(effect.excess)
    assert effect.p_value == 0.001
    assert effect.sites == 3
    assert effect.departure > 20 * effect.usual
    assert excess["switzerland"].lower > 0.2
    assert excess["hungarian"].upper < -0.1


def test_sites_that_cannot_be_compared_are_named() -> None:
    """Nine rows are too few, one outcome is no test, a declined row is refused; a constant score is fine."""
    rng = np.random.default_rng(11)
    labels = (rng.random(109) < 0.5).astype(float)
    site = np.repeat(["a", "b", "c"], [50, 50, 9])
    effect = site_beyond_score(labels, np.full(109, 0.5), site, seed=1)
    assert effect.too_small == (("c", 9),)
    assert 0 < effect.p_value <= 1
    assert site_beyond_score(np.ones(109), rng.random(109), site, seed=1).p_value == 1.0
    assert math.isnan(site_beyond_score(labels, rng.random(109), np.repeat("a", 109), seed=1).departure)
    with pytest.raises(ParameterError):
        site_beyond_score(labels, np.where(labels == 1, np.nan, 0.5), site, seed=1)
    with pytest.raises(ParameterError):
        site_beyond_score(labels, rng.random(109), site[1:], seed=1)


def test_a_site_with_one_outcome_keeps_finite_weights() -> None:
    """All positive at one site: the test is made, and the site is found."""
    rng = np.random.default_rng(12)
    site = np.repeat(["a", "b"], 60)
    labels = np.where(site == "a", 1.0, rng.random(120) < 0.4)
    effect = site_beyond_score(labels, rng.random(120), site, seed=1)
    assert effect.p_value == 0.001
    assert dict(effect.excess)["a"].lower > 0
