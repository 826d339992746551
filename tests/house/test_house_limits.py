"""Every file of the tree keeps the house rules, and every rule can be broken."""

from collections import Counter

import pytest
from house_rules import (
    BANNED_FOLDERS,
    BANNED_STEMS,
    MAX_FILE_BYTES,
    MAX_FILE_LINES,
    bare_silences,
    broad_catches,
    hidden_imports,
    long_functions,
    places,
    text_of,
    tracked,
    unowned_todos,
)

GOOD = [
    (long_functions, "def f():\n" + "    x = 1\n" * 79),
    (hidden_imports, "import os\n\ndef f():\n    return os\n"),
    (broad_catches, "try:\n    f()\nexcept Exception as error:\n    raise Ours() from error\n"),
    (broad_catches, "try:\n    f()\nexcept BaseException:\n    close()\n    raise\n"),
    (broad_catches, "try:\n    f()\nexcept OSError:\n    pass\n"),
    (bare_silences, "import x  # noqa: F401 - kept for its side effect\n"),
    (bare_silences, "x = f()  # type: ignore[no-any-return]  # the stub is older than the library\n"),
    (unowned_todos, "# TODO (#12): measure again\n"),
    (unowned_todos, "title = 'nothing to do'\n"),
    (places, "See build/demo and ../shared/data, or <repo>/home/x.\n"),
    (places, "https://example.com/home/page\n"),
]
BAD = [
    (long_functions, "@d\ndef f():\n" + "    x = 1\n" * 79),
    (long_functions, "class C:\n    async def f(self):\n" + "        x = 1\n" * 80),
    (hidden_imports, "def f():\n    from os import path\n"),
    (hidden_imports, "class C:\n    async def f(self):\n        if self:\n            import os\n"),
    (broad_catches, "try:\n    f()\nexcept Exception:\n    pass\n"),
    (broad_catches, "try:\n    f()\nexcept (OSError, Exception):\n    raise Ours()\n"),
    (broad_catches, "try:\n    f()\nexcept:\n    pass\n"),
    (bare_silences, "import x  # noqa\n"),
    (bare_silences, "import x  # noqa: F401\n"),
    (bare_silences, "x = f()  # type: ignore\n"),
    (bare_silences, "x = f()  # type: ignore[arg-type]\n"),
    (unowned_todos, "x = 1  # TODO: later\n"),
    (unowned_todos, "# FIXME\n"),
    (places, "pip install --index-url https://pypi" + ".org/simple\n"),
    (places, "open('/wo" + "rk/main/x')\n"),
    (places, "cd /tm" + "p/x\n"),
]


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_good_text_passes(rule, text):
    """What the rule allows draws no complaint."""
    assert rule(text) == []


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_a_bad_text_is_found(rule, text):
    """What the rule forbids draws exactly one complaint."""
    assert len(rule(text)) == 1


@pytest.fixture(scope="session")
def files(repo_root):
    """Every tracked file."""
    return list(tracked(repo_root))


def _complaints(repo_root, files, rule):
    return [f"{path.relative_to(repo_root)}: {found}" for path in files for found in rule(text_of(path))]


def _python(files):
    return [path for path in files if path.suffix == ".py"]


def _source(repo_root, files):
    return [path for path in _python(files) if (repo_root / "src") in path.parents]


def test_the_walk_sees_the_tree(repo_root, files):
    """The rules below would pass on an empty list."""
    names = {str(path.relative_to(repo_root)) for path in files}
    assert {"src/roadworthy/base/errors.py", "tests/house/house_rules.py", "docs/map.md", ".ci/run"} <= names
    assert not [name for name in names if name.startswith((".venv", "build", ".git/"))]


@pytest.mark.parametrize("rule", [long_functions, hidden_imports, broad_catches])
def test_source_keeps_the_rule(repo_root, files, rule):
    """No long function, no hidden import, no swallowed error in the package."""
    assert _complaints(repo_root, _source(repo_root, files), rule) == []


def test_no_function_of_the_tests_is_long(repo_root, files):
    """A test that fills more than a page proves more than one thing."""
    tests = [path for path in _python(files) if path not in _source(repo_root, files)]
    assert _complaints(repo_root, tests, long_functions) == []


@pytest.mark.parametrize("rule", [bare_silences, unowned_todos])
def test_python_keeps_the_rule(repo_root, files, rule):
    """Every silenced warning has a code and a reason, every reminder an issue."""
    assert _complaints(repo_root, _python(files), rule) == []


def test_no_file_names_a_registry_or_a_machine(repo_root, files):
    """The tree works from any folder, with any registry."""
    assert _complaints(repo_root, files, places) == []


def test_no_python_file_is_too_long(repo_root, files):
    """500 lines, without a list of exceptions."""
    long = {str(p.relative_to(repo_root)): n for p in _python(files) if (n := text_of(p).count("\n")) > MAX_FILE_LINES}
    assert long == {}


def test_no_file_is_too_big(repo_root, files):
    """One megabyte; what is bigger belongs into the shared data."""
    assert [str(p.relative_to(repo_root)) for p in files if p.stat().st_size > MAX_FILE_BYTES] == []


def test_every_file_says_what_it_is_about(repo_root, files):
    """No drawer for odds and ends."""
    bad = [
        str(path.relative_to(repo_root))
        for path in _python(files)
        if path.stem in BANNED_STEMS or BANNED_FOLDERS & set(path.relative_to(repo_root).parts[:-1])
    ]
    assert bad == []


def test_test_files_have_unique_names(repo_root, files):
    """Without packages under tests, two files of one name would hide each other."""
    tests = [path.name for path in _python(files) if (repo_root / "tests") in path.parents]
    assert [name for name, count in Counter(tests).items() if count > 1 and name != "conftest.py"] == []
    assert [path for path in files if path.name == "__init__.py" and (repo_root / "tests") in path.parents] == []
