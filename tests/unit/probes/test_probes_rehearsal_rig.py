"""A rehearsal in life: asked, disturbed, administered, looked into, and ended."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from roadworthy.base.errors import LedgerBroken, TargetAnswer, TargetUnreachable
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.upstream import FaultUpstream
from roadworthy.probes.rehearsal.bypass import Bypass
from roadworthy.probes.rehearsal.callers import Callers
from roadworthy.probes.rehearsal.identities import new_identity
from roadworthy.probes.rehearsal.process import LEDGER, WORKER
from roadworthy.probes.rehearsal.requests import requests_of, tagged
from roadworthy.probes.rehearsal.rig import rehearse
from roadworthy.probes.rehearsal.small import ALTERNATE, USE_CASE, small_gateway

pytestmark = pytest.mark.slow
STRANGER = new_identity("stranger", "nobody", asks=("care", "site-a"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A rehearsal and its two upstreams, for all tests of this file."""
    folder = tmp_path_factory.mktemp("rig")
    with FaultUpstream() as main, FaultUpstream() as second:
        urls = {"primary": main.url, ALTERNATE: second.url}
        config = small_gateway(folder / "operator")
        with rehearse(config, use_case=USE_CASE, workdir=folder / "w", upstreams=urls, extra=(STRANGER,)) as rig:
            yield rig, main


@pytest.fixture
def rig(world):
    """The rehearsal, ready."""
    world[0].wait_ready()
    return world[0]


@pytest.fixture
def request_(rig):
    """A plain question."""
    return tagged(requests_of(rig.declared)[0], "test")


def test_an_answer_and_its_record(rig, request_):
    """The two entries are in the published log, and what was kept opens."""
    reply = rig.ask(request_)
    assert (reply.status, reply.rung, reply.fault, reply.answered) == (200, "", "", True)
    assert reply.asked_at < reply.ended_at
    leaves = rig.leaves([reply.record_id])
    found = {leaf.base.kind: index for index, leaf in enumerate(leaves) if leaf.facts.get("id") == reply.record_id}
    assert found["exchange.outcome"] == reply.index
    with rig.payloads() as payloads:
        kept = {kind: payloads.payload(index, leaves[index]) for kind, index in found.items()}
        assert kept == {"exchange.intent": request_.body, "exchange.outcome": reply.body}
        with pytest.raises(LedgerBroken, match="does not open"):
            payloads.payload(found["exchange.intent"], replace(leaves[-1], facts={"id": "another"}))
        with pytest.raises(TargetAnswer, match="REFUSED"):
            payloads.payload(10**9, leaves[-1])


def test_a_stranger_is_refused(rig, request_):
    """Callers whom no grant names are known, and may nothing; without any header nobody is known."""
    assert rig.ask(request_, STRANGER).status == 403
    assert rig.ask(request_, headers={}).status == 401


def test_the_switch_and_the_figures(rig, request_):
    """Off, counted, on again; what it does not take is said."""
    rig.switch(on=False)
    assert rig.ask(request_).status == 503
    assert "switched_off" in rig.metrics()
    rig.switch(on=True)
    assert rig.ask(request_).answered
    assert rig.wait_for(lambda: {"switched off", "switched on"} <= set(rig.notes()), 5)
    with pytest.raises(TargetAnswer, match="not taken"):
        rig.switch(on=False, reason="")


def test_a_killed_ledger_comes_back(rig, request_):
    """Another process takes its place, and callers are answered again."""
    (before,) = rig.process.children(LEDGER)
    rig.kill_ledger()
    assert rig.wait_for(lambda: rig.process.children(LEDGER) not in ((), (before,)), 20)
    rig.wait_ready()
    assert rig.wait_for(lambda: rig.ask(request_).answered, 20)


def test_a_frozen_ledger_answers_nobody(rig, request_):
    """Whoever asks waits; then it goes on."""
    rig.stop_ledger()
    try:
        reply = rig.ask(request_, timeout_s=0.3)
        assert (reply.status, reply.answered) == (0, False)
        assert "timed out" in reply.fault
        with pytest.raises(TargetUnreachable, match="not ready"):
            replace(rig, admin_url="http://127.0.0.1:9").wait_ready(within_s=0.1)
    finally:
        rig.resume_ledger()
    assert rig.wait_for(lambda: rig.ask(request_).answered, 20)


def test_a_bypass_answers_one_route_itself(world, request_):
    """That route has no record; all others go through."""
    rig, main = world
    with Bypass(rig.url, main.url, "/score") as bypass:
        around = rig.seen_at(bypass.url)
        score = next(each for each in requests_of(rig.declared) if each.path == "/score")
        assert (around.ask(score).status, around.ask(score).record_id) == (200, "")
        assert around.ask(request_).record_id
    with Bypass("http://127.0.0.1:9", main.url, "/score") as bypass:
        assert rig.seen_at(bypass.url).ask(request_).status == 502


def test_callers_ask_until_the_block_ends(rig, request_):
    """Every answer is heard, and none comes after."""
    with Callers(rig, [request_]) as callers:
        rig.wait_for(lambda: len(callers.heard) >= 3, 10)
    heard = callers.heard
    time.sleep(0.05)
    assert callers.heard == heard
    assert all(each.answered and each.ended_s > each.asked_s for each in heard)


def test_a_fault_reaches_the_next_rung(world, request_):
    """The stand-ins stand where the configuration has its upstreams."""
    rig, main = world
    main.switch(Fault.ERROR_500)
    try:
        reply = rig.ask(request_)
    finally:
        main.switch(None)
    assert (reply.status, reply.rung, bool(reply.notice)) == (200, ALTERNATE, True)


def test_nothing_is_left(tmp_path):
    """The group ends with the block, whatever was raised in it, and a stopped child with it."""
    with FaultUpstream() as main:
        urls = {"primary": main.url, ALTERNATE: main.url}
        config, pids = small_gateway(tmp_path / "operator"), []

        def interrupted():
            with rehearse(config, use_case=USE_CASE, workdir=tmp_path / "w", upstreams=urls) as rig:
                pids.extend([rig.process.pid, *rig.process.children(LEDGER), *rig.process.children(WORKER)])
                rig.stop_ledger()
                raise ZeroDivisionError(rig.socket)

        with pytest.raises(ZeroDivisionError) as caught:
            interrupted()
    assert len(pids) == 3
    assert not caught.value.args[0].parent.exists()
    deadline_s = time.monotonic() + 10
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_does_not_start_says_why(tmp_path):
    """The gateway's own words stand in the error."""
    config = small_gateway(tmp_path / "operator")
    broken = json.loads(config.read_text()) | {"workers": 0}
    config.write_text(json.dumps(broken))
    with (
        pytest.raises(TargetUnreachable, match="workers"),
        rehearse(config, use_case=USE_CASE, workdir=tmp_path / "w"),
    ):
        pass
