"""The datasheet check on a real subject: claims of the passport, lineage events, and their age."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.errors import ManifestError, UnreadableData
from roadworthy.checks.catalog import find_check
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.measure.passport.openlineage import DatasetUse, EventType, Name, RunEvent, run_id_of, to_openlineage
from roadworthy.measure.table import data_files, file_digest, table_digest

AT = datetime(2026, 11, 21, tzinfo=UTC)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: rows
version: 1.0.0
status: active
contractCreatedTs: "2026-01-01T00:00:00Z"
description: {purpose: Tests., usage: Tests., limitations: Few rows.}
team: [{username: ada, name: Ada, role: data owner}]
schema:
  - name: rows
    properties:
      - {name: id, logicalType: integer, required: true}
customProperties:
  - property: roadworthy
    value:
      sources: [{origin: written here, path: pilot.parquet, sha256: "FILE"}]
      transformations: none
      outputSha256: "TABLE"
      suitableFor: [u]
      limitations: [{text: Few rows., slice: "id=1"}]
"""
PASSPORT = """\
  - property: roadworthyPassport
    value:
      licence: CC0-1.0
      dataset: {namespace: ward, name: rows}
      claims: [{rows: 302}]
"""
ROWS, RAW = Name(namespace="ward", name="rows"), Name(namespace="ward", name="raw")


