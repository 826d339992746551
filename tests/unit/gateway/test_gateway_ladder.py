"""The fallback ladder: who is asked, how often, in which order, and what the caller is told."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from fault_matrix import FAULTS
from fault_server import (
    LONG,
    LOOPS,
    FaultServer,
    always,
    answer,
    asked,
    chunk,
    events,
    files_close,
    free_port,
    once,
    open_files,
    patience_for,
    run,
    use_case,
)
from upstream_rig import AGAIN, BUSY, climb, outcomes

from roadworthy.domain.exchange import RungKind
from roadworthy.gateway.breaker import BreakerState
from roadworthy.gateway.exchange import Failure, Refused, UpstreamFailed
from roadworthy.gateway.ladder import build_ladder
from roadworthy.gateway.upstream.client import StatusFailed

EVIDENCE = "sha256:" + "0" * 64


def rung(**kind):
    return kind if "refuse" in kind else kind | {"evidence": EVIDENCE}


def two_upstreams(first, second, deadlines=LONG, **more):
    urls = {"primary": f"http://127.0.0.1:{first}", "spare": f"http://127.0.0.1:{second}"}
    return use_case(upstreams={name: {"url": url, "deadlines": deadlines} for name, url in urls.items()}, **more)


def files(folder):
    """A rung of approved answers and one of rules."""
    folder.joinpath("approved.yaml").write_text(
        json.dumps(
            {
                "cached": 1,
                "answers": [
                    {"prompt": "known", "body": {"a": "c"}, "approved_by": "p", "expires_at": "2027-01-01T00:00:00Z"}
                ],
            }
        )
    )
    when = [{"pointer": "/age", "comparator": "at_least", "value": 18}]
    folder.joinpath("fixed.yaml").write_text(
        json.dumps({"rules": 1, "answers": [{"name": "adult", "when": when, "body": {"a": "r"}}]})
    )
    return [rung(cached=folder / "approved.yaml"), rung(rule=folder / "fixed.yaml", notice="A rule.")]


def standing():
    """A clock that stands."""
    return datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_primary_answers(loop):
    """Nothing else is asked, and the caller is told nothing."""

    async def story():
        async with FaultServer(always(answer())) as server:
            found = await climb(use_case(server.port))
            assert (found.rung, found.rung_name, found.notice) == (RungKind.PRIMARY, "primary", "")
            assert outcomes(found) == [("primary", "200", False)]

    run(story, loop)


ONE_OF_EACH = {failure: name for name, (_, failure) in reversed(FAULTS.items())}


@pytest.mark.parametrize("name", ONE_OF_EACH.values())
def test_each_fault_reaches_the_declared_rung(name):
    """The alternate answers, the caller is told, both attempts are written down, and the primary was asked once."""
    play, failure = FAULTS[name]

    async def story():
        async with FaultServer(play) as server, FaultServer(always(answer())) as spare:
            before = open_files()
            config = two_upstreams(
                server.port,
                spare.port,
                deadlines=patience_for(failure),
                fallback=[rung(alternate="spare", notice="Spare.")],
            )
            bounded = config.upstreams["primary"].model_copy(update={"most_answer_bytes": 2_000})
            config = config.model_copy(update={"upstreams": config.upstreams | {"primary": bounded}})
            found = await climb(config)
            assert (found.status, found.rung, found.rung_name) == (200, RungKind.ALTERNATE, "spare")
            assert found.notice == "Spare."
            told = name if name.isdigit() else failure.value
            assert outcomes(found) == [("primary", told, False), ("spare", "200", False)]
            assert len(server.requests) == len(spare.requests) == 1
            assert await files_close(before)

    run(story)


def test_the_rungs_in_their_order(tmp_path):
    """Each that has no answer leaves its line, and the next one is asked; the refusal is the last."""

    async def story():
        async with FaultServer(always(BUSY)) as spare:
            fallback = [rung(alternate="spare"), *files(tmp_path), rung(refuse="Call 555."), rung(human="late")]
            config = two_upstreams(free_port(), spare.port, fallback=fallback, retries={"most": 0})
            begun = [("primary", "connect_refused", False), ("spare", "503", False)]
            found = await climb(config, asked(b'{"prompt":"known"}'), clock=standing)
            assert (found.rung, found.rung_name, found.body) == (RungKind.CACHED, "approved", b'{"a":"c"}')
            assert found.headers == [(b"content-type", b"application/json")]
            assert "approved" in found.notice
            assert outcomes(found) == [*begun, ("approved", "200", False)]
            found = await climb(config, asked(b'{"age":18}'), clock=standing)
            assert (found.rung, found.rung_name, found.body) == (RungKind.RULE, "fixed", b'{"a":"r"}')
            assert found.notice == "A rule."
            found = await climb(config, asked(b'{"age":17}'), clock=standing)
            assert (found.status, found.rung, found.rung_name) == (503, RungKind.REFUSE, "refuse")
            assert found.notice == json.loads(found.body)["detail"] == "Call 555."
            lines = [("approved", "no_match", False), ("fixed", "no_match", False), ("refuse", "503", False)]
            assert outcomes(found) == begun + lines

    run(story)


def test_without_a_declared_refusal_the_built_in_one_ends_it():
    """The upstream's own 503 never passes, its advice when to come back does."""

    async def story():
        slow = answer(b'{"secret":1}', "503 Busy", "content-type: application/json\r\nretry-after: 7")
        async with FaultServer(always(slow)) as server:
            found = await climb(use_case(server.port))
            assert (found.status, found.rung, found.rung_name) == (503, RungKind.REFUSE, "built-in")
            assert b"secret" not in found.body
            assert json.loads(found.body)["type"].endswith("/fallback_exhausted")
            assert (b"retry-after", b"7") in found.headers
            assert found.notice

    run(story)


