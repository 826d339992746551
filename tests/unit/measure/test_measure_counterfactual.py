"""Swapping the site: known flip rates, restlessness of the model, refusals."""

import numpy as np
import pytest
from probing_worlds import logistic, sites_with_shares

from roadworthy.base.errors import ParameterError
from roadworthy.measure.probing.counterfactual import swap_site
from roadworthy.measure.probing.inputs import Inputs, make_inputs


def test_flip_rate_of_a_model_that_is_its_token_is_known() -> None:
    """Positive at one of three sites: every swap away from it flips, and half of the swaps of the others."""
    site = np.repeat(["a", "b", "c"], 400)
    inputs = make_inputs({"token": site})
    swap = swap_site(
        lambda rows: (rows.column("token") == "a").astype(float), inputs, site, ["token"], threshold=0.5, seed=1
    )
    by_site = dict(swap.by_site)
    assert by_site["a"].estimate == 1.0
    assert by_site["b"].lower < 0.5 < by_site["b"].upper
    assert swap.flipped_share.lower < 2 / 3 < swap.flipped_share.upper
    assert swap.to_negative == 400
    assert swap.to_positive + swap.to_negative == round(swap.flipped_share.estimate * 1_200)
    assert swap.absolute_change == pytest.approx(swap.flipped_share.estimate)
    assert swap.unrest_share.estimate == 0.0
    assert by_site["b"].confidence == pytest.approx(1 - 0.05 / 3)


def test_a_fitted_model_with_token_flips_and_without_does_not() -> None:
    """The same recipe, with the token among its inputs and without."""
    inputs, labels, site = sites_with_shares(1, n=1_000)
    reading = swap_site(logistic(inputs, labels), inputs, site, ["token"], threshold=0.5, seed=1)
    assert reading.flipped_share.lower > 0.2
    honest = logistic(inputs.only(["measured"]), labels)
    blind = swap_site(lambda rows: honest(rows.only(["measured"])), inputs, site, ["token"], threshold=0.5, seed=1)
    assert blind.flipped_share.estimate == 0.0
    assert blind.flipped_share.upper < 0.005
    assert (blind.score_change.lower, blind.score_change.upper) == (0.0, 0.0)


def test_columns_are_taken_from_one_donor() -> None:
    """Scanner and kernel of a site always go together, so a model that looks for a mismatch sees none."""
    rng = np.random.default_rng(2)
    code = rng.integers(0, 6, 600)
    inputs = make_inputs({"scanner": code, "kernel": code, "age": rng.normal(size=600)})

    def mismatch(rows: Inputs) -> np.ndarray:
        return (rows.column("scanner") != rows.column("kernel")).astype(float)

    together = swap_site(mismatch, inputs, code % 3, ["scanner", "kernel"], threshold=0.5, seed=1)
    apart = swap_site(mismatch, inputs, code % 3, ["scanner"], threshold=0.5, seed=1)
    assert together.flipped_share.estimate == 0.0
    assert apart.flipped_share.estimate == 1.0


def test_a_restless_model_is_told_from_a_swayed_one() -> None:
    """Random answers flip as often without a swap as with one."""
    rng = np.random.default_rng(3)
    site = np.repeat(["a", "b"], 300)
    swap = swap_site(
        lambda rows: rng.random(rows.row_count), make_inputs({"token": site}), site, ["token"], threshold=0.5, seed=1
    )
    assert swap.unrest_share.estimate == pytest.approx(0.5, abs=0.08)
    assert swap.unrest_share.lower < swap.flipped_share.estimate < swap.unrest_share.upper + 0.1


def test_a_declined_row_makes_the_shares_unknown() -> None:
    """It is counted, not skipped."""
    site = np.repeat(["a", "b"], 20)
    inputs = make_inputs({"token": site, "x": np.arange(40.0)})

    def declines(rows: Inputs) -> np.ndarray:
        return np.where(rows.column("x") == 3, np.nan, 0.7)

    swap = swap_site(declines, inputs, site, ["token"], threshold=0.5, seed=1)
    assert swap.undecided == 1
    assert not swap.flipped_share.known
    assert not swap.score_change.known
    assert [share.known for _, share in swap.by_site] == [False, True]


def test_refusals_name_what_is_wrong() -> None:
    """One site, no column, an unknown column."""
    site = np.repeat(["a", "b"], 5)
    inputs = make_inputs({"token": site})
    for sites, columns in ((np.repeat("a", 10), ["token"]), (site, []), (site, ["scanner"])):
        with pytest.raises(ParameterError):
            swap_site(lambda rows: np.zeros(rows.row_count), inputs, sites, columns, threshold=0.5, seed=1)
