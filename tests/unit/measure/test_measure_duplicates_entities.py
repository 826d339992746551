"""Entity resolution with Splink on the FEBRL files, whose true links are known, and the refusals around it."""

import csv
import json
import sys

import pyarrow as pa
import pytest

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import ContractError, DependencyError, ParameterError
from roadworthy.measure.duplicates.entities import link
from roadworthy.measure.duplicates.linkage_plan import FieldComparison, Likeness, LinkagePlan, same

pytest.importorskip("splink")


def _field(column, how, *, by_frequency=False):
    return FieldComparison(column=column, how=how, by_frequency=by_frequency, date_format="%Y%m%d")


PLAN = LinkagePlan(
    fields=(
        _field("given_name", Likeness.NAME, by_frequency=True),
        _field("surname", Likeness.NAME, by_frequency=True),
        _field("date_of_birth", Likeness.DATE_OF_BIRTH),
        _field("soc_sec_id", Likeness.EDITS),
        _field("street_number", Likeness.EXACT, by_frequency=True),
        _field("postcode", Likeness.EDITS, by_frequency=True),
    ),
    blocking=(
        same("given_name", "surname"),
        "l.given_name = r.surname AND l.surname = r.given_name",
        same("date_of_birth"),
        same("soc_sec_id"),
        same("state", "address_1"),
        same("street_number", "address_1"),
        same("postcode"),
    ),
    certain=(same("soc_sec_id"), same("given_name", "surname", "date_of_birth")),
    certain_recall=0.8,
    training_blocks=(same("date_of_birth"), same("postcode")),
)


def _read(path):
    """The file as texts, and the true entity of each row."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    table = pa.table({name.strip(): [row[place] for row in rows] for place, name in enumerate(header)})
    return table, [row[0].split("-")[1] for row in rows]


def _quality(linkage, truth, links, threshold):
    """Precision and recall of the pairs from a threshold on."""
    found = linkage.pairs.at_least(threshold)
    right = sum(truth[left] == truth[other] for left, other in zip(found.left, found.right, strict=True))
    return right / len(found), right / links


def test_duplicates_of_one_file(shared_data):
    """FEBRL 1: 500 pairs in 1,000 records; nothing false, nearly all found, levels without data are named."""
    table, truth = _read(shared_data / "febrl" / "dataset1.csv")
    linkage = link([table], PLAN)
    precision, recall = _quality(linkage, truth, 500, 0.9)
    assert precision == 1.0
    assert recall >= 0.99
    assert linkage.engine.startswith("splink ")
    assert any(level.startswith("soc_sec_id: ") for level in linkage.untrained)
    clusters = linkage.clusters(0.9)
    assert (clusters.row_count, clusters.largest) == (1000, 2)
    assert clusters.redundant_rows == round(recall * 500)
    assert json.loads(json.dumps(linkage.model))["link_type"] == "dedupe_only"
    with pytest.raises(ParameterError, match="not in"):
        linkage.clusters(0.001)


@pytest.mark.slow
def test_links_between_two_files(shared_data):
    """FEBRL 4: 5,000 links; precision 1, recall about 0.995 at 0.9, and the same bits when it is run again."""
    (first, one), (second, two) = (_read(shared_data / "febrl" / f"dataset4{half}.csv") for half in "ab")
    linkage = link([first, second], PLAN)
    precision, recall = _quality(linkage, one + two, 5000, 0.9)
    assert precision == 1.0
    assert recall == pytest.approx(0.9954, abs=0.002)
    assert linkage.pairs.left.max() < 5000 <= linkage.pairs.right.min()
    again = link([first, second], PLAN)
    assert again.model == linkage.model
    assert again.pairs.to_arrow().equals(linkage.pairs.to_arrow())


@pytest.mark.slow
def test_large_groups_of_duplicates(shared_data):
    """FEBRL 3: 6,538 pairs over 2,000 entities of up to six records."""
    table, truth = _read(shared_data / "febrl" / "dataset3.csv")
    linkage = link([table], PLAN)
    precision, recall = _quality(linkage, truth, 6538, 0.9)
    assert precision == 1.0
    assert recall > 0.98
    clusters = linkage.clusters(0.9)
    assert clusters.largest == 6
    assert all(len({truth[row] for row in group}) == 1 for group in clusters.members())


def test_the_plan_is_plain_json():
    """It can be kept as evidence and read back."""
    text = json.dumps(to_json(PLAN))
    assert from_json(LinkagePlan, json.loads(text)) == PLAN
    assert same("a", 'b"c') == 'l."a" = r."a" AND l."b""c" = r."b""c"'


def test_a_plan_that_cannot_run_is_refused():
    """Empty parts, impossible numbers, and a rule that pairs everything."""
    parts = {"fields": PLAN.fields, "blocking": ("x",), "certain": ("x",), "training_blocks": ("x",)}
    for wrong in ({"blocking": ()}, {"certain_recall": 0.0}, {"sample_pairs": 0}):
        with pytest.raises(ParameterError):
            LinkagePlan(**{"certain_recall": 0.5, **parts, **wrong})
    with pytest.raises(ParameterError):
        same()


def _small():
    names = [f"name{n % 40}" for n in range(80)]
    return pa.table({"name": names, "town": [f"town{n % 7}" for n in range(80)], "age": list(range(80))})


def _small_plan(**changes):
    parts = {
        "fields": (_field("name", Likeness.NAME), _field("town", Likeness.EXACT)),
        "blocking": (same("name"),),
        "certain": (same("name"),),
        "certain_recall": 0.9,
        "training_blocks": (same("name"), same("town")),
    }
    return LinkagePlan(**{**parts, **changes})


@pytest.mark.parametrize(
    ("field", "message"),
    [(_field("nobody", Likeness.EXACT), "no column 'nobody'"), (_field("age", Likeness.EDITS), "compares texts")],
)
def test_columns_must_fit(field, message):
    """A missing column, and a number where texts are compared."""
    with pytest.raises(ContractError, match=message):
        link([_small()], _small_plan(fields=(field,)))


def test_tables_must_be_one_or_two():
    """None, three, or a probability that keeps nothing."""
    for tables, least in ([], 0.1), ([_small()] * 3, 0.1), ([_small()], 1.0):
        with pytest.raises(ParameterError, match="make no linkage"):
            link(tables, _small_plan(), least_probability=least)


@pytest.mark.parametrize(
    ("rule", "why"), [("l.nobody = r.nobody", 'column named "nobody"'), ("not sql at (", "syntax")]
)
def test_a_rule_that_the_engine_cannot_run_is_our_error(rule, why):
    """Unknown columns and bad SQL, in the database's words."""
    with pytest.raises(ParameterError, match=f"Splink cannot run the plan: .*{why}"):
        link([_small()], _small_plan(blocking=(rule,)))


def test_a_rule_reaches_no_file(tmp_path):
    """The database is locked: a file that is there cannot be read by a rule."""
    outside = tmp_path / "outside.csv"
    outside.write_text("name\nsecret\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="disabled"):
        link([_small()], _small_plan(blocking=(f"l.name IN (SELECT name FROM '{outside}')",)))


def test_without_splink_the_remedy_is_named(monkeypatch):
    """A missing optional part is told apart from any other missing module."""
    adapter = "roadworthy.measure.duplicates.splink_adapter"
    monkeypatch.delitem(sys.modules, adapter, raising=False)
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(DependencyError) as caught:
        link([_small()], _small_plan())
    assert caught.value.remedy == "pip install roadworthy[entities]"
    monkeypatch.setitem(sys.modules, adapter, None)
    with pytest.raises(ModuleNotFoundError):
        link([_small()], _small_plan())
