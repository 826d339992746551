import io
import json
import subprocess
import sys

import pytest
from raw_http import ask, chat_body, request

from roadworthy.base.digest import digest_bytes
from roadworthy.probes.fault import server
from roadworthy.probes.fault.faults import Sizes

CHAT = "/v1/chat/completions"


def obey(*commands):
    """The answers to commands, without the port."""
    out = io.StringIO()
    server.serve([f"{command}\n" for command in commands], out, Sizes())
    port, *answers = out.getvalue().splitlines()
    assert int(port) > 0
    return answers


def test_it_runs_as_a_process_and_obeys():
    """Switched, looked into, taken down and up again, ended with its starter."""
    command = [sys.executable, "-m", "roadworthy.probes.fault.server", "--stall-s", "1", "--slow-s", "0.1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def say(line):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        port = int(process.stdout.readline())
        assert say("switch status-503 /v1") == "ok"
        assert b" 503 " in ask(port, request(CHAT, chat_body(), traceparent="t"))[0]
        assert say("switch none /v1") == "ok"
        assert b" 200 " in ask(port, request(CHAT, chat_body()))[0]
        first, second = json.loads(say("seen"))
        assert (first["fault"], first["traceparent"], second["fault"]) == ("status-503", "t", None)
        assert first["body_digest"] == digest_bytes(chat_body())
        assert say("down") == "ok"
        with pytest.raises(ConnectionRefusedError):
            ask(port, request(CHAT, chat_body()))
        assert [say("up"), say("forget"), say("seen")] == ["ok", "ok", "[]"]
        assert b" 200 " in ask(port, request(CHAT, chat_body()))[0]
        process.stdin.close()
        assert process.wait(10) == 0


def test_every_command_is_answered_in_a_line():
    """In order."""
    assert obey("switch stall /v1", "switch none /v1", "down", "up", "forget", "seen") == ["ok"] * 5 + ["[]"]


@pytest.mark.parametrize(
    "command", ["", "explode", "switch", "switch no-such-fault", "switch status-500 a b", "down now"]
)
def test_what_is_no_command_is_answered_and_survived(command):
    """The next one is obeyed."""
    wrong, right = obey(command, "seen")
    assert wrong.startswith("error: RW-114")
    assert right == "[]"


def test_main_reads_its_own_input(monkeypatch, capsys):
    """Port and answers go to its output."""
    monkeypatch.setattr(sys, "argv", ["server", "--stall-s", "2"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("switch stall\n"))
    server.main()
    port, answer = capsys.readouterr().out.splitlines()
    assert (int(port) > 0, answer) == (True, "ok")
