import asyncio
import dataclasses
import json
import time

import pytest
from gateway_rig import ALICE, FakeStream, Rig, answer_of, until

from roadworthy.gateway.background import BackgroundAnswers
from roadworthy.gateway.exchange import Failure, Reason, Refused, UpstreamFailed
from roadworthy.gateway.records import Exchange

ASK = b'{"model":"m-1","background":true,"input":"hi","seed":1.50}'
ANSWER = b'{"id":"resp_upstream","status":"completed","output":[1],"usage":{"input_tokens":2,"output_tokens":3}}'


def run(story):
    return asyncio.run(story)


async def settled(rig, answer_id, **options):
    """Poll as a client does."""
    for _ in range(200):
        reply = await rig.call("GET", f"/v1/responses/{answer_id}", **options)
        if reply.status != 200 or reply.json()["status"] not in {"queued", "in_progress"}:
            return reply
        await asyncio.sleep(0)
    raise AssertionError("it never ended")


def test_a_background_answer_is_queued_then_fetched():
    """Intent before the caller is told, outcome before the answer can be read; the id stays ours."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)

    async def story():
        queued = await rig.call("POST", "/v1/responses", ASK)
        return queued, await settled(rig, queued.json()["id"])

    queued, done = run(story())
    assert (queued.status, queued.json()["status"], queued.json()["object"]) == (200, "queued", "response")
    assert done.json() == {**json.loads(ANSWER), "id": queued.json()["id"], "background": True}
    intent, outcome, _ = rig.ledger.leaves
    assert (intent["kind"], outcome["kind"], outcome["usage_out"]) == ("exchange.intent", "exchange.outcome", 3)
    assert rig.ledger.payload(intent) == ASK and rig.ledger.payload(outcome) == done.body
    assert done.headers["x-roadworthy-record"] == intent["id"] == queued.headers["x-roadworthy-record"]
    assert json.loads(rig.answerer.questions[0].body) == {"model": "m-1", "input": "hi", "seed": 1.5}
    assert rig.events.index("exchange.outcome") > rig.events.index("upstream") > rig.events.index("exchange.intent")


def test_nobody_else_may_read_or_cancel_it():
    """Somebody else's answer and no answer read the same."""
    rig = Rig()

    async def story():
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        other = await rig.call("GET", f"/v1/responses/{answer_id}", key="bob")
        cancel = await rig.call("POST", f"/v1/responses/{answer_id}/cancel", key="bob")
        none = await rig.call("GET", "/v1/responses/resp_none")
        await rig.app.close()
        return other, cancel, none

    replies = run(story())
    assert {reply.status for reply in replies} == {404}
    assert len({reply.json()["error"]["message"] for reply in replies}) == 1


def test_what_was_forbidden_meanwhile_is_not_shown():
    """Policy and switch are asked again when it is read."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)

    async def story():
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        await settled(rig, answer_id)
        rig.authorise.denied.add("triage")
        denied = await rig.call("GET", f"/v1/responses/{answer_id}")
        rig.authorise.denied.clear()
        rig.switches.off.add("triage")
        return denied, await rig.call("GET", f"/v1/responses/{answer_id}")

    denied, off = run(story())
    assert (denied.status, off.status) == (403, 503)


def test_a_cancelled_answer_is_recorded():
    """The upstream is given up, the outcome says so, the state is cancelled."""
    rig = Rig()

    async def story():
        rig.answerer.before = asyncio.Event()
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        await until(lambda: rig.answerer.questions)
        return await rig.call("POST", f"/v1/responses/{answer_id}/cancel"), await settled(rig, answer_id)

    cancelled, read = run(story())
    assert cancelled.json()["status"] == read.json()["status"] == "cancelled"
    assert rig.ledger.leaves[-1]["reason"] == "client_gone" and len(rig.app.sweeper) == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (UpstreamFailed(Failure.CONNECT_REFUSED, sent=False), "upstream_failed"),
        (answer_of(b"[]"), "upstream_failed"),
        (answer_of(b"{"), "upstream_failed"),
        (answer_of(b'{"error":{"code":"bad_input"}}', status=400), "bad_input"),
        (answer_of(b'{"error":"text"}', status=500), "server_error"),
    ],
)
def test_a_failure_is_an_answer_of_status_failed(answer, code):
    """With the reason as its code, and an outcome in the ledger."""
    rig = Rig()

    def reply(_question):
        if isinstance(answer, Exception):
            raise answer
        return answer

    rig.answerer.reply = reply

    async def story():
        return await settled(rig, (await rig.call("POST", "/v1/responses", ASK)).json()["id"])

    done = run(story())
    assert (done.json()["status"], done.json()["error"]["code"]) == ("failed", code)
    assert [leaf["kind"] for leaf in rig.ledger.leaves][:2] == ["exchange.intent", "exchange.outcome"]


def test_an_answer_whose_outcome_is_not_durable_is_never_shown():
    """It reads as failed, and the sweeper closes the intent."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)
    rig.ledger.fail_kinds.add("exchange.outcome")

    async def story():
        done = await settled(rig, (await rig.call("POST", "/v1/responses", ASK)).json()["id"])
        assert await rig.app.sweeper.sweep() == 1
        return done

    done = run(story())
    assert done.json()["error"]["code"] == "ledger_unavailable" and b"output_tokens" not in done.body


