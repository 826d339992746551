"""curl, raw sockets and an Open Inference client against the whole gateway."""

import gzip
import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import time

import pytest

from roadworthy.base.errors import TargetAnswer
from roadworthy.probes.open_inference import OpenInference, Tensor
from roadworthy.probes.stand_in import good_body

pytest_plugins = ["gateway_world"]
pytestmark = pytest.mark.slow

CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")
ASKED = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "hello"}]})
SLOWLY = json.dumps(
    {
        "model": "assistant",
        "stream": True,
        "messages": [{"role": "user", "content": "slowly, and in many words please"}],
    }
)


def curl(world, path, *options, key=None):
    """Head and body of curl's answer."""
    command = [CURL, "-sS", "-i", "--max-time", "15", "-H", f"Authorization: Bearer {key or world.key}", *options]
    found = subprocess.run([*command, world.base + path], capture_output=True, check=True)
    head, _, body = found.stdout.partition(b"\r\n\r\n")
    while head.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
        head, _, body = body.partition(b"\r\n\r\n")
    return head.decode(), body


def status_of(head):
    """The number in the status line."""
    return int(head.split()[1])


def value_of(head, name):
    """One header's value; "" without it."""
    found = [line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith(f"{name}:")]
    return found[0] if found else ""


@needs_curl
def test_a_question_by_curl(world) -> None:
    """As the documentation shows it."""
    head, body = curl(world, "/v1/chat/completions", "-H", "Content-Type: application/json", "-d", ASKED)
    assert status_of(head) == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "You asked: hello"
    assert world.outcome(value_of(head, "x-roadworthy-record")).facts["status"] == 200


