import asyncio

import pytest
from gateway_rig import DONE, FakeCite, FakeStream, Reply, Rig, answer_of, event, until

from roadworthy.domain.exchange import RecordMode
from roadworthy.gateway.exchange import Failure
from roadworthy.gateway.streaming import EventCutter

WORDS = [event(word) for word in ("The", " heart", " beats")]
END = [event("", "stop"), DONE]
WHOLE = b"".join(WORDS + END)


def run(story):
    return asyncio.run(story)


def streaming(parts, failure=None, **changes):
    """A rig whose upstream streams."""
    rig = Rig(**changes)
    stream = FakeStream(parts, failure)
    rig.answerer.reply = lambda _question: stream.answer()
    return rig, stream


def shut_after_the_intent(rig):
    """From the upstream's answer on, no record becomes durable until the gate is set."""
    gate, reply = asyncio.Event(), rig.answerer.reply

    def reply_and_shut(question):
        rig.ledger.gate = gate
        return reply(question)

    rig.answerer.reply = reply_and_shut


@pytest.mark.parametrize("mode", list(RecordMode))
def test_a_whole_stream_passes_byte_for_byte_in_every_mode(mode):
    """What the upstream framed is what the caller gets, and the upstream's connection is given up once."""
    rig, stream = streaming([*WORDS, *END], mode=mode)
    reply = run(rig.chat(stream=True))
    assert (reply.status, reply.body, reply.ended, stream.closed) == (200, WHOLE, True, 1)
    assert reply.headers["content-type"] == "text/event-stream" and "content-length" not in reply.headers
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert (outcome["reason"], outcome["released_bytes"]) == ("", len(WHOLE))


@pytest.mark.parametrize("mode", [RecordMode.STRICT, RecordMode.CLOSE_HELD])
def test_parts_and_outcome_together_hold_the_whole_stream(mode):
    """The payloads in their order are the bytes that left."""
    rig, _ = streaming([*WORDS, *END], mode=mode)
    run(rig.chat(stream=True))
    leaves = rig.ledger.of("exchange.part", "exchange.outcome")
    assert b"".join(rig.ledger.payload(leaf) for leaf in leaves) == WHOLE
    assert leaves[-1]["parts"] == len(leaves) - 1


def test_strict_releases_nothing_before_the_record_that_covers_it():
    """Every release follows a part's record, the end follows the outcome."""
    rig, _ = streaming([*WORDS, *END])
    run(rig.chat(stream=True))
    assert rig.events[:2] == ["exchange.intent", "upstream"]
    covered = 0
    for name in rig.events[2:]:
        covered += {"exchange.part": 1, "exchange.outcome": 1, "released": -1}[name]
        assert covered >= 0
    assert rig.events[-2:] == ["exchange.outcome", "released"]


def test_a_slow_ledger_makes_pieces_larger_not_more():
    """What comes while a record is under way shares the next one."""
    rig, _ = streaming([*WORDS * 30, *END])

    async def story():
        shut_after_the_intent(rig)
        reply = Reply()
        task = asyncio.create_task(rig.chat(stream=True, reply=reply))
        for _ in range(500):
            await asyncio.sleep(0)
        assert reply.body == b""
        rig.ledger.gate.set()
        return await task

    reply = run(story())
    assert reply.body == b"".join(WORDS * 30 + END)
    assert 1 <= len(rig.ledger.of("exchange.part")) <= 3


def test_close_held_flows_but_holds_the_end():
    """Words leave without a record, the finish reason and the end mark wait for the outcome."""
    rig, stream = streaming([*WORDS, *END], mode=RecordMode.CLOSE_HELD)

    async def story():
        stream.hold = asyncio.Event()
        reply = Reply()
        task = asyncio.create_task(rig.chat(stream=True, reply=reply))
        for _ in range(200):
            await asyncio.sleep(0)
        assert reply.body == b"".join(WORDS) and rig.ledger.of("exchange.outcome", "exchange.part") == []
        stream.hold.set()
        return await task

    assert run(story()).body == WHOLE
    assert rig.events[-2:] == ["exchange.outcome", "released"]


@pytest.mark.parametrize("failure", [Failure.STREAM_CUT, Failure.RESET_IN_BODY, None])
def test_a_cut_stream_ends_with_an_error_and_without_its_end_mark(failure):
    """Broken or simply over: without [DONE] the caller is told, and the outcome says stream_cut."""
    rig, stream = streaming([*WORDS, b'data: {"half'], failure)
    reply = run(rig.chat(stream=True))
    assert reply.body.startswith(b"".join(WORDS)) and b"[DONE]" not in reply.body and b"half" not in reply.body
    assert reply.body[len(b"".join(WORDS)) :].startswith(b'data: {"error":{"message"') and reply.ended
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert (outcome["reason"], outcome["released_bytes"]) == ("stream_cut", len(reply.body))
    assert f",stream:{(failure or Failure.STREAM_CUT).value}:" in outcome["attempts"] and stream.closed == 1


