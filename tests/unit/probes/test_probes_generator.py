import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import uvloop
from probe_servers import Close, Reset, answer, slowly

from roadworthy.base.errors import GeneratorLagged, InputError, MalformedEvidence, ParameterError, TargetUnreachable
from roadworthy.probes.load import generator
from roadworthy.probes.load.engine import Engine
from roadworthy.probes.load.generator import run_load
from roadworthy.probes.load.histogram import histogram_of
from roadworthy.probes.load.result import GeneratorLimit, LoadResult, refuse, result_from_json
from roadworthy.probes.load.schedule import constant, poisson
from roadworthy.probes.load.series import NOT_JSON, OK, TIMEOUT, series_from_json, series_of
from roadworthy.probes.load.spec import LoadSpec, is_loopback, spec_from_json


def spec(url, times_s, **more):
    return LoadSpec(url=url, times_s=np.asarray(times_s, dtype=np.float64), **more)


def run_here(load):
    """The engine inside this process: quick, and seen by the coverage."""

    async def run():
        return await Engine(load, asyncio.get_running_loop()).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def adds_up(result):
    return result.ok + sum(result.errors.values()) == result.scheduled


def test_every_request_is_answered_and_bodies_take_turns(serve):
    """100 requests at 200/s, two bodies: 50 of each arrive, whole and in turn."""
    server = serve(lambda _: answer())
    result = run_here(spec(server.url + "/v2/x?y=1", constant(200, 0.5), bodies=(b"one", b"two"), expect_json=True))
    assert (result.scheduled, result.sent, result.completed, result.ok) == (100, 100, 100, 100)
    assert result.errors == {}
    assert result.error_share == 0
    assert result.latency.total == 100
    assert result.send_lag.total == 100
    assert sorted(asked.body for asked in server.asked) == [b"one"] * 50 + [b"two"] * 50
    first = server.asked[0]
    assert (first.method, first.path) == ("POST", "/v2/x?y=1")
    assert first.headers["content-type"] == "application/json"
    assert result.sent_peak.per_1_s == 100
    assert 0 < result.cpu_s < result.duration_s


def test_the_series_keeps_every_request_in_the_order_of_time(serve):
    """Outcome by outcome, with its own instant and duration; those without an answer at their age."""
    answers = {b"good": answer(), b"busy": answer(503), b"page": answer(content_type="text/html")}
    server = serve(lambda asked: answers[asked.body] if asked.body in answers else slowly([answer()], 0.6))
    bodies = (b"good", b"busy", b"page", b"slow")
    times_s = constant(20, 0.4)
    result = run_here(spec(server.url, times_s, bodies=bodies, timeout_s=0.3, expect_json=True))
    series = result.series
    assert np.array_equal(series.intended_s, times_s)
    assert series.outcome.tolist() == [OK, 503, NOT_JSON, TIMEOUT] * 2
    assert series.timed.tolist() == [True, False, False, True] * 2
    assert series.failed.tolist() == [False, True, True, True] * 2
    latency_s = series.latency_s()
    assert latency_s.size == result.latency.total == 4
    assert (latency_s[1::2] >= 0.3).all()
    assert latency_s.max() == pytest.approx(result.latency.highest_s, abs=2e-6)
    assert (latency_s[::2] < 0.3).all()


def test_a_series_survives_json_and_is_refused_when_it_is_none():
    """To the bit; RW-201 for other lengths, no base64 and other members."""
    series = series_of([0.0, 0.1], [0.25, 1e9], [OK, 503])
    assert series.duration_us.tolist() == [250_000, 2**32 - 1]
    again = series_from_json(json.loads(json.dumps(series.to_json())))
    assert again.to_json() == series.to_json()
    assert [again.intended_s.dtype, again.duration_us.dtype, again.outcome.dtype] == [np.float64, np.uint32, np.int16]
    short = series_of([0.0], [0.25], [OK]).to_json()
    for change in ({"outcome": "§"}, {"outcome": None}, {"duration_us": "AAA="}, {"intended_s": short["intended_s"]}):
        with pytest.raises(MalformedEvidence):
            series_from_json(series.to_json() | change)
    with pytest.raises(MalformedEvidence):
        series_from_json({})


def test_further_headers_go_with_every_request(serve):
    """A credential reaches the target, survives the way to the generator's process, and shows in no text form."""
    server = serve(lambda _: answer())
    load = spec(server.url, constant(50, 0.1), headers=(("authorization", "Bearer rw_k_s3cret"), ("x-purpose", "care")))
    assert run_here(spec_from_json(json.loads(json.dumps(load.to_json())))).ok == 5
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer rw_k_s3cret"}
    assert {asked.headers["x-purpose"] for asked in server.asked} == {"care"}
    assert "s3cret" not in repr(load)


