import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from openai import NotFoundError, OpenAI
from raw_http import ask, chat_body, events, request, split

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import EmptyData, MissingFile, ParameterError, UnreadableData
from roadworthy.probes.http_server import HttpServer
from roadworthy.probes.loop_thread import LoopThread
from roadworthy.probes.replay_llm import server
from roadworthy.probes.replay_llm.lengths import Lengths, Pace, read_lengths
from roadworthy.probes.replay_llm.recorded import RecordedAnswer, read_recording
from roadworthy.probes.replay_llm.server import ReplayServer

CHAT = "/v1/chat/completions"
AT_ONCE = Pace(first_token_s=0, read_token_s=0, token_s=0)
LINES = [
    {"prompt": "What is two and two?", "answer": "It is four.", "marked": False},
    {"prompt": "Who was first?", "answer": "Somebody, I think.", "marked": True},
    {"prompt": "Unjudged?", "answer": "Perhaps."},
]


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)) + "\n\n")
    return path


class Running:
    """A replay server in this process."""

    def __init__(self, recording, **options):
        self.log = io.StringIO()
        self.replay = ReplayServer(recording, log=self.log, **options)
        self.server = HttpServer(self.replay.handle)
        self.loop = LoopThread("replay")
        self.port = self.loop.call(self.server.listen())

    def ask(self, path, body=b"", method="POST", **headers):
        head, body = split(ask(self.port, request(path, body, method, **headers))[0])
        return int(head.split()[1]), json.loads(body)

    def served(self):
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def stop(self):
        self.loop.call(self.server.vanish())
        self.loop.stop()


@pytest.fixture
def start():
    running = []

    def begin(recording, **options):
        running.append(Running(recording, **({"pace": AT_ONCE} | options)))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def test_plain_records_are_read(answers):
    """Verdicts are true, false or absent; the digest is that of the bytes."""
    recording = read_recording(answers)
    assert recording.find(" Who was first?\n") == RecordedAnswer(
        prompt="Who was first?", answer="Somebody, I think.", marked=True
    )
    assert recording.find("Unjudged?").marked is None
    assert recording.find("Unheard?") is None
    assert (len(recording.answers), recording.marked_count) == (3, 1)
    assert recording.digest == digest_bytes(answers.read_bytes())


def test_halueval_is_read_whole(shared_data):
    """4,507 answers, 815 of them marked."""
    recording = read_recording(shared_data / "halueval_general" / "general_data.json")
    assert (len(recording.answers), recording.marked_count) == (4_507, 815)
    first = recording.find("Produce a list of common words in the English language.")
    assert first.answer.startswith("the, a, and, to, in")
    assert first.marked is False


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a record"),
        (b'{"prompt": "a"}', "not a record"),
        (b'{"prompt": "a", "answer": "b", "marked": "yes"}', "not a record"),
        (b'{"user_query": "a", "chatgpt_response": "b", "hallucination": "maybe"}', "not a record"),
        (b'{"user_query": "a", "chatgpt_response": 1, "hallucination": "no"}', "not a record"),
        (b'{"prompt": "Unjudged? ", "answer": "b"}', "second time"),
    ],
)
def test_a_file_is_read_whole_or_refused(answers, line, words):
    """RW-103, with the line."""
    answers.write_bytes(answers.read_bytes() + line)
    with pytest.raises(UnreadableData, match=words) as caught:
        read_recording(answers)
    assert caught.value.where.endswith(":5")


def test_nothing_to_replay(tmp_path):
    """RW-102 and RW-104."""
    with pytest.raises(MissingFile):
        read_recording(tmp_path / "absent")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(EmptyData):
        read_recording(tmp_path / "empty")


