"""Inspect logs in both forms: what becomes of samples and scores, and everything that speaks against a log."""

import json
import struct
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from roadworthy.base.digest import digest_file
from roadworthy.base.errors import EmptyData, MissingFile, ParameterError, UnreadableData
from roadworthy.measure.answers import inspect_file
from roadworthy.measure.answers.evaluate import summarise
from roadworthy.measure.answers.inspect_log import INSPECT_VALUES, LogReading, read_inspect_log
from roadworthy.stats.outcomes import Outcome


def sample(name: str, epoch: int, value, **more):
    return {
        "id": name,
        "epoch": epoch,
        "input": f"question {name}",
        "target": "4",
        "output": {"completion": f"answer {name}.{epoch}"},
        "scores": {"match": {"value": value, "history": []}},
        "metadata": {"document": f"d-{name}", "language": "en"},
        **more,
    }


def log(samples, **more):
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "run_id": "r1",
            "task": "sums",
            "model": "mockllm/model",
            "dataset": {"samples": 2},
            "config": {"epochs": 2},
            "packages": {"inspect_ai": "0.3.285"},
        },
        "results": {"scores": [{"name": "match", "metrics": {"accuracy": {"value": 0.5}, "bad": {"value": None}}}]},
        "samples": samples,
        **more,
    }


FULL = [sample("a", 1, "C"), sample("b", 1, "I"), sample("a", 2, "C"), sample("b", 2, "N")]


def as_json(tmp_path: Path, document) -> Path:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def as_archive(tmp_path: Path, document, compression=zipfile.ZIP_DEFLATED) -> Path:
    path = tmp_path / "run.eval"
    head = {name: value for name, value in document.items() if name != "samples"}
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("_journal/start.json", "{}")
        archive.writestr("header.json", json.dumps(head))
        for each in document["samples"]:
            archive.writestr(f"samples/{each['id']}_epoch_{each['epoch']}.json", json.dumps(each))
    return path


def as_zstandard(tmp_path: Path, document, *, spoil: bool = False) -> Path:
    """An archive as newer versions of Inspect write it, built byte by byte: method 93 is not in Python 3.11."""
    path = tmp_path / "run.eval"
    head = {name: value for name, value in document.items() if name != "samples"}
    members = {"header.json": head}
    members |= {f"samples/{each['id']}_epoch_{each['epoch']}.json": each for each in document["samples"]}
    body, directory = b"", b""
    for name, value in members.items():
        plain, raw = json.dumps(value).encode(), name.encode()
        packed = pa.Codec("zstd").compress(plain, asbytes=True)
        sums = (zlib.crc32(plain) ^ spoil, len(packed), len(plain), len(raw), 0)
        directory += struct.pack(
            "<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 20, 0, 93, 0, 0, *sums, 0, 0, 0, 0, len(body)
        )
        directory += raw
        body += struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 93, 0, 0, *sums) + raw + packed
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


@pytest.mark.parametrize("write", [as_json, as_archive, as_zstandard])
def test_all_forms_say_the_same(tmp_path, write):
    """JSON, deflated and Zstandard archives: the same items, answers and outcomes in the same order."""
    path = write(tmp_path, log(FULL))
    found = read_inspect_log(path)
    assert found.digest == digest_file(path)
    assert [(item.id, item.question, item.expected) for item in found.items] == [
        ("a", "question a", ("4",)),
        ("b", "question b", ("4",)),
    ]
    assert [(each.item_id, each.repeat, each.outcome) for each in found.scored] == [
        ("a", 0, Outcome.CORRECT),
        ("a", 1, Outcome.CORRECT),
        ("b", 0, Outcome.INCORRECT),
        ("b", 1, Outcome.REFUSED),
    ]
    assert [each.text for each in found.answers] == ["answer a.1", "answer a.2", "answer b.1", "answer b.2"]
    assert found.header["model"] == "mockllm/model" and found.header["scorer"] == "match"
    assert found.reported == {"accuracy": 0.5}
    assert found.objections == () and found.unmapped == {}


