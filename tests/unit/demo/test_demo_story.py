import json

import pytest
from demo_specimens import AT, written

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.checks.drift.inputs import InputsCheck, Params, Subject
from roadworthy.demo.measurements import FEATURES
from roadworthy.demo.story import planted_versus_found
from roadworthy.kit.check import Run
from roadworthy.measure.contract import load_contract
from roadworthy.measure.quality import Verdict, assess
from roadworthy.measure.table import open_table


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The truth, and the sentences of a real assessment of the damaged feed and of its comparison with the pilot."""
    paths = written(tmp_path_factory.mktemp("demo"))
    report = assess(open_table(paths.feed / "*.parquet"), load_contract(paths.contract), at=AT, cohort="site")
    broken = [f"{each.rule.rule_id}: {each.what}" for each in report.results if each.verdict is not Verdict.MET]
    check = InputsCheck()
    sets = Subject(pilot=open_table(paths.pilot), production=open_table(paths.feed / "*.parquet"), features=FEATURES)
    # 19 orders are the fewest that can tell anything at 5 %; which columns moved does not depend on them.
    compared = check.observe(sets, Params(permutations=19), Run(at=AT, seed=1, cancelled=lambda: False))
    suspected = [each.what for each in (*report.sentinels, *report.unit_swaps)]
    return paths.truth, [*broken, *suspected, *(each.what for each in check.explain(compared))]


def test_all_that_was_planted_is_found(story):
    """Each kind by its own finding, with its number of rows."""
    rows = planted_versus_found(*story)
    assert [row.kind for row in rows] == [
        "unit swap",
        "missing fields",
        "duplicate rows",
        "late rows",
        "sentinel",
        "curated pilot",
    ]
    assert all(row.found for row in rows)
    assert len({row.found for row in rows}) == 6
    assert rows[0].where == "site-c: mean_radius, mean_perimeter, mean_area"
    assert all(f" {row.rows} of " in row.found for row in rows[1:-1])
    assert rows[-1].where == "pilot-clinic: mean_symmetry"
    assert rows[-1].found.startswith("mean_symmetry moved: PSI ")


def test_without_findings_nothing_is_found(story):
    """The comparison does not believe the truth file."""
    assert not any(row.found for row in planted_versus_found(story[0], []))


@pytest.mark.parametrize(
    ("kind", "fragment"),
    [
        ("unit swap", "validity.mean_area.range"),
        ("unit swap", "mean_radius in site-c"),
        ("missing fields", "completeness.mean_concave_points"),
        ("duplicate rows", "uniqueness.patient"),
        ("late rows", "latency"),
        ("sentinel", "sentinel:"),
        ("curated pilot", "mean_symmetry moved"),
    ],
)
def test_a_kind_is_not_found_when_its_finding_is_missing(story, kind, fragment):
    """Every part is needed, and the other kinds stay found."""
    truth, findings = story
    rows = planted_versus_found(truth, [text for text in findings if fragment not in text])
    assert [row.kind for row in rows if not row.found] == [kind]


def test_another_number_of_rows_is_no_find(story):
    """A finding that saw fewer rows than were planted does not count."""
    truth, findings = story
    fewer = [text.replace(": 9 of", ": 8 of") for text in findings]
    assert [row.kind for row in planted_versus_found(truth, fewer) if not row.found] == ["late rows"]


def test_a_missing_or_foreign_truth_is_named(tmp_path):
    """RW-102 and RW-103."""
    path = tmp_path / "truth.json"
    with pytest.raises(MissingFile):
        planted_versus_found(path, [])
    for text in ("{", "{}", json.dumps({"planted": [{"kind": "rust", "columns": [], "site": "", "keys": []}]})):
        path.write_text(text)
        with pytest.raises(UnreadableData):
            planted_versus_found(path, [])
