import asyncio
import json
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.demo import asgi, server
from roadworthy.demo.model import LogisticModel, save
from roadworthy.demo.server import Application, Serving, read_serving

MODEL = LogisticModel(
    name="m",
    features=("a", "b", "c", "d"),
    means=np.asarray([1.0, 2.0, 3.0, 4.0]),
    scales=np.ones(4),
    weights=np.asarray([1.0, -1.0, 0.5, 0.25]),
    intercept=0.5,
    lowest=np.zeros(4),
    highest=np.full(4, 10.0),
)
STRICT = Serving(model=MODEL, validates=True)
TRUSTING = replace(STRICT, validates=False)
INFER = "/v2/models/m/infer"


def answer(serving, method, path, *parts):
    """What the application sends: status and body."""
    sent = []
    messages = iter([{"body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)])

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    asyncio.run(Application(serving)({"type": "http", "path": path, "method": method}, receive, send))
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    return sent[0]["status"], json.loads(sent[1]["body"])


def request(data, rows=1, **changes):
    tensor = {"name": "features", "datatype": "FP64", "shape": [rows, 4], "data": data, **changes}
    return json.dumps({"inputs": [tensor]}).encode()


def infer(serving, body):
    return answer(serving, "POST", INFER, body)


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/m", "/v2/models/m/ready"])
def test_every_document_of_the_protocol_is_there(path):
    """Server, health and model answer a GET."""
    assert answer(STRICT, "GET", path, b"")[0] == 200


def test_metadata_tell_the_shape():
    """One input of as many columns as the model has features."""
    _, body = answer(STRICT, "GET", "/v2/models/m", b"")
    assert body["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/v2"), ("GET", INFER), ("POST", "/v2/models/x/infer")]
)
def test_anything_else_is_not_found(method, path):
    """404 with a JSON error."""
    status, body = answer(STRICT, method, path, b"")
    assert (status, "error" in body) == (404, True)


@pytest.mark.parametrize("serving", [STRICT, TRUSTING])
def test_scores_are_the_models(serving):
    """A batch is scored row by row, in order."""
    rows = np.asarray([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    status, body = infer(serving, request(rows.ravel().tolist(), rows=2))
    assert status == 200
    assert body["outputs"] == [
        {"name": "probability", "datatype": "FP64", "shape": [2], "data": MODEL.score(rows).tolist()}
    ]


@pytest.mark.parametrize("serving", [STRICT, TRUSTING])
def test_a_null_is_imputed(serving):
    """A missing value counts as the training mean."""
    _, gap = infer(serving, request([1.0, None, 3.0, 4.0]))
    _, mean = infer(serving, request([1.0, 2.0, 3.0, 4.0]))
    assert gap["outputs"] == mean["outputs"]


@pytest.mark.parametrize("data", [[1e308, 2, 3, 4], [1, -500, 3, 4], [None, None, None, 4.0], [None, None, None, None]])
def test_with_validation_a_row_out_of_its_domain_is_undecided(data):
    """Too far outside the training range, or mostly missing: null instead of a score."""
    status, body = infer(STRICT, request([*data, 1, 2, 3, 4], rows=2))
    assert status == 200
    assert body["outputs"][0]["data"][0] is None
    assert body["outputs"][0]["data"][1] is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"[" * 100_000,
        b"\xff",
        b'{"inputs": []}',
        b'{"inputs": [1]}',
        request([1, 2, 3]),
        request([1, 2, 3, "4"]),
        request([1, 2, 3, True]),
        request([1, 2, 3, 10**400]),
        request([1, 2, 3, float("nan")]),
        request([1, 2, 3, 4], name="other"),
        request([1, 2, 3, 4], datatype="BYTES"),
        request([1, 2, 3, 4], shape=[4]),
        request([1, 2, 3, 4], shape=[True, 4]),
        request([1, 2, 3, 4], shape=None),
        request(1.0),
        request([], rows=0),
        b'{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 1e999]}]}',
    ],
)
def test_with_validation_what_cannot_be_understood_is_rejected(body):
    """400 with a JSON error, never a crash."""
    status, content = infer(STRICT, body)
    assert (status, list(content)) == (400, ["error"])


@pytest.mark.parametrize("body", [b"", b"{", b'{"inputs": []}'])
def test_without_validation_the_server_crashes(body):
    """The flaw of the pilot, which the inspection is to find."""
    with pytest.raises((ValueError, LookupError)):
        infer(TRUSTING, body)


def test_without_validation_a_word_is_scored_with_confidence():
    """The other half of the flaw: what it cannot use, it imputes in silence."""
    status, body = infer(TRUSTING, request([1.0, "unknown", 3.0, 4.0]))
    assert (status, body["outputs"][0]["data"][0] is None) == (200, False)


def test_a_body_may_come_in_parts_and_must_not_be_too_large():
    """Parts are joined; beyond the limit the answer is 413."""
    body = request([1, 2, 3, 4])
    assert answer(STRICT, "POST", INFER, body[:10], body[10:])[0] == 200
    assert answer(STRICT, "POST", INFER, bytes(16 * 1024 * 1024), b" ")[0] == 413


def test_other_kinds_of_connection_are_left_alone():
    """Only HTTP is answered."""
    asyncio.run(Application(STRICT)({"type": "websocket"}, None, None))


@pytest.mark.parametrize(("word", "validates"), [('"on"', True), ('"off"', False)])
def test_serving_names_model_and_validation(tmp_path, word, validates):
    """Both keys are read."""
    save(MODEL, tmp_path / "m.json")
    (tmp_path / "serving.yaml").write_text(f"model: m.json\nvalidation: {word}\n")
    serving = read_serving(tmp_path)
    assert (serving.model.name, serving.validates) == ("m", validates)


@pytest.mark.parametrize(
    "text", ["", "[]", "model: m.json", "model: m.json\nvalidation: on\nmore: 1", "a: [", "model: m\nvalidation: on"]
)
def test_a_serving_file_of_another_form_is_refused(tmp_path, text):
    """RW-101, for a bare on as well, which YAML reads as true."""
    (tmp_path / "serving.yaml").write_text(text)
    with pytest.raises(ManifestError):
        read_serving(tmp_path)


def test_a_missing_serving_file_is_named(tmp_path):
    """RW-102."""
    with pytest.raises(MissingFile):
        read_serving(tmp_path)


def test_main_serves_the_folder_on_its_own_machine_only(tmp_path, monkeypatch, closed_input):
    """The command line reaches the server, bound to 127.0.0.1; with the switch it ends with its standard input."""
    save(MODEL, tmp_path / "m.json")
    (tmp_path / "serving.yaml").write_text('model: m.json\nvalidation: "on"\n')
    calls, kills = [], []
    monkeypatch.setattr(server.uvicorn, "run", lambda application, **options: calls.append((application, options)))
    monkeypatch.setattr(asgi.os, "kill", lambda process, number: kills.append(number))
    monkeypatch.setattr(
        asgi.threading, "Thread", lambda target, daemon: type("T", (), {"start": lambda self: target()})()
    )
    monkeypatch.setattr(sys, "stdin", closed_input)
    monkeypatch.setattr(sys, "argv", ["server", "--folder", str(tmp_path), "--port", "7", "--until-stdin-closes"])
    server.main()
    assert (calls[0][1]["host"], calls[0][1]["port"], kills) == ("127.0.0.1", 7, [signal.SIGTERM])


def test_main_says_what_is_missing(tmp_path, monkeypatch):
    """A folder without a serving.yaml ends with its error."""
    monkeypatch.setattr(sys, "argv", ["server", "--folder", str(tmp_path), "--port", "7"])
    with pytest.raises(SystemExit, match="RW-102"):
        server.main()


def test_the_deployed_release_is_told_as_it_was_written(tmp_path):
    """At /release, byte for byte; a folder without release.json tells none."""
    save(MODEL, tmp_path / "m.json")
    (tmp_path / "serving.yaml").write_text('model: m.json\nvalidation: "on"\n')
    assert answer(read_serving(tmp_path), "GET", "/release")[0] == 404
    (tmp_path / "release.json").write_text('{"release": "sha256:12"}')
    assert answer(read_serving(tmp_path), "GET", "/release") == (200, {"release": "sha256:12"})