def test_the_azure_lengths_are_the_published_ones(shared_data):
    """Conversation: context p50 1,020 and p99 4,142, output 129 and 601. Code: 1,469, 7,436, 13 and 251."""
    for name, count, wanted in (("conv", 19_366, (1020, 4142, 129, 601)), ("code", 8_819, (1469, 7436, 13, 251))):
        lengths = read_lengths(shared_data / "azure_llm_trace_2023" / f"AzureLLMInferenceTrace_{name}.csv")
        assert lengths.context_tokens.size == lengths.generated_tokens.size == count
        both = (lengths.context_tokens, lengths.generated_tokens)
        found = [float(np.percentile(each, share)) for each in both for share in (50, 99)]
        assert found == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", UnreadableData),
        (b"ContextTokens\n1\n", UnreadableData),
        (b"ContextTokens,GeneratedTokens\n", EmptyData),
        (b"ContextTokens,GeneratedTokens\n1,x\n", UnreadableData),
        (b"ContextTokens,GeneratedTokens\n1\n", UnreadableData),
        (b"ContextTokens,GeneratedTokens\n-1,2\n", UnreadableData),
        (b"ContextTokens,GeneratedTokens\n1,1234567890\n", UnreadableData),
        (b"\xff\n", UnreadableData),
    ],
)
def test_a_trace_is_read_whole_or_refused(tmp_path, text, error):
    """No row is skipped."""
    (tmp_path / "trace.csv").write_bytes(text)
    with pytest.raises(error):
        read_lengths(tmp_path / "trace.csv")
    with pytest.raises(MissingFile):
        read_lengths(tmp_path / "absent.csv")


def test_the_pace_follows_its_formula():
    """First token 0.1 + 100 * 0.001; then 9 more at 0.02; without a trace the words count."""
    pace = Pace(first_token_s=0.1, read_token_s=0.001, token_s=0.02, seed=3)
    traced = pace.timing("p", "a", Lengths(context_tokens=np.array([100]), generated_tokens=np.array([10])))
    assert (traced.context_tokens, traced.generated_tokens) == (100, 10)
    assert (traced.first_s, traced.rest_s) == pytest.approx((0.2, 0.18))
    assert pace.timing("one two", "three", None).context_tokens == 2


def test_the_same_prompt_takes_as_long_whenever_it_is_asked():
    """Seeded by the prompt, not by the order; the spread has median 1."""
    lengths = Lengths(context_tokens=np.arange(1000), generated_tokens=np.arange(1000))
    pace = Pace(spread=0.5, seed=1, read_token_s=0)
    assert pace.timing("p7", "a", lengths) == pace.timing("p7", "a", lengths)
    assert pace.timing("p7", "a", lengths) != Pace(spread=0.5, seed=2, read_token_s=0).timing("p7", "a", lengths)
    factors = [pace.timing(f"p{number}", "a", lengths).first_s / pace.first_token_s for number in range(2_000)]
    assert np.median(factors) == pytest.approx(1, abs=0.06)
    assert np.log(factors).std() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("changes", [{"token_s": -1}, {"spread": float("nan")}, {"seed": -1}])
def test_a_pace_out_of_range_is_refused(changes):
    """RW-114."""
    with pytest.raises(ParameterError):
        Pace(**changes)


def test_an_answer_is_replayed_to_the_byte(answers, start):
    """Whole and streamed, with the lengths as usage."""
    replay = start(read_recording(answers))
    status, whole = replay.ask(CHAT, chat_body("Who was first?"))
    assert status == 200
    assert whole["choices"][0]["message"]["content"] == "Somebody, I think."
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    body = chat_body("Who was first?", stream=True, stream_options={"include_usage": True})
    parts = events(ask(replay.port, request(CHAT, body))[0])
    assert "".join(c["delta"].get("content", "") for part in parts for c in part["choices"]) == "Somebody, I think."
    assert parts[-1]["usage"] == whole["usage"]


def test_real_answers_are_replayed_with_their_verdicts(shared_data, start):
    """Every hundredth of HaluEval with the lengths of the Azure trace; the log counts the marked ones."""
    recording = read_recording(shared_data / "halueval_general" / "general_data.json")
    lengths = read_lengths(shared_data / "azure_llm_trace_2023" / "AzureLLMInferenceTrace_conv.csv")
    replay = start(recording, lengths=lengths)
    chosen = list(recording.answers.values())[::100]
    answers = [replay.ask(CHAT, chat_body(each.prompt))[1] for each in chosen]
    assert [each["choices"][0]["message"]["content"] for each in answers] == [each.answer for each in chosen]
    assert [each["marked"] for each in replay.served()] == [each.marked for each in chosen]
    assert 30 < np.median([each["usage"]["completion_tokens"] for each in answers]) < 300


def test_what_was_not_recorded_is_not_found(answers, start):
    """In OpenAI's shape, with a code of its own; a request without a question is a bad one."""
    replay = start(read_recording(answers))
    status, value = replay.ask(CHAT, chat_body("Anything else?"))
    assert (status, value["error"]["code"]) == (404, "unknown_prompt")
    assert replay.ask(CHAT, b"{}")[0] == 400
    assert replay.ask("/v1/embeddings", b"{}")[0] == 404


