import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from demo_specimens import written

from roadworthy.base.errors import TargetUnreachable
from roadworthy.demo import outage
from roadworthy.demo.measurements import FEATURES
from roadworthy.demo.outage import Answered, Callers, Phase, bodies_of, count_phases, reconcile
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.answering import answering

BEFORE = Answered(phase=Phase.BEFORE, status=200, record="r-1", index=1, took_ms=3.0)
FALLBACK = Answered(
    phase=Phase.WITHOUT, status=200, rung="rules", notice="no model", record="r-2", index=3, took_ms=9.0
)


def leaf(kind, record, **facts):
    base = Entry(
        kind=f"exchange.{kind}",
        at=datetime(2026, 11, 21, tzinfo=UTC),
        actor="a",
        use_case="u",
        subject=record,
        commitment=f"sha256:{'0' * 64}",
        size=0,
    )
    return Leaf(version=2, base=base, facts=facts)


LEAVES = [
    leaf("intent", "r-1"),
    leaf("outcome", "r-1", intent=0, status=200, rung="primary"),
    leaf("intent", "r-2"),
    leaf("outcome", "r-2", intent=2, status=200, rung="rule"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return written(tmp_path_factory.mktemp("demo"))


def test_every_patient_becomes_one_request(demo):
    """One row each, in the model's order of columns."""
    tensor = json.loads(bodies_of(demo.pilot)[0])["inputs"][0]
    assert (tensor["shape"], len(tensor["data"])) == ([1, len(FEATURES)], len(FEATURES))
    assert len(bodies_of(demo.pilot)) == 200


def test_answers_are_counted_by_phase():
    """A fallback counts only when the caller was told; no answer is not a refusal."""
    silent = replace(FALLBACK, notice="")
    lost, refused = Answered(phase=Phase.AFTER, status=0), Answered(phase=Phase.AFTER, status=503)
    before, without, after = count_phases([BEFORE, FALLBACK, silent, lost, refused])
    assert (before.asked, before.by_model, before.slowest_ms) == (1, 1, 3.0)
    assert (without.asked, without.by_model, without.by_fallback, without.slowest_ms) == (2, 0, 1, 9.0)
    assert (after.asked, after.refused, after.unanswered) == (2, 1, 1)


def test_what_callers_hold_agrees_with_the_ledger():
    """Two entries each; who got no answer holds nothing."""
    found = reconcile([BEFORE, FALLBACK, Answered(phase=Phase.AFTER, status=0)], LEAVES)
    assert (found.answers, found.recorded) == (2, 2)


@pytest.mark.parametrize(
    "leaves",
    [
        LEAVES[:3],
        [*LEAVES, LEAVES[3]],
        [*LEAVES[:3], leaf("outcome", "r-2", intent=0, status=200, rung="rule")],
        [*LEAVES[:3], leaf("outcome", "r-2", intent=2, status=503, rung="rule")],
        [*LEAVES[:3], leaf("outcome", "r-2", intent=2, status=200, rung="primary")],
    ],
)
def test_what_does_not_agree_is_not_counted(leaves):
    """No outcome, two of them, one for another intent, another status, another rung."""
    assert reconcile([BEFORE, FALLBACK], leaves).recorded == 1


def test_callers_ask_until_the_block_ends(demo, tmp_path):
    """With their key, one patient after another; an endpoint that goes away is no answer."""
    key = tmp_path / "key.json"
    key.write_text('{"authorization": "Bearer x"}')
    seen = []

    def respond(asked):
        seen.append(asked.path)
        return 200, b"{}"

    with answering(respond) as url:
        with Callers(url, key, demo.pilot) as callers:
            callers.wait_for(Phase.BEFORE, 9, rung="")
        assert len(callers.answers) == len(seen)
    assert set(seen) == {"/infer"}
    with Callers(url, key, demo.pilot) as callers:
        callers.wait_for(Phase.BEFORE, 3)
    assert {each.status for each in callers.answers} == {0}


def test_too_few_answers_are_an_error(demo, tmp_path, monkeypatch):
    """RW-401, and nobody goes on asking."""
    monkeypatch.setattr(outage, "_WAIT_S", 0.05)
    key = tmp_path / "key.json"
    key.write_text("{}")
    with (
        answering(lambda _: (200, b"{}")) as url,
        pytest.raises(TargetUnreachable, match="while the model is away"),
        Callers(url, key, demo.pilot) as callers,
    ):
        callers.wait_for(Phase.WITHOUT, 1)
