"""OpenSLO files: the two service levels that checks use."""

import tarfile
from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.wiring.openslo import ServiceLevel, read_openslo

LATENCY = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency}
spec:
  indicator: {spec: {thresholdMetric: {metricSource: {type: prometheus}}}}
  objectives:
    - {op: lte, value: 250, target: 0.95}
    - {op: lte, value: 400, target: 0.99}
"""
ERRORS = """\
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: errors}
spec:
  indicator: {spec: {ratioMetric: {counter: true}}}
  objectives:
    - {target: 0.995}
"""


def write(folder: Path, text: str) -> Path:
    """A file with that text."""
    path = folder / "x.openslo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_latency_and_errors_are_read_from_one_file(tmp_path: Path) -> None:
    """The objective at 0.99 is the one that counts, in milliseconds."""
    level = read_openslo(write(tmp_path, LATENCY + ERRORS))
    assert level == ServiceLevel(p99_ms=400.0, error_share=0.005)


def test_without_an_error_objective_one_percent_is_acceptable(tmp_path: Path) -> None:
    """The default is stated, not silent."""
    assert read_openslo(write(tmp_path, LATENCY)).error_share == 0.01


@pytest.mark.parametrize("text", [ERRORS, "kind: Service\n", "- a list\n", "kind: [unclosed\n", "\tno\n"])
def test_a_file_without_a_latency_objective_is_an_error_with_a_remedy(tmp_path: Path, text: str) -> None:
    """A missing objective must not mean no objective."""
    with pytest.raises(ManifestError) as caught:
        read_openslo(write(tmp_path, text))
    assert caught.value.remedy


def test_the_specification_s_own_examples(shared_data: Path, tmp_path: Path) -> None:
    """The one about latency is read; those about ratios alone are refused with the reason."""
    with tarfile.open(shared_data / "conformance" / "openslo_examples.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    examples = sorted(tmp_path.rglob("*.yaml"))
    about_latency = [example for example in examples if example.name == "occurences-slo.yaml"]
    assert len(examples) > len(about_latency) == 1
    assert read_openslo(about_latency[0]).p99_ms == 500.0
    for example in set(examples) - set(about_latency):
        with pytest.raises(ManifestError, match="latency"):
            read_openslo(example)


ONE = "kind: SLO\nspec:\n  indicator: {spec: {%s: {}}}\n  objectives: [{op: lte, %s}]\n"


@pytest.mark.parametrize(
    "objective",
    [
        "target: 0.99",
        "target: 0.99, value: fast",
        "target: 0.99, value: -5",
        "target: 0.99, value: .nan",
        "target: 0.99, value: true",
    ],
)
def test_a_latency_that_is_no_positive_number_is_refused(tmp_path: Path, objective: str) -> None:
    """Missing, text, negative, NaN: an objective that cannot be missed would be no objective."""
    with pytest.raises(ManifestError, match="no latency"):
        read_openslo(write(tmp_path, ONE % ("thresholdMetric", objective)))


@pytest.mark.parametrize("target", ["99.5", "-1"])
def test_a_share_in_percent_is_refused(tmp_path: Path, target: str) -> None:
    """Wrong unit."""
    with pytest.raises(ManifestError, match="no share"):
        read_openslo(write(tmp_path, LATENCY + "---\n" + ONE % ("ratioMetric", f"target: {target}")))


@pytest.mark.parametrize(
    "text", ["kind: SLO\nspec: 3\n", "kind: SLO\nspec: {objectives: 3}\n", "kind: SLO\nspec: {objectives: [3]}\n"]
)
def test_what_has_another_shape_is_left_alone(tmp_path: Path, text: str) -> None:
    """And then there is no latency objective."""
    with pytest.raises(ManifestError, match="latency objective"):
        read_openslo(write(tmp_path, text))


ODD = ["a: 2026-13-01", "a: " + "9" * 5000, "[" * 1000, "a: !!int ''", "a: !!bool x", "a: !!timestamp x"]


@pytest.mark.parametrize("text", ODD, ids=["date", "digits", "nesting", "int", "bool", "timestamp"])
def test_whatever_cannot_be_read_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    """RW-101, not a traceback: PyYAML lets errors of Python through."""
    with pytest.raises(ManifestError, match="is not YAML"):
        read_openslo(write(tmp_path, text))


def test_aliases_are_refused(tmp_path: Path) -> None:
    """Before they unfold."""
    with pytest.raises(ManifestError, match="line 2: file: Aliases are not allowed"):
        read_openslo(write(tmp_path, "a: &a [x, x]\nb: [*a, *a]\n"))


def test_a_latency_beyond_any_float_is_refused(tmp_path: Path) -> None:
    """An integer of YAML has no largest value."""
    with pytest.raises(ManifestError, match="no latency"):
        read_openslo(write(tmp_path, ONE % ("thresholdMetric", f"target: 0.99, value: 1{'0' * 400}")))


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """RW-102."""
    with pytest.raises(MissingFile):
        read_openslo(tmp_path)
