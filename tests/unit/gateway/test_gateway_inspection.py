"""The contract as a filter of bodies: where records lie, the worst verdict, and what cannot be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.domain.exchange import Verdict
from roadworthy.gateway.config import InputFilter
from roadworthy.gateway.inspection import MOST_RECORDS, TOO_MANY, UNREADABLE, Inspect, inspect_of

NOW = 1_800_000_000.0
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: patients
    properties:
      - {name: age, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0, maximum: 120}}
      - name: pressure
        logicalType: number
        quality:
          - {type: library, metric: invalidValues, arguments: {validValues: [120, 130, 140]}, mustBe: 0, severity: warning}
      - {name: site, logicalType: string}
    quality:
      - {type: library, metric: rowCount, mustBeGreaterThan: 5}
"""
UNREAD = (Verdict.QUARANTINE, (UNREADABLE,))
GOOD = {"age": 50, "pressure": 120, "site": "a"}
FLAGGED = GOOD | {"pressure": 7}
BAD = GOOD | {"age": None}


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    path = tmp_path_factory.mktemp("contract") / "c.yaml"
    path.write_text(CONTRACT)
    return path


def ask(stage, body):
    return stage.check(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW)


def test_records_are_found_by_a_pointer(contract):
    """A list of objects or one object, at any depth, in the whole document too."""
    stage = Inspect(contract, "/data/rows")
    assert ask(stage, {"data": {"rows": [GOOD, GOOD]}}) == (Verdict.ADMIT, ())
    assert ask(stage, {"data": {"rows": GOOD}}) == (Verdict.ADMIT, ())
    assert ask(Inspect(contract, ""), [GOOD]) == (Verdict.ADMIT, ())
    many = Inspect(contract, "/rows/*/record")
    assert ask(many, {"rows": [{"record": GOOD}, {"record": [GOOD, FLAGGED]}]})[0] is Verdict.FLAG
    assert ask(many, {"rows": [{"record": GOOD}, {"record": 5}]}) == UNREAD
    assert ask(Inspect(contract, "/0/a~1b~0/1"), [{"a/b~": [1, GOOD]}]) == (Verdict.ADMIT, ())


def test_the_worst_record_counts(contract):
    """Flag over admit, quarantine over flag; each rule is named once, those of quarantined records first."""
    stage = Inspect(contract, "/rows")
    verdict, rules = ask(stage, {"rows": [GOOD, FLAGGED, FLAGGED]})
    assert (verdict, len(rules)) == (Verdict.FLAG, 1)
    verdict, both = ask(stage, {"rows": [FLAGGED, BAD, GOOD, BAD]})
    assert verdict is Verdict.QUARANTINE
    assert both[-1] == rules[0]
    assert "age" in both[0]
    assert len(both) == len(set(both)) == 2


def test_what_one_record_cannot_answer_is_listed(contract):
    """A count of rows does not pass in silence."""
    (rule,) = Inspect(contract, "").batch_only
    assert "counts the rows" in rule.why


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"rows": NaN}',
        {"rows": []},
        {"rows": 5},
        {"rows": [GOOD, 5]},
        {"rows": None},
        {},
        [],
        {"rows": [[GOOD]]},
    ],
)
def test_a_body_that_cannot_be_read_is_quarantined(contract, body):
    """Not JSON, no records, records that are none: nothing of it was inspected."""
    assert ask(Inspect(contract, "/rows"), body) == UNREAD


def test_a_name_that_stands_twice_slips_nothing_past(contract):
    """A reader behind might take the first value where the filter took the last."""
    body = b'{"records": [{"age": -7, "age": 50, "unit": "mg"}]}'
    assert Inspect(contract, "/records").check(body, 0.0) == UNREAD


def test_too_many_records_are_not_read(contract):
    """One request must not hold up all others."""
    stage = Inspect(contract, "")
    assert ask(stage, [GOOD] * MOST_RECORDS)[0] is Verdict.ADMIT
    assert ask(stage, [GOOD] * (MOST_RECORDS + 1)) == (Verdict.QUARANTINE, (TOO_MANY,))


def test_rules_are_at_most_twenty(tmp_path):
    """Of thirty columns that are all missing."""
    names = [f"column{number}" for number in range(30)]
    columns = "\n".join(f"      - {{name: {name}, logicalType: number, required: true}}" for name in names)
    path = tmp_path / "wide.yaml"
    path.write_text(CONTRACT.partition("      - {name: age")[0] + columns)
    verdict, rules = ask(Inspect(path, ""), [{}])
    assert (verdict, len(rules)) == (Verdict.QUARANTINE, 20)


def tensor(name, shape, data, datatype="FP64"):
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


COLUMNS = ["age", "pressure", "site"]


def test_one_tensor_holds_rows(contract):
    """Flat or nested, row by row, with the columns that the configuration names."""
    stage = inspect_of(InputFilter(contract=contract, records_at="tensor", columns=COLUMNS))
    flat = [50, 120, "a", 51, 130, "b"]
    assert ask(stage, {"inputs": [tensor("x", [2, 3], flat)]}) == (Verdict.ADMIT, ())
    assert ask(stage, {"inputs": [tensor("x", [2, 3], [flat[:3], flat[3:]])]}) == (Verdict.ADMIT, ())
    verdict, rules = ask(stage, {"inputs": [tensor("x", [2, 3], [50, 120, "a", 500, 130, "b"])]})
    assert verdict is not Verdict.ADMIT
    assert "age" in rules[0]


