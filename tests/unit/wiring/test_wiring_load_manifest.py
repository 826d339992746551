"""roadworthy.yaml: every problem at once, each with line, path and remedy."""

from pathlib import Path

import pytest
import yaml

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.cli.template import MANIFEST_TEMPLATE
from roadworthy.wiring.load_manifest import load_manifest


def write(folder: Path, text: str) -> Path:
    """A manifest with that text."""
    path = folder / "roadworthy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_init_writes_is_valid(tmp_path: Path) -> None:
    """The template is the first manifest that a user sees."""
    manifest = load_manifest(write(tmp_path, MANIFEST_TEMPLATE))
    assert manifest.use_case.id == "my-use-case"
    assert manifest.target is not None
    assert manifest.target.peak is not None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  title: My", "  titel: My", "use_case.titel: Unknown key. Did you mean title?"),
        ("  metric: auc", "  metric: gini", "quality.metric"),
        ("  bound: 0.80", "  bound: 80", "quality.bound"),
        ("p99_ms: 200", "p99: 200", "slo.p99: Unknown key. Did you mean p99_ms?"),
        ("per_1_s: 12", "per_1_s: 12 rps", "target.peak.per_1_s"),
        ("  url: http", "  url: ftp", "target.url"),
        ("roadworthy: 1", "roadworthy: 2", "roadworthy"),
        ("  id: my-use-case", "  id: My Use Case", "use_case.id"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Unknown key, unknown value, wrong unit, wrong range."""
    text = MANIFEST_TEMPLATE.replace(old, new)
    line = next(
        n
        for n, each in enumerate(text.splitlines(), start=1)
        if each.strip().startswith(new.strip()) or ("{" in each and new in each)
    )
    with pytest.raises(ManifestError) as caught:
        load_manifest(write(tmp_path, text))
    assert said in caught.value.what
    assert f"line {line}:" in caught.value.what


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    """Nobody should have to run it five times to find five mistakes."""
    text = (
        MANIFEST_TEMPLATE.replace("bound: 0.80", "bound: 80")
        .replace("metric: auc", "metric: gini")
        .replace("packs: [", "pack: [")
    )
    with pytest.raises(ManifestError, match="problem") as caught:
        load_manifest(write(tmp_path, text))
    assert caught.value.what.count("line ") == 4


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n"])
def test_what_is_no_manifest_at_all_is_an_error_too(tmp_path: Path, text: str) -> None:
    """Empty, a list, or not YAML."""
    with pytest.raises(ManifestError):
        load_manifest(write(tmp_path, text))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(MissingFile):
        load_manifest(tmp_path / "roadworthy.yaml")


def test_the_template_is_yaml_without_duplicates() -> None:
    """Each key stands once."""
    assert set(yaml.safe_load(MANIFEST_TEMPLATE)) >= {"roadworthy", "use_case", "packs", "release", "data", "target"}


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    """YAML would let the second one win in silence: here the lower bound."""
    text = MANIFEST_TEMPLATE.replace("  bound: 0.80\n", "  bound: 0.80\n  bound: 0.10\n")
    with pytest.raises(ManifestError, match=r"quality\.bound: The key stands twice"):
        load_manifest(write(tmp_path, text))


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """Not a traceback."""
    path = tmp_path / "roadworthy.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        load_manifest(path)


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def test_aliases_are_refused_with_their_lines(tmp_path: Path) -> None:
    """Before they unfold."""
    with pytest.raises(ManifestError, match="line 2: file: Aliases are not allowed") as caught:
        load_manifest(write(tmp_path, BOMB))
    assert "line 3:" in caught.value.what


ODD = ["a: 2026-13-01", "a: " + "9" * 5000, "[" * 1000, "a: !!int ''", "a: !!bool x", "a: !!timestamp x"]


@pytest.mark.parametrize("text", ODD, ids=["date", "digits", "nesting", "int", "bool", "timestamp"])
def test_whatever_cannot_be_read_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    """RW-101, not a traceback: PyYAML lets errors of Python through."""
    with pytest.raises(ManifestError, match="is not YAML") as caught:
        load_manifest(write(tmp_path, text))
    assert caught.value.code == "RW-101"