@pytest.mark.parametrize(
    ("retries", "payload", "requests"),
    [
        (AGAIN, BUSY, 3),
        (AGAIN | {"most": 0}, BUSY, 1),
        (AGAIN | {"most": 1}, BUSY, 2),
        (AGAIN | {"idempotent": False}, BUSY, 1),
        (AGAIN | {"budget_share": 0}, BUSY, 1),
        (AGAIN, answer(b"<html>", headers="content-type: text/html"), 3),
        (AGAIN, answer(b'"' + b"x" * 5_000 + b'"'), 1),
        (AGAIN, answer(b"{}", "404 Not Found"), 1),
        (AGAIN, answer(b"{}", "429 Slow", "content-type: application/json\r\nretry-after: 60"), 1),
    ],
)
def test_retries(retries, payload, requests):
    """As often as allowed, and only what it can mend, in time, within the budget, and safely."""

    async def story():
        async with FaultServer(always(payload)) as server:
            found = await climb(use_case(server.port, retries=retries, most_answer_bytes=4_000))
            assert len(server.requests) == requests
            assert len(outcomes(found)) == requests + (found.rung is RungKind.REFUSE)

    run(story)


def test_a_retry_that_mends_it():
    """The second try answers as the primary; the first one is told."""

    async def story():
        async with FaultServer(once(then="reset"), always(answer())) as server:
            found = await climb(use_case(server.port, retries=AGAIN))
            assert (found.rung, found.notice) == (RungKind.PRIMARY, "")
            assert [each for _, each, _ in outcomes(found)] == ["reset_before_head", "200"]

    run(story)


def test_what_was_never_sent_is_tried_again_without_being_idempotent():
    """Nobody listens: three tries, all refused."""

    async def story():
        found = await climb(use_case(free_port(), retries={"backoff_s": 0.001}))
        assert [each for _, each, _ in outcomes(found)] == ["connect_refused"] * 3 + ["503"]

    run(story)


