"""Kills under load, and a disk that takes no more: what a caller was answered is in the verified log, whatever died."""

import http.client
import json
import os
import random
import resource
import signal
import threading
import time

import published_leaves
import pytest
from ai_system import AiSystem
from gateway_process import Gateway
from published_leaves import ABANDONED, INTENT, OUTCOME

pytestmark = [pytest.mark.slow, pytest.mark.alone]

WORKER, LEDGER = "roadworthy.gateway.worker", "roadworthy.ledgerd"
STARTED, ENDED = "gateway worker started", "gateway worker ended"
CALLERS, RATE_RPS, LASTS_S = 20, 200, 10.0
SEED = 20_261_121


class Callers:
    """A steady stream of numbered questions, each over a connection of its own; every answer is kept.

    Args:
        gateway: that is asked.
        lasts_s: for how long.
    """

    def __init__(self, gateway, lasts_s=LASTS_S):
        self.port, self.key, self.lasts_s = gateway.port, gateway.key, lasts_s
        self.answers: dict[int, tuple[int, str, int]] = {}
        self.lost: list[int] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CALLERS)]

    def __enter__(self):
        self._began_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self._threads:
            thread.join()

    def _run(self, first):
        for number in range(first, int(RATE_RPS * self.lasts_s), CALLERS):
            # The next question is due whether or not the last one was slow.
            time.sleep(max(0.0, self._began_s + number / RATE_RPS - time.monotonic()))
            try:
                self.answers[number] = self._ask(number)
            except (OSError, http.client.HTTPException):
                self.lost.append(number)

    def _ask(self, number):
        body = json.dumps({"model": "policy-search", "messages": [{"role": "user", "content": f"n{number}"}]})
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            record, index = answer.headers["x-roadworthy-record"] or "", int(answer.headers["x-roadworthy-index"] or -1)
            assert (
                answer.status != 200 or json.loads(text)["choices"][0]["message"]["content"] == f"You asked: n{number}"
            )
            return answer.status, record, index
        finally:
            connection.close()


@pytest.fixture
def system():
    """What is behind the gateway, with its own log."""
    with AiSystem() as found:
        yield found


def declared(folder, system, workers):
    """A gateway whose AI system is asked once a question."""
    found = Gateway(folder, system.url, workers=workers)
    use_case = found.config["use_cases"]["search"]
    use_case["upstreams"] = {"main": {"url": system.url}}
    use_case["retries"] = {"most": 0}
    found.write()
    return found


def reconcile(callers, system, leaves):
    """Client, ledger and AI system tell one story; gives the intents that have no end.

    1. Every answer that a caller saw is one intent and one outcome, and the outcome stands where the caller was told.
    2. Nothing reached the AI system without an intent before it, and nothing was asked twice.
    3. Every answered question reached the AI system once.
    4. No entry was written twice, and no exchange has two outcomes.
    """
    answered = {number: told for number, told in callers.answers.items() if told[0] == 200}
    by_id: dict[str, list] = {}
    for leaf in leaves:
        if leaf.base.kind in {INTENT, OUTCOME, ABANDONED}:
            by_id.setdefault(str(leaf.facts["id"]), []).append(leaf)
    for _, record, index in answered.values():  # 1
        assert [leaf.base.kind for leaf in by_id[record]] == [INTENT, OUTCOME], record
        assert leaves[index] is by_id[record][1]
        assert (by_id[record][1].facts["status"], by_id[record][1].facts["rung"]) == (200, "primary")
    assert len({index for _, _, index in answered.values()}) == len(answered)
    asked = {}
    for each in system.asked:  # 2
        trace = each.headers["traceparent"].split("-")[1]
        assert trace not in asked
        asked[trace] = json.loads(each.body)["messages"][0]["content"]
    traces = {leaf.facts["trace"] for leaf in leaves if leaf.base.kind == INTENT}
    assert asked.keys() <= traces
    for number, (_, record, _) in answered.items():  # 3
        assert asked[by_id[record][0].facts["trace"]] == f"n{number}"
    assert published_leaves.twice(leaves) == []  # 4
    ends = [[leaf for leaf in found if leaf.base.kind != INTENT] for found in by_id.values()]
    for end in ends:
        # Abandoned says that the worker never learnt of an outcome; one whose confirmation was lost may stand beside it.
        kinds = [leaf.base.kind for leaf in end]
        assert len(set(kinds)) == len(kinds)
    return [found[0] for found, end in zip(by_id.values(), ends, strict=True) if not end]


