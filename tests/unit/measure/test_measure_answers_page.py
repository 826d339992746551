"""The page on answers: its examples run, one after the other."""

import re
from pathlib import Path


def test_the_examples_run(repo_root: Path, tmp_path: Path, monkeypatch):
    """Every block of Python on the page, in one go and in a folder of its own."""
    text = (repo_root / "docs" / "answers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert len(blocks) == 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/answers.md", "exec"), names)  # the page is ours
