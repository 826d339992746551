import json

import numpy as np
import pytest
from demo_specimens import AT, PORT, SEED, written
from scipy.stats import poisson

from roadworthy.checks.data_quality.contract import ContractCheck
from roadworthy.checks.data_quality.contract import Params as ContractParams
from roadworthy.checks.data_quality.contract import Subject as ContractSubject
from roadworthy.demo.cohorts import FEATURES
from roadworthy.demo.materials import repair_feed
from roadworthy.demo.model import load
from roadworthy.domain.risk import Tier
from roadworthy.kit.check import Run
from roadworthy.measure.contract import load_contract
from roadworthy.measure.datasheet import Subject, answer_datasheet
from roadworthy.measure.delta import Metric, Sample, delta
from roadworthy.measure.quality import assess
from roadworthy.measure.table import open_table
from roadworthy.packs.tier import classify, load_answers
from roadworthy.wiring.case import data_sources, release_files
from roadworthy.wiring.load_manifest import load_manifest


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return written(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def repaired(tmp_path_factory):
    made = written(tmp_path_factory.mktemp("repaired"))
    repair_feed(made.folder)
    return made


def observed(made):
    subject = ContractSubject(
        feed=open_table(made.feed / "*.parquet"),
        clean=open_table(made.pilot).to_arrow(),
        contract=load_contract(made.contract),
        cohort="site",
    )
    check = ContractCheck()
    observation = check.observe(subject, ContractParams(), Run(at=AT, seed=1, cancelled=lambda: False))
    figures = {each.metric: each.interval.estimate for each in observation.estimates}
    return figures, [finding.what for finding in check.explain(observation)]


def measured(made):
    model = load(made.model)
    table = open_table(made.feed / "*.parquet")

    def sample(rows, cohort):
        inputs = np.column_stack([rows.column(name) for name in FEATURES])
        cohorts = rows.column("site") if cohort else None
        return Sample(labels=rows.column("malignant"), scores=model.score(inputs), cohorts=cohorts)

    return delta(sample(open_table(made.pilot), cohort=False), sample(table, cohort=True), Metric.AUC)


def test_everything_follows_from_the_arguments(paths, tmp_path):
    """Written twice, every file has the same bytes."""
    again = written(tmp_path)
    files = sorted(path.relative_to(paths.folder) for path in paths.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((paths.folder / name).read_bytes() == (again.folder / name).read_bytes() for name in files)


def test_the_manifest_names_what_is_there(paths):
    """It keeps its schema, its files exist, and its target is the port."""
    manifest = load_manifest(paths.manifest)
    assert release_files(manifest, paths.folder)
    assert data_sources(manifest, paths.folder)["production"].features == FEATURES
    assert manifest.target.url == f"http://127.0.0.1:{PORT}/v2/models/{load(paths.model).name}"


def test_the_peak_follows_from_its_assumption(paths):
    """600 in a minute, Poisson: 998 of 1,000 seconds and ten seconds stay below the declared rates."""
    peak = load_manifest(paths.manifest).target.peak
    assert peak.per_60_s == 600 / 60
    assert peak.per_10_s >= poisson(100).ppf(0.998) / 10
    assert peak.per_1_s >= poisson(10).ppf(0.998)


def test_the_tier_is_that_of_a_medical_device(paths):
    """All 24 questions are answered, and the tier is R3."""
    classified = classify(load_answers(paths.answers))
    assert (classified.tier, classified.unanswered) == (Tier.R3, ())


def test_the_clean_pilot_keeps_its_own_contract(paths):
    """No rule broken, no suspicion, no column undeclared, nothing that only looks checked."""
    report = assess(open_table(paths.pilot), load_contract(paths.contract), at=AT, cohort="site")
    assert report.met
    assert report.undeclared == ()
    assert report.notes == ()


def test_the_datasheet_answers_all_seven_questions(paths):
    """Origin, author, transformations, version, checks, use, limits."""
    table, contract = open_table(paths.pilot), load_contract(paths.contract)
    answers = answer_datasheet(
        Subject(
            table=table,
            contract=contract,
            report=assess(table, contract, at=AT),
            at=AT,
            use_case_id=load_manifest(paths.manifest).use_case.id,
            intended_use="",
            release_data_sha256=contract.provenance.output_sha256,
        )
    )
    assert [answer.question for answer in answers if not answer.answered] == []
    assert len(answers) == 7


def test_the_contract_finds_all_eight_kinds_of_damage(paths):
    """Planted in the clean pilot, each breaks a rule."""
    assert observed(paths)[0]["corruptions_found_share"] == 1.0


def test_the_damaged_feed_breaks_rules_and_the_repaired_one_none(paths, repaired):
    """D4 before and after the repair."""
    figures, findings = observed(paths)
    assert figures["rules_broken"] >= 5
    assert any("mean_radius in site-c" in text for text in findings)
    assert observed(repaired) == ({**figures, "rules_broken": 0.0, "suspicions": 0.0}, [])


def test_the_damage_costs_quality_and_the_repair_gives_it_back(paths, repaired):
    """D1, D2 and D9 before and after, against the bounds of the manifest."""
    quality = load_manifest(paths.manifest).quality
    before, after = measured(paths), measured(repaired)
    assert before.worst.cohort == "site-c"
    assert before.worst.production.lower < quality.bound
    assert before.production.lower < quality.bound
    assert -before.difference.lower > quality.margin_from_pilot
    assert after.worst.production.lower >= quality.bound
    assert after.production.lower >= quality.bound
    assert -after.difference.lower <= quality.margin_from_pilot


def test_the_truth_stands_beside_the_data(paths):
    """Instant, seed, five kinds of damage and the curated pilot, by row key."""
    truth = json.loads(paths.truth.read_text(encoding="utf-8"))
    assert (truth["seed"], truth["at"]) == (SEED, "2026-11-21T10:42:00.000000Z")
    assert {each["kind"]: bool(each["keys"]) for each in truth["planted"]} == {
        "unit swap": True,
        "missing fields": True,
        "duplicate rows": True,
        "late rows": True,
        "sentinel": True,
        "curated pilot": True,
    }