class Rows:
    """A data set of 302 rows with its contract and the events about it."""

    def __init__(self, case: Any, contract: str) -> None:
        self.case, self.folder = case, case.folder
        case.add("pilot", {"id": list(range(302))}, contract=case.folder / "rows.odcs.yaml")
        data = self.folder / "pilot.parquet"
        self.digest = table_digest(data_files(data))
        self.write(contract.replace("FILE", file_digest(data)).replace("TABLE", self.digest))

    def write(self, contract: str) -> None:
        """Another contract."""
        (self.folder / "rows.odcs.yaml").write_text(contract, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        """Change one text of the contract."""
        text = (self.folder / "rows.odcs.yaml").read_text(encoding="utf-8")
        assert old in text
        self.write(text.replace(old, new))

    def say(self, *events: RunEvent) -> None:
        """The lineage events on record."""
        path = self.folder / "events.jsonl"
        path.write_text("".join(json.dumps(to_openlineage(event)) + "\n" for event in events), encoding="utf-8")
        self.case.data["pilot"] = replace(self.case.data["pilot"], lineage=(path,))

    def run_of(self, version: str, *, days_ago: float = 1, kind: EventType = EventType.COMPLETE) -> RunEvent:
        """The run that wrote the rows."""
        return RunEvent(
            type=kind,
            at=AT - timedelta(days=days_ago),
            run_id=run_id_of(version.encode()),
            job=Name(namespace="etl", name="clean"),
            inputs=(DatasetUse(dataset=RAW),),
            outputs=(DatasetUse(dataset=ROWS, version=version),),
            producer="https://example.org/etl",
        )

    def context(self) -> CheckContext:
        """As the check gets it, these bytes registered."""
        return replace(self.case.context(), at=AT, recorded={Part.PILOT_DATA: f"sha256:{self.digest}"})

    def observe(self, **params: Any) -> Observation:
        """What the check sees."""
        check = find_check("data_quality.datasheet")
        with check.subject(self.context()) as subject:
            return check.observe(subject, check.params(**params), Run(at=AT, seed=1, cancelled=lambda: False))

    def answered(self, **params: Any) -> int:
        """How many of the seven questions."""
        return int(self.observe(**params).estimates[0].interval.estimate)

    def opened(self, **params: Any) -> list[str]:
        """What is said of those that are open."""
        return [row["what"] for row in self.observe(**params).facts["questions"] if not row["answered"]]


@pytest.fixture
def rows(case: Any) -> Rows:
    """With a passport, and the event of the run that wrote the rows."""
    made = Rows(case, CONTRACT + PASSPORT)
    made.say(made.run_of(f"sha256:{made.digest}"))
    return made


def test_all_seven_are_answered_and_the_events_are_named(rows: Rows) -> None:
    """The facts say which file of events was read, by its digest."""
    seen = rows.observe()
    assert seen.estimates[0].interval.estimate == seen.estimates[0].interval.n == 7
    assert seen.facts["lineage"] == [{"file": "events.jsonl", "sha256": file_digest(rows.folder / "events.jsonl")}]
    assert "Lineage: from ward/raw." in seen.facts["questions"][0]["what"]


def test_a_contract_without_passport_is_asked_as_before(case: Any) -> None:
    """No licence is asked for where nobody declared anything, and no lineage stands among the facts."""
    bare = Rows(case, CONTRACT)
    assert bare.answered() == 7
    assert "lineage" not in bare.observe().facts


BROKEN = [
    ("rows: 302", "rows: 303", "1 of 1 claims do not hold: 303 rows: 302 rows"),
    ("licence: CC0-1.0", 'licence: ""', "No licence is declared"),
    ("name: rows}", "name: other}", "No lineage event"),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN)
def test_what_the_passport_says_must_be_so(rows: Rows, old: str, new: str, said: str) -> None:
    """303 rows are claimed and 302 are there."""
    rows.edit(old, new)
    assert any(said in what for what in rows.opened())


Story = Callable[[Rows], list[RunEvent]]
STORIES: list[tuple[Story, str]] = [
    (lambda rows: [rows.run_of("sha256:" + "0" * 64)], "wrote sha256:000000"),
    (lambda rows: [rows.run_of(f"sha256:{rows.digest}", kind=EventType.FAIL)], "No lineage event"),
    (
        lambda rows: [rows.run_of(f"sha256:{rows.digest}", days_ago=2), rows.run_of("sha256:" + "1" * 64)],
        "wrote sha256:111111",
    ),
    (lambda rows: [rows.run_of(f"sha256:{rows.digest}", days_ago=4_000)], "that wrote it is of 2015-12-09"),
]


@pytest.mark.parametrize(("story", "said"), STORIES)
def test_the_newest_run_must_have_written_these_bytes(rows: Rows, story: Story, said: str) -> None:
    """Other bytes, a run that failed, a newer run, a run of long ago."""
    rows.say(*story(rows))
    assert any(said in what for what in rows.opened())


def test_the_age_of_the_run_can_be_tightened(rows: Rows) -> None:
    """A day old is not fresh where half a day is asked for."""
    assert rows.answered(lineage_max_age_days=1.0) == 7
    assert rows.answered(lineage_max_age_days=0.5) == 6


def test_two_live_versions_are_no_answer(rows: Rows) -> None:
    """One job still reads what was there before."""
    written = rows.run_of(f"sha256:{rows.digest}")
    readers = [
        replace(
            written,
            run_id=run_id_of(name.encode()),
            job=Name(namespace="etl", name=name),
            inputs=(DatasetUse(dataset=ROWS, version=version),),
            outputs=(),
        )
        for name, version in (("train", f"sha256:{rows.digest}"), ("report", "sha256:" + "2" * 64))
    ]
    rows.say(written, *readers)
    assert any("2 versions are live" in what for what in rows.opened())


def test_lineage_of_a_data_set_without_a_name_is_refused(rows: Rows) -> None:
    """RW-101: the events would be passed over in silence."""
    rows.edit("      dataset: {namespace: ward, name: rows}\n", "")
    with pytest.raises(ManifestError, match="what the lineage events call") as caught:
        rows.observe()
    assert caught.value.where == "data.pilot.lineage"


def test_a_damaged_event_file_is_no_lineage(rows: Rows) -> None:
    """RW-103, with the line."""
    path: Path = rows.folder / "events.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    with pytest.raises(UnreadableData) as caught:
        rows.observe()
    assert str(caught.value.where).endswith("events.jsonl:2")