def test_what_is_imported_can_be_summarised(tmp_path):
    """The figure of the log and ours agree, and ours has an interval over documents."""
    found = read_inspect_log(
        as_json(tmp_path, log(FULL)), LogReading(cluster_field="document", cohort_field="language")
    )
    summary = summarise(found.scored)
    assert summary.shares.correct.estimate == found.reported["accuracy"]
    assert summary.shares.correct.n == 2 and summary.cohorts[0].cohort == "en"
    assert summary.flipping.estimate == 0.5


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("C", "correct"), (1, "correct"), (1.0, "correct"), (True, "correct"), (0, "incorrect"), (False, "incorrect")],
)
def test_values_that_stand_for_outcomes(tmp_path, value, outcome):
    """Letters, numbers and truth values."""
    found = read_inspect_log(as_json(tmp_path, log([sample("a", 1, value)])))
    assert found.scored[0].outcome is Outcome(outcome)


@pytest.mark.parametrize(
    ("value", "text"), [("P", "P"), (0.5, "0.5"), (float("nan"), "nan"), ({"x": 1}, '{"x": 1}'), ("c", "c")]
)
def test_other_values_are_no_outcome(tmp_path, value, text):
    """Partial credit and the like is counted apart, until somebody declares what it means."""
    path = as_json(tmp_path, log([sample("a", 1, value)]))
    found = read_inspect_log(path)
    assert found.scored[0].outcome is None
    assert found.unmapped == {text: 1}
    assert any("stands for no outcome" in each or "stand for no outcome" in each for each in found.objections)
    declared = LogReading(values={**INSPECT_VALUES, text: Outcome.INCORRECT})
    assert read_inspect_log(path, declared).scored[0].outcome is Outcome.INCORRECT


def test_attachments_are_put_back(tmp_path):
    """Long texts that the log keeps apart come back to where they belong."""
    each = sample("a", 1, "C", attachments={"h1": "long question", "h2": "long answer"})
    each |= {"input": "attachment://h1", "output": {"completion": "attachment://h2"}, "target": ["4", "four"]}
    found = read_inspect_log(as_json(tmp_path, log([each])))
    assert found.items[0].question == "long question"
    assert found.items[0].expected == ("4", "four")
    assert found.answers[0].text == "long answer"


