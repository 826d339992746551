"""Calibration, coverage and abstention in production."""

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.checks.uncertainty.calibration import CalibrationCheck

RNG = np.random.default_rng(9)


def prepare(case, *, sharpen=1.0, rows=3_000):
    """Outcomes drawn from probabilities; the endpoint says them sharper than they are in production."""
    for name in ("pilot", "production"):
        odds = 3 * RNG.normal(size=rows)
        ill = (RNG.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
        said = odds * (sharpen if name == "production" else 1.0)
        case.add(name, {"odds": said, "ill": ill}, features=("odds",), label="ill")
    case.answer(lambda row: float(1 / (1 + np.exp(-row["odds"]))))


def test_probabilities_that_mean_what_they_say_pass(case, figure):
    """Within the tolerance, slope about 1, promise kept, and a confidence from which to answer."""
    prepare(case)
    seen, findings = case.observe(CalibrationCheck())
    assert figure(seen, "calibration_error").upper < 0.05
    assert figure(seen, "calibration_slope").lower < 1 < figure(seen, "calibration_slope").upper
    assert figure(seen, "conformal_coverage").estimate == pytest.approx(0.9, abs=0.02)
    assert findings == []
    answered = seen.facts["error among the surest"]
    assert [row["wrong"] for row in answered] == sorted(row["wrong"] for row in answered)
    assert 0.5 < seen.facts["abstention"]["answer from confidence"] < 1
    assert sum(row["rows"] for row in seen.facts["bins"]) == 3_000


def test_overconfidence_is_found(case, figure):
    """Odds thrice as large as they should be: both figures say so."""
    prepare(case, sharpen=3.0)
    seen, findings = case.observe(CalibrationCheck())
    assert figure(seen, "calibration_error").lower > 0.05
    assert len(findings) == 2
    assert findings[1].startswith("Prediction sets calibrated on the pilot")


def test_scores_that_are_no_probabilities_are_refused(case):
    """An order is no probability."""
    prepare(case, rows=100)
    case.answer(lambda row: 10 * row["odds"])
    with pytest.raises(ParameterError, match="outside"):
        case.observe(CalibrationCheck())
