"""A contract's own SQL: one number, one SELECT, and a time limit."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError
from roadworthy.measure.contract import load_contract
from roadworthy.measure.quality import QualityReport, Verdict, assess
from roadworthy.measure.table import from_arrow

AT = datetime(2026, 6, 1, tzinfo=UTC)
HEAD = "version: 1.2.0\nkind: DataContract\napiVersion: v3.1.0\nid: c1\nstatus: active\n"
ROWS = from_arrow(pa.table({"x": list(range(2_000))}), "t")


def _assess(folder: Path, query: str, limit_s: float = 60.0) -> QualityReport:
    text = (
        HEAD
        + f'schema: [{{name: t, properties: [{{name: x}}], quality: [{{id: q, type: sql, query: "{query}", mustBe: 1}}]}}]'
    )
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return assess(ROWS, load_contract(folder / "c.yaml"), at=AT, query_limit_s=limit_s)


def test_a_query_that_would_run_for_minutes_is_stopped(tmp_path: Path) -> None:
    """Eight billion pairs of pairs; the table can be asked again afterwards."""
    endless = "SELECT COUNT(*) FROM data a, data b, data c, data d WHERE a.x * b.x <> c.x + d.x"
    start = time.monotonic()
    with pytest.raises(ContractError, match=r"stopped after 0\.3 s") as caught:
        _assess(tmp_path, endless, limit_s=0.3)
    assert time.monotonic() - start < 30
    assert "typed rule" in caught.value.remedy
    assert _assess(tmp_path, "SELECT COUNT(*) FROM data WHERE x = 7", limit_s=30).met


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT y FROM data", "failed"),
        ("SELECT x FROM data", "one value"),
        ("SELECT 'many'", "no finite number"),
        ("SELECT 'inf'::DOUBLE", "no finite number"),
        ("SELECT 1; SELECT 2", "failed"),
        ("SELECT * FROM read_csv('/etc/hostname')", "failed"),
    ],
)
def test_what_is_no_single_number_is_refused(tmp_path: Path, query: str, said: str) -> None:
    """Broken SQL, rows, words, infinities, two statements, other files."""
    with pytest.raises(ContractError, match=said):
        _assess(tmp_path, query)


def test_null_cannot_be_told(tmp_path: Path) -> None:
    """An empty answer is neither met nor broken."""
    result = _assess(tmp_path, "SELECT MAX(x) FROM data WHERE x < 0").result("q")
    assert result is not None and result.verdict is Verdict.UNKNOWN