def test_without_a_durable_intent_nothing_is_kept():
    """503, and the place is free again."""
    rig = Rig()
    rig.ledger.down = True
    assert run(rig.call("POST", "/v1/responses", ASK)).status == 503 and len(rig.app.background) == 0


def exchange():
    made = Exchange("responses", time.perf_counter())
    made.caller = ALICE
    return made


def test_what_is_kept_is_bounded_in_number():
    """The oldest finished one goes; when all are under way, no is said."""
    answers = BackgroundAnswers(most_answers=2)
    first, second = answers.begin(exchange()), answers.begin(exchange())
    with pytest.raises(Refused, match="under way"):
        answers.begin(exchange())
    answers.finish(second, b"x")
    third = answers.begin(exchange())
    assert len(answers) == 2 and answers.find(first.id, ALICE) and answers.find(third.id, ALICE)
    with pytest.raises(Refused):
        answers.find(second.id, ALICE)


def test_what_is_kept_is_bounded_in_bytes():
    """Large answers push older ones out, but the newest always stays."""
    answers = BackgroundAnswers(most_bytes=100)
    kept = [answers.begin(exchange()) for _ in range(3)]
    for each in kept:
        answers.finish(each, bytes(60))
    assert len(answers) == 1 and answers.find(kept[2].id, ALICE).finished
    last = answers.begin(exchange())
    answers.finish(last, bytes(500))
    assert answers.find(last.id, ALICE).finished


def test_a_wait_that_was_cancelled_before_its_first_step_ends():
    """Otherwise it would hold its place for ever."""

    async def story():
        answers = BackgroundAnswers()
        kept = answers.begin(exchange())
        freed = []
        answers.start(kept, asyncio.sleep(60), lambda: freed.append(1))
        await answers.close()
        return kept, freed

    kept, freed = run(story())
    assert json.loads(kept.body)["status"] == "cancelled" and freed == [1]


def test_the_first_reading_is_recorded():
    """One outcome without an intent, which names the exchange; polling and reading again leave nothing."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)

    async def story():
        rig.answerer.before = asyncio.Event()
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        await until(lambda: rig.answerer.questions)
        await rig.call("GET", f"/v1/responses/{answer_id}")
        assert len(rig.ledger.leaves) == 1
        rig.answerer.before.set()
        done = await settled(rig, answer_id)
        await rig.call("GET", f"/v1/responses/{answer_id}")
        return done

    done = run(story())
    intent, outcome, read = rig.ledger.leaves
    assert (read["kind"], read["intent"], read["record"], read["route"]) == (
        "exchange.outcome",
        -1,
        intent["id"],
        "responses/read",
    )
    assert rig.ledger.payload(read) == done.body == rig.ledger.payload(outcome) and read["id"] != intent["id"]
    assert (read["admission"], read["purpose"], read["usage_out"]) == ("certificate:c-1", "care", 0)
    assert "record" not in outcome and done.headers["x-roadworthy-index"] == "2"


def test_no_answer_is_read_that_is_not_recorded():
    """Without a durable leaf of the reading it is 503, and the next one tries again."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)

    async def story():
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        await until(lambda: rig.ledger.of("exchange.outcome"))
        rig.ledger.down = True
        refused = await rig.call("GET", f"/v1/responses/{answer_id}")
        rig.ledger.down = False
        return refused, await rig.call("GET", f"/v1/responses/{answer_id}")

    refused, read = run(story())
    assert refused.status == 503 and b"output_tokens" not in refused.body and read.status == 200


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (("key:alice", "k-1"), ("key:alice", "k-1"), 200),
        (("key:alice", "k-1"), ("key:alice", "k-2"), 404),
        (("oidc:i:alice", "t-1"), ("oidc:i:alice", "t-2"), 200),
        (("oidc:i:alice", "t-1"), ("oidc:j:alice", "t-1"), 404),
    ],
)
def test_it_is_read_by_the_same_key_or_the_same_holder_of_tokens(before, after, status):
    """Another key of the same owner may reach less; a token is renewed while an answer waits."""
    rig = Rig()

    async def story():
        rig.identify.alice = dataclasses.replace(ALICE, id=before[0], credential=before[1])
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        rig.identify.alice = dataclasses.replace(ALICE, id=after[0], credential=after[1])
        reply = await rig.call("GET", f"/v1/responses/{answer_id}")
        await rig.app.close()
        return reply

    assert run(story()).status == status