@pytest.mark.alone
def test_retry_after_is_honoured_when_it_fits():
    """The second request waits as long as it was asked to."""

    async def story():
        slow = answer(b"{}", "429 Slow", "content-type: application/json\r\nretry-after: 1")
        loop = asyncio.get_running_loop()
        async with FaultServer(once(slow), always(answer())) as server:
            began_s = loop.time()
            long = {"deadlines": {"total_s": 5}}
            found = await climb(use_case(server.port, retries=AGAIN, **long))
            assert found.status == 200
            assert 0.99 <= loop.time() - began_s < 1.5

    run(story)


def test_the_budget_bounds_all_retries():
    """Fifty failing requests cause no more than the reserve and their share."""

    async def story():
        async with FaultServer(always(BUSY)) as server:
            config = use_case(server.port, retries=AGAIN, breaker={"least_requests": 1_000})
            ladder = build_ladder("heart", config)
            for _ in range(50):
                await ladder.answer(asked(), b"")
            await ladder.close()
            assert 50 + 10 <= len(server.requests) <= 50 + 10 + 5

    run(story)


def test_the_breaker_spares_a_dead_upstream():
    """After enough failures it is not asked at all, until a probe shows that it lives."""

    async def story():
        busy = answer(b"{}", "503 Busy", "content-type: application/json\r\nconnection: close")
        async with FaultServer(*[once(busy)] * 3, always(answer())) as server:
            breaker = {"least_requests": 3, "open_s": 0.1}
            ladder = build_ladder("heart", use_case(server.port, breaker=breaker, fallback=[rung(refuse="No.")]))
            for _ in range(3):
                assert (await ladder.answer(asked(), b"")).status == 503
            assert ladder.breaker_states() == {"primary": BreakerState.OPEN}
            found = await ladder.answer(asked(), b"")
            assert outcomes(found) == [("primary", "breaker_open", False), ("refuse", "503", False)]
            assert (b"retry-after", b"1") in found.headers
            assert len(server.requests) == 3
            await asyncio.sleep(0.11)
            assert (await ladder.answer(asked(), b"")).status == 200
            assert ladder.breaker_states() == {"primary": BreakerState.CLOSED}
            await ladder.close()

    run(story)


@pytest.mark.parametrize(("status", "opens"), [("429 Slow", False), ("400 Bad", False), ("500 Oh", True)])
def test_what_speaks_against_an_upstream(status, opens):
    """Want of room and a wrong question do not."""

    async def story():
        async with FaultServer(always(answer(b"{}", status))) as server:
            ladder = build_ladder("heart", use_case(server.port, breaker={"least_requests": 3}))
            for _ in range(5):
                await ladder.answer(asked(), b"")
            assert (ladder.breaker_states()["primary"] is BreakerState.OPEN) is opens
            await ladder.close()

    run(story)


def test_streams_are_judged_at_their_end():
    """Cut streams open the breaker; what was handed out is never asked again."""

    async def story():
        async with FaultServer(always(events(b"data: 1\n\n"))) as server:
            ladder = build_ladder("heart", use_case(server.port, retries=AGAIN, breaker={"least_requests": 3}))
            for _ in range(3):
                found = await ladder.answer(asked(stream=True), b"")
                assert await anext(found.parts) == b"data: 1\n\n"
                with pytest.raises(UpstreamFailed) as caught:
                    await anext(found.parts)
                assert caught.value.failure is Failure.STREAM_CUT
            assert len(server.requests) == 3
            assert ladder.breaker_states()["primary"] is BreakerState.OPEN
            await ladder.close()

    run(story)


def test_a_half_open_breaker_takes_the_first_part_of_a_stream():
    """A long stream does not keep it half-open."""

    async def play(stage):
        await stage.read()
        stage.write(events(end=b"") + chunk(b"data: 1\n\n"))
        await stage.hang()

    async def story():
        async with FaultServer(once(BUSY), play) as server:
            breaker = {"least_requests": 1, "open_s": 0.02}
            ladder = build_ladder("heart", use_case(server.port, breaker=breaker))
            await ladder.answer(asked(), b"")
            await asyncio.sleep(0.03)
            found = await ladder.answer(asked(stream=True), b"")
            assert ladder.breaker_states()["primary"] is BreakerState.CLOSED
            await found.close()
            await ladder.close()

    run(story)