def test_the_log_says_what_was_served(answers, start):
    """With the verdict, which the answer itself never shows."""
    replay = start(read_recording(answers))
    asked = chat_body("Who was first?", stream=True)
    answer = ask(replay.port, request(CHAT, asked, traceparent="00-a-b-01"))[0]
    assert b"marked" not in answer
    replay.ask(CHAT, chat_body("Anything else?"))
    replay.ask(CHAT, b"{}")
    first, second, third = replay.served()
    assert first | {"at": ""} == {
        "at": "",
        "status": 200,
        "prompt_digest": digest_bytes(b"Who was first?"),
        "marked": True,
        "stream": True,
        "traceparent": "00-a-b-01",
        "body_digest": digest_bytes(asked),
    }
    assert (second["status"], second["marked"]) == (404, None)
    assert (third["status"], third["prompt_digest"]) == (400, "")


def test_the_documents_name_the_release(answers, start):
    """Another pace is another release."""
    recording = read_recording(answers)
    one, other = start(recording), start(recording, pace=Pace(token_s=0.5))
    assert one.ask("/release", method="GET")[1] == {"release": one.replay.release, "answers": 3}
    assert one.replay.release != other.replay.release
    assert one.ask("/health", method="GET")[1] == {"ready": True}
    assert one.ask("/v1/models", method="GET")[1]["data"][0]["id"] == "recorded"


@pytest.mark.alone
def test_a_stream_and_its_whole_take_as_long(answers, start):
    """0.1 s to the first token, 0.2 s for the rest."""
    replay = start(read_recording(answers), pace=Pace(first_token_s=0.1, read_token_s=0, token_s=0.1))
    for stream in (False, True):
        from_s = time.perf_counter()
        ask(replay.port, request(CHAT, chat_body("Who was first?", stream=stream)))
        assert 0.29 <= time.perf_counter() - from_s < 0.6


def test_the_official_client_reads_it(answers, start):
    """Whole, streamed, and the error as its own class."""
    replay = start(read_recording(answers))
    with OpenAI(base_url=f"http://127.0.0.1:{replay.port}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": "What is two and two?"}]
        whole = client.chat.completions.create(model="recorded", messages=messages)
        assert whole.choices[0].message.content == "It is four."
        with client.chat.completions.create(model="recorded", messages=messages, stream=True) as stream:
            text = "".join(part.choices[0].delta.content or "" for part in stream)
        assert text == "It is four."
        with pytest.raises(NotFoundError, match="not recorded"):
            client.chat.completions.create(model="recorded", messages=[{"role": "user", "content": "?"}])


def test_it_runs_as_a_process_and_ends_with_its_starter(answers, tmp_path):
    """The first line is the port; closing its input ends it."""
    trace, log = tmp_path / "trace.csv", tmp_path / "log.jsonl"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n")
    command = [sys.executable, "-m", "roadworthy.probes.replay_llm.server", "--answers", str(answers), "--port", "0"]
    command += ["--trace", str(trace), "--log", str(log), "--token-s", "0", "--first-token-s", "0"]
    with subprocess.Popen([*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        value = json.loads(split(ask(port, request(CHAT, chat_body("Unjudged?")))[0])[1])
        process.stdin.close()
        assert process.wait(10) == 0
    assert value["usage"] == {"prompt_tokens": 374, "completion_tokens": 44, "total_tokens": 418}
    assert json.loads(log.read_text())["status"] == 200


def test_a_file_that_cannot_be_served_ends_the_process(tmp_path, monkeypatch):
    """With our sentence, not a traceback."""
    monkeypatch.setattr(sys, "argv", ["server", "--answers", str(tmp_path / "absent")])
    with pytest.raises(SystemExit, match="RW-102"):
        server.main()


def test_the_process_serves_until_its_input_ends(answers, tmp_path, monkeypatch, capsys):
    """The same in this process, so that what main does is measured."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    log = tmp_path / "log.jsonl"
    monkeypatch.setattr(sys, "argv", ["server", "--answers", str(answers), "--log", str(log), "--until-stdin-closes"])
    server.main()
    assert int(capsys.readouterr().out) > 0
    assert log.read_text() == ""
