"""One number beside its bound."""

import math

import pytest
from reports_world import count, criterion, measured, predicate

from roadworthy.base.interval import unknown
from roadworthy.domain.criterion import Estimate, ReadinessDomain, Verdict
from roadworthy.reports.figure import bound_words, deciding_figure, figure_of, figures

LATENCY = predicate("p99_ms", "<=", 50.0, "ms", 500)
ERRORS = predicate("error_share", "<=", 0.01, "1", 500)
LOAD = criterion("T3", ReadinessDomain.TECHNICAL, "Load", check="load.peak", accept=[LATENCY, ERRORS])


def test_an_interval_reads_with_its_unit_and_equal_decimals():
    """One unit, one precision."""
    figure = figure_of(measured("p99_ms", 31.4, 29.8, 34.1, 9120, "ms"), LATENCY)
    assert (figure.text, figure.bound_text, figure.verdict) == ("31.4 ms [29.8, 34.1]", "at most 50 ms", Verdict.MET)
    assert figure.drawable


def test_a_share_reads_in_hundredths():
    """Nobody reads 0.0004."""
    figure = figure_of(measured("error_share", 0.0004, 0.0001, 0.0011, 9120), ERRORS)
    assert (figure.text, figure.bound_text) == ("0.04 % [0.01, 0.11]", "at most 1 %")


def test_a_count_is_text_not_a_picture():
    """A dot on a line says nothing that "2 broken" does not."""
    figure = figure_of(count("rules_broken", 2, 11, "rule"), predicate("rules_broken", "<=", 0.0, "rule"))
    assert (figure.text, figure.bound_text, figure.verdict) == ("2", "at most 0", Verdict.NOT_MET)
    assert not figure.drawable


def test_what_could_not_be_computed_has_no_number():
    """NaN is never drawn, and never a pass."""
    figure = figure_of(Estimate(metric="quality", interval=unknown(4)), predicate("quality", ">=", 0.8, "1"))
    assert (figure.text, figure.verdict, figure.known) == ("not known", Verdict.CANNOT_TELL, False)
    assert not figure.drawable


def test_a_bound_that_is_not_set_is_said_and_not_drawn():
    """The manifest may leave a parameter out."""
    open_bound = predicate("quality", ">=", math.nan, "1")
    figure = figure_of(measured("quality", 0.9, 0.8, 1.0, 100), open_bound)
    assert bound_words(open_bound) == "at least a bound that is not set"
    assert not figure.drawable


@pytest.mark.parametrize(("bound", "text"), [(0.8, "at least 0.80"), (0.875, "at least 0.875"), (1.0, "at least 1")])
def test_a_score_keeps_its_decimals(bound, text):
    """0.80, as people write it."""
    assert bound_words(predicate("quality", ">=", bound, "1")) == text


@pytest.mark.parametrize(
    ("latency", "errors", "speaks"),
    [
        ((40, 38, 45), (0.02, 0.015, 0.03), "error_share"),
        ((60, 55, 66), (0.02, 0.015, 0.03), "p99_ms"),
        ((40, 38, 45), (0.01, 0.005, 0.02), "error_share"),
        ((40, 38, 45), (0.001, 0.0, 0.002), "p99_ms"),
    ],
)
def test_the_worst_predicate_speaks(latency, errors, speaks):
    """A miss before a doubt before a pass; the first of equals."""
    estimates = [measured("p99_ms", *latency, 9000, "ms"), measured("error_share", *errors, 9000)]
    assert deciding_figure(LOAD, estimates).metric == speaks


def test_nothing_speaks_where_nothing_was_measured():
    """A cohort's number does not stand for the whole."""
    assert deciding_figure(LOAD, [measured("p99_ms", 1, 1, 2, 900, "ms", cohort="site A")]) is None


def test_all_figures_keep_their_order_and_only_the_whole_has_a_bound():
    """A cohort is shown, not judged."""
    whole, part = measured("p99_ms", 30, 29, 31, 900, "ms"), measured("p99_ms", 90, 89, 91, 900, "ms", cohort="C")
    shown = figures([LOAD], [whole, part])
    assert [(f.cohort, f.verdict, f.bound_text) for f in shown] == [
        (None, Verdict.MET, "at most 50 ms"),
        ("C", None, ""),
    ]
