"""The project's own papers agree with each other: locks, version, ignores, Make targets, decision records."""

import re
import subprocess
import sys
import tomllib

import pytest

import roadworthy

LOCKS = ("requirements/run.txt", "requirements/dev.txt")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]+\])?==[^ ;]+")


def blocks(text):
    """A lock, requirement by requirement."""
    return [block for block in re.split(r"\n(?=\S)", text.strip()) if not block.startswith("#")]


def unlocked(text):
    """What a lock says that pip's hash mode could not hold to: no exact version, no hash, or a URL."""
    loose = [block.split("\n")[0] for block in blocks(text) if not PIN.match(block) or "--hash=sha256:" not in block]
    return loose + re.findall(r"\S*://\S*|^-\S*i\S*ndex\S*|^--(?:find-links|trusted-host)\S*", text, re.MULTILINE)


@pytest.fixture(scope="session")
def project(repo_root):
    """pyproject.toml, parsed."""
    return tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_url(repo_root, lock):
    """The same bytes from whatever registry the machine is set up for."""
    text = (repo_root / lock).read_text(encoding="utf-8")
    assert unlocked(text) == []
    assert len(blocks(text)) > 20


@pytest.mark.parametrize(
    "text",
    [
        "numpy==2.0 \\\n    --hash=sha256:00\n--index-url https://registry.example/simple\n",
        "numpy==2.0\n",
        "numpy>=2.0 \\\n    --hash=sha256:00\n",
        "numpy @ https://files.example/numpy.whl \\\n    --hash=sha256:00\n",
    ],
)
def test_a_loose_lock_is_found(text):
    """The rule above can be broken."""
    assert unlocked(text)


@pytest.mark.parametrize(("lock", "group"), [(LOCKS[0], False), (LOCKS[1], True)])
def test_locks_cover_what_the_project_asks_for(repo_root, project, lock, group):
    """Whoever adds a dependency runs make lock."""
    asked = project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if group else [])
    names = {re.split(r"[^A-Za-z0-9._-]", wish)[0].lower().replace("_", "-") for wish in asked}
    text = (repo_root / lock).read_text(encoding="utf-8")
    locked = {match["name"].lower() for block in blocks(text) if (match := PIN.match(block))}
    assert names <= locked


def test_the_build_backend_is_locked(project):
    """The package is installed without build isolation, so the lock must bring what builds it."""
    assert set(project["build-system"]["requires"]) <= set(project["dependency-groups"]["dev"])


def test_one_version(project):
    """The package says of itself what the project says of it."""
    assert roadworthy.__version__ == project["project"]["version"]


def test_every_ignored_lint_rule_says_why(repo_root):
    """An ignore without a reason is a rule that nobody dares to switch on again."""
    text = (repo_root / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.mccabe]")]
    rules = re.findall(r'^.*"[A-Z]+[0-9]*".*$', section, re.MULTILINE)
    assert len(rules) > 20
    assert [line for line in rules if '"ALL"' not in line and not re.search(r"# \S+ .{3}", line)] == []


def test_every_make_target_says_what_it_does(repo_root):
    """``make`` alone is the table of contents."""
    text = (repo_root / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert {"setup", "demo", "test", "test-extra", "test-full", "check", "bench", "lock", "clean"} <= phony
    assert phony == set(re.findall(r"^([a-z-]+):.*## \S+", text, re.MULTILINE))
    said = subprocess.run(["make", "-s", "help"], cwd=repo_root, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in said for target in phony)


def test_every_mark_is_known_to_ci(repo_root, project):
    """A mark that require_run does not know would excuse its tests for ever."""
    program = "from house_marks import HOUSE_MARKS; print(*sorted(HOUSE_MARKS))"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=repo_root / "tools", capture_output=True, text=True, check=True
    )
    described = {line.partition(":")[0] for line in project["tool"]["pytest"]["ini_options"]["markers"]}
    assert set(child.stdout.split()) == described


def test_decision_records_are_numbered_and_whole(repo_root):
    """Numbers without a hole, each with the sections of the template."""
    records = sorted((repo_root / "docs" / "adr").glob("[0-9]*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04d}" for number in range(len(records))]
    sections = re.findall(r"^## .*$", records[0].read_text(encoding="utf-8"), re.MULTILINE)
    for record in records[1:]:
        text = record.read_text(encoding="utf-8")
        assert re.findall(r"^## .*$", text, re.MULTILINE) == sections, record.name
        assert re.search(r"^Status: (proposed|accepted|rejected|superseded by \d{4})$", text, re.MULTILINE), record.name


def test_news_fragments_have_a_kind(repo_root):
    """``<issue>.<kind>.md``; one sentence, at most 40 words."""
    for path in (repo_root / "changelog.d").glob("*.md"):
        if path.name != "README.md":
            assert re.fullmatch(r"\d+[a-z-]*\.(removed|deprecated|added|changed|fixed|security)\.md", path.name), (
                path.name
            )
            assert len(path.read_text(encoding="utf-8").split()) <= 40, path.name


def dead_links(page):
    """Relative links of a page that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def test_links_between_the_documents_hold(repo_root):
    """A relative link leads to a file."""
    pages = [*(repo_root / "docs").rglob("*.md"), *repo_root.glob("*.md"), *(repo_root / "changelog.d").glob("*.md")]
    assert {str(page.relative_to(repo_root)): dead for page in pages if (dead := dead_links(page))} == {}


def test_a_dead_link_is_found(tmp_path):
    """The rule above can be broken, and leaves other sites alone."""
    page = tmp_path / "page.md"
    page.write_text("[here](page.md#part) [there](https://example.com) [nowhere](gone.md)", encoding="utf-8")
    assert dead_links(page) == ["gone.md"]
