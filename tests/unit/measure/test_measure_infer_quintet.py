"""Real dirty tables: the known numbers of wrong cells, and what a contract from the clean half finds of them."""

from pathlib import Path

import pytest

from quintet import read_pair, score
from roadworthy.measure.infer.options import InferOptions

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "wrong"), [("hospital", 509), ("flights", 4_920), ("beers", 4_362), ("rayyan", 948)])
def test_the_truth_has_as_many_wrong_cells_as_is_known(shared_data: Path, name: str, wrong: int) -> None:
    """Cell by cell, over all rows."""
    pair = read_pair(shared_data / "quintet_dirty_clean", name)
    assert len(pair.wrong(range(len(pair.clean)))) == wrong


def test_a_contract_from_half_of_the_hospitals_finds_the_typos(shared_data: Path) -> None:
    """Most wrong cells, few right ones, and the promised share of false alarms on fresh clean rows."""
    found = score(shared_data / "quintet_dirty_clean", "hospital", InferOptions())
    assert found.precision > 0.85
    assert found.recall > 0.9
    assert found.alarm_rows / found.rows <= 0.05
    assert found.broken_clean == 0
    assert found.broken_dirty > 10