@pytest.mark.parametrize(
    ("target", "whole"), [(b"/v1/chat/completions", False), (b"/v1/completions?x=1", False), (b"/v1/responses", True)]
)
def test_which_streams_have_an_end_mark(target, whole):
    """Those of completions; without it they were cut before the first part, so the ladder goes on."""

    async def story():
        async with FaultServer(always(events())) as server:
            found = await climb(use_case(server.port), asked(target=target, stream=True))
            assert (found.status == 200) is whole
            assert outcomes(found)[0][1] == ("200" if whole else "stream_cut")

    run(story)


def test_a_person_answers_in_time():
    """The answer is theirs, and carries the id of the review."""

    async def story():
        queues = {}
        config = use_case(free_port(), retries={"most": 0}, fallback=[rung(human="nurses", wait_s=2)])
        ladder = build_ladder("heart", config, queues=queues)
        assert ladder.longest_s == 4 + 2
        task = asyncio.create_task(ladder.answer(asked(), b""))
        await asyncio.sleep(0.05)
        item = queues["nurses"].waiting()[0]
        assert (item.use_case, item.body) == ("heart", b'{"q":1}')
        queues["nurses"].decide(item.id, "person-7", b'{"a":"h"}')
        found = await task
        assert (found.status, found.rung, found.rung_name, found.review) == (200, RungKind.HUMAN, "nurses", item.id)
        assert found.body == b'{"a":"h"}'
        assert "person" in found.notice
        await ladder.close()

    run(story)


def test_nobody_is_there_in_time():
    """202 with the id; a full queue passes on to the next rung."""

    async def story():
        config = use_case(free_port(), retries={"most": 0}, fallback=[rung(human="nurses"), rung(refuse="No.")])
        queues = {}
        ladder = build_ladder("heart", config, queues=queues)
        found = await ladder.answer(asked(), b"")
        assert (found.status, found.rung) == (202, RungKind.HUMAN)
        assert json.loads(found.body)["review"] == found.review == queues["nurses"].waiting()[0].id
        while queues["nurses"].put("heart", b""):
            pass
        found = await ladder.answer(asked(), b"")
        assert outcomes(found)[1:] == [("nurses", "queue_full", False), ("refuse", "503", False)]
        with pytest.raises(Refused) as caught:
            await ladder.human(asked(), b"")
        assert caught.value.status == 503
        await ladder.close()

    run(story)


def test_input_that_is_held_back_goes_to_a_person_alone():
    """Without asking any upstream; None says that there is nobody."""

    async def story():
        async with FaultServer(always(answer())) as server:
            ladder = build_ladder("heart", use_case(server.port, fallback=[rung(human="nurses")]))
            found = await ladder.human(asked(), b"")
            assert (found.status, found.rung, outcomes(found)) == (202, RungKind.HUMAN, [("nurses", "202", False)])
            assert server.connections == 0
            await ladder.close()
            assert build_ladder("heart", use_case(server.port)).human is None

    run(story)


def test_what_is_no_single_request_is_refused_at_once():
    """No rung can mend it."""

    async def story():
        async with FaultServer(always(answer())) as server:
            for retries in ({}, AGAIN | {"hedge_after_s": 1}):
                ladder = build_ladder("heart", use_case(server.port, retries=retries))
                with pytest.raises(Refused):
                    await ladder.answer(asked(target=b"/a b"), b"")
                await ladder.close()

    run(story)


def test_a_status_is_told_by_its_number():
    """502 and 504 are different things to an operator."""
    assert StatusFailed(504, None).status == 504
