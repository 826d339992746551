"""The seven questions: all answered for a complete contract, each left open by the one thing that breaks it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadworthy.measure.contract import load_contract
from roadworthy.measure.datasheet import Subject, answer_datasheet, score_share
from roadworthy.measure.passport.claims import Claim, ClaimKind, Coding
from roadworthy.measure.passport.declared import Declarations
from roadworthy.measure.passport.lineage import Lineage
from roadworthy.measure.passport.openlineage import DatasetUse, EventType, Name, RunEvent
from roadworthy.measure.quality import assess
from roadworthy.measure.table import file_digest, open_table, table_digest

AT = datetime(2026, 6, 1, tzinfo=UTC)
SHEET = """\
version: 1.2.0
kind: DataContract
apiVersion: v3.1.0
id: c1
status: active
contractCreatedTs: 2026-01-01
description: {{purpose: Routine care., usage: Triage research.}}
team:
  members: [{{name: Ada, role: data owner, dateIn: 2020-01-01}}, {{name: Bo, role: engineer, dateOut: 2021-01-01}}]
customProperties:
  - property: roadworthy
    value:
      sources: [{{origin: ward register, path: raw.csv, sha256: "{raw}"}}, {{origin: paper forms}}]
      transformations: Units unified.
      outputSha256: "{data}"
      suitableFor: [heart-triage, "Flags  patients for review."]
      limitations:
        - {{text: Few old patients., slice: site=b}}
        - {{text: Ages are rounded., rule: completeness.age.null}}
schema:
  - name: t
    properties:
      - {{name: age, logicalType: integer, required: true}}
      - {{name: site, logicalType: string}}
