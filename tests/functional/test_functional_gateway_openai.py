"""The official OpenAI client against the whole gateway: every call, whole and streamed, and every way to be told no."""

import asyncio
import http.client
import json
import time

import openai
import published_leaves
import pytest

pytest_plugins = ["gateway_world"]
pytestmark = pytest.mark.slow

ASKED = [{"role": "user", "content": "How many days may I work from home?"}]
SLOWLY = [{"role": "user", "content": "slowly, and in many words please, as people talk"}]
OWN_HEADERS = {"x-roadworthy-record", "x-roadworthy-index"}
RETOLD_HEADERS = {"date", "server", "content-length", "transfer-encoding", "connection"}
"""Headers of one connection, or of who speaks on it."""


@pytest.fixture
def client(world):
    """The synchronous client; it never tries again by itself."""
    with openai.OpenAI(api_key=world.key, base_url=f"{world.base}/v1", max_retries=0, timeout=15) as found:
        yield found


def exchange(port, headers, body):
    """One request without any client's help: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def port_of(url):
    """The port of an address."""
    return int(url.rpartition(":")[2])


def test_the_models_are_those_that_the_caller_may_use(client) -> None:
    """What the policy denies is not there, neither in the list nor by name."""
    names = {model.id for model in client.models.list()}
    assert {"policy-search", "assistant", "swift", "guarded", "paced", "lost"} == names
    assert client.models.retrieve("assistant").id == "assistant"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("closed")
    assert caught.value.code == "model_not_found"


def test_a_chat_is_answered_and_proven(world, client) -> None:
    """The answer of the real search, its record named in the headers, both leaves in the verified log."""
    raw = client.chat.completions.with_raw_response.create(model="policy-search", messages=ASKED)
    completion = raw.parse()
    assert completion.choices[0].message.content
    record = raw.headers["x-roadworthy-record"]
    leaves = world.leaves(record)
    assert [leaf.base.kind for leaf in leaves] == [published_leaves.INTENT, published_leaves.OUTCOME]
    facts = leaves[1].facts
    assert (facts["status"], facts["rung"], facts["model"]) == (200, "primary", "policy-search")
    usage = completion.usage
    assert (facts["usage_in"], facts["usage_out"]) == (usage.prompt_tokens, usage.completion_tokens)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["policy-search", "assistant"])
def test_the_bytes_are_those_of_the_ai_system(world, model, stream) -> None:
    """Beside it, to the byte; of the headers only ours are new, and only those of the connection differ."""
    body = json.dumps({"model": model, "messages": ASKED, "stream": stream, "x_unknown": {"n": 1.50}})
    headers = {"content-type": "application/json", "authorization": f"Bearer {world.key}"}
    direct = port_of(world.search if model == "policy-search" else world.system.url)
    status, plain, said = exchange(direct, headers, body)
    through_status, through, through_said = exchange(world.gateway.port, headers, body)
    assert (through_status, through_said) == (status, said)
    assert through.keys() - plain.keys() <= OWN_HEADERS | RETOLD_HEADERS
    assert plain.keys() - through.keys() <= RETOLD_HEADERS
    same = through.keys() & plain.keys() - RETOLD_HEADERS
    assert {name: through[name] for name in same} == {name: plain[name] for name in same}


def test_what_nobody_knows_passes_both_ways(world, client) -> None:
    """The body arrives byte for byte; unknown members come back; credentials stay here."""
    before = len(world.system.asked)
    completion = client.chat.completions.create(
        model="assistant",
        messages=ASKED,
        extra_body={"x_future": {"a": [1, None, "ü"]}},
        extra_headers={"x-request-id": "r-1", "x-api-version": "7", "cookie": "a=b", "x-roadworthy-record": "forged"},
    )
    assert completion.model_extra["x_extra"] == {"kept": [1, 2.5, "ü"]}
    (asked,) = world.system.asked[before:]
    assert json.loads(asked.body)["x_future"] == {"a": [1, None, "ü"]}
    assert (asked.headers["x-request-id"], asked.headers["x-api-version"]) == ("r-1", "7")
    assert not {"authorization", "cookie", "x-roadworthy-record", "x-api-key"} & asked.headers.keys()
    assert asked.headers["host"] == world.system.url.removeprefix("http://")


@pytest.mark.parametrize("model", ["assistant", "swift"])
def test_a_stream_is_whole_and_states_its_usage(world, client, model) -> None:
    """Joined, its pieces are the answer; the usage comes in the last one, and stands in the leaf."""
    stream = client.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    record = stream.response.headers["x-roadworthy-record"]
    text, usage = "", None
    for event in stream:
        text += "".join(choice.delta.content or "" for choice in event.choices)
        usage = event.usage or usage
    assert text == f"You asked: {ASKED[0]['content']}"
    assert (usage.prompt_tokens, usage.completion_tokens) == (5, 7)
    facts = world.outcome(record).facts
    assert (facts["status"], facts["reason"], facts["usage_in"], facts["usage_out"]) == (200, "", 5, 7)


def test_pieces_of_a_stream_come_while_it_is_made(client) -> None:
    """The first is there long before the last."""
    stream = client.chat.completions.create(model="assistant", messages=SLOWLY, stream=True)
    arrived_s = [time.monotonic() for _ in stream]
    assert arrived_s[-1] - arrived_s[0] > 1.0
    assert len(set(arrived_s)) > 5


def test_the_client_s_own_helper_reads_a_stream(client) -> None:
    """``chat.completions.stream`` puts the pieces together by itself."""
    with client.chat.completions.stream(model="assistant", messages=ASKED) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == f"You asked: {ASKED[0]['content']}"


def test_completions_whole_and_streamed(client) -> None:
    """The old interface."""
    assert client.completions.create(model="assistant", prompt="Once").choices[0].text == "once upon a time"
    stream = client.completions.create(model="assistant", prompt="Once", stream=True)
    assert "".join(part.choices[0].text for part in stream) == "once upon a time"


def test_embeddings(client) -> None:
    """One and several; the client asks for base64 and unpacks it."""
    found = client.embeddings.create(model="assistant", input=["a", "b"])
    assert [each.embedding for each in found.data] == [[0.25, -1.5, 3.0]] * 2
    assert found.usage.total_tokens == 4


def test_responses_whole_and_streamed(world, client) -> None:
    """The newer interface; its stream has no ``[DONE]``, its end is an event of its own."""
    raw = client.responses.with_raw_response.create(model="assistant", input="hello")
    assert raw.parse().output_text == "You asked: hello"
    assert world.outcome(raw.headers["x-roadworthy-record"]).facts["usage_out"] == 4
    stream = client.responses.create(model="assistant", input="hello", stream=True)
    record = stream.response.headers["x-roadworthy-record"]
    assert [event.type for event in stream] == ["response.created", "response.output_text.delta", "response.completed"]
    assert world.outcome(record).facts["usage_in"] == 3


def test_a_response_in_the_background(world, client) -> None:
    """Queued, then fetched by its id; nobody else's key finds it."""
    queued = client.responses.create(model="assistant", input="hello", background=True)
    assert queued.status in {"queued", "in_progress"}
    deadline_s = time.monotonic() + 10
    while (found := client.responses.retrieve(queued.id)).status in {"queued", "in_progress"}:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert (found.id, found.status, found.output_text) == (queued.id, "completed", "You asked: hello")
    assert "background" not in json.loads(world.system.asked[-1].body)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_0000")


