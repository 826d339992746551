"""MinHash against the exact Jaccard similarity: error of the estimate, the s-curve, and no false positive."""

import csv
import io
import math
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates import near
from roadworthy.measure.duplicates.clusters import clusters_of
from roadworthy.measure.duplicates.near import Scheme, near_duplicates, scheme_for, signatures
from roadworthy.measure.duplicates.shingles import jaccard, shingle_sets

_WORDS = st.sampled_from(["a", "b", "C", "d.", "e-"])


def _pair(similarity, size, rng):
    """Two documents of one-word shingles whose Jaccard similarity is as near as whole words allow."""
    shared = round(2 * size * similarity / (1 + similarity))
    names = rng.choice(10**6, 2 * size, replace=False)
    common, one, two = names[:shared], names[shared:size], names[size : 2 * size - shared]
    return [" ".join(f"w{n}" for n in [*common, *rest]) for rest in (one, two)]


def _plain_jaccard(one, two, size):
    def cut(words):
        return {tuple(words[k : k + size]) for k in range(max(len(words) - size + 1, 1))} if words else set()

    first, second = (cut(text.lower().replace(".", "").replace("-", "").split()) for text in (one, two))
    return len(first & second) / len(first | second) if first | second else 0.0


@given(st.lists(_WORDS, max_size=9), st.lists(_WORDS, max_size=9), st.integers(1, 4))
def test_jaccard_is_exact(one, two, size):
    """Against Python sets of word tuples, short and empty documents included."""
    texts = [" ".join(one), " ".join(two)]
    sets = shingle_sets(texts, size=size)
    found = jaccard(sets, np.array([0]), np.array([1]))[0]
    assert found == pytest.approx(_plain_jaccard(*texts, size))


@settings(max_examples=15)
@given(st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_the_estimate_stays_within_its_error(similarity, seed):
    """The share of equal places is within five standard errors of the true similarity."""
    sets = shingle_sets(_pair(similarity, 300, np.random.default_rng(seed)), size=1)
    true = jaccard(sets, np.array([0]), np.array([1]))[0]
    marks = signatures(sets, permutations=512, seed=seed)
    assert abs((marks[0] == marks[1]).mean() - true) <= 5 * math.sqrt(true * (1 - true) / 512) + 1e-12


def test_the_estimate_has_the_variance_of_independent_orders():
    """Over 300 seeds the mean is unbiased and the spread is that of a binomial share."""
    sets = shingle_sets(_pair(0.6, 120, np.random.default_rng(4)), size=1)
    true = jaccard(sets, np.array([0]), np.array([1]))[0]
    marks = [signatures(sets, permutations=64, seed=seed) for seed in range(300)]
    shares = np.array([(one == two).mean() for one, two in marks])
    expected = true * (1 - true) / 64
    assert abs(shares.mean() - true) < 4 * math.sqrt(expected / 300)
    assert 0.75 < shares.var() / expected < 1.3


def test_the_s_curve_is_what_happens():
    """Of 400 pairs at one similarity, the share that becomes a candidate is the promised one."""
    rng = np.random.default_rng(11)
    texts = [text for _ in range(400) for text in _pair(0.7, 60, rng)]
    scheme = Scheme(bands=8, rows=6)
    sets = shingle_sets(texts, size=1)
    marks = signatures(sets, permutations=scheme.permutations, seed=2)
    left, right = near._candidates(marks, scheme, 10**6)
    hits = int(((left % 2 == 0) & (right == left + 1)).sum())
    true = jaccard(sets, np.arange(0, 800, 2), np.arange(1, 800, 2)).mean()
    promised = scheme.candidate_share(true)
    assert 0.5 < promised < 0.75
    assert abs(hits / 400 - promised) < 4 * math.sqrt(promised * (1 - promised) / 400)


def test_the_scheme_is_the_steepest_that_still_finds():
    """One more row would miss the wanted recall; fewer candidates below follow."""
    scheme = scheme_for(0.8, permutations=128, least_recall=0.99)
    assert (scheme.bands, scheme.rows) == (21, 6)
    assert scheme.candidate_share(0.8) == pytest.approx(0.9983, abs=1e-4)
    assert Scheme(bands=128 // 7, rows=7).candidate_share(0.8) < 0.99
    assert scheme.candidate_share(0.3) < 0.02
    assert scheme_for(1.0).rows == 128


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"threshold": 0.5, "least_recall": 1.0}, {"threshold": 0.01}]
)
def test_an_impossible_scheme_is_refused(wrong):
    """A share outside its range, or a similarity that so few permutations cannot find."""
    with pytest.raises(ParameterError):
        scheme_for(**wrong)
    with pytest.raises(ParameterError):
        shingle_sets(["a"], size=0)