"""


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "raw.csv").write_text("raw")
    (tmp_path / "data.csv").write_text("age,site\n1,a\n2,b\n")
    return _subject(tmp_path, _text(tmp_path))


def _text(folder: Path) -> str:
    return SHEET.format(raw=file_digest(folder / "raw.csv"), data=table_digest([folder / "data.csv"]))


def _subject(folder: Path, text: str) -> Subject:
    (folder / "c.yaml").write_text(text)
    table, contract = open_table(folder / "data.csv"), load_contract(folder / "c.yaml")
    return Subject(
        table=table,
        contract=contract,
        report=assess(table, contract, at=AT),
        at=AT,
        use_case_id="heart-triage",
        intended_use="Flags patients for review",
        release_data_sha256=table_digest(table.paths),
    )


def _open_questions(subject: Subject) -> list[int]:
    answers = answer_datasheet(subject)
    assert len(answers) == 7
    assert all(bool(answer.remedy) != answer.answered and answer.what for answer in answers)
    return [index for index, answer in enumerate(answers, start=1) if not answer.answered]


def test_a_complete_contract_answers_all_seven(subject: Subject) -> None:
    """Nothing is open; the intended use alone, in other spacing and case, is enough too."""
    assert _open_questions(subject) == []
    assert _open_questions(replace(subject, use_case_id="other", intended_use="flags patients FOR review")) == []


@pytest.mark.parametrize(
    ("old", "new", "question"),
    [
        ("origin: ward register, path: raw.csv,", "origin: ward register, path: gone.csv,", 1),
        ("purpose: Routine care., ", "", 2),
        ("dateIn: 2020-01-01", "dateIn: 2027-01-01", 2),
        ("dateIn: 2020-01-01", "dateIn: long ago", 2),
        ("      transformations: Units unified.\n", "", 3),
        ("status: active", "status: draft", 4),
        ("contractCreatedTs: 2026-01-01", "contractCreatedTs: 2026-07-01", 5),
        ("contractCreatedTs: 2026-01-01", "contractCreatedTs: this year", 5),
        ("required: true}", "required: true}\n      - {name: weight, required: true}", 5),
        (", usage: Triage research.", "", 6),
        ("[heart-triage, ", "[", 0),
        ("slice: site=b", "slice: site=c", 7),
        ("slice: site=b", "slice: ward=b", 7),
        ("slice: site=b", "slice: ''", 7),
        ("rule: completeness.age.null", "rule: nothing", 7),
    ],
)
def test_each_break_opens_its_question(subject: Subject, tmp_path: Path, old: str, new: str, question: int) -> None:
    """One change in the contract leaves exactly that question open (0: none, the other key still matches)."""
    text = _text(tmp_path)
    assert old in text
    assert _open_questions(_subject(tmp_path, text.replace(old, new))) == ([question] if question else [])


def test_digests_are_compared_with_the_files(subject: Subject, tmp_path: Path) -> None:
    """Changed raw file: origin; changed data: transformations and version; nothing pinned: version."""
    text = _text(tmp_path)
    (tmp_path / "raw.csv").write_text("changed")
    assert _open_questions(subject) == [1]
    (tmp_path / "raw.csv").write_text("raw")
    (tmp_path / "data.csv").write_text("age,site\n3,a\n2,b\n")
    assert _open_questions(subject) == [3, 4]
    assert _open_questions(_subject(tmp_path, text)) == [3]
    assert _open_questions(replace(subject, release_data_sha256="")) == [3, 4]


def test_an_empty_contract_answers_almost_nothing(tmp_path: Path) -> None:
    """Only the version, which the release pins, is known."""
    (tmp_path / "data.csv").write_text("age\n1\n")
    text = "version: 1\nkind: DataContract\napiVersion: v3.1.0\nid: c\nstatus: active\nschema: [{name: t}]\n"
    text = text.replace("version: 1\n", "version: 1.0.0\n")
    bare = _subject(tmp_path, text)
    assert _open_questions(bare) == [1, 2, 3, 5, 6, 7]
    assert _open_questions(replace(bare, use_case_id="x")) == [1, 2, 3, 5, 6, 7]


@pytest.mark.parametrize(
    "sources",
    ["[{origin: forms}]", "[{origin: forms, path: data.csv}]"],
)
def test_an_origin_without_a_checked_digest_is_open(subject: Subject, tmp_path: Path, sources: str) -> None:
    """A name alone, or a path without a digest, is not an answer."""
    lines = [
        f"      sources: {sources}" if line.startswith("      sources:") else line
        for line in _text(tmp_path).splitlines()
    ]
    assert _open_questions(_subject(tmp_path, "\n".join(lines))) == [1]


def test_transformations_need_a_digest_and_may_stand_at_columns(subject: Subject, tmp_path: Path) -> None:
    """Without outputSha256 the question is open; ``transformLogic`` of a column counts as a declaration."""
    text = _text(tmp_path)
    without = "\n".join(line for line in text.splitlines() if "outputSha256" not in line)
    assert _open_questions(_subject(tmp_path, without)) == [3]
    moved = text.replace("      transformations: Units unified.\n", "")
    moved = moved.replace("{name: age,", "{name: age, transformLogic: round,")
    assert _open_questions(_subject(tmp_path, moved)) == []


WARD = Name(namespace="file://ward", name="data")


def _passport(subject: Subject, **more: object) -> Subject:
    declared = Declarations(licence="CC-BY-4.0", dataset=WARD, **more)  # type: ignore[arg-type]  # test builder
    return replace(subject, declared=declared, lineage=_lineage(table_digest(subject.table.paths)))


def _lineage(version: str, *readers: str) -> Lineage:
    def event(run: str, inputs: list[DatasetUse], outputs: list[DatasetUse]) -> RunEvent:
        return RunEvent(
            type=EventType.COMPLETE, at=AT, run_id=run, job=Name(namespace="etl", name=run), inputs=tuple(inputs),
            outputs=tuple(outputs), producer="p",
        )  # fmt: skip

    raw = DatasetUse(dataset=Name(namespace="file://ward", name="raw"))
    made = event("made", [raw], [DatasetUse(dataset=WARD, version=version)])
    reads = [event(f"read {use}", [DatasetUse(dataset=WARD, version=use)], []) for use in readers]
    return Lineage.of([made, *reads])


def test_the_passport_asks_for_more_and_can_be_answered(subject: Subject) -> None:
    """With lineage, licence and claims everything is answered, and the score is the share of the seven."""
    claims = (Claim(kind=ClaimKind.ROWS, expected="2"),)
    full = _passport(subject, claims=claims, codings=(Coding(column="site", codes=(("a", "A"), ("b", "B"))),))
    answers = answer_datasheet(full)
    assert _open_questions(full) == []
    assert score_share(answers) == 1.0
    assert "from file://ward/raw" in answers[0].what
    assert "2 claims hold." in answers[4].what
    assert "Licence: CC-BY-4.0." in answers[5].what
    assert score_share(answer_datasheet(replace(full, declared=Declarations()))) == 6 / 7
    assert score_share(()) == 0.0


def test_lineage_must_agree_with_the_data(subject: Subject) -> None:
    """Another version written, no run at all, no version named, or two versions in use: each opens its question."""
    full = _passport(subject)
    digest = table_digest(subject.table.paths)
    assert _open_questions(replace(full, lineage=_lineage("sha256:" + digest, digest))) == []
    assert _open_questions(replace(full, lineage=_lineage("old"))) == [3]
    assert _open_questions(replace(full, lineage=_lineage(""))) == [3]
    assert _open_questions(replace(full, lineage=Lineage.of([]))) == [1, 3]
    assert _open_questions(replace(full, lineage=_lineage(digest, "v1", "v2"))) == [4]


def test_broken_claims_and_old_checks_are_no_answer(subject: Subject) -> None:
    """A wrong count, an undeclared code, an absent column; checks older than allowed, to the second."""
    for claim in (Claim(kind=ClaimKind.ROWS, expected="3"), Claim(kind=ClaimKind.NO_NULLS, column="ward")):
        assert _open_questions(_passport(subject, claims=(claim,))) == [5]
    assert _open_questions(_passport(subject, codings=(Coding(column="site", codes=(("a", "A"),)),))) == [5]
    later = replace(subject, at=AT + timedelta(seconds=10))
    assert _open_questions(replace(later, max_age_s=10)) == []
    assert _open_questions(replace(later, max_age_s=9)) == [5]
    assert _open_questions(replace(subject, declared=Declarations())) == [6]