@needs_curl
def test_the_other_header_for_a_key(world) -> None:
    """``x-api-key`` works; both at once do not, since the next system could read the other one."""
    plain = [CURL, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", ASKED]
    url, own = f"{world.base}/v1/chat/completions", ["-H", f"x-api-key: {world.key}"]
    assert subprocess.run([*plain, *own, url], capture_output=True, check=True).stdout == b"200"
    both = [*plain, *own, "-H", f"Authorization: Bearer {world.key}", url]
    assert subprocess.run(both, capture_output=True, check=True).stdout == b"401"


@needs_curl
def test_a_stream_is_not_buffered(world) -> None:
    """With -N the events come one by one, and the last is the end mark."""
    command = [CURL, "-sS", "-N", "-H", f"Authorization: Bearer {world.key}", "-d", SLOWLY]
    arrived_s, lines = [], []
    with subprocess.Popen([*command, f"{world.base}/v1/chat/completions"], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if line.startswith(b"data: "):
                arrived_s.append(time.monotonic())
                lines.append(line)
    assert process.returncode == 0
    assert lines[-1] == b"data: [DONE]\n"
    assert arrived_s[-1] - arrived_s[0] > 0.5


@needs_curl
@pytest.mark.parametrize("body", [ASKED, SLOWLY], ids=["whole", "streamed"])
def test_the_oldest_version_of_http(world, body) -> None:
    """HTTP/1.0 gets no chunks: the length, or the end of the connection, ends the body."""
    head, answer = curl(world, "/v1/chat/completions", "--http1.0", "-d", body)
    assert status_of(head) == 200
    assert not value_of(head, "transfer-encoding")
    assert answer.endswith(b"}" if body is ASKED else b"data: [DONE]\n\n")


@needs_curl
def test_a_megabyte_that_waits_for_100_continue(world, tmp_path) -> None:
    """The interim answer comes, the body arrives whole."""
    large = tmp_path / "large.json"
    large.write_text(json.dumps({"text": "x" * 1_048_576}))
    head, body = curl(world, "/score", "-H", "Expect: 100-continue", "--data-binary", f"@{large}")
    assert status_of(head) == 200
    assert json.loads(body)["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()


@needs_curl
def test_who_is_not_known_is_refused_before_the_megabyte(world, tmp_path) -> None:
    """401 instead of 100: nothing of the body is taken."""
    large = tmp_path / "large.json"
    large.write_text(json.dumps({"text": "x" * 1_048_576}))
    options = ["-H", "Expect: 100-continue", "--data-binary", f"@{large}", "-w", "\n%{size_upload}"]
    head, body = curl(world, "/score", *options, key="rw_tester_wrong")
    assert status_of(head) == 401
    assert int(body.rpartition(b"\n")[2]) == 0


@needs_curl
def test_an_upload_in_chunks(world, tmp_path) -> None:
    """No length is declared; what reaches the AI system is the same body."""
    large = tmp_path / "large.json"
    large.write_text(json.dumps({"text": "y" * 300_000}))
    head, body = curl(world, "/score", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{large}")
    assert status_of(head) == 200
    assert json.loads(body)["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()


@needs_curl
@pytest.mark.parametrize("framing", ["Content-Type: application/json", "Transfer-Encoding: chunked"])
def test_more_than_is_allowed(world, tmp_path, framing) -> None:
    """413, whether or not the length was declared."""
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(11 * 1024 * 1024)
    head, body = curl(world, "/score", "-H", framing, "-H", "Expect:", "--data-binary", f"@{large}")
    assert status_of(head) == 413
    assert json.loads(body)["title"] == "too large"


@needs_curl
def test_a_head_without_a_body(world) -> None:
    """HEAD is declared nowhere: it is refused like any unknown route, without a body."""
    head, body = curl(world, "/v1/models", "--head")
    assert status_of(head) == 404
    assert body == b""


@needs_curl
def test_a_compressed_answer_passes_as_it_is(world) -> None:
    """Who asks for gzip gets the AI system's gzip; who does not gets plain text."""
    head, body = curl(world, "/score", "-H", "Accept-Encoding: gzip", "-d", "{}")
    assert value_of(head, "content-encoding") == "gzip"
    head, plain = curl(world, "/score", "-d", "{}")
    assert value_of(head, "content-encoding") == ""
    assert json.loads(gzip.decompress(body)) == json.loads(plain)


@needs_curl
def test_a_query_goes_upstream(world) -> None:
    """As it stands."""
    _, body = curl(world, "/score?a=1&b=%2F..%2F", "-d", "{}")
    assert json.loads(body)["path"] == "/score?a=1&b=%2F..%2F"


@needs_curl
@pytest.mark.parametrize("path", ["/score/../score", "/score/", "/%73core", "//score", "/v1/chat/completions/../score"])
def test_another_spelling_of_a_path_is_another_path(world, path) -> None:
    """404, so that gateway and AI system cannot read one path in two ways."""
    before = len(world.system.asked)
    head, _ = curl(world, path, "--path-as-is", "-d", "{}")
    assert status_of(head) == 404
    assert len(world.system.asked) == before


@needs_curl
def test_one_connection_for_many_questions(world) -> None:
    """It is kept, also after a refusal whose body was read."""
    url = f"{world.base}/score"
    command = [CURL, "-sS", "-w", "%{http_code} %{num_connects}\n", "-d", '{"model":"none"}']
    command += ["-H", f"Authorization: Bearer {world.key}"]
    urls = [url, f"{world.base}/v1/chat/completions", url]
    outputs = [part for each in urls for part in ("-o", "/dev/null", each)]
    found = subprocess.run([*command, *outputs], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:3] == ["200 1", "404 0", "200 0"]


def test_questions_one_behind_the_other(world) -> None:
    """Pipelined on one connection: three answers, in their order."""
    requests = b""
    for number in range(3):
        body = b'{"n":%d}' % number
        head = f"POST /score?n={number} HTTP/1.1\r\nhost: gateway\r\nx-api-key: {world.key}\r\n"
        requests += head.encode() + b"content-length: %d\r\n%s\r\n" % (
            len(body),
            b"connection: close\r\n" * (number == 2),
        )
        requests += body
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as connection:
        connection.sendall(requests)
        data = b""
        while found := connection.recv(65_536):
            data += found
    assert data.count(b"HTTP/1.1 200") == 3
    assert [data.find(b"/score?n=%d" % number) for number in range(3)] == sorted(
        data.find(b"/score?n=%d" % number) for number in range(3)
    )


@pytest.fixture
def model(world):
    """The project's own client; it speaks through the gateway."""
    return OpenInference(f"{world.base}/v2/models/stand-in")


def test_open_inference_needs_a_key(model) -> None:
    """Its client sends none, so everything but the connection is refused."""
    assert not model.live()
    with pytest.raises(TargetAnswer):
        model.metadata()


def test_open_inference_by_its_client(world, model, monkeypatch) -> None:
    """Health, metadata, inference and scores are those of the model behind."""
    with_key(monkeypatch, world.gateway.port, world.key)
    direct = OpenInference(world.tables)
    assert model.live() and model.ready() and model.model_ready()
    assert model.metadata() == direct.metadata()
    tensor = Tensor(name="features", datatype="FP64", shape=(2, 2), data=(0.5, 0.25, 1.0, 0.0))
    assert model.infer([tensor], request_id="r-1").outputs == direct.infer([tensor], request_id="r-1").outputs
    rows = [{"a": 0.5, "b": 0.25}, {"a": 0.0, "b": 1.0}]
    assert model.predict(rows, columns=["a", "b"]) == direct.predict(rows, columns=["a", "b"]) == (0.375, 0.5)
    assert model.post(b"[1,").status == direct.post(b"[1,").status == 400


def with_key(monkeypatch, port, key):
    """Every request to a port carries the key."""
    plain = http.client.HTTPConnection.putrequest

    def putrequest(self, *arguments, **named):
        plain(self, *arguments, **named)
        if self.port == port:
            self.putheader("x-api-key", key)

    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", putrequest)


@needs_curl
def test_open_inference_by_curl(world) -> None:
    """With and without a version; health and metadata go the whole way, so they are on record too."""
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/stand-in", "/v2/models/stand-in/ready"):
        head, _ = curl(world, path)
        assert status_of(head) == 200, path
        assert world.outcome(value_of(head, "x-roadworthy-record")).base.use_case == "tables"
    body = good_body().decode()
    for path in ("/v2/models/stand-in/infer", "/v2/models/stand-in/versions/1/infer"):
        head, answer = curl(world, path, "-H", "Content-Type: application/json", "-d", body)
        assert status_of(head) == 200
        assert json.loads(answer)["outputs"][0]["data"] == [0.375]
        facts = world.outcome(value_of(head, "x-roadworthy-record")).facts
        assert (facts["route"], facts["model"]) == ("infer", "stand-in")


@needs_curl
def test_another_model_is_not_there(world) -> None:
    """404 in the protocol's own form."""
    head, body = curl(world, "/v2/models/other/infer", "-d", good_body().decode())
    assert status_of(head) == 404
    assert list(json.loads(body)) == ["error"]
