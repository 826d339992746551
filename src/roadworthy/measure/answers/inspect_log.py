"""An Inspect AI evaluation log as material for evidence. Owns reading of the log, version 2, without Inspect itself.

Inspect runs the task; this house takes its answers and scores from the log and computes shares and intervals anew. The two
forms of the file belong to ``inspect_file``.

How the log is read:
- A sample is an item, an epoch a repeat, a score of the chosen scorer an outcome.
- Score values become outcomes by a declared reading; the default takes Inspect's own letters and the numbers 1 and 0.
  Partial credit and any other value is no outcome: it is counted by value, and whoever wants it to count declares how.
- Texts that the log keeps apart as attachments are put back.

Rules kept here:
1. The digest of the file's bytes is the identity of the material.
2. Whatever speaks against the log (not finished, invalidated, errors, limits, edited scores, uncommitted code, missing
   samples) is listed in ``objections``; nothing is repaired and nothing is hidden.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import EmptyData, MissingFile, ParameterError
from roadworthy.measure.answers.inspect_file import read_document, unreadable
from roadworthy.measure.answers.outcome import Answer, Item, ScoredAnswer
from roadworthy.stats.outcomes import Outcome

_ATTACHMENT = "attachment://"
_MOST_DUE = 1_000_000
"""Samples times epochs that a head may name: each becomes a row, there or not."""

INSPECT_VALUES: Mapping[str, Outcome] = MappingProxyType(
    {
        "C": Outcome.CORRECT,
        "I": Outcome.INCORRECT,
        "N": Outcome.REFUSED,
        "1": Outcome.CORRECT,
        "0": Outcome.INCORRECT,
        "true": Outcome.CORRECT,
        "false": Outcome.INCORRECT,
    }
)
"""Inspect's letters for correct, incorrect and "no answer or refusal"; numbers and truth values as 1 and 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReading:
    """How samples and scores of a log are to be understood.

    Attributes:
        scorer: whose scores count; None when the log has one scorer only.
        values: outcome by score value; numbers are written in their shortest form, truth values as true and false.
        cluster_field: the metadata field of a sample that names its document or user; None when samples stand alone.
        cohort_field: the metadata field that names its cohort.
    """

    scorer: str | None = None
    values: Mapping[str, Outcome] = field(default_factory=lambda: INSPECT_VALUES)
    cluster_field: str | None = None
    cohort_field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectLog:
    """What a log holds, in our words.

    Attributes:
        digest: of the file's bytes.
        header: task, model, run, revision, packages and scorer as the log names them; plain JSON.
        items: the samples.
        answers: one for each sample and epoch that has an answer.
        scored: one for each sample and epoch; without an outcome where there is none. What the log names as asked but
            does not hold stands first, so that it is counted as unscored.
        unmapped: how often each score value occurred that the reading does not know.
        reported: the metrics that the log itself reports for the scorer.
        objections: what speaks against the log, as sentences; empty when nothing does.
    """

    digest: str
    header: Mapping[str, Any]
    items: tuple[Item, ...]
    answers: tuple[Answer, ...]
    scored: tuple[ScoredAnswer, ...]
    unmapped: Mapping[str, int]
    reported: Mapping[str, float]
    objections: tuple[str, ...]


def read_inspect_log(path: Path, reading: LogReading | None = None) -> InspectLog:
    """Read one log.

    Args:
        path: a ``.json`` or ``.eval`` file; its content decides, not its name.
        reading: how scores become outcomes; None for the default reading.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        UnreadableData: it is no Inspect log of version 2, or its archive is damaged (RW-103).
        EmptyData: it has no samples (RW-104).
        ParameterError: the scorer or a metadata field is not in the log, or must be named (RW-114).
    """
    understood = reading or LogReading()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingFile(
            f"The log cannot be read: {error.strerror}.", remedy="Check the path.", where=str(path)
        ) from error
    place = str(path)
    document = read_document(path, data)
    if not document.samples:
        raise EmptyData("The log has no samples.", remedy="Log samples: they are the evidence.", where=place)
    try:
        scorer = _scorer(document.samples, understood, place)
        samples = sorted(map(_restored, document.samples), key=lambda sample: (str(sample["id"]), int(sample["epoch"])))
        return _in_our_words(digest_bytes(data), document.head, samples, understood, scorer)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise unreadable(place, f"a sample cannot be read: {error!r}") from error


def _in_our_words(
    digest: str, head: dict[str, Any], samples: list[dict[str, Any]], reading: LogReading, scorer: str
) -> InspectLog:
    items: dict[str, Item] = {}
    answers, scored, unmapped = [], _missing(head, samples), Counter[str]()
    for sample in samples:
        item = items.setdefault(str(sample["id"]), _item(sample, reading))
        repeat = int(sample["epoch"]) - 1
        score = (sample.get("scores") or {}).get(scorer)
        value = None if score is None else _value_text(score["value"])
        outcome = None if value is None else reading.values.get(value)
        if value is not None and outcome is None:
            unmapped[value] += 1
        text = (sample.get("output") or {}).get("completion")
        if text is not None:
            answers.append(Answer(item_id=item.id, text=str(text), repeat=repeat))
        scored.append(
            ScoredAnswer(item_id=item.id, repeat=repeat, outcome=outcome, cluster=item.cluster, cohort=item.cohort)
        )
    return InspectLog(
        digest=digest,
        header=_header(head, scorer),
        items=tuple(items.values()),
        answers=tuple(answers),
        scored=tuple(scored),
        unmapped=dict(sorted(unmapped.items())),
        reported=_reported(head, scorer),
        objections=tuple(_objections(head, samples, scorer, unmapped)),
    )


