"""From roadworthy.yaml to the vocabulary: digests, missing files, service levels."""

from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.digest import digest_file
from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject
from roadworthy.wiring import case as reading
from roadworthy.wiring.workspace import Workspace
from small_project import Project

RICH = """\
target:
  url: http://127.0.0.1:9/v2/models/m/
  peak: {per_1_s: 3, per_10_s: 2, per_60_s: 1, derived_from: guess}
quality: {metric: auc, bound: 0.8, side: lower, margin_from_pilot: 0.05}
slo: {p99_ms: 200}
fallback: [{human: desk}]
"""


@pytest.fixture
def rich(project: Project) -> Project:
    """With everything that a manifest may declare."""
    project.manifest.write_text(project.manifest.read_text() + RICH)
    project.edit("roadworthy.yaml", "config: serving.yaml", "config: serving.yaml, infrastructure: infra.yaml")
    (project.folder / "infra.yaml").write_text("nodes: 2\n")
    return project


def subject(project: Project) -> Subject:
    return Workspace(project.manifest).proposal().subject


PLACES = [
    ("models/model.json", Part.MODEL, True),
    ("serving.yaml", Part.CONFIG, True),
    ("contracts/data.yaml", Part.DATA_CONTRACT, True),
    ("infra.yaml", Part.INFRASTRUCTURE, True),
    ("data/pilot.csv", Part.PILOT_DATA, False),
    ("data/feed/b.csv", Part.PRODUCTION_DATA, False),
]


@pytest.mark.parametrize(("name", "part", "of_release"), PLACES)
def test_a_changed_file_changes_its_part_and_no_other(rich: Project, name: str, part: Part, of_release: bool) -> None:
    """And the release exactly when the part belongs to one."""
    before = subject(rich)
    (rich.folder / name).write_bytes((rich.folder / name).read_bytes() + b"\n")
    after = subject(rich)
    assert {p for p in after.parts if after.parts[p] != before.parts[p]} == {part}
    assert (after.release_digest != before.release_digest) is of_release


SETTINGS = [
    ("business: ada", "business: eve", Part.PEOPLE),
    ("bound: 0.8,", "bound: 0.9,", Part.THRESHOLDS),
    ("p99_ms: 200", "p99_ms: 300", Part.THRESHOLDS),
    ("human: desk", "human: ward", Part.INFRASTRUCTURE),
    ("per_1_s: 3", "per_1_s: 30", Part.INFRASTRUCTURE),
    ("127.0.0.1:9", "127.0.0.1:8", Part.INFRASTRUCTURE),
]


@pytest.mark.parametrize(("old", "new", "part"), SETTINGS)
def test_a_changed_setting_changes_its_part_and_no_other(rich: Project, old: str, new: str, part: Part) -> None:
    """A load test at the old peak says nothing about the new one, and evidence about one endpoint nothing of another."""
    before = subject(rich)
    rich.edit("roadworthy.yaml", old, new)
    after = subject(rich)
    assert {p for p in after.parts if after.parts[p] != before.parts[p]} == {part}


def test_a_changed_pack_changes_its_part_and_no_other(rich: Project) -> None:
    """What a pack says, not how its file is laid out."""
    before = subject(rich)
    (rich.folder / "packs/road.yaml").write_text("\n" + (rich.folder / "packs/road.yaml").read_text())
    assert subject(rich).same(before)
    rich.edit("packs/road.yaml", "title: Everything pinned", "title: All of it pinned")
    after = subject(rich)
    assert {p for p in after.parts if after.parts[p] != before.parts[p]} == {Part.PACKS}


def test_reading_twice_gives_the_same(rich: Project) -> None:
    """Digests are of bytes, not of dates."""
    assert subject(rich).same(subject(rich))


def test_one_more_file_of_a_data_set_changes_it(project: Project) -> None:
    """One digest covers a data set, however many files."""
    before = subject(project)
    (project.folder / "data/feed/c.csv").write_text("id\n3\n")
    assert subject(project).parts[Part.PRODUCTION_DATA] != before.parts[Part.PRODUCTION_DATA]