def test_only_true_neighbours_are_reported():
    """Edited copies are found with their exact similarity; strangers and empty documents stay alone."""
    rng = np.random.default_rng(5)
    texts = [" ".join(f"w{n}" for n in rng.integers(0, 3000, 120)) for _ in range(60)]
    texts += [text.replace(text.split()[60], "changed") for text in texts[:20]]
    texts += [texts[0].upper() + "!", "", "  .. "]
    report = near_duplicates(texts, threshold=0.7, seed=3)
    assert report.empty_documents == 2
    assert report.pairs.score.min() >= 0.7
    assert {(row, row + 60) for row in range(20)} | {(0, 80)} == set(
        zip(report.pairs.left, report.pairs.right, strict=True)
    )
    assert report.clusters.redundant_rows == 21
    assert report.clusters.members()[0] == (0, 60, 80)
    again = near_duplicates(texts, threshold=0.7, seed=3)
    assert again.pairs.to_arrow().equals(report.pairs.to_arrow())


def test_too_many_candidates_are_refused():
    """A bucket of boilerplate is counted before its pairs are made, and a set of copies costs one pair each."""
    template = " ".join(f"w{n}" for n in range(200))
    texts = [f"{template} no{k}" for k in range(60)]
    with pytest.raises(ParameterError, match="pairs would have to be compared"):
        near_duplicates(texts, threshold=0.8, seed=1, most_candidates=1000)
    copies = near_duplicates([template] * 300, threshold=0.8, seed=1, most_candidates=10)
    assert (copies.candidate_pairs, len(copies.pairs), copies.clusters.largest) == (0, 299, 300)


def test_no_documents_are_no_duplicates():
    """An empty collection, and one without words."""
    assert near_duplicates([], threshold=0.8, seed=1).clusters.row_count == 0
    assert near_duplicates(["", "."], threshold=0.8, seed=1).empty_documents == 2


def test_real_answers(shared_data):
    """MedQuAD's 1,935 judged answers: every pair that brute force finds, and none besides."""
    folder = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers"
    with zipfile.ZipFile(shared_data / "medquad" / f"{folder}.zip") as archive:
        text = archive.read(f"{folder}/All-2479-Answers-retrieved-from-MedQuAD.csv").decode()
    answers = {row["AnswerID"]: row["Answer"].split("Answer:", 1)[1] for row in csv.DictReader(io.StringIO(text, ""))}
    texts = list(answers.values())
    assert (len(texts), len(set(texts))) == (1935, 1896)
    report = near_duplicates(texts, threshold=0.8, seed=1)
    sets = shingle_sets(texts)
    matrix = csr_matrix((np.ones(sets.members.size, dtype=np.int32), sets.members, sets.offsets))
    shared = (matrix @ matrix.T).tocoo()
    upper = shared.row < shared.col
    left, right, both = shared.row[upper], shared.col[upper], shared.data[upper]
    similarity = both / (sets.sizes[left] + sets.sizes[right] - both)
    expected = clusters_of(len(texts), left[similarity >= 0.8], right[similarity >= 0.8])
    assert report.clusters.labels.tolist() == expected.labels.tolist()
    assert (report.clusters.redundant_rows, len(report.clusters.members()), report.clusters.largest) == (50, 21, 10)