def _missing(head: dict[str, Any], samples: list[dict[str, Any]]) -> list[ScoredAnswer]:
    """Rows without an outcome for what was asked, as the head says, and is not there."""
    # An epoch that is there twice would count twice.
    there = [(str(sample["id"]), int(sample["epoch"])) for sample in samples]
    if len(set(there)) < len(there):
        raise ValueError("two samples have one id and epoch")
    names = (head["eval"].get("dataset") or {}).get("sample_ids") or []
    epochs = (head["eval"].get("config") or {}).get("epochs") or 1
    if not isinstance(names, list) or not isinstance(epochs, int) or len(names) * epochs > _MOST_DUE:
        raise ValueError(f"the head names no list of samples, or more than {_MOST_DUE} of them and their epochs")
    due = {(str(name), epoch) for name in names for epoch in range(1, epochs + 1)}
    return [ScoredAnswer(item_id=name, repeat=epoch - 1, outcome=None) for name, epoch in sorted(due.difference(there))]


def _scorer(samples: list[dict[str, Any]], reading: LogReading, place: str) -> str:
    known: list[str] = sorted({name for sample in samples for name in sample.get("scores") or {}})
    if reading.scorer is None and len(known) == 1:
        return known[0]
    if reading.scorer is None or reading.scorer not in known:
        raise ParameterError(
            f"The log does not say which scorer is meant ({reading.scorer!r}).",
            remedy=f"Name one of: {', '.join(known) or 'none, the log has no scores'}.",
            where=place,
        )
    return reading.scorer


def _restored(sample: dict[str, Any]) -> dict[str, Any]:
    """The members that are read, with attachments put back."""
    kept = sample.get("attachments") or {}
    wanted = ("id", "epoch", "input", "target", "metadata", "output", "scores", "error", "limit", "invalidation")
    return {name: _attached(sample[name], kept) for name in wanted if name in sample}


def _attached(value: Any, kept: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return kept.get(value.removeprefix(_ATTACHMENT), value) if value.startswith(_ATTACHMENT) else value
    if isinstance(value, list):
        return [_attached(each, kept) for each in value]
    if isinstance(value, dict):
        return {name: _attached(each, kept) for name, each in value.items()}
    return value


def _item(sample: dict[str, Any], reading: LogReading) -> Item:
    target = sample["target"]
    return Item(
        id=str(sample["id"]),
        question=_question(sample["input"]),
        expected=tuple(str(each) for each in (target if isinstance(target, list) else [target])),
        cluster=_metadata(sample, reading.cluster_field),
        cohort=_metadata(sample, reading.cohort_field),
    )


def _question(given: Any) -> str:
    """A text, or the text of the messages of a conversation, one below the other."""
    if isinstance(given, str):
        return given
    parts: list[str] = []
    for message in given:
        content = message["content"]
        blocks = [content] if isinstance(content, str) else [block.get("text", "") for block in content]
        parts.extend(blocks)
    return "\n".join(parts)


def _metadata(sample: dict[str, Any], name: str | None) -> str | None:
    if name is None:
        return None
    value = (sample.get("metadata") or {}).get(name)
    if value is None:
        raise ParameterError(
            f"Sample {sample['id']!r} has no metadata field {name!r}.",
            remedy="Name a field that every sample has.",
            where=f"sample {sample['id']}",
        )
    return str(value)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(value, "g")
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _header(head: dict[str, Any], scorer: str) -> dict[str, Any]:
    spec = head["eval"]
    names = (
        "eval_id",
        "run_id",
        "created",
        "task",
        "task_version",
        "model",
        "model_generate_config",
        "revision",
        "packages",
    )
    return {"status": head.get("status"), "scorer": scorer, **{name: spec[name] for name in names if name in spec}}


def _reported(head: dict[str, Any], scorer: str) -> dict[str, float]:
    found = {}
    for score in (head.get("results") or {}).get("scores") or []:
        if score["name"] == scorer:
            for name, metric in score["metrics"].items():
                value = metric["value"]
                if isinstance(value, int | float) and math.isfinite(value):
                    found[name] = float(value)
    return found


def _objections(
    head: dict[str, Any], samples: list[dict[str, Any]], scorer: str, unmapped: Counter[str]
) -> Iterator[str]:
    spec = head["eval"]
    if head.get("status") != "success":
        yield f"The run ended with status {head.get('status')!r}."
    if head.get("invalidated"):
        yield "The log was invalidated."
    if (spec.get("revision") or {}).get("dirty"):
        yield "The code had changes that were not committed."
    # Whole numbers before they are multiplied: a text times a number is a longer text.
    due = int((spec.get("dataset") or {}).get("samples") or 0) * int((spec.get("config") or {}).get("epochs") or 1)
    if len(samples) < due:
        yield f"{due - len(samples)} of {due} samples are missing."
    for name, words in (
        ("error", "ended with an error"),
        ("limit", "were cut off at a limit"),
        ("invalidation", "were invalidated"),
    ):
        count = sum(bool(sample.get(name)) for sample in samples)
        if count:
            yield f"{count} samples {words}."
    scores = [score for sample in samples if (score := (sample.get("scores") or {}).get(scorer))]
    if len(scores) < len(samples):
        yield f"{len(samples) - len(scores)} samples have no score."
    edited = sum(bool(score.get("history")) for score in scores)
    if edited:
        yield f"{edited} scores were edited after the run."
    if unmapped:
        yield f"{unmapped.total()} scores have a value that stands for no outcome: {', '.join(sorted(unmapped))}."
