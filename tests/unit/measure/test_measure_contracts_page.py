"""The page on contracts: its contract and its examples run, one after the other."""

import re
from pathlib import Path


def test_the_examples_run(repo_root: Path, tmp_path: Path, monkeypatch):
    """The YAML block is the contract that the blocks of Python use."""
    text = (repo_root / "docs" / "contracts.md").read_text(encoding="utf-8")
    (contract,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "visits.odcs.yaml").write_text(contract, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/contracts.md", "exec"), names)  # the page is ours
