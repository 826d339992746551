"""The official client against the application behind a real server."""

import asyncio
import contextlib
import json

import openai
import pytest
import uvicorn
from gateway_rig import DONE, FakeStream, Rig, answer_of, event, until

from roadworthy.domain.exchange import RecordMode
from roadworthy.gateway.exchange import Failure, Reason, Refused

CHAT = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Regular."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
MESSAGES = [{"role": "user", "content": "hi"}]


@contextlib.asynccontextmanager
async def served(rig):
    """Base URL of the rig's application behind uvicorn."""
    config = uvicorn.Config(
        rig.app,
        host="127.0.0.1",
        port=0,
        http="httptools",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await serving


def run(rig, story, key="good"):
    """Run a story with an asynchronous client."""

    async def main():
        async with served(rig) as url, openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            return await story(client)

    return asyncio.run(main())


def kinds(rig):
    """Kinds of the leaves, those of the node apart."""
    return [leaf["kind"] for leaf in rig.ledger.leaves if leaf["kind"] != "gateway.node"]


def test_the_synchronous_client_chats_and_lists_models():
    """What applications write every day works unchanged."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(json.dumps(CHAT).encode())

    async def story():
        async with served(rig) as url:

            def talk():
                with openai.OpenAI(base_url=url, api_key="good", max_retries=0) as client:
                    models = [model.id for model in client.models.list()]
                    raw = client.chat.completions.with_raw_response.create(model="m-1", messages=MESSAGES)
                    return models, raw.headers, raw.parse()

            return await asyncio.to_thread(talk)

    models, headers, chat = asyncio.run(story())
    assert models == ["m-1", "org/m-2"] and chat.choices[0].message.content == "Regular."
    outcome = rig.ledger.of("exchange.outcome")[-1]
    assert headers["x-roadworthy-record"] == outcome["id"] and outcome["usage_in"] == 9


@pytest.mark.parametrize("mode", list(RecordMode))
def test_a_stream_arrives_word_by_word(mode):
    """In every mode, to the end mark."""
    rig = Rig(mode=mode)
    stream = FakeStream([event("Reg"), event("ular"), event("", "stop"), DONE])
    rig.answerer.reply = lambda _q: stream.answer()

    async def story(client):
        flow = await client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        return [chunk.choices[0].delta.content async for chunk in flow]

    assert run(rig, story) == ["Reg", "ular", ""]
    assert rig.ledger.of("exchange.outcome")[0]["reason"] == ""


def test_a_stream_that_is_aborted_is_recorded():
    """The client closes after the first word; upstream closed, outcome with the bytes that left."""
    rig = Rig()
    stream = FakeStream([event("Reg")])
    rig.answerer.reply = lambda _q: stream.answer()

    async def story(client):
        stream.hold = asyncio.Event()
        flow = await client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        async for _chunk in flow:
            break
        await flow.close()
        await until(lambda: rig.ledger.of("exchange.outcome"))

    run(rig, story)
    outcome = rig.ledger.of("exchange.outcome")[0]
    assert (outcome["reason"], outcome["released_bytes"], stream.closed) == ("client_gone", len(event("Reg")), 1)


def test_a_cut_stream_raises_in_the_client():
    """No application takes half an answer for a whole one."""
    rig = Rig()
    stream = FakeStream([event("Reg")], Failure.STREAM_CUT)
    rig.answerer.reply = lambda _q: stream.answer()

    async def story(client):
        flow = await client.chat.completions.create(model="m-1", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="broke off"):
            async for _chunk in flow:
                pass

    run(rig, story)


def test_refusals_become_the_clients_exceptions():
    """Each status its own; none of them contacts the upstream."""
    rig = Rig()

    async def story(client):
        create = client.chat.completions.create
        with pytest.raises(openai.NotFoundError, match="No such model"):
            await create(model="other", messages=MESSAGES)
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="bad").chat.completions.create(model="m-1", messages=MESSAGES)
        with pytest.raises(openai.PermissionDeniedError):
            await create(model="m-1", messages=MESSAGES, extra_headers={"x-purpose": "marketing"})
        rig.admit.refused = Refused(Reason.RATE_LIMITED, 429, "Too often.", retry_after_s=1)
        with pytest.raises(openai.RateLimitError) as caught:
            await create(model="m-1", messages=MESSAGES)
        assert caught.value.code == "rate_limited"
        with pytest.raises(openai.APIStatusError) as caught:
            await create(model="m-1", messages=[{"role": "user", "content": "x" * 9_000}])
        assert caught.value.status_code == 413

    run(rig, story)
    assert kinds(rig) == ["exchange.outcome"] * 4 and rig.answerer.questions == []


def test_the_client_tries_again_when_the_ledger_is_back():
    """503 with Retry-After is what its own retries wait for."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(json.dumps(CHAT).encode())

    async def story(client):
        rig.ledger.down = True
        asyncio.get_running_loop().call_later(0.2, setattr, rig.ledger, "down", False)
        return await client.with_options(max_retries=2).chat.completions.create(model="m-1", messages=MESSAGES)

    assert run(rig, story).usage.total_tokens == 11
    assert kinds(rig) == ["exchange.intent", "exchange.outcome"]


def test_a_background_response_is_fetched_and_another_cancelled():
    """responses.create, retrieve, cancel."""
    rig = Rig()
    done = {"id": "u", "object": "response", "status": "completed", "output": [], "model": "m-1", "created_at": 1}
    rig.answerer.reply = lambda _q: answer_of(json.dumps(done).encode())

    async def story(client):
        queued = await client.responses.create(model="m-1", input="hi", background=True)
        assert queued.status == "queued"
        for _ in range(100):
            read = await client.responses.retrieve(queued.id)
            if read.status == "completed":
                break
        rig.answerer.before = asyncio.Event()
        second = await client.responses.create(model="m-1", input="hi", background=True)
        return read, await client.responses.cancel(second.id)

    read, cancelled = run(rig, story)
    assert read.status == "completed" and cancelled.status == "cancelled"
