"""One look at a data set, two documents: they agree, and readers of the formats take them."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.measure.passport.croissant import from_croissant
from roadworthy.measure.passport.documents import Documents, passport_documents
from roadworthy.measure.passport.openlineage import Name, from_openlineage
from roadworthy.measure.table import data_files, table_digest

AT = datetime(2026, 6, 1, tzinfo=UTC)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: ward
version: 1.0.0
status: active
schema:
  - name: ward
    quality: [{metric: rowCount, mustBeGreaterOrEqualTo: 3}]
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: sex, logicalType: string, required: true}
customProperties:
  - property: roadworthyPassport
    value: {licence: CC-BY-4.0, DATASET claims: [{rows: 4}, {noNulls: id}, {noNulls: none}]}
"""


def documents(folder: Path, dataset: str = "") -> Documents:
    """Of three rows, one without a sex, of which four are claimed."""
    pq.write_table(pa.table({"id": [1, 2, 3], "sex": ["f", "m", None]}), folder / "ward.parquet")
    (folder / "ward.odcs.yaml").write_text(CONTRACT.replace("DATASET", dataset), encoding="utf-8")
    return passport_documents(
        folder / "ward.parquet",
        folder / "ward.odcs.yaml",
        fallback=Name(namespace="roadworthy/triage", name="pilot"),
        job=Name(namespace="roadworthy/triage", name="roadworthy passport"),
        at=AT,
    )


def test_the_event_says_what_the_tests_found(tmp_path: Path) -> None:
    """Every rule and claim that could be told, with its column; what could not be told is left out."""
    made = documents(tmp_path)
    event = from_openlineage(made.event)
    (use,) = event.inputs
    assert (event.at, event.outputs, use.row_count) == (AT, (), 3)
    assert use.version == made.version == f"sha256:{table_digest(data_files(tmp_path / 'ward.parquet'))}"
    told = {(each.assertion, each.column or each.description): each.success for each in use.assertions}
    assert told["completeness.sex.null", "sex"] is False
    assert told["completeness.id.null", "id"] is True
    assert (told["claim", "4 rows"], told["claim", "no nulls in id"]) == (False, True)
    assert ("claim", "no nulls in none") not in told
    assert (made.tested, made.broken) == (len(use.assertions), 2)


def test_the_description_says_the_same(tmp_path: Path) -> None:
    """Rows, licence and digests, without a problem."""
    made = documents(tmp_path)
    read = from_croissant(made.croissant)
    assert (read.problems, read.licence) == ((), "CC-BY-4.0")
    assert made.rows == read.record_sets[0].rows == 3
    assert [file.id for file in read.files] == ["ward.parquet"]


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("", Name(namespace="roadworthy/triage", name="pilot")),
        ("dataset: {namespace: ward, name: heart},", Name(namespace="ward", name="heart")),
    ],
)
def test_the_data_set_has_the_name_that_its_contract_gives(tmp_path: Path, dataset: str, name: Name) -> None:
    """Else that of the manifest."""
    assert documents(tmp_path, dataset).dataset == name


def test_the_same_look_gives_the_same_bytes(tmp_path: Path) -> None:
    """The run's name too."""
    first, second = documents(tmp_path), documents(tmp_path)
    assert canonical_bytes(first.event) == canonical_bytes(second.event)
    assert canonical_bytes(first.croissant) == canonical_bytes(second.croissant)