def test_a_stream_that_breaks_before_its_first_event_is_a_plain_refusal():
    """Nothing left yet, so the caller gets a status that says so."""
    rig, stream = streaming([b'data: {"ha'], Failure.RESET_IN_BODY)
    reply = run(rig.chat(stream=True))
    assert reply.status == 502 and reply.json()["error"]["code"] == "upstream_failed" and stream.closed == 1
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.outcome"]


def test_a_caller_who_goes_ends_the_upstreams_stream():
    """The outcome says how many bytes had left."""
    rig, stream = streaming(WORDS)

    async def story():
        stream.hold = asyncio.Event()
        reply = Reply()
        task = asyncio.create_task(rig.chat(stream=True, reply=reply))
        await until(lambda: reply.body == b"".join(WORDS))
        rig.gone.set()
        await task
        return reply

    reply = run(story())
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert (outcome["reason"], outcome["released_bytes"]) == ("client_gone", len(reply.body))
    assert stream.closed == 1 and not reply.ended and len(rig.app.sweeper) == 0


def test_a_ledger_that_fails_in_the_middle_stops_the_stream():
    """Nothing unrecorded leaves; the caller is told, the intent is swept."""
    rig, stream = streaming([*WORDS, *END])

    async def story():
        stream.hold = asyncio.Event()
        reply = Reply()
        task = asyncio.create_task(rig.chat(stream=True, reply=reply))
        await until(lambda: reply.body)
        rig.ledger.fail_kinds = {"exchange.part", "exchange.outcome"}
        stream.hold.set()
        await task
        assert await rig.app.sweeper.sweep() == 1
        return reply

    reply = run(story())
    assert b'"code":"ledger_unavailable"' in reply.body and b"[DONE]" not in reply.body and reply.ended
    released = reply.body[: reply.body.index(b'data: {"error"')]
    assert released == b"".join(rig.ledger.payload(leaf) for leaf in rig.ledger.of("exchange.part"))
    assert rig.meter.counted[0][2:] == (200, "primary", "ledger_unavailable") and stream.closed == 1


def test_a_ledger_that_fails_before_the_first_part_is_a_503():
    """No head was sent, so the status can still say it."""
    rig, stream = streaming([*WORDS, *END])
    rig.ledger.fail_kinds = {"exchange.part"}
    reply = run(rig.chat(stream=True))
    assert reply.status == 503 and stream.closed == 1 and len(rig.app.sweeper) == 1


def test_a_fault_of_the_reader_surfaces():
    """An exception that is no UpstreamFailed is a fault of ours, not the end of a stream."""
    rig = Rig()

    async def parts():
        yield WORDS[0]
        raise ZeroDivisionError

    rig.answerer.reply = lambda _q: answer_of(b"", parts=parts())
    with pytest.raises(ZeroDivisionError):
        run(rig.chat(stream=True))


def test_responses_end_with_their_own_mark():
    """A stream of the responses interface has no [DONE]; its error event has a name."""
    done = b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":5}}}\n\n'
    rig, _ = streaming([b"event: response.created\ndata: {}\n\n", done])
    reply = run(rig.call("POST", "/v1/responses", b'{"model":"m-1","stream":true}'))
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert reply.body.endswith(done) and (outcome["usage_in"], outcome["usage_out"]) == (3, 5)
    rig, _ = streaming([b"event: response.created\ndata: {}\n\n"])
    reply = run(rig.call("POST", "/v1/responses", b'{"model":"m-1","stream":true}'))
    assert b'event: error\ndata: {"type":"error","code":"stream_cut"' in reply.body


def test_a_stream_of_a_route_without_an_end_mark_ends_when_it_ends():
    """A declared JSON route may stream too; the last bytes need no blank line."""
    rig, _ = streaming([b"data: 1\n\n", b"data: 2"])
    reply = run(rig.call("POST", "/predict", b"{}"))
    assert reply.body == b"data: 1\n\ndata: 2" and rig.ledger.of("exchange.outcome")[0]["reason"] == ""


def test_an_end_mark_without_a_blank_line_counts():
    """Some servers close right after it."""
    rig, _ = streaming([*WORDS, b"data: [DONE]"])
    reply = run(rig.chat(stream=True))
    assert reply.body == b"".join(WORDS) + b"data: [DONE]" and rig.ledger.of("exchange.outcome")[0]["reason"] == ""


def test_the_end_mark_inside_a_text_is_no_end():
    """A model that writes "data: [DONE]" does not end its stream."""
    rig, _ = streaming([event("data: [DONE]"), *WORDS])
    reply = run(rig.chat(stream=True))
    assert rig.ledger.of("exchange.outcome")[0]["reason"] == "stream_cut" and event("data: [DONE]") in reply.body


def test_usage_in_the_last_event_is_read():
    """stream_options.include_usage: the numbers stand between finish reason and end mark."""
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\n'
    rig, _ = streaming([*WORDS, END[0], usage, DONE])
    run(rig.chat(stream=True))
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert (outcome["usage_in"], outcome["usage_out"]) == (11, 7)


