"""A contract drafted from clean rows: what it says, that it survives its file, and that it keeps its promises."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.measure.contract import load_contract
from roadworthy.measure.export_odcs import to_odcs_yaml
from roadworthy.measure.infer.cells import flagged_cells
from roadworthy.measure.infer.draft import infer_contract
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.inline import compile_inline
from roadworthy.measure.quality import Verdict, assess
from roadworthy.measure.rule import Contract, Kind, Rule
from roadworthy.measure.table import Table, from_arrow, open_table

AT = datetime(2026, 6, 1, tzinfo=UTC)
TAKEN = datetime(2026, 1, 10, tzinfo=UTC)


def visits(seed: int, rows: int = 400) -> pa.Table:
    """Clean visits: an id, a ward that decides its building, two instants in order, a measurement, free text."""
    draw = np.random.default_rng(seed)
    ward = draw.integers(0, 8, rows)
    arrived = np.datetime64("2025-01-01") + np.sort(draw.integers(0, 360 * 86_400, rows)).astype("timedelta64[s]")
    return pa.table(
        {
            "visit": [f"v-{seed}-{row:05}" for row in range(rows)],
            "ward": [f"W{each}" for each in ward],
            "building": [f"B{each // 3}" for each in ward],
            "arrived": pa.array(arrived.astype("datetime64[us]"), pa.timestamp("us", "UTC")),
            "left": pa.array(
                (arrived + draw.integers(0, 40 * 86_400, rows).astype("timedelta64[s]")).astype("datetime64[us]"),
                pa.timestamp("us", "UTC"),
            ),
            "glucose": draw.normal(5.5, 1.0, rows).clip(2, 12),
            "phone": [f"{each:03}-{other:04}" for each, other in draw.integers(0, 999, (rows, 2))],
            "note": pa.array([None if each < 0.4 else "seen" for each in draw.random(rows)], pa.string()),
            "tags": [["a"]] * rows,
            "blank": pa.nulls(rows, pa.string()),
        }
    )


@pytest.fixture(scope="module")
def clean() -> Table:
    """Four hundred visits."""
    return from_arrow(visits(1), "visits")


@pytest.fixture(scope="module")
def drafted(clean: Table) -> Contract:
    """Their contract."""
    return infer_contract(clean, InferOptions(as_of=TAKEN))


def rule(contract: Contract, rule_id: str) -> Rule:
    """One rule by its id."""
    (found,) = [each for each in contract.rules if each.rule_id == rule_id]
    return found


def test_a_draft_says_what_the_rows_say(drafted: Contract) -> None:
    """Types, sets, forms, keys, dependencies, orders, freshness; each with its support."""
    types = {item.name: item.logical_type for item in drafted.fields}
    assert types["visit"] == types["ward"] == "string"
    assert types["arrived"] == "timestamp"
    assert types["glucose"] == "number"
    assert types["tags"] == types["blank"] == ""
    assert rule(drafted, "validity.ward.invalidValues").values == tuple(f"W{each}" for each in range(8))
    assert rule(drafted, "validity.phone.pattern").text == r"^[0-9]{3}\-[0-9]{4}$"
    assert rule(drafted, "uniqueness.visit.duplicateValues").columns == ("visit",)
    assert rule(drafted, "consistency.building.by.ward").kind is Kind.QUERY
    order = rule(drafted, "consistency.left.from.arrived").comparison
    assert order is not None
    assert order.source == '"arrived" <= "left"'
    assert rule(drafted, "freshness.arrived.freshness").kind is Kind.NEWEST_AGE
    assert rule(drafted, "completeness.note.nullShare").bound.value > 40
    ids = {each.rule_id for each in drafted.rules}
    assert "completeness.note.nullValues" not in ids
    assert "consistency.ward.by.building" not in ids


def test_every_inferred_rule_names_its_support(drafted: Contract) -> None:
    """Structure has its note; statistics their rows and lone rows; the whole is a draft."""
    structure = {Kind.COLUMN, Kind.TYPE, Kind.ENCODING}
    for each in drafted.rules:
        assert (each.kind in structure) == (not each.description)
        assert each.kind in structure or each.description.startswith("Inferred from ")
    assert drafted.status == "draft"
    assert {note.partition(":")[0] for note in drafted.notes} >= {"ward", "tags", "blank"}
    assert "5 %" in drafted.provenance.limitations_text
    assert "optimistic" not in drafted.provenance.limitations_text
    assert drafted.provenance.created.startswith("2026-01-10")


def test_a_draft_loads_again_as_itself(drafted: Contract, tmp_path: Path) -> None:
    """Through ODCS and back."""
    path = tmp_path / "visits.odcs.yaml"
    path.write_text(to_odcs_yaml(drafted), encoding="utf-8")
    assert load_contract(path) == drafted


def test_the_clean_rows_meet_their_own_contract(clean: Table, drafted: Contract) -> None:
    """All rules are told, and met; the empty column has none but its presence."""
    assert {result.verdict for result in assess(clean, drafted, at=TAKEN).results} == {Verdict.MET}
    assert flagged_cells(clean, drafted, at=TAKEN) == {}


def test_fresh_rows_of_the_same_law_keep_both_promises() -> None:
    """Three contracts from 150 rows; docs/contracts-inferred.md has the table of three hundred."""
    options = InferOptions()
    flagged, broken = 0, 0
    for turn in range(3):
        contract = infer_contract(from_arrow(visits(2 * turn, 150).drop_columns(["tags", "blank"]), "seen"), options)
        fresh = from_arrow(visits(2 * turn + 1, 150), "fresh")
        flagged += len({row for row, _ in flagged_cells(fresh, contract, at=AT)})
        broken += any(result.verdict is Verdict.NOT_MET for result in assess(fresh, contract, at=AT).results)
    assert flagged / (3 * 150) <= options.alarm_share
    assert broken == 0


def test_wrong_cells_are_found_where_they_are(drafted: Contract) -> None:
    """One damage for each kind of rule, each seen in its own cell."""
    rows = visits(1).to_pylist()
    rows[3]["ward"] = "Wx"
    rows[4]["building"] = "B2" if rows[4]["building"] != "B2" else "B0"
    rows[5]["left"] = rows[5]["arrived"] - (rows[5]["left"] - rows[5]["arrived"]) - (AT - TAKEN)
    rows[6]["glucose"] = 99.0
    rows[7]["phone"] = "n/a"
    rows[8]["visit"] = rows[7]["visit"]
    rows[9]["ward"] = None
    damaged = from_arrow(pa.Table.from_pylist(rows, schema=visits(1).schema), "damaged")
    found = flagged_cells(damaged, drafted, at=AT)
    assert found[3, "ward"] == ("validity.ward.invalidValues",)
    assert found[4, "building"] == ("consistency.building.by.ward",)
    assert {(5, "arrived"), (5, "left")} <= set(found)
    assert found[6, "glucose"] == ("validity.glucose.range",)
    assert "validity.phone.pattern" in found[7, "phone"]
    assert found[8, "visit"] == ("uniqueness.visit.duplicateValues",)
    assert found[9, "ward"] == ("completeness.ward.nullValues",)
    assert {row for row, _ in found} == {3, 4, 5, 6, 7, 8, 9}


def test_the_inline_filter_runs_all_but_what_needs_a_table(drafted: Contract) -> None:
    """No pattern falls back to the batch, and the clean rows are admitted."""
    inline = compile_inline(drafted, remember=True)
    kinds = {each.rule_id: each.kind for each in drafted.rules}
    assert {kinds[each.rule_id] for each in inline.batch_only} == {Kind.QUERY, Kind.NEWEST_AGE}
    assert {inline.decide(row, at=TAKEN).action.value for row in visits(1).to_pylist()} == {"admit"}


def test_text_files_keep_their_codes(tmp_path: Path) -> None:
    """Postal codes stay text, numbers become numbers, dates that are not ISO get a form."""
    path = tmp_path / "shops.csv"
    lines = ["zip,price,opened,since,flag,at,odd"]
    lines += [
        f"0{1000 + row % 7},{row % 60 / 4},{row % 12 + 1}/1/{row % 90 + 10},2024-01-{row % 28 + 1:02},true,1{row % 10}:00,a"
        for row in range(120)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = open_table(path, as_text=True)
    contract = infer_contract(table)
    types = {item.name: item.logical_type for item in contract.fields}
    assert types == {
        "zip": "string",
        "price": "number",
        "opened": "string",
        "since": "date",
        "flag": "boolean",
        "at": "time",
        "odd": "string",
    }
    assert rule(contract, "validity.zip.invalidValues").values[0] == "01000"
    assert rule(contract, "validity.opened.pattern").text == "^[0-9]+/[0-9]/[0-9]{2}$"
    earliest = rule(contract, "validity.since.range").comparison
    assert earliest is not None
    assert earliest.source == "\"since\" >= '2023-12-29'"
    assert contract.table == "shops"
    assert len(contract.provenance.sources[0].sha256) == 64
    assert {result.verdict for result in assess(table, contract, at=AT).results} == {Verdict.MET}


def test_too_few_rows_promise_structure_only() -> None:
    """Below the least number of rows no statistic is believed."""
    few = infer_contract(from_arrow(visits(1, 20), "few"))
    assert {each.kind for each in few.rules} == {Kind.COLUMN, Kind.TYPE, Kind.ENCODING}
    assert "optimistic" in few.provenance.limitations_text


def test_what_breaks_its_encoding_does_not_promise_it() -> None:
    """Clean text that looks like mojibake is declared without a type."""
    broken = from_arrow(pa.table({"a": ["Ã¼ber"] * 40, "b": [1] * 40}), "broken")
    contract = infer_contract(broken)
    assert contract.fields[0].logical_type == ""
    assert any("broken encoding" in note for note in contract.notes)


def test_no_value_at_all_is_refused() -> None:
    """There is nothing to infer from."""
    with pytest.raises(EmptyData):
        infer_contract(from_arrow(pa.table({"a": pa.nulls(3, pa.string())}), "hollow"))


@pytest.mark.parametrize(
    "given",
    [
        {"alarm_share": 0.0},
        {"batch_alarm_share": 1.0},
        {"dependency_error_share": -0.1},
        {"confidence": 0.5},
        {"margin_share": -1.0},
        {"contradicted_share": 1.0},
        {"least_rows": 0},
        {"as_of": datetime(2026, 1, 1)},  # what is refused
    ],
)
def test_options_that_promise_nothing_are_refused(given: dict[str, object]) -> None:
    """Shares outside of their range, no rows, an instant without a zone."""
    with pytest.raises(ParameterError):
        InferOptions(**given)  # type: ignore[arg-type]  # one key of each kind