@pytest.mark.parametrize("header", [("x y", "1"), ("x", "1\r\nhost: other"), ("Content-Length", "0"), ("", "1")])
def test_a_header_that_would_break_the_request_is_refused(header):
    """Names are tokens, values are printable, and what the generator sets itself stays its own."""
    with pytest.raises(ParameterError, match="headers"):
        spec("http://127.0.0.1:1", [0.0], headers=(header,))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(500), "http_500"),
        (answer(404), "http_404"),
        (answer(200, b"<html>", "text/html"), "not_json"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (Reset, "connection_lost"),
        (Close, "connection_lost"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"], "timeout"),
    ],
)
def test_every_outcome_has_its_own_name(serve, reply, kind):
    """What goes wrong is counted under its kind, and the counts add up."""
    server = serve(lambda _: reply)
    result = run_here(spec(server.url, constant(50, 0.2), timeout_s=0.5, expect_json=True))
    assert result.errors == {kind: 10}
    assert result.ok == 0
    assert adds_up(result)
    assert result.latency.total == (10 if kind == "timeout" else 0)


def test_a_mixture_of_outcomes_adds_up(serve):
    """Every third request fails; latency holds the good ones only."""
    server = serve(lambda asked: answer(503) if asked.body == b"bad" else answer())
    result = run_here(spec(server.url, constant(100, 0.3), bodies=(b"a", b"b", b"bad")))
    assert result.errors == {"http_503": 10}
    assert result.ok == result.latency.total == 20
    assert result.completed == 30


