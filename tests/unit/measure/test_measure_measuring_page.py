"""The page on measuring: its examples run, one after the other, and its figure is the one of the rule."""

import re
from pathlib import Path

from roadworthy.stats.cells import CellCounts, columns_of
from roadworthy.stats.drift import Effect
from roadworthy.stats.one_cell import one_cell_rows


def test_the_examples_run(repo_root: Path, tmp_path: Path, monkeypatch):
    """Every block of Python on the page, in one go and in a folder of its own."""
    text = (repo_root / "docs" / "measuring.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/measuring.md", "exec"), names)  # the page is ours


def test_the_rows_of_a_constant_column(repo_root: Path):
    """The page rounds them to hundreds."""
    plan = one_cell_rows(Effect.PSI, columns_of([CellCounts(reference=[100], current=[100])]), 0.02, 0.95)
    assert plan is not None
    text = (repo_root / "docs" / "measuring.md").read_text(encoding="utf-8")
    assert f"about\n  {round(plan[1], -2):,} rows" in text