def test_a_response_in_the_background_is_cancelled(world, client) -> None:
    """Its end is on record before the answer says so, and the AI system is let go."""
    before = world.system.broken_off
    queued = client.responses.with_raw_response.create(model="assistant", input="wait", background=True)
    response_id, record = queued.parse().id, queued.headers["x-roadworthy-record"]
    world.gateway.wait_for(lambda: b"wait" in world.system.asked[-1].body)
    assert client.responses.cancel(response_id).status == "cancelled"
    assert client.responses.retrieve(response_id).status == "cancelled"
    assert world.outcome(record).facts["reason"] == "client_gone"
    world.gateway.wait_for(lambda: world.system.broken_off > before)


@pytest.mark.parametrize("model", ["assistant", "swift"])
def test_a_caller_who_leaves_ends_the_stream(world, client, model) -> None:
    """The AI system is let go at once, and the outcome says how much had left."""
    before = world.system.broken_off
    stream = client.chat.completions.create(model=model, messages=SLOWLY, stream=True)
    record = stream.response.headers["x-roadworthy-record"]
    next(iter(stream))
    stream.close()
    world.gateway.wait_for(lambda: world.system.broken_off > before, 5)
    facts = world.outcome(record).facts
    assert facts["reason"] == "client_gone"
    assert facts["released_bytes"] > 0


def test_a_client_s_own_timeout(world, client) -> None:
    """It gives up after its time; the exchange still ends on record."""
    before = len(world.system.asked)
    wait = [{"role": "user", "content": "wait"}]
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model="assistant", messages=wait)
    (asked,) = world.system.asked[before:]
    trace = asked.headers["traceparent"].split("-")[1]

    def ended() -> bool:
        leaves = published_leaves.verified(world.gateway.folder / "ledger")
        return published_leaves.OUTCOME in [leaf.base.kind for leaf in leaves if leaf.facts.get("trace") == trace]

    world.gateway.wait_for(ended)