def test_files_with_a_digest_of_their_own_are_pinned(rich: Project) -> None:
    """The infrastructure file shares its digest with what the manifest declares, so its bytes alone do not have it."""
    workspace = Workspace(rich.manifest)
    found = workspace.proposal().subject
    pinned = reading.pinned_files(workspace.manifest, workspace.root)
    assert set(pinned) == {Part.MODEL, Part.CONFIG}
    assert {part: digest_file(path) for part, path in pinned.items()} == {p: found.parts[p] for p in pinned}


def test_without_a_target_the_infrastructure_file_is_pinned_too(project: Project) -> None:
    """Then its digest is the file's."""
    project.edit("roadworthy.yaml", "config: serving.yaml", "config: serving.yaml, infrastructure: serving.yaml")
    workspace = Workspace(project.manifest)
    assert Part.INFRASTRUCTURE in reading.pinned_files(workspace.manifest, workspace.root)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("models/model.json", "release.model"),
        ("serving.yaml", "release.config"),
        ("contracts/data.yaml", "data.pilot.contract"),
        ("answers/tier.yaml", "use_case.tier"),
        ("packs/road.yaml", "packs"),
    ],
)
def test_a_missing_file_is_named_with_its_key(project: Project, name: str, where: str) -> None:
    """RW-102."""
    (project.folder / name).unlink()
    with pytest.raises(MissingFile) as caught:
        Workspace(project.manifest).proposal()
    assert (caught.value.code, caught.value.where) == ("RW-102", where)
    assert name in caught.value.what


@pytest.mark.parametrize("name", ["data/pilot.csv", "data/feed/*.csv"])
def test_a_data_set_without_files_is_missing(project: Project, name: str) -> None:
    """RW-102 for a path and for a pattern."""
    for path in project.folder.glob(name):
        path.unlink()
    with pytest.raises(MissingFile):
        Workspace(project.manifest).proposal()


def test_the_context_has_what_the_manifest_says(rich: Project) -> None:
    """Absolute paths, no trailing slash, levels and peak side by side."""
    workspace = Workspace(rich.manifest)
    found = workspace.proposal().subject
    context = workspace.context(workspace.clock(), 7, rich.folder, found)
    assert context.target is not None
    assert context.target.peak is not None
    assert context.quality is not None
    assert (context.target.url, context.target.p99_ms) == ("http://127.0.0.1:9/v2/models/m", 200)
    assert (context.target.error_share, context.target.peak.per_1_s) == (0.01, 3)
    assert (context.quality.metric, context.quality.bound, context.quality.threshold) == ("auc", 0.8, 0.5)
    assert context.data["production"].pattern == rich.folder / "data/feed/*.csv"
    assert all(path.is_absolute() for path in context.files.values())
    assert context.recorded == found.parts


def test_what_is_not_declared_is_absent(project: Project) -> None:
    """No target, no quality, and no parameter for packs."""
    workspace = Workspace(project.manifest)
    context = workspace.context(workspace.clock(), 7, project.folder, workspace.proposal().subject)
    assert (context.target, context.quality) == (None, None)
    assert reading.policy_parameters(workspace.manifest, None) == {}


@pytest.mark.parametrize(("metric", "side", "op"), [("auc", "lower", ">="), ("brier", "upper", "<=")])
def test_the_side_decides_the_comparator(rich: Project, metric: str, side: str, op: str) -> None:
    """What packs may refer to."""
    rich.edit("roadworthy.yaml", "metric: auc", f"metric: {metric}")
    rich.edit("roadworthy.yaml", "side: lower", f"side: {side}")
    workspace = Workspace(rich.manifest)
    level = reading.service_level(workspace.manifest, workspace.root)
    values: dict[str, Any] = {
        "quality.bound": 0.8,
        "quality.op": op,
        "quality.margin": 0.05,
        "slo.p99_ms": 200,
        "slo.error_share": 0.01,
    }
    assert reading.policy_parameters(workspace.manifest, level) == values


