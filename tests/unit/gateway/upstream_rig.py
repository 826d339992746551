"""Clients and ladders of their own for one test, against the servers of ``fault_server``."""

import hashlib

from fault_server import FaultServer, always, answer, asked, run, use_case

from roadworthy.gateway.ladder import build_ladder
from roadworthy.gateway.upstream.client import UpstreamClient

AGAIN = {"idempotent": True, "most": 2, "backoff_s": 0.001}
BUSY = answer(b"{}", "503 Busy")
DONE = b"data: [DONE]\n\n"


def client_of(port, *, idempotent=False, **upstream):
    return UpstreamClient("primary", use_case(port, **upstream).upstreams["primary"], idempotent=idempotent)


def ask_once(question, payload=None, **options):
    """What the server read, and the answer."""

    async def story():
        async with FaultServer(always(payload or answer())) as server:
            client = client_of(server.port, **options)
            found = await client.send(question)
            await client.close()
            return server.requests[0], found

    return run(story)


def key_of(question):
    """What the pipeline hands to the ladder beside the question."""
    return hashlib.sha256(question.body).digest()


def outcomes(found):
    """What was tried."""
    return [(each.upstream, each.outcome, each.hedge) for each in found.attempts]


async def climb(config, question=None, **options):
    """One answer of a ladder of its own."""
    ladder = build_ladder("heart", config, **options)
    question = question or asked()
    try:
        return await ladder.answer(question, key_of(question))
    finally:
        await ladder.close()
