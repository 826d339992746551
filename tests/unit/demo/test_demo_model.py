import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.demo.cohorts import FEATURES, LABEL, matrix, read_source
from roadworthy.demo.model import load, save
from roadworthy.demo.training import train


@pytest.fixture(scope="module")
def patients():
    source = read_source()
    return matrix(source), np.asarray(source[LABEL], dtype=np.int64)


@pytest.fixture(scope="module")
def model(patients):
    rows, labels = patients
    return train("breast", FEATURES, rows, labels)


def test_scores_are_those_of_scikit_learn(model, patients):
    """The file's arithmetic is the trained model's."""
    rows, labels = patients
    scaled = StandardScaler().fit_transform(rows)
    fitted = LogisticRegression(max_iter=5_000, tol=1e-10).fit(scaled, labels)
    np.testing.assert_allclose(model.score(rows), fitted.predict_proba(scaled)[:, 1], atol=1e-8)


def test_a_missing_value_counts_as_the_training_mean(model):
    """NaN scores like the mean of its column."""
    mean = model.means[None, :].copy()
    gap = mean.copy()
    gap[0, 3] = np.nan
    assert model.score(gap)[0] == model.score(mean)[0]


def test_a_row_scores_the_same_in_any_company(model, patients):
    """A batch gives each row the very bits that it gets alone."""
    rows, _ = patients
    alone = [model.score(row[None, :])[0] for row in rows[:50]]
    assert model.score(rows)[:50].tolist() == alone


def test_saving_and_loading_keeps_every_bit(model, patients, tmp_path):
    """The file holds the whole model, and equal training data give equal bytes."""
    rows, labels = patients
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    save(model, first)
    save(train("breast", FEATURES, rows, labels), second)
    assert first.read_bytes() == second.read_bytes()
    assert load(first).score(rows).tolist() == model.score(rows).tolist()
    assert json.loads(first.read_text())["features"][0]["name"] == FEATURES[0]


def test_a_model_file_that_is_not_there_is_named(tmp_path):
    """RW-102 for a missing file."""
    with pytest.raises(MissingFile):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "m"}', '{"name": "m", "intercept": "x", "features": []}'])
def test_a_file_of_another_form_is_no_model(tmp_path, text):
    """RW-103 for what is not JSON or not a model."""
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(UnreadableData):
        load(path)
