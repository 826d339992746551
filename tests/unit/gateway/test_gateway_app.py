import asyncio
import json

from gateway_rig import Rig, until

from roadworthy.gateway import app as application


def run(story):
    return asyncio.run(story)


async def live(rig, *steps):
    """Drive the lifespan protocol; what was sent."""
    sent, waiting = [], list(steps)

    async def receive():
        await asyncio.sleep(0.02)
        return {"type": f"lifespan.{waiting.pop(0)}"}

    async def send(message):
        sent.append(message["type"])

    await rig.app({"type": "lifespan"}, receive, send)
    return sent


def test_a_worker_says_when_it_begins_and_ends():
    """Two leaves of the node, around everything else."""
    rig = Rig()
    assert run(live(rig, "startup", "shutdown")) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [(leaf["kind"], leaf["subject"]) for leaf in rig.ledger.leaves] == [
        ("gateway.node", "gateway worker started"),
        ("gateway.node", "gateway worker ended"),
    ]


def test_a_worker_starts_without_its_ledger_and_says_so_later(monkeypatch):
    """It serves refusals meanwhile; the leaf follows when the ledger takes it."""
    monkeypatch.setattr(application, "_RETRY_S", 0.005)
    rig = Rig()

    async def story():
        rig.ledger.down = True
        await rig.app.start()
        assert (await rig.chat()).status == 503
        rig.ledger.down, rig.ledger.fail_kinds = False, {"gateway.node"}
        await asyncio.sleep(0.02)
        rig.ledger.fail_kinds = set()
        await until(lambda: rig.ledger.leaves)
        rig.ledger.down = True
        await rig.app.close()

    run(story())
    assert [leaf["subject"] for leaf in rig.ledger.leaves] == ["gateway worker started"]


def test_a_replaced_configuration_serves_what_is_new():
    """What was permitted ends with the pipeline in which it began, and is counted with both."""
    rig = Rig()

    async def story():
        rig.answerer.before = asyncio.Event()
        running = asyncio.create_task(rig.chat())
        await until(lambda: rig.answerer.questions)
        rig.app.replace(rig.stages(Rig(id="new").use))
        assert rig.app.in_flight == 1
        added = await rig.call("POST", "/v1/completions", json.dumps({"model": "new"}).encode())
        rig.answerer.before.set()
        return added.status, (await running).status, rig.app.in_flight

    assert run(story()) == (200, 200, 0)


def test_other_protocols_are_closed():
    """A websocket is turned away; what is unknown is left alone."""
    rig, sent = Rig(), []

    async def send(message):
        sent.append(message)

    run(rig.app({"type": "websocket"}, None, send))
    run(rig.app({"type": "other"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
