import asyncio
import http.client
import json
import subprocess
import sys

import pytest
import uvicorn
from openai import OpenAI

from roadworthy.demo import asgi
from roadworthy.demo.answers import server
from roadworthy.demo.answers.documents import read_documents, scopes_of
from roadworthy.demo.answers.extractive import REFUSAL, Answerer, Mode
from roadworthy.demo.answers.server import Application

APPLICATION = Application(Answerer(read_documents()))
CHAT = "/v1/chat/completions"


def call(method, path, *parts, application=APPLICATION):
    """What the application sends: status, headers and body."""
    sent = []
    messages = iter([{"body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)])

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    asyncio.run(application({"type": "http", "path": path, "method": method}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each["body"] for each in sent[1:])


def question(text, **more):
    return json.dumps({"model": "policy-search", "messages": [{"role": "user", "content": text}], **more}).encode()


def ask(text, **more):
    return json.loads(call("POST", CHAT, question(text, **more))[2])


def test_an_answer_carries_its_sources():
    """In the text and as a member of its own, with the scope of each."""
    answer = ask("What does a technician earn?")
    assert "39,600" in answer["choices"][0]["message"]["content"]
    assert "[salary-bands]" in answer["choices"][0]["message"]["content"]
    assert {"id": "salary-bands", "title": "Salary bands", "scope": "hr"} in answer["citations"]


def test_what_is_not_known_is_refused():
    """With no sources."""
    answer = ask("Which planet has the most moons?")
    assert (answer["choices"][0]["message"]["content"], answer["citations"]) == (REFUSAL, [])


def test_a_stream_is_the_same_answer():
    """The sources come with its last part, then the usage, then [DONE]."""
    asked = question("How long must my password be?", stream=True, stream_options={"include_usage": True})
    status, headers, body = call("POST", CHAT, asked)
    assert (status, headers[b"content-type"]) == (200, b"text/event-stream")
    events = [each.removeprefix(b"data: ") for each in body.split(b"\n\n")]
    assert events[-2:] == [b"[DONE]", b""]
    parts = [json.loads(each) for each in events[:-2]]
    whole = ask("How long must my password be?")
    text = "".join(each["choices"][0]["delta"].get("content", "") for each in parts if each["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    assert parts[-2]["citations"] == whole["citations"]
    assert parts[-1]["usage"] == whole["usage"]


def test_the_same_question_gets_the_same_bytes():
    """No clock and no chance."""
    asked = question("May I bring my dog on the ferry?")
    assert call("POST", CHAT, asked) == call("POST", CHAT, asked[:20], asked[20:])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", CHAT, b"{}", 400),
        ("POST", CHAT, b"x" * (1024 * 1024 + 1), 413),
        ("GET", CHAT, b"", 404),
        ("POST", "/v1/embeddings", b"{}", 404),
    ],
)
def test_what_it_cannot_answer_is_an_error_of_the_interface(method, path, body, status):
    """With a message."""
    got, _, content = call(method, path, body)
    assert got == status
    assert json.loads(content)["error"]["message"]


def test_other_messages_are_left_alone():
    """Lifespan and web sockets are none of its business."""
    assert asyncio.run(APPLICATION({"type": "lifespan"}, None, None)) is None


def test_the_documents_are_there():
    """Release, scopes, models, health."""
    weaker = Application(Answerer(read_documents(), Mode.TITLES))
    release = json.loads(call("GET", "/release", b"")[2])
    assert release["release"].startswith("sha256:")
    assert release["release"] != json.loads(call("GET", "/release", b"", application=weaker)[2])["release"]
    assert json.loads(call("GET", "/sources", b"")[2]) == scopes_of(read_documents())
    assert json.loads(call("GET", "/v1/models", b"")[2])["data"][0]["id"] == "policy-search"
    assert json.loads(call("GET", "/health", b"")[2]) == {"ready": True}


def test_it_runs_as_a_process_for_the_official_client():
    """The first line is the port; closing its input ends it. Two scopes, so that no salary is told."""
    command = [sys.executable, "-m", "roadworthy.demo.answers.server", "--scopes", "public,internal"]
    with subprocess.Popen([*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=2) as client:
            messages = [{"role": "user", "content": "How long must my password be?"}]
            whole = client.chat.completions.create(model="policy-search", messages=messages)
            with client.chat.completions.create(model="policy-search", messages=messages, stream=True) as stream:
                text = "".join(part.choices[0].delta.content or "" for part in stream)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/sources")
        sources = json.loads(connection.getresponse().read())
        connection.close()
        process.stdin.close()
        process.wait(10)
    assert text == whole.choices[0].message.content
    assert "14 characters" in text
    assert whole.model_extra["citations"][0]["id"] == "passwords"
    assert set(sources.values()) == {"public", "internal"}


def test_nothing_to_serve_ends_the_process(tmp_path, monkeypatch):
    """With our sentence, not a traceback."""
    monkeypatch.setattr(sys, "argv", ["server", "--documents", str(tmp_path)])
    with pytest.raises(SystemExit, match="RW-104"):
        server.main()


def test_the_process_serves_what_it_was_asked_for(monkeypatch, capsys, closed_input):
    """The mode reaches the application; the end of its input sends the signal to stop."""
    applications, signals = [], []

    class Stopped:
        def __init__(self, settings):
            applications.append(settings.app)

        def run(self, sockets):
            assert sockets[0].getsockname()[0] == "127.0.0.1"

    monkeypatch.setattr(uvicorn, "Server", Stopped)
    monkeypatch.setattr(asgi.os, "kill", lambda _, number: signals.append(number))
    monkeypatch.setattr(sys, "stdin", closed_input)
    monkeypatch.setattr(sys, "argv", ["server", "--mode", "titles", "--until-stdin-closes"])
    server.main()
    assert json.loads(call("GET", "/release", b"", application=applications[0])[2])["mode"] == "titles"
    assert int(capsys.readouterr().out) > 0
    for thread in asgi.threading.enumerate():
        if thread is not asgi.threading.current_thread() and thread.daemon:
            thread.join(1)
    assert signals == [asgi.signal.SIGTERM]
