"""Every part of the release, and the data it was judged on, pinned by digest and unchanged since."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from roadworthy.base.digest import digest_file, is_digest
from roadworthy.base.interval import exact
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.measure.answers.prompt_file import prompt_digest
from roadworthy.measure.table import data_files, table_digest

_NEEDED = (Part.MODEL, Part.DATA_CONTRACT, Part.PILOT_DATA, Part.PRODUCTION_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing to tighten: every part must be pinned and unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The registered digests, and where the bytes lie now."""

    recorded: Mapping[Part, str]
    files: Mapping[Part, Path]
    data: Mapping[Part, Path]


class PinnedCheck(Check[Subject, Params]):
    """Hash every file of the release and both data sets again, and compare with what was registered.

    A prompt set is read again, with the files that it names: what it says counts, not how it is laid out.
    """

    id: ClassVar[str] = "release.pinned"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Release pinned by digest"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 300.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a model file that changed after it was registered, and data without a digest"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The release at hand."""
        yield Subject(
            recorded=context.recorded,
            files=context.files,
            data={
                Part.PILOT_DATA: context.data["pilot"].pattern,
                Part.PRODUCTION_DATA: context.data["production"].pattern,
            },
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A model and a data file with their true digests."""
        model, data = _specimen(context.workdir)
        digest = f"sha256:{table_digest(data_files(data))}"
        recorded = {
            Part.MODEL: digest_file(model),
            Part.DATA_CONTRACT: digest_file(model),
            Part.PILOT_DATA: digest,
            Part.PRODUCTION_DATA: digest,
        }
        yield Subject(
            recorded=recorded, files={Part.MODEL: model}, data={Part.PILOT_DATA: data, Part.PRODUCTION_DATA: data}
        )

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A model that changed after it was registered, and data that never was."""
        model, data = _specimen(context.workdir)
        recorded = {Part.MODEL: digest_file(model)}
        model.write_bytes(b'{"weights": [2]}')
        yield Subject(recorded=recorded, files={Part.MODEL: model}, data={Part.PILOT_DATA: data})

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Hash everything again."""
        now = {part: _digest_now(part, path) for part, path in subject.files.items()}
        now |= {part: f"sha256:{table_digest(data_files(path))}" for part, path in subject.data.items()}
        wanted = sorted({*_NEEDED, *now}, key=lambda part: part.value)
        rows = [
            {
                "part": part.value,
                "registered": subject.recorded.get(part, ""),
                "pinned": is_digest(subject.recorded.get(part, "")),
                "changed": part in now and part in subject.recorded and now[part] != subject.recorded[part],
            }
            for part in wanted
        ]
        unpinned = sum(1 for row in rows if not row["pinned"])
        changed = sum(1 for row in rows if row["changed"])
        return Observation(
            estimates=(
                Estimate(metric="parts_unpinned", interval=exact(unpinned, len(rows)), unit="part"),
                Estimate(metric="parts_changed", interval=exact(changed, len(rows)), unit="part"),
            ),
            facts={"parts": rows},
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per part that is not pinned, or not what it was."""
        findings = []
        for row in observation.facts["parts"]:
            if not row["pinned"]:
                remedy = "Name its file in roadworthy.yaml, so that its digest is part of the release."
                findings.append(Finding(what=f"{row['part']} is not pinned.", remedy=remedy))
            if row["changed"]:
                remedy = "Inspect again: what is on disk is another release."
                findings.append(Finding(what=f"{row['part']} changed since it was registered.", remedy=remedy))
        return tuple(findings)


def _digest_now(part: Part, path: Path) -> str:
    return prompt_digest(path) if part is Part.PROMPT else digest_file(path)


def _specimen(folder: Path) -> tuple[Path, Path]:
    model, data = folder / "model.json", folder / "rows.csv"
    model.write_bytes(b'{"weights": [1]}')
    data.write_bytes(b"id\n1\n")
    return model, data