def lives(leaves, subject):
    """The workers' lives of which the log says that they began, or ended in order."""
    return {leaf.facts["epoch"] for leaf in leaves if leaf.base.subject == subject}


def test_kills_under_load(system, tmp_path) -> None:
    """Workers and the ledger die at random, ten seconds at 200 a second; no answer is missing from the log."""
    chance = random.Random(SEED)
    killed = []
    with declared(tmp_path, system, 2) as gateway:
        with Callers(gateway) as callers:
            until_s = time.monotonic() + LASTS_S - 1
            while time.monotonic() < until_s:
                time.sleep(chance.uniform(0.4, 1.2))
                module = chance.choice([WORKER, WORKER, LEDGER])
                found = sorted(gateway.children(module))
                if found:
                    os.kill(chance.choice(found), signal.SIGKILL)
                    killed.append(module)
        gateway.wait_for(lambda: gateway.ask()[0] == 200, 20)
        assert gateway.stop() == 0, gateway.words()
        leaves = published_leaves.verified(tmp_path / "ledger")
    system.asked = [each for each in system.asked if b'"n' in each.body]
    open_intents = reconcile(callers, system, leaves)
    assert {WORKER, LEDGER} == set(killed)
    assert len(killed) >= 6
    assert len(callers.answers) + len(callers.lost) == RATE_RPS * LASTS_S
    statuses = [status for status, _, _ in callers.answers.values()]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 200
    # Only who was killed leaves an intent open: a life that ended in order has closed all of its own.
    in_order = lives(leaves, ENDED)
    assert not [leaf for leaf in open_intents if leaf.facts["epoch"] in in_order]
    assert len(open_intents) <= len(callers.lost) + statuses.count(503)


def test_a_ledger_that_is_killed_while_it_starts(system, tmp_path) -> None:
    """It is started again: only its own refusal to start ends the gateway."""
    with declared(tmp_path, system, 1) as gateway:
        killed: list[int] = []
        while len(killed) < 4:
            gateway.wait_for(lambda: set(gateway.children(LEDGER)) - set(killed))
            (running,) = set(gateway.children(LEDGER)) - set(killed)
            os.kill(running, signal.SIGKILL)
            killed.append(running)
        assert "while it started" in gateway.words()
        gateway.wait_for(lambda: gateway.ask()[0] == 200, 20)
        assert gateway.stop() == 0
    published_leaves.verified(tmp_path / "ledger")


def test_a_disk_that_takes_no_more(system, tmp_path) -> None:
    """Writes of the ledger fail: 503 from then on, nothing is answered unrecorded; the next process finds everything."""
    with declared(tmp_path, system, 1) as gateway:
        (ledger,) = gateway.children(LEDGER)
        with Callers(gateway, 4.0) as callers:
            time.sleep(1.5)
            # Not one byte more may be written to any file; the operating system refuses it with EFBIG.
            resource.prlimit(ledger, resource.RLIMIT_FSIZE, (1, 1))
        gateway.wait_for(lambda: gateway.ask()[0] == 200, 20)
        assert gateway.children(LEDGER) != [ledger]
        assert gateway.stop() == 0, gateway.words()
        leaves = published_leaves.verified(tmp_path / "ledger")
    system.asked = [each for each in system.asked if b'"n' in each.body]
    statuses = [status for status, _, _ in callers.answers.values()]
    assert reconcile(callers, system, leaves) == []
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 100
    assert callers.lost == []


def test_a_ledger_that_stands_still(system, tmp_path) -> None:
    """Stopped, not dead: callers wait or are refused, nobody is answered without a record, and all goes on afterwards."""
    with declared(tmp_path, system, 1) as gateway:
        (ledger,) = gateway.children(LEDGER)
        with Callers(gateway, 4.0) as callers:
            time.sleep(1)
            os.kill(ledger, signal.SIGSTOP)
            time.sleep(0.3)
            before = sum(status == 200 for status, _, _ in list(callers.answers.values()))
            time.sleep(1)
            during = sum(status == 200 for status, _, _ in list(callers.answers.values()))
            os.kill(ledger, signal.SIGCONT)
        assert during == before
        gateway.wait_for(lambda: gateway.ask()[0] == 200, 20)
        assert gateway.stop() == 0, gateway.words()
        leaves = published_leaves.verified(tmp_path / "ledger")
    system.asked = [each for each in system.asked if b'"n' in each.body]
    assert reconcile(callers, system, leaves) == []
    assert callers.lost == []
