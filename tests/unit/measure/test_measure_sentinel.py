"""Sentinels, recoded copies and unit swaps on made data; the real data has its own file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError
from roadworthy.measure.rule import Contract, Field, Limits, Provenance
from roadworthy.measure.sentinel import Sign, compare_missing_coding, find_sentinels
from roadworthy.measure.table import Table, from_arrow
from roadworthy.measure.unit_swap import find_unit_swaps


def _contract(*fields: Field) -> Contract:
    return Contract(
        path=Path("c.yaml"),
        contract_id="c",
        version="1",
        status="active",
        table="t",
        fields=fields,
        rules=(),
        notes=(),
        provenance=Provenance(),
    )


def _table(**columns: object) -> Table:
    return from_arrow(pa.table(columns), "t")


MEASURED = [90.0 + k for k in range(50)]


def test_the_four_signs_and_none() -> None:
    """Declared, impossible, constant, isolated; ordinary zeros are left alone."""
    rows = 50
    table = _table(
        declared=[7.0] + [6.0 + k / 50 for k in range(49)],
        outside=[0] + [3, 6, 7] * 16 + [3],
        below=[-9.0, *MEASURED[1:]],
        above=[999.0, *MEASURED[1:]],
        constant=[0] * rows,
        isolated=[0.0] * 5 + MEASURED[5:],
        both=[0.0] * 5 + [-9.0] * 5 + MEASURED[10:],
        ordinary=[0.0] * 25 + [k / 10 for k in range(1, 26)],
        flag=[0, 1] * 25,
        word=["0"] * rows,
    )
    contract = _contract(
        Field(name="declared", sentinels=(7.0,)),
        Field(name="outside", valid_values=(3, 6, 7)),
        Field(name="below", limits=Limits(lower=0.0)),
        Field(name="above", limits=Limits(lower=0.0, upper=999.0, upper_inclusive=False)),
    )
    found = [(finding.column, finding.value, finding.sign) for finding in find_sentinels(table, contract)]
    assert found == [
        ("declared", 7.0, Sign.DECLARED),
        ("outside", 0.0, Sign.IMPOSSIBLE),
        ("below", -9.0, Sign.IMPOSSIBLE),
        ("above", 999.0, Sign.IMPOSSIBLE),
        ("constant", 0.0, Sign.CONSTANT),
        ("isolated", 0.0, Sign.ISOLATED),
        ("both", -9.0, Sign.ISOLATED),
        ("both", 0.0, Sign.ISOLATED),
    ]


def test_a_range_end_that_excludes_zero() -> None:
    """With an exclusive minimum of 0, a zero is impossible; with an inclusive one it is not."""
    table = _table(x=[0.0, *MEASURED])
    for inclusive, signs in ((False, [Sign.IMPOSSIBLE]), (True, [])):
        contract = _contract(Field(name="x", limits=Limits(lower=0, lower_inclusive=inclusive)))
        assert [finding.sign for finding in find_sentinels(table, contract)] == signs


def test_cohorts_are_looked_at_apart() -> None:
    """Constant in one of two sites: found there, with its counts, and said in one sentence."""
    table = _table(
        site=["a"] * 30 + ["b"] * 30 + [None], chol=[200.0 + k for k in range(30)] + [0.0] * 29 + [None] + [210.0]
    )
    (finding,) = find_sentinels(table, _contract(), "site")
    assert (finding.cohort, finding.rows, finding.n, finding.nulls) == ("b", 29, 30, 1)
    assert finding.what == "chol is 0 in 29 of 30 rows in b: nearly constant in a cohort."


def test_recoded_copies_are_told_from_faithful_ones() -> None:
    """Nulls that became 0 are counted by column; an equal copy gives nothing; other shapes are refused."""
    original = _table(x=[1.0, None, None, None], y=["a", None, "b", "c"], z=[1, 2, 3, 4])
    copy = _table(x=[1.0, 0.0, 0.0, None], y=["a", "", "b", "c"], z=[1, 2, 3, 4])
    (finding,) = compare_missing_coding(original, copy)
    assert (finding.column, finding.value, finding.rows, finding.nulls) == ("x", 0.0, 2, 3)
    assert compare_missing_coding(original, original) == ()
    for other in (_table(x=[1.0]), _table(q=[1, 2, 3, 4])):
        with pytest.raises(ContractError):
            compare_missing_coding(original, other)


@pytest.mark.parametrize("factor", [10.0, 25.4, 1000.0, 0.1, 1 / 25.4, 38.67])
def test_a_site_in_another_unit_is_named_with_its_factor(factor: float) -> None:
    """Three sites of 40, one multiplied: found without a declared range, with the factor."""
    rng = np.random.default_rng(3)
    values = rng.normal(14, 2, 120)
    values[80:] *= factor
    table = _table(site=["a"] * 40 + ["b"] * 40 + ["c"] * 40, radius=values)
    (finding,) = find_unit_swaps(table, _contract(Field(name="radius", unit="mm")), "site")
    assert finding.cohort == "c"
    assert finding.factor == pytest.approx(factor)
    assert "in c has the median" in finding.what and " mm is usual" in finding.what


def test_a_declared_range_judges_a_single_table_and_sentinels_do_not_count() -> None:
    """Median 140 where 10 to 20 is plausible: ten times. Zeros declared as sentinels do not move the median."""
    values = [140.0 + k for k in range(20)] + [0.0] * 30
    declared = Field(name="radius", unit="mm", median_range=(10.0, 20.0), sentinels=(0.0,))
    (finding,) = find_unit_swaps(_table(radius=values), _contract(declared))
    assert finding.factor == 10.0
    assert finding.n == 20


def test_no_swap_is_claimed_without_ground() -> None:
    """Ordinary variation, few values, two cohorts only, factors of no unit, other signs, text and undeclared columns."""
    rng = np.random.default_rng(4)
    site = ["a"] * 40 + ["b"] * 40 + ["c"] * 40
    unit = Field(name="x", unit="mm")
    normal = rng.normal(14, 2, 120)
    assert find_unit_swaps(_table(site=site, x=normal * np.repeat([1, 1.3, 0.8], 40)), _contract(unit), "site") == ()
    assert find_unit_swaps(_table(site=site, x=normal * np.repeat([1, 1, 5.5], 40)), _contract(unit), "site") == ()
    assert find_unit_swaps(_table(site=site, x=normal * np.repeat([1, 1, -10], 40)), _contract(unit), "site") == ()
    assert (
        find_unit_swaps(_table(site=site[:80], x=normal[:80] * np.repeat([1, 10], 40)), _contract(unit), "site") == ()
    )
    few = _table(site=["a"] * 40 + ["b"] * 40 + ["c"] * 9, x=np.r_[normal[:80], normal[:9] * 10])
    assert find_unit_swaps(few, _contract(unit), "site") == ()
    assert find_unit_swaps(_table(x=["1"] * 20), _contract(unit, Field(name="y", unit="mm"), Field(name="z"))) == ()
    inside = Field(name="x", unit="mm", median_range=(-5.0, 20.0))
    assert find_unit_swaps(_table(x=normal), _contract(inside)) == ()
