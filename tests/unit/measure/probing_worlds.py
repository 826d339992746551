"""Worlds with a known truth, and the four hospitals, for the tests of probing."""

import math
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from roadworthy.measure.probing.inputs import Inputs, Model, make_inputs

HEART = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal"]
HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
# One measurement, one standard deviation apart: the AUC within every site is Phi(1 / sqrt(2)).
TRUE_AUC = 0.5 * (1 + math.erf(0.5))


def hospitals(shared_data: Path) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """The thirteen inputs, whether there is disease, and the site, of all 920 patients."""
    rows, sites = [], []
    for site in HOSPITALS:
        text = (shared_data / "heart_uci_4sites" / f"canonical.processed.{site}.data").read_text()
        found = [[math.nan if v == "?" else float(v) for v in line.split(",")] for line in text.split()]
        rows += found
        sites += [site] * len(found)
    table = np.array(rows)
    inputs = make_inputs({name: table[:, k] for k, name in enumerate(HEART)})
    return inputs, (table[:, -1] > 0).astype(float), np.array(sites)


def sites_with_shares(seed: int, n: int = 2_000) -> tuple[Inputs, np.ndarray, np.ndarray]:
    """Four sites with 15 to 85 % positives; one honest measurement, one token that only names the site."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 4, n)
    labels = (rng.random(n) < np.array([0.15, 0.4, 0.6, 0.85])[code]).astype(float)
    site = np.array(["north", "east", "south", "west"])[code]
    return make_inputs({"measured": labels + rng.normal(size=n), "token": site}), labels, site


def _matrix(inputs: Inputs, levels: dict[str, np.ndarray], means: dict[str, float]) -> np.ndarray:
    columns = [np.ones(inputs.row_count)]
    for name in inputs.names:
        values = inputs.column(name)
        if name in levels:
            columns += [(values == level).astype(float) for level in levels[name]]
        else:
            columns.append(np.where(np.isnan(values), means[name], values))
    return np.column_stack(columns)


def logistic(inputs: Inputs, labels: np.ndarray) -> Model:
    """A recipe: mean imputation, texts as indicators, standardised, penalty 1 on all but the intercept."""
    texts = [name for name in inputs.names if inputs.column(name).dtype.kind in "OU"]
    levels = {name: np.unique(inputs.column(name)) for name in texts}
    means = {name: float(np.nanmean(inputs.column(name))) for name in inputs.names if name not in texts}
    rows = _matrix(inputs, levels, means)
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    centre[0], scale[scale == 0] = 0.0, 1.0
    rows = (rows - centre) / scale
    sign = 2 * labels - 1

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sign * (rows @ weights)
        kept = np.append(0.0, weights[1:])
        return float(np.logaddexp(0, -margins).sum() + kept @ kept / 2), kept - rows.T @ (sign * expit(-margins))

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-12}).x
    return lambda asked: expit((_matrix(asked, levels, means) - centre) / scale @ found)
