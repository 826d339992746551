import asyncio
import dataclasses

import pytest
from gateway_rig import ALICE, Reply, Rig, until

from roadworthy.gateway import app as application
from roadworthy.gateway import request_body
from roadworthy.gateway.load import Load

CHAT = b'{"model":"m-1","messages":[]}'


def run(story):
    return asyncio.run(story)


async def begun(rig, path="/v1/chat/completions"):
    """A request of which half the body came; what sends the rest, and the task that answers."""
    rest, asked, reply = asyncio.Event(), asyncio.Event(), Reply()
    headers = [(b"authorization", b"Bearer good"), (b"host", b"gateway")]
    scope = {"type": "http", "method": "POST", "raw_path": path.encode(), "query_string": b"", "headers": headers}
    parts = [CHAT[:9], CHAT[9:]]

    async def receive():
        if len(parts) == 1:
            asked.set()
            await rest.wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        reply.messages.append(message)

    task = asyncio.create_task(rig.app(scope, receive, send))
    await asked.wait()
    return rest, task, reply


def story_with(change):
    """Half a body, a change, the other half."""

    async def story(rig):
        rest, task, reply = await begun(rig)
        change(rig)
        rest.set()
        await asyncio.wait_for(task, 2)
        return reply

    return story


def test_a_credential_that_ends_while_the_body_comes_counts_no_more():
    """401 with a leaf; nobody is asked."""
    rig = Rig()
    rig.identify.alice = dataclasses.replace(ALICE, expires_at_s=1.0)
    reply = run(story_with(lambda _rig: None)(rig))
    assert reply.status == 401 and reply.headers["www-authenticate"] == "Bearer"
    assert rig.answerer.questions == [] and rig.ledger.leaves[0]["reason"] == "unauthenticated"


def test_a_body_that_does_not_come_in_time_is_refused(monkeypatch):
    """408, recorded, and the connection is closed; what came of it is out of memory."""
    monkeypatch.setattr(request_body, "BODY_S", 0.03)
    rig = Rig()

    async def story():
        _, task, reply = await begun(rig)
        assert rig.app.load.body_bytes == 9
        await asyncio.wait_for(task, 2)
        return reply

    reply = run(story())
    assert (reply.status, reply.headers["connection"], rig.app.load.body_bytes) == (408, "close", 0)
    assert rig.ledger.leaves[0]["reason"] == "deadline"


def _stricter(rig):
    newer = Rig(id="triage")
    newer.authorise.denied.add("triage")
    newer.authorise.version = "sha256:newer"
    rig.app.replace(newer.stages())


def _gone(rig):
    rig.app.replace(dataclasses.replace(rig.stages(), served=[]))


def _revoked(rig):
    newer = Rig()
    newer.identify.alice = None
    rig.app.replace(newer.stages())


def _not_admitted(rig):
    newer = Rig(in_flight=8, body_bytes=10)
    rig.app.replace(newer.stages())


@pytest.mark.parametrize(("change", "status"), [(_stricter, 403), (_gone, 404), (_revoked, 401), (_not_admitted, 413)])
def test_what_is_in_force_after_the_body_decides(change, status):
    """A configuration that was read meanwhile holds for everything that follows."""
    rig = Rig()
    reply = run(story_with(change)(rig))
    assert reply.status == status and rig.answerer.questions == []
    if status == 403:
        assert rig.ledger.leaves[0]["policy"] == "sha256:newer"


def test_a_body_is_answered_by_the_newer_configuration():
    """It is served, under the newer policy, if that allows it."""
    rig, newer = Rig(), Rig()
    newer.authorise.version = "sha256:newer"
    reply = run(story_with(lambda rig: rig.app.replace(newer.stages()))(rig))
    assert reply.status == 200 and len(newer.answerer.questions) == 1 and rig.answerer.questions == []
    assert [leaf["policy"] for leaf in rig.ledger.leaves] == ["sha256:newer"] * 2


def test_bodies_are_bounded_before_anybody_knows_which_use_case_they_ask(monkeypatch):
    """Bytes under way are counted as they come, and refused beyond the bound; then there is room again."""
    monkeypatch.setattr(application, "Load", lambda: Load(most_body_bytes=20))
    rig = Rig()

    async def story():
        first, one, replied = await begun(rig)
        second, two, other = await begun(rig)
        assert rig.app.load.body_bytes == 18
        first.set()
        await one
        second.set()
        await two
        return replied, other

    refused, served = run(story())
    assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
    # Alone it is let in, although it is larger than the bound.
    assert served.status == 200 and rig.app.load.body_bytes == 0


def test_a_body_stays_counted_until_its_exchange_ends():
    """The question is in memory as long as the AI system works on it."""
    rig = Rig()

    async def story():
        rig.answerer.before = asyncio.Event()
        task = asyncio.create_task(rig.chat())
        await until(lambda: rig.answerer.questions)
        held = rig.app.load.body_bytes
        rig.answerer.before.set()
        await task
        return held

    assert run(story()) == len(rig.answerer.questions[0].body) and rig.app.load.body_bytes == 0