def test_an_answer_that_the_end_of_the_connection_ends_is_whole(serve):
    """Neither a length nor chunks: the body ends with the connection; half a length does not."""
    whole = serve(lambda _: closing([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}"]))
    assert run_here(spec(whole.url, constant(50, 0.1))).ok == 5
    half = serve(lambda _: closing([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]))
    assert run_here(spec(half.url, constant(50, 0.1))).errors == {"connection_lost": 5}


def closing(parts):
    yield from parts
    raise OSError("ends the connection")


def test_chunks_and_closed_connections_are_understood(serve):
    """Chunked answers are ok, and one that says close costs a new connection each time."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    server = serve(lambda _: [chunked])
    assert run_here(spec(server.url, constant(50, 0.2))).ok == 10


def test_an_answer_that_nobody_asked_for_ends_the_connection_only(serve):
    """The surplus answer is never taken for that of the next request."""
    server = serve(lambda _: slowly([answer(), answer(500)], 0.01))
    result = run_here(spec(server.url, constant(10, 0.5)))
    assert result.ok == 5


@pytest.mark.alone
def test_a_slow_target_makes_requests_queue_and_the_wait_counts(serve):
    """One connection, 50 ms an answer, 10 requests at once: the last waits half a second, and none is dropped."""
    server = serve(lambda _: slowly([answer()], 0.05))
    result = run_here(spec(server.url, [0.0] * 10, max_connections=1, timeout_s=5))
    assert result.ok == 10
    assert result.connections == 1
    assert result.latency.quantile(1.0) >= 0.49
    assert result.latency.quantile(0.1) < 0.2
    assert result.send_lag.quantile(1.0) < 0.1


@pytest.mark.alone
def test_requests_that_time_out_in_the_queue_are_timeouts(serve):
    """A target that never answers: sent ones and queued ones all end as timeouts, near their deadline."""
    server = serve(lambda _: slowly([answer()], 1.0))
    result = run_here(spec(server.url, [0.0] * 6, max_connections=2, timeout_s=0.3))
    assert result.errors == {"timeout": 6}
    assert result.sent == 2
    assert 0.3 <= result.latency.quantile(0.5) < 0.6
    assert result.duration_s < 0.9


def test_a_refused_connection_is_an_outcome(closed_port):
    """The engine itself does not check beforehand; every request ends as connect_error."""
    result = run_here(spec(f"http://127.0.0.1:{closed_port}/", constant(50, 0.2)))
    assert result.errors == {"connect_error": 10}
    assert (result.sent, result.sent_peak, result.ok_peak) == (0, None, None)
    assert result.error_share == 1.0


@pytest.mark.alone
def test_a_long_gap_is_slept_through(serve):
    """Two requests 0.4 s apart: on time, and without work in between."""
    server = serve(lambda _: answer())
    result = run_here(spec(server.url, [0.0, 0.4]))
    assert result.ok == 2
    assert result.send_lag.quantile(1.0) < 0.05
    assert result.cpu_share < 0.5


@pytest.mark.alone
def test_work_is_counted_as_work_when_the_cores_are_contended(trivial_server):
    """Time taken away by other processes is no idling: the processor time of a request does not shrink to nothing."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        result = run_load(spec(trivial_server(), constant(500, 2)))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert result.ok == 1000
    assert 3e-6 < result.cpu_s / result.scheduled < 1e-3


@pytest.mark.alone
def test_an_interrupt_settles_everything(serve):
    """What is under way ends as interrupted, what was not yet due is not counted."""
    server = serve(lambda _: slowly([answer()], 0.4))
    load = spec(server.url, [0.0, 0.05, 30.0])

    async def run():
        loop = asyncio.get_running_loop()
        engine = Engine(load, loop)
        loop.call_later(0.2, engine.interrupt)
        return await engine.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run())
    assert result.interrupted
    assert result.scheduled == 2
    assert result.errors == {"interrupted": 2}
    assert result.duration_s < 1


def test_the_process_does_the_same_and_the_figures_come_back(trivial_server):
    """300 requests through a process of its own."""
    result = run_load(spec(trivial_server(), poisson(300, 1, 4), bodies=(b"{}",), expect_json=True))
    assert result.ok == result.scheduled > 200
    assert not result.interrupted


@pytest.mark.alone
def test_a_pause_of_one_second_shows_in_the_percentiles(trivial_server):
    """No coordinated omission: at 500/s a pause of 1 s holds up the 500 requests that fall into it."""
    rate_rps = 500
    result = run_load(spec(trivial_server("--pause-after-s", "1.5", "--pause-s", "1"), constant(rate_rps, 4)))
    assert result.ok == result.scheduled == 4 * rate_rps
    assert result.latency.quantile(0.999) >= 0.9
    assert result.latency.count_above(0.1) == pytest.approx(0.9 * rate_rps, rel=0.1)
    assert result.latency.quantile(0.5) < 0.1


def test_cancelling_reports_what_was_seen(trivial_server):
    """A run of a minute, cancelled after about a second."""
    begun_s = time.perf_counter()
    result = run_load(spec(trivial_server(), constant(100, 60)), cancelled=lambda: time.perf_counter() - begun_s > 2.5)
    assert result.interrupted
    assert 0 < result.scheduled < 3000
    assert adds_up(result)
    assert time.perf_counter() - begun_s < 15


def test_the_process_writes_its_result_when_it_is_interrupted(trivial_server):
    """SIGINT to the process itself, as a terminal would send it."""
    command = [sys.executable, "-m", "roadworthy.probes.load.generator"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(json.dumps(spec(trivial_server(), constant(100, 60)).to_json()).encode())
    process.stdin.close()
    process.stdin = None
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert result_from_json(json.loads(output)).interrupted


def test_main_reads_and_writes_json(serve, monkeypatch, capsys):
    """The command itself, in this process."""
    server = serve(lambda _: answer())
    text = json.dumps(spec(server.url, constant(50, 0.2)).to_json()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    monkeypatch.setattr(generator.gc, "freeze", lambda: None)
    monkeypatch.setattr(generator.gc, "disable", lambda: None)
    generator.main()
    assert result_from_json(json.loads(capsys.readouterr().out)).ok == 10


def test_a_target_that_is_down_is_reported_before_anything_is_sent(closed_port):
    """RW-401 with the URL."""
    with pytest.raises(TargetUnreachable) as caught:
        run_load(spec(f"http://127.0.0.1:{closed_port}/", constant(10, 1)))
    assert str(closed_port) in caught.value.where


def test_a_generator_that_fails_says_so(serve, monkeypatch):
    """Its last words are in the error; a process that reads nothing is no deadlock."""
    server = serve(lambda _: answer())
    monkeypatch.setattr(generator.sys, "executable", "/bin/false")
    with pytest.raises(GeneratorLagged, match="ended with 1"):
        run_load(spec(server.url, poisson(1000, 200, 1)))


def test_a_generator_that_never_ends_is_killed(serve, monkeypatch, tmp_path):
    """Past its own schedule, timeout and grace it is killed, and the run refused."""
    server = serve(lambda _: answer())
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\nread -r line\nexec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(generator.sys, "executable", str(stuck))
    monkeypatch.setattr(generator, "_GRACE_S", 0.0)
    with pytest.raises(GeneratorLagged, match="did not end in time"):
        run_load(spec(server.url, constant(10, 0.1), timeout_s=0.1))


def test_nothing_outlives_the_caller(trivial_server, monkeypatch):
    """Ctrl-C in the caller, in the middle of a run, leaves no process behind."""
    started = []

    class Watched(subprocess.Popen):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            started.append(self)

    def press():
        if time.perf_counter() - begun_s > 1:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    url = trivial_server()
    monkeypatch.setattr(generator.subprocess, "Popen", Watched)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    begun_s = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_load(spec(url, constant(10, 60)), cancelled=press)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - begun_s < 10
    assert [process.poll() for process in started] == [-signal.SIGKILL]


@pytest.mark.parametrize("host", ["example.org", "192.168.1.4", "10.0.0.1", "[2001:db8::1]", "127.0.0.1.example.org"])
def test_a_remote_target_needs_an_explicit_word(host):
    """RW-100 before anything is resolved or sent; allow_remote is the word."""
    with pytest.raises(InputError, match="not this machine") as caught:
        spec(f"http://{host}/", [0.0])
    assert "allow_remote" in caught.value.remedy
    assert spec(f"http://{host}/", [0.0], allow_remote=True).address[1] == 80


def test_loopback_is_this_machine():
    """By name and by address, in both families."""
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.9")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "127.0.0.1", "http://", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/ü",
     "http://user:word@127.0.0.1/", "http://127.0.0.1:port/"],
)  # fmt: skip
def test_urls_that_cannot_be_used_are_refused(url):
    """RW-100."""
    with pytest.raises(InputError):
        spec(url, [0.0])


@pytest.mark.parametrize(
    "more",
    [
        {"times_s": []},
        {"times_s": [[0.0]]},
        {"times_s": [1.0, 0.0]},
        {"times_s": [-1.0]},
        {"times_s": [float("nan")]},
        {"times_s": [1e9]},
        {"method": "TRACE"},
        {"bodies": ()},
        {"timeout_s": 0.0},
        {"timeout_s": float("nan")},
        {"max_connections": 0},
        {"content_type": "a\r\nb: c"},
    ],
)
def test_a_run_is_bounded_before_it_starts(more):
    """RW-114 for whatever is out of range."""
    with pytest.raises(ParameterError):
        spec("http://127.0.0.1/", **({"times_s": [0.0]} | more))


def test_a_specification_survives_json():
    """Arrays and bodies to the bit."""
    load = spec("http://127.0.0.1:99/x", poisson(100, 1, 1), bodies=(b"\x00\xff", b""), timeout_s=3.5, expect_json=True)
    again = spec_from_json(json.loads(json.dumps(load.to_json())))
    assert again.to_json() == load.to_json()
    assert np.array_equal(again.times_s, load.times_s)
    assert again.bodies == load.bodies


@pytest.mark.parametrize("change", [{"unknown": 1}, {"times_s": "§"}, {"times_s": None}, {"bodies": [1]}])
def test_json_that_is_no_specification_is_refused(change):
    """RW-100."""
    with pytest.raises(InputError):
        spec_from_json(spec("http://127.0.0.1/", [0.0]).to_json() | change)


def result_with(lag_s=0.0001, cpu_share=0.3, scheduled=100):
    return LoadResult(
        scheduled=scheduled,
        sent=scheduled,
        completed=scheduled,
        ok=scheduled,
        errors={},
        latency=histogram_of([0.001] * scheduled),
        send_lag=histogram_of([lag_s] * scheduled),
        sent_peak=None,
        ok_peak=None,
        duration_s=10.0,
        cpu_s=cpu_share * 10,
        cpu_share=cpu_share,
        connections=1,
        series=series_of([0.0] * scheduled, [0.001] * scheduled, [OK] * scheduled),
    )


def test_a_generator_that_kept_up_is_not_refused():
    """Quietly."""
    refuse(result_with())
    refuse(result_with(lag_s=0.004), GeneratorLimit(send_lag_p99_s=0.005))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (result_with(lag_s=0.002), "lag p99 2.00 ms, limit 1.00 ms"),
        (result_with(cpu_share=0.97), "97% of its core"),
        (result_with(scheduled=0), "before its first request"),
    ],
)
def test_a_generator_that_lagged_is_refused_and_says_why(result, words):
    """RW-203 with the figure."""
    with pytest.raises(GeneratorLagged, match=words) as caught:
        refuse(result)
    assert caught.value.code == "RW-203"


def test_a_loop_that_was_late_shows_as_lag_not_as_latency_alone(serve):
    """The event loop held up for 0.2 s: its own lag says so, and the figures are refused."""
    server = serve(lambda _: answer())

    async def run():
        loop = asyncio.get_running_loop()
        engine = Engine(spec(server.url, constant(100, 0.5)), loop)
        loop.call_later(0.2, time.sleep, 0.2)
        return await engine.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run())
    assert result.send_lag.quantile(1.0) > 0.1
    with pytest.raises(GeneratorLagged):
        refuse(result)


def test_an_empty_result_counts_as_all_wrong():
    """No request is not a success."""
    assert result_with(scheduled=0).error_share == 1.0


@pytest.mark.parametrize(
    "change", [{"ok": "1"}, {"errors": 5}, {"latency": {}}, {"series": {}}, {"sent_peak": {"per_1_s": 1}}]
)
def test_json_that_is_no_result_is_refused(change):
    """RW-201."""
    with pytest.raises(MalformedEvidence):
        result_from_json(result_with().to_json() | change)
    with pytest.raises(MalformedEvidence):
        result_from_json({})