@pytest.mark.parametrize("mode", [RecordMode.STRICT, RecordMode.CLOSE_HELD])
def test_a_long_stream_is_recorded_in_pieces_of_bounded_size(mode):
    """Three mebibytes after a finish reason: neither held nor kept in memory as a whole."""
    block = event("x" * 300_000)
    rig, _ = streaming([END[0], *[block] * 10, DONE], mode=mode)
    reply = run(rig.chat(stream=True))
    assert reply.body == END[0] + block * 10 + DONE
    assert len(rig.ledger.of("exchange.part")) >= 2
    leaves = rig.ledger.of("exchange.part", "exchange.outcome")
    assert b"".join(rig.ledger.payload(leaf) for leaf in leaves) == reply.body


@pytest.mark.parametrize("mode", list(RecordMode))
def test_a_caller_who_does_not_read_holds_the_upstream_back(mode):
    """A quarter of a mebibyte waits in each mode; then the upstream is read no further."""
    block = event("x" * 20_000)
    rig, stream = streaming([*[block] * 200, DONE], mode=mode)
    read = 0

    async def counted():
        nonlocal read
        for part in stream.parts:
            read += len(part)
            yield part
            await asyncio.sleep(0)

    rig.answerer.reply = lambda _q: answer_of(b"", parts=counted())

    async def story():
        reading, reply = asyncio.Event(), Reply()

        async def send(message):
            reply.messages.append(message)
            await reading.wait()

        task = asyncio.create_task(rig.chat(stream=True, reply=reply, send=send))
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert 60_000 < read < 256 * 1024
        reading.set()
        return await task

    assert run(story()).body == block * 200 + DONE


def test_checked_sources_and_streams_exclude_each_other():
    """A stream is refused when it is asked for, and when the AI system sends one all the same."""
    rig, stream = streaming([*WORDS, *END], cite=FakeCite())
    assert run(rig.chat(stream=True)).status == 400 and rig.answerer.questions == []
    reply = run(rig.chat())
    assert reply.status == 502 and stream.closed == 1 and rig.ledger.leaves[-1]["reason"] == "upstream_failed"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_are_cut_whole_however_the_bytes_arrive(newline, size):
    """Every block ends with a blank line, and nothing is lost or changed."""
    text = newline.join([b"data: a", b"", b"event: b", b"data: c", b"", b"data: d"])
    cutter = EventCutter()
    blocks = [cutter.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert all(block == b"" or block.endswith(newline * 2) for block in blocks)
    assert b"".join(blocks) + cutter.rest() == text and cutter.rest() == b""


def test_an_endless_event_is_passed_on():
    """Memory is bounded even when no blank line ever comes."""
    cutter = EventCutter()
    assert cutter.feed(b"x" * 2_000_000) == b"x" * 2_000_000


def test_a_caller_who_stops_reading_is_cut_off_at_the_deadline():
    """The connection stays open, but nothing is taken: the sweeper abandons it and the upstream is given up."""
    rig, stream = streaming([*WORDS, *END], deadline_s=0.0)

    async def story():
        async def never(_message):
            rig.events.append("stuck")
            await asyncio.Event().wait()

        task = asyncio.create_task(rig.chat(stream=True, send=never))
        await until(lambda: "stuck" in rig.events)
        await rig.app.sweeper.sweep()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(story())
    assert rig.ledger.leaves[-1]["kind"] == "exchange.abandoned" and stream.closed == 1


def test_a_stream_of_a_use_case_that_is_switched_off_ends():
    """With an error event and an outcome that says so, also while the AI system is silent; others go on."""
    rig, stream = streaming(WORDS)

    async def story():
        stream.hold = asyncio.Event()
        reply = Reply()
        task = asyncio.create_task(rig.chat(stream=True, reply=reply))
        await until(lambda: reply.body == b"".join(WORDS))
        rig.app.cut_off()
        for _ in range(50):
            await asyncio.sleep(0)
        assert not task.done()
        rig.switches.off.add("triage")
        rig.app.cut_off()
        return await asyncio.wait_for(task, 1)

    reply = run(story())
    assert b'"code":"switched_off"' in reply.body and reply.ended and stream.closed == 1
    assert rig.ledger.of("exchange.outcome")[0]["reason"] == "switched_off" and len(rig.app.sweeper) == 0


def test_a_stream_that_is_switched_off_before_its_first_event_is_a_plain_refusal():
    """Nothing left yet, so the caller gets a status."""
    rig, stream = streaming([])

    async def story():
        stream.hold = asyncio.Event()
        task = asyncio.create_task(rig.chat(stream=True))
        await until(lambda: rig.answerer.questions)
        await asyncio.sleep(0.01)
        rig.switches.off.add("triage")
        rig.app.cut_off()
        return await asyncio.wait_for(task, 1)

    reply = run(story())
    assert (reply.status, reply.json()["error"]["code"]) == (503, "switched_off")
    assert rig.ledger.of("exchange.outcome")[0]["intent"] == 0
