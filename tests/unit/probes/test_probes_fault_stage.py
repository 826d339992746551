import contextlib
import json
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from raw_http import ask, chat_body, request, split, unchunked

from roadworthy.probes.fault.experiment import Condition, Experiment, Outcome, run_experiment
from roadworthy.probes.fault.faults import Sizes
from roadworthy.probes.fault.scenarios import SCENARIOS, AddressFault, Effect
from roadworthy.probes.fault.stage import FaultStage

CHAT = "/v1/chat/completions"
SIZES = Sizes(slow_s=0.01, stall_s=0.5, head_bytes=100_000, body_bytes=200_000)
CLIENT_S = 0.3
MOST_BYTES = 50_000


@pytest.fixture(scope="module")
def stage():
    with FaultStage(sizes=SIZES) as running:
        yield running


def answer_of(stage, *, stream):
    """A strict little client, without a gateway: what it says of the answer, ``sound`` or why not."""
    try:
        data, ending = ask(urlsplit(stage.url).port, request(CHAT, chat_body(stream=stream)), CLIENT_S)
    except TimeoutError:
        return "no connection"
    except OSError as error:
        return type(error).__name__
    data = data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, body = split(data)
    if ending != "end" or len(data) > MOST_BYTES or head.split()[1:2] != [b"200"]:
        return f"{ending} after {len(data)} bytes"
    if head.count(b"Content-Length") + head.count(b"Transfer-Encoding") > 1 or b"Encoding: gzip" in head:
        return "the framing"
    try:
        return _read(head, body, stream=stream)
    except (ValueError, AssertionError) as error:
        return f"the body: {error}"


def _read(head, body, *, stream):
    if b"Transfer-Encoding: chunked" in head:
        body = b"".join(unchunked(body))
    if not stream:
        json.loads(body)
        return "sound"
    parts = [each.removeprefix(b"data: ") for each in body.split(b"\n\n")]
    assert parts[-2:] == [b"[DONE]", b""], "the end is missing"
    for part in parts[:-2]:
        json.loads(part)
    return "sound"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.id)
def test_every_scenario_is_brought_about_and_undone(stage, scenario):
    """A strict client sees a sound answer where the table says kept, and a fault everywhere else; afterwards all is well."""

    def seen(wanted):
        said = answer_of(stage, stream=scenario.streamed)
        return (said == "sound") == wanted, said

    steady = Condition(name="sound", holds=lambda: seen(wanted=True))
    fault = Condition(name="as the table says", holds=lambda: seen(scenario.effect is Effect.KEPT))
    tried = Experiment(
        id=scenario.id,
        title=scenario.why,
        steady=(steady,),
        method=(stage.method(scenario),),
        observations=(fault,),
        rollback=(stage.rollback(scenario),),
        recover_within_s=1,
    )
    # The slow close of the network holds the end for a second; this client waits less for it than a gateway does.
    if scenario.id.startswith("network-slow-close"):
        tried = replace(tried, observations=(head_at_once(stage),))
    result = run_experiment(tried)
    assert result.outcome is Outcome.CONFIRMED, result


def head_at_once(stage):
    """The answer is there at once, only the end of the connection is late."""

    def holds():
        with socket.create_connection(("127.0.0.1", urlsplit(stage.url).port), timeout=CLIENT_S) as connection:
            connection.sendall(request(CHAT, chat_body()))
            got = connection.recv(1 << 16)
        return b"200 OK" in got, repr(got[:20])

    return Condition(name="head", holds=holds)


def test_a_stage_that_ends_in_the_middle_of_a_fault_leaves_nothing():
    """The address that was taken is given back."""
    silent = next(each for each in SCENARIOS if each.fault is AddressFault.SILENT)
    with FaultStage() as stage:
        port = stage.proxy.port
        stage.method(silent).do()
    with contextlib.closing(socket.socket()) as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