def test_an_error_of_the_ai_system_passes_unchanged(client) -> None:
    """Status, body and class of the client's error."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": "fail"}])
    assert (caught.value.code, caught.value.type) == ("not_this", "invalid_request_error")


def test_a_key_that_does_not_count(world, client) -> None:
    """Wrong, expired and none at all read the same."""
    bodies = []
    for key in ("rw_tester_wrong", world.gateway.expired, "sk-something"):
        with pytest.raises(openai.AuthenticationError) as caught:
            client.with_options(api_key=key).chat.completions.create(model="assistant", messages=ASKED)
        bodies.append({name: value for name, value in caught.value.body.items() if name != "record"})
    assert bodies[0]["code"] == "unauthenticated"
    assert bodies == [bodies[0]] * 3


def test_what_the_policy_denies(world, client) -> None:
    """403, with a record; an unknown purpose too."""
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="closed", messages=ASKED)
    assert caught.value.code == "forbidden"
    assert world.outcome(caught.value.response.headers["x-roadworthy-record"]).facts["reason"] == "forbidden"
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="assistant", messages=ASKED, extra_headers={"x-purpose": "spying"})


def test_input_that_breaks_the_contract(world, client) -> None:
    """422 and nothing reaches the AI system; what is only odd passes with a flag on record."""
    ask = client.chat.completions.create
    assert ask(model="guarded", messages=ASKED, extra_body={"record": {"age": 40}}).choices
    odd = client.chat.completions.with_raw_response.create(
        model="guarded", messages=ASKED, extra_body={"record": {"age": 400}}
    )
    assert world.outcome(odd.headers["x-roadworthy-record"]).facts["filter"] == "flag"
    before = len(world.system.asked)
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        ask(model="guarded", messages=ASKED, extra_body={"record": {"age": None}})
    assert caught.value.code == "quarantined"
    assert len(world.system.asked) == before
    facts = world.outcome(caught.value.response.headers["x-roadworthy-record"]).facts
    assert (facts["filter"], facts["intent"]) == ("quarantine", -1)
    assert "age" in facts["rules"]


def test_asking_too_often(client) -> None:
    """429, and the client is told when to come back."""
    with pytest.raises(openai.RateLimitError) as caught:
        [client.chat.completions.create(model="paced", messages=ASKED) for _ in range(20)]
    assert caught.value.code == "rate_limited"
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_what_the_interface_does_not_allow(client) -> None:
    """No such model, no such path, not JSON: the classes that the client has for them."""
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-none", messages=ASKED)
    with pytest.raises(openai.NotFoundError):
        client.files.list()
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", cast_to=object, content=b'{"model":"assistant","model":"closed"}')
    assert caught.value.code == "malformed"


def test_the_client_comes_back_when_it_is_told_to(world, client) -> None:
    """Nobody answers: 503 with Retry-After, which the client's own retries honour; every try is an exchange of its own."""
    began_s = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=1).chat.completions.create(model="lost", messages=ASKED)
    response = caught.value.response
    assert (response.status_code, response.headers["x-roadworthy-rung"]) == (503, "refuse")
    assert caught.value.body["message"] == response.headers["x-roadworthy-notice"] == "Ask the desk."
    assert time.monotonic() - began_s >= int(response.headers["retry-after"]) >= 1
    assert response.request.headers["x-stainless-retry-count"] == "1"
    facts = world.outcome(response.headers["x-roadworthy-record"]).facts
    assert (facts["reason"], facts["rung"]) == ("fallback_exhausted", "refuse")
    assert facts["attempts"].startswith("main:")


def test_many_at_once_with_the_asynchronous_client(world) -> None:
    """Whole and streamed, aborted and not, over shared connections; each is its own exchange."""

    async def whole(client, number):
        raw = await client.chat.completions.with_raw_response.create(
            model="assistant", messages=[{"role": "user", "content": f"n{number}"}]
        )
        return raw.headers["x-roadworthy-record"], raw.parse().choices[0].message.content == f"You asked: n{number}"

    async def streamed(client, number):
        asked = [{"role": "user", "content": f"n{number} and more"}]
        stream = await client.chat.completions.create(model="swift", messages=asked, stream=True)
        record, text = stream.response.headers["x-roadworthy-record"], ""
        async for event in stream:
            text += event.choices[0].delta.content or ""
            if number % 4 == 3:
                await stream.close()
                return record, True
        return record, text == f"You asked: n{number} and more"

    async def run():
        url = f"{world.base}/v1"
        async with openai.AsyncOpenAI(api_key=world.key, base_url=url, max_retries=0, timeout=15) as client:
            return await asyncio.gather(*((streamed if n % 2 else whole)(client, n) for n in range(40)))

    found = asyncio.run(run())
    assert all(right for _, right in found)
    records = {record for record, _ in found}
    assert len(records) == 40
    world.leaves(found[-1][0])

    def closed() -> bool:
        leaves = published_leaves.verified(world.gateway.folder / "ledger")
        return all(published_leaves.OUTCOME in published_leaves.kinds(leaves, record) for record in records)

    world.gateway.wait_for(closed)