def test_a_conversation_as_input(tmp_path):
    """Messages become their text, images nothing."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "2+2?"}, {"type": "image", "image": "x"}]},
    ]
    found = read_inspect_log(as_json(tmp_path, log([sample("a", 1, "C", input=messages)])))
    assert found.items[0].question == "Be brief.\n2+2?\n"


def test_everything_that_speaks_against_a_log(tmp_path):
    """Each objection is a sentence; none of them stops the reading."""
    samples = [
        sample("a", 1, "C", error={"message": "boom"}),
        sample("b", 1, "C", limit={"type": "token"}, scores={"match": {"value": "C", "history": [{"value": "I"}]}}),
        sample("c", 1, "C", invalidation={"author": "x"}, scores=None, output=None),
    ]
    document = log(samples, status="error", invalidated=True)
    document["eval"] |= {"revision": {"commit": "abc", "dirty": True}}
    found = read_inspect_log(as_json(tmp_path, document))
    assert found.objections == (
        "The run ended with status 'error'.",
        "The log was invalidated.",
        "The code had changes that were not committed.",
        "1 of 4 samples are missing.",
        "1 samples ended with an error.",
        "1 samples were cut off at a limit.",
        "1 samples were invalidated.",
        "1 samples have no score.",
        "1 scores were edited after the run.",
    )
    assert found.scored[2].outcome is None and len(found.answers) == 2


def test_samples_that_were_lost_are_unscored(tmp_path):
    """What the head names as asked and the log does not hold is counted, not forgotten."""
    document = log(FULL[:1])
    document["eval"]["dataset"]["sample_ids"] = ["a", "b"]
    found = read_inspect_log(as_json(tmp_path, document))
    assert [(each.item_id, each.repeat, each.outcome) for each in found.scored] == [
        ("a", 1, None),
        ("b", 0, None),
        ("b", 1, None),
        ("a", 0, Outcome.CORRECT),
    ]
    summary = summarise(found.scored)
    assert summary.unscored.share.estimate == 0.75 and summary.unscored.item_ids == ("b",)


def test_the_scorer_must_be_clear(tmp_path):
    """With two scorers one has to be named, and it has to be there."""
    two = sample("a", 1, "C", scores={"match": {"value": "C"}, "judge": {"value": "I"}})
    path = as_json(tmp_path, log([two]))
    with pytest.raises(ParameterError, match="which scorer"):
        read_inspect_log(path)
    with pytest.raises(ParameterError, match="which scorer"):
        read_inspect_log(path, LogReading(scorer="other"))
    assert read_inspect_log(path, LogReading(scorer="judge")).scored[0].outcome is Outcome.INCORRECT
    with pytest.raises(ParameterError, match="no metadata field"):
        read_inspect_log(path, LogReading(scorer="judge", cluster_field="user"))


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'{"version": 1, "eval": {}}',
        b'{"version": 2}',
        b"PK broken",
        json.dumps({"version": 2, "eval": {}, "samples": [{"scores": {"m": {"value": "C"}}}]}).encode(),
        json.dumps({"version": 2, "eval": {}, "samples": [sample("a", 1, "C", input=[{"role": "x"}])]}).encode(),
        json.dumps({"version": 2, "eval": {}, "samples": [sample("a", 1, "C"), sample("a", 1, "I")]}).encode(),
    ],
)
def test_what_is_no_log(tmp_path, content):
    """Other bytes, other versions, damaged archives, samples without what makes them samples, and doubles."""
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableData, match="no Inspect log"):
        read_inspect_log(path)


def test_a_damaged_archive(tmp_path):
    """A checksum that does not fit, a cut file, and a run that never finished."""
    with pytest.raises(UnreadableData, match="checksum"):
        read_inspect_log(as_zstandard(tmp_path, log(FULL), spoil=True))
    path = as_archive(tmp_path, log(FULL))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableData, match="damaged"):
        read_inspect_log(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", "{}")
    with pytest.raises(UnreadableData, match="did not finish"):
        read_inspect_log(path)


def test_no_file_and_no_samples(tmp_path):
    """A path that is not there, and a log that kept no samples."""
    with pytest.raises(MissingFile):
        read_inspect_log(tmp_path / "none.eval")
    with pytest.raises(EmptyData):
        read_inspect_log(as_json(tmp_path, log([])))


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "data",
    [
        DEEP,
        b'{"version": ' + b"9" * 5_000 + b"}",
        json.dumps(log(5)).encode(),
        json.dumps(log([5])).encode(),
        json.dumps(log([sample("a", 1, "C", scores=5)])).encode(),
        json.dumps(log([sample("a", 1e400, "C")])).encode(),
        json.dumps(log(FULL, eval={"dataset": {"sample_ids": ["a"]}, "config": {"epochs": 10**9}})).encode(),
        json.dumps(log(FULL, eval={"dataset": {"samples": "ab"}, "config": {"epochs": 10**9}})).encode(),
    ],
    ids=["deep", "digits", "samples", "sample", "scores", "epoch", "epochs", "size"],
)
def test_hostile_logs_are_refused(tmp_path: Path, data: bytes) -> None:
    """Each as a log that cannot be read, at once."""
    path = tmp_path / "run.json"
    path.write_bytes(data)
    with pytest.raises(UnreadableData):
        read_inspect_log(path)


def test_an_archive_is_not_unpacked_beyond_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample too large, and all of them too large."""
    path = as_archive(tmp_path, log([sample("a", 1, "C", more="x" * 5_000), sample("b", 1, "C", more="x" * 5_000)]))
    for name, most in (("MOST_MEMBER_BYTES", 5_000), ("MOST_BYTES", 10_000)):
        with monkeypatch.context() as patch:
            patch.setattr(inspect_file, name, most)
            with pytest.raises(UnreadableData, match="unpacked it is larger"):
                read_inspect_log(path)
    assert len(read_inspect_log(path).items) == 2


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    """Said so, instead of asking for a password."""
    path = as_archive(tmp_path, log(FULL))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableData, match="encrypted"):
        read_inspect_log(path)