def test_what_is_not_admitted_any_more_is_not_shown():
    """The certificate is asked again when it is read, and the use case must still be served."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(ANSWER)

    async def story():
        answer_id = (await rig.call("POST", "/v1/responses", ASK)).json()["id"]
        await until(lambda: rig.ledger.of("exchange.outcome"))
        rig.admit.refused = Refused(Reason.NOT_ADMITTED, 403, "No certificate.")
        refused = await rig.call("GET", f"/v1/responses/{answer_id}")
        rig.admit.refused = None
        rig.app.replace(Rig(id="other").stages())
        return refused.status, (await rig.call("GET", f"/v1/responses/{answer_id}")).status

    assert run(story()) == (403, 404)


def test_it_holds_its_place_and_its_question_until_it_has_ended():
    """Asking in the background is no way around the bounds."""
    rig = Rig(in_flight=2)

    async def story():
        rig.answerer.before = asyncio.Event()
        for _ in range(2):
            await rig.call("POST", "/v1/responses", ASK)
        await until(lambda: len(rig.answerer.questions) == 2)
        held = (rig.app.in_flight, rig.app.load.body_bytes, rig.meter.in_flight)
        third = await rig.call("POST", "/v1/responses", ASK)
        rig.answerer.before.set()
        await until(lambda: rig.app.in_flight == 0)
        return held, third.status, rig.app.load.body_bytes, rig.meter.in_flight

    assert run(story()) == ((2, 2 * len(ASK), 2), 503, 0, 0)


def test_what_is_kept_is_bounded_for_each_caller():
    """One caller's questions leave room for others, and push out only the caller's own answers."""
    answers = BackgroundAnswers(most_of_a_caller=2)
    bobs, another = exchange(), exchange()
    bobs.caller = another.caller = dataclasses.replace(ALICE, id="key:bob", credential="k")
    kept = answers.begin(bobs)
    answers.finish(kept, b"x")
    first = answers.begin(exchange())
    answers.begin(exchange())
    with pytest.raises(Refused, match="caller's") as refused:
        answers.begin(exchange())
    assert refused.value.status == 429 and answers.begin(another)
    answers.finish(first, b"x")
    answers.begin(exchange())
    assert len(answers) == 4 and answers.find(kept.id, bobs.caller)


def test_a_body_that_cannot_be_written_again_is_refused():
    """JSON nested more deeply than our writer goes is 400, not a fault of ours."""
    rig = Rig(body_bytes=10_000)
    body = b'{"model":"m-1","background":true,"input":' + b"[" * 300 + b"]" * 300 + b"}"
    reply = run(rig.call("POST", "/v1/responses", body))
    assert reply.status == 400 and rig.answerer.questions == [] and len(rig.app.background) == 0
    assert rig.app.in_flight == 0


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_cannot_be_written_again_reads_as_failed(status):
    """It is no answer, but the wait ends."""
    rig = Rig()
    deep = b'{"error":{"a":' + b"[" * 300 + b"]" * 300 + b"}}"
    rig.answerer.reply = lambda _q: answer_of(deep, status=status)

    async def story():
        return await settled(rig, (await rig.call("POST", "/v1/responses", ASK)).json()["id"])

    assert run(story()).json()["error"]["code"] == "upstream_failed" and rig.app.in_flight == 0


def test_a_fault_of_ours_ends_the_wait():
    """The answer reads as failed, the place is free, the intent is swept, and the fault is told."""
    rig, told = Rig(), []

    def explode(_question):
        raise ZeroDivisionError

    rig.answerer.reply = explode

    async def story():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what["exception"]))
        done = await settled(rig, (await rig.call("POST", "/v1/responses", ASK)).json()["id"])
        assert await rig.app.sweeper.sweep() == 1
        return done

    assert run(story()).json()["error"]["code"] == "server_error" and rig.app.in_flight == 0
    assert [type(each) for each in told] == [ZeroDivisionError]


def test_an_answer_that_streams_against_its_question_is_given_up():
    """Its connection goes back; there is nothing to keep."""
    rig = Rig()
    stream = FakeStream([b"data: 1\n\n"])
    rig.answerer.reply = lambda _q: stream.answer()

    async def story():
        return await settled(rig, (await rig.call("POST", "/v1/responses", ASK)).json()["id"])

    assert run(story()).json()["status"] == "failed" and stream.closed == 1
