import math

import numpy as np
import pytest

from roadworthy.demo.answers.documents import read_documents
from roadworthy.demo.answers.ranking import K1, B, Ranking, words_of

TEXTS = [["a", "b", "a"], ["b", "c"], ["d"], []]


def test_the_formula_by_hand():
    """Two words, worked out."""
    ranking = Ranking(TEXTS)
    idf_a = math.log(1 + (4 - 1 + 0.5) / 1.5)
    idf_b = math.log(1 + (4 - 2 + 0.5) / 2.5)
    norm = K1 * (1 - B + B * 3 / 1.5)
    wanted = idf_a * 2 / (2 + norm) + idf_b * 1 / (1 + norm)
    assert ranking.scores(["a", "b"])[0] == pytest.approx(wanted, rel=1e-12)
    assert ranking.scores(["a", "a"])[0] == pytest.approx(2 * idf_a * 2 / (2 + norm), rel=1e-12)


def test_it_agrees_with_bm25s():
    """An implementation by other hands, on the handbook."""
    bm25s = pytest.importorskip("bm25s")
    texts = [words_of(each.text) for each in read_documents()]
    theirs = bm25s.BM25(method="lucene", k1=K1, b=B, dtype="float64")
    theirs.index(texts, show_progress=False)
    ours = Ranking(texts)
    for question in (["leave"], ["ferry", "ticket", "day"], words_of("How long must my password be?")):
        assert ours.scores(question) == pytest.approx(theirs.get_scores(question), abs=1e-6)


def test_coverage_is_a_share_of_the_weight():
    """All of it, some, none; what nobody knows weighs most."""
    ranking = Ranking(TEXTS)
    assert ranking.coverage(["a", "b"]).tolist()[0] == 1.0
    idf_b, unknown = math.log(1 + 2.5 / 2.5), math.log(1 + 4.5 / 0.5)
    assert ranking.coverage(["b", "zebra"]) == pytest.approx(np.array([1, 1, 0, 0]) * idf_b / (idf_b + unknown))
    assert ranking.coverage([]).tolist() == [0, 0, 0, 0]


def test_the_best_come_first_and_ties_stay_in_order():
    """What holds no word of the question is left out."""
    ranking = Ranking([["x"], ["y"], ["x"], ["x", "x"]])
    assert [index for index, _ in ranking.best(["x"], 10)] == [3, 0, 2]
    assert [index for index, _ in ranking.best(["x"], 2)] == [3, 0]
    assert ranking.best(["nothing"], 3) == []


def test_empty_texts_are_no_trouble():
    """Nothing is found in nothing, without a division by zero."""
    assert Ranking([[], []]).best(["a"], 2) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Ferries, and 3 cars!", ["ferry", "3", "car"]),
        ("glass status buses ties gas", ["glass", "status", "buse", "ty", "gas"]),
        ("it's snake_case", ["s", "snake", "case"]),
        ("Überfahrt", ["überfahrt"]),
    ],
)
def test_words_are_plain_and_singular(text, words):
    """Lower case, no stop words, no plural's ending."""
    assert words_of(text) == words