def test_one_tensor_a_column(contract):
    """Of shape [n] or [n, 1], in any order; the names of the configuration, if there are any, must be all of them."""
    inputs = [
        tensor("site", [2], ["a", "b"]),
        tensor("age", [2, 1], [[50], [51]]),
        tensor("pressure", [2, 1], [120, 7]),
    ]
    for columns in ([], COLUMNS):
        assert ask(Inspect(contract, "tensor", columns), {"inputs": inputs})[0] is Verdict.FLAG
    assert ask(Inspect(contract, "tensor", ["age"]), {"inputs": inputs}) == UNREAD
    single = {"inputs": [tensor("age", [1, 1], [50])]}
    assert ask(Inspect(contract, "tensor", ["age"]), single) == ask(Inspect(contract, "tensor"), single)
    assert ask(Inspect(contract, "tensor"), single)[0] is Verdict.QUARANTINE  # the other columns are not there


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        [],
        [5],
        [tensor("x", [2, 3], [1, 2, 3])],
        [tensor("x", [1, 3], [[1, 2]])],
        [tensor("x", [1, 3], [[1], [2], [3]])],
        [tensor("x", [1, 4], [1, 2, 3, 4])],
        [tensor("x", [True, 3], [1, 2, 3])],
        [tensor("x", [-1, 3], [])],
        [tensor("x", "1,3", [1, 2, 3])],
        [tensor("x", [1, 3, 1], [1, 2, 3])],
        [{"name": "x", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}],
        [tensor("age", [1], [1]), tensor("pressure", [2], [1, 2]), tensor("site", [1], ["a"])],
        [tensor("age", [1], [1]), tensor("age", [1], [1]), tensor("site", [1], ["a"])],
        [tensor(5, [1], [1]), tensor("pressure", [1], [1]), tensor("site", [1], ["a"])],
        [tensor("age", [1, 2], [1, 2]), tensor("pressure", [1], [1]), tensor("site", [1], ["a"])],
        [tensor("age", [1], 1), tensor("pressure", [1], [1]), tensor("site", [1], ["a"])],
    ],
)
def test_tensors_that_do_not_fit_are_quarantined(contract, inputs):
    """Shapes and data that disagree, binary data, names twice, columns of different lengths."""
    assert ask(Inspect(contract, "tensor", COLUMNS), {"inputs": inputs}) == UNREAD


def test_a_filter_with_a_mistake_is_no_start(contract, tmp_path):
    """No pointer, columns without a tensor, columns twice, no contract."""
    for records_at, columns in (("rows", []), ("/a~2", []), ("/rows", ["a"]), ("tensor", ["a", "a"])):
        with pytest.raises(ManifestError):
            Inspect(contract, records_at, columns)
    with pytest.raises(MissingFile):
        Inspect(tmp_path / "none.yaml", "")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["inputs", "rows", "name", "shape", "data", "age", "pressure"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_body_breaks_the_filter(contract, body):
    """Any JSON gets a verdict; never an exception, never none."""
    for stage in (Inspect(contract, "/rows"), Inspect(contract, "tensor", COLUMNS), Inspect(contract, "tensor")):
        verdict, rules = ask(stage, body)
        assert (verdict is Verdict.ADMIT) == (rules == ())


NAMES = [
    "age",
    "sex",
    "cp",
    "trestbps",
    "chol",
    "fbs",
    "restecg",
    "thalach",
    "exang",
    "oldpeak",
    "slope",
    "ca",
    "thal",
    "disease",
]
# The name of the site, and how often its cholesterol stands at 0: never measured, all over Switzerland.
SITES = {
    "cleveland": ("cleveland", 0),
    "hungarian": ("hungary", 0),
    "switzerland": ("switzerland", 123),
    "va": ("long-beach", 49),
}


def real_records(folder, file, site):
    """The rows of one hospital, with what is missing as null and whether disease was found as 0 or 1."""
    lines = (folder / "heart_uci_4sites" / f"canonical.processed.{file}.data").read_text().split()
    for number, line in enumerate(lines):
        values = [None if text == "?" else float(text) for text in line.split(",")]
        yield {"patient": f"{site}-{number:03}", "site": site} | dict(
            zip(NAMES, [*values[:-1], float(values[-1] > 0)], strict=True)
        )


@pytest.mark.parametrize("file", SITES)
def test_real_records_get_one_verdict_in_every_form(shared_data, repo_root, file):
    """Four hospitals under the example's contract: by pointer, as rows and as columns of tensors, the rules are the same."""
    path = repo_root / "examples" / "heart-four-hospitals" / "contracts" / "heart.odcs.yaml"
    columns = ["patient", "site", *NAMES]
    pointed, wide, narrow = Inspect(path, "/rows"), Inspect(path, "tensor", columns), Inspect(path, "tensor")
    (site, zeros), found_zeros = SITES[file], 0
    for record in real_records(shared_data, file, site):
        cells = [record[name] for name in columns]
        found = ask(pointed, {"rows": [record]})
        assert ask(wide, {"inputs": [tensor("x", [1, len(columns)], cells)]}) == found
        assert ask(narrow, {"inputs": [tensor(name, [1], [record[name]]) for name in columns]}) == found
        assert ask(pointed, {"rows": [record | {"site": "nowhere"}]})[0] is not Verdict.ADMIT
        assert (found[0] is Verdict.ADMIT) == (found[1] == ())
        found_zeros += "completeness.chol.sentinel" in found[1]
    assert found_zeros == zeros
