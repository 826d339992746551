"""``profile`` and ``compare`` on the command line: text, JSON, pages, windows, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.cli.app import execute


def run(*words: str | Path) -> int:
    return execute([str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """June, July with older patients at one site, and twelve rows."""
    rng = np.random.default_rng(1)
    for name, shift in (("june", 0.0), ("july", 8.0)):
        site = rng.choice(["north", "south"], 6_000)
        table = pa.table(
            {
                "site": site,
                "age": rng.normal(60, 12, 6_000) + np.where(site == "south", shift, 0),
                "word": rng.choice(["a", "[red]b\x1b[31m"], 6_000),
                "seen_at": np.datetime64("2026-06-01", "us") + np.arange(6_000).astype("timedelta64[m]"),
                "empty": pa.array([None] * 6_000, pa.float64()),
            }
        )
        pq.write_table(table, tmp_path / f"{name}.parquet")
    pq.write_table(table.slice(0, 12), tmp_path / "few.parquet")
    return tmp_path


def test_a_profile_in_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every column, both groups, what to look at; control characters are written out."""
    assert run("profile", folder / "june.parquet", "--by", "site") == 0
    said = capsys.readouterr().out
    for expected in (
        "6,000 rows",
        "site north",
        "site south",
        "age",
        "quartiles",
        "±",
        "▁",
        "! empty is null",
        "\\x1b[31m",
    ):
        assert expected in said
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 118 or str(folder) in max(said.splitlines(), key=len)


def test_json_is_the_same_object(folder: Path, answer: Callable[..., Any]) -> None:
    """Canonical, and alike each time."""
    code, value = answer(run, "profile", folder / "june.parquet")
    assert code == 0 and value["rows"] == 6_000 and len(value["columns"]) == 5
    assert answer(run, "profile", folder / "june.parquet") == (code, value)


def test_pages_and_windows_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that is whole; windows that compare without their data, under another tolerance too."""
    for name, more in (("june", ()), ("july", ("--reference", folder / "june.json"))):
        words = ("--state", folder / f"{name}.json", "--html", folder / f"{name}.html", "--by", "site")
        assert run("profile", folder / f"{name}.parquet", *words, *more) == 0
        (folder / f"{name}.parquet").unlink()
        assert (folder / f"{name}.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert f"✓ {folder / 'july.html'}" in capsys.readouterr().out
    page = folder / "moved.html"
    both = (folder / "june.json", folder / "july.json")
    assert run("compare", *both, "--by", "site", "--html", page) == 0
    said = capsys.readouterr().out
    assert "drifted: at south age." in " ".join(said.split()) and "▲ exceeds" in said
    assert "Not compared: site." in said and "it proves no harm" in said
    assert "What moved?" in page.read_text(encoding="utf-8")
    assert run("compare", *both, "--tolerance", "2", "--fail-on-drift") == 0


def test_drift_fails_only_where_that_is_asked_for(folder: Path, answer: Callable[..., Any]) -> None:
    """Exit code 0 whatever drifts; 1 with the option; the JSON is the same."""
    both = (folder / "june.parquet", folder / "july.parquet")
    code, value = answer(run, "compare", *both)
    assert (code, value["drifted"]) == (0, ["age"])
    assert answer(run, "compare", *both, "--fail-on-drift") == (1, value)
    assert answer(run, "compare", *both, "--fail-on-drift", "--columns", "word,seen_at", "--columns", "empty")[0] == 0


def test_too_few_rows_say_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cannot tell, with the rows that would."""
    assert run("compare", folder / "june.parquet", folder / "few.parquet", "--fail-on-drift") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "? cannot tell" in said
        and "not known" in said
        and "rows in the window" not in said
        and "(its nulls alone" in said
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("profile", "none.parquet"), 2, "RW-102"),
        (("profile", "june.parquet", "--state", "june.txt"), 2, "ends in .json"),
        (("profile", "june.parquet", "--state", "none/june.json"), 2, "no folder"),
        (("profile", "june.parquet", "--html", "none/june.html"), 2, "no folder"),
        (("profile", "june.parquet", "--by", "ward"), 2, "no column 'ward'"),
        (("profile", "june.parquet", "--by", "age"), 2, "makes no groups"),
        (("compare", "june.parquet", "july.parquet", "--effect", "ks"), 2, "no effect 'ks'"),
        (("compare", "june.parquet", "july.parquet", "--tolerance", "0"), 2, "tolerance above 0"),
        (("compare", "june.parquet", "july.parquet", "--html", "none/x.html"), 2, "no folder"),
        (("compare", "june.parquet", "bad.json"), 3, "RW-201"),
    ],
)
def test_mistakes_are_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Any, code: int, said: str
) -> None:
    """The documented exit code, the error's code or words, and a remedy."""
    monkeypatch.chdir(folder)
    (folder / "bad.json").write_text("{}", encoding="utf-8")
    assert run(*words) == code
    text = capsys.readouterr().err
    assert said in " ".join(text.split()) and "→ " in text
    assert run(*words, "--json") == code
    assert json.loads(capsys.readouterr().out)["remedy"]
