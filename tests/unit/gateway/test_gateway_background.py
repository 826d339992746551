import asyncio
import json
import time

import pytest
from gateway_rig import ALICE, Rig, answer_of, until

from roadworthy.gateway.background import BackgroundAnswers
from roadworthy.gateway.exchange import Failure, Refused, UpstreamFailed
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
    intent, outcome = rig.ledger.leaves
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
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.outcome"]


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
    assert len(answers) == 2 and answers.find(first.id, "alice") and answers.find(third.id, "alice")
    with pytest.raises(Refused):
        answers.find(second.id, "alice")


def test_what_is_kept_is_bounded_in_bytes():
    """Large answers push older ones out, but the newest always stays."""
    answers = BackgroundAnswers(most_bytes=100)
    kept = [answers.begin(exchange()) for _ in range(3)]
    for each in kept:
        answers.finish(each, bytes(60))
    assert len(answers) == 1 and answers.find(kept[2].id, "alice").finished
    last = answers.begin(exchange())
    answers.finish(last, bytes(500))
    assert answers.find(last.id, "alice").finished


def test_a_wait_that_was_cancelled_before_its_first_step_ends():
    """Otherwise it would hold its place for ever."""

    async def story():
        answers = BackgroundAnswers()
        kept = answers.begin(exchange())
        kept.task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        await answers.close()
        return kept

    assert json.loads(run(story()).body)["status"] == "cancelled"