@pytest.mark.parametrize(("metric", "side"), [("auc", "upper"), ("brier", "lower")])
def test_a_side_that_any_model_would_meet_is_refused(rich: Project, metric: str, side: str) -> None:
    """RW-101: the lower end of an error, or the upper end of a score, bounds nothing."""
    rich.edit("roadworthy.yaml", "metric: auc", f"metric: {metric}")
    rich.edit("roadworthy.yaml", "side: lower", f"side: {side}")
    with pytest.raises(ManifestError, match="the side is"):
        Workspace(rich.manifest)


def test_the_service_level_may_stand_in_an_openslo_file(rich: Project) -> None:
    """Then the file's objective counts."""
    rich.edit("roadworthy.yaml", "slo: {p99_ms: 200}", "slo: slo.yaml")
    (rich.folder / "slo.yaml").write_text(
        "kind: SLO\nspec: {objectives: [{op: lte, value: 90, target: 0.99}], indicator: {spec: {thresholdMetric: {}}}}\n"
    )
    workspace = Workspace(rich.manifest)
    level = reading.service_level(workspace.manifest, workspace.root)
    assert level is not None
    assert level.p99_ms == 90


def test_a_target_without_a_service_level_has_no_latency_bound(rich: Project) -> None:
    """Nothing can be told then, rather than everything passed."""
    rich.edit("roadworthy.yaml", "slo: {p99_ms: 200}\n", "")
    workspace = Workspace(rich.manifest)
    target = reading.target_of(workspace.manifest, None)
    assert target is not None
    assert target.p99_ms is None


def test_recorded_arrivals_count_by_their_content(rich: Project) -> None:
    """Another record is another infrastructure; none leaves every digest as it was; one that is absent is RW-102."""
    bare = subject(rich)
    rich.edit("roadworthy.yaml", "  peak: {per_1_s: 3", "  arrivals: trace.csv\n  peak: {per_1_s: 3")
    with pytest.raises(MissingFile):
        Workspace(rich.manifest).proposal()
    trace = rich.folder / "trace.csv"
    trace.write_text("TIMESTAMP\n2023-11-16 18:15:46\n")
    before = subject(rich)
    trace.write_text("TIMESTAMP\n2023-11-16 18:15:47\n")
    after = subject(rich)
    for one, other in ((bare, before), (before, after)):
        assert {p for p in other.parts if other.parts[p] != one.parts[p]} == {Part.INFRASTRUCTURE}
    target = reading.target_of(Workspace(rich.manifest).manifest, None)
    assert target is not None
    assert target.arrivals == Path("trace.csv")


def test_the_credential_of_the_inspection_makes_no_other_release(rich: Project) -> None:
    """Its file is told to checks by its name, and another one changes no digest."""
    bare = subject(rich)
    rich.edit("roadworthy.yaml", "  peak: {per_1_s: 3", "  headers_file: key.json\n  peak: {per_1_s: 3")
    assert subject(rich).parts == bare.parts
    target = reading.target_of(Workspace(rich.manifest).manifest, None)
    assert target is not None
    assert target.headers_file == Path("key.json")


def test_the_use_case_has_its_computed_tier_and_its_owners(project: Project) -> None:
    """Nobody types a tier."""
    found = Workspace(project.manifest).proposal().use_case
    assert found.tier is Tier.R3
    assert found.owners == {Role.BUSINESS_OWNER: "ada", Role.SYSTEM_OWNER: "ben"}
    assert found.builders == ("ben",)


def test_a_folder_is_no_file(project: Project, tmp_path: Path) -> None:
    """RW-102, not a traceback."""
    project.edit("roadworthy.yaml", "model: models/model.json", "model: models")
    with pytest.raises(MissingFile):
        Workspace(project.manifest).proposal()


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "circle/x"], ids=["NUL", "long", "circle"])
def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path, name: str) -> None:
    """RW-102 where the operating system itself would refuse it, with a message of bearable length."""
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(MissingFile, match="no name of a file") as caught:
        reading.existing(tmp_path, name, "release.model")
    assert (caught.value.code, caught.value.where) == ("RW-102", "release.model")
    assert len(caught.value.what) < 130
