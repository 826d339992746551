import asyncio
import json

import pytest
from gateway_rig import Rig, run_call

RECORD = "0192f3a0-7c1e-7abc-9def-0123456789ab"


def body(**members):
    return json.dumps({"record": RECORD, "rating": 1, **members}).encode()


@pytest.mark.parametrize("path", ["/feedback", "/v1/feedback"])
def test_a_feedback_is_a_leaf_about_its_record(path):
    """201, after the leaf is durable; the comment is payload."""
    rig = Rig()
    reply = run_call(rig, "POST", path, body(rating=-3, comment="Wrong side: ä"))
    (leaf,) = rig.ledger.leaves
    assert reply.status == 201 and rig.events == ["exchange.feedback", "released"]
    assert (leaf["record"], leaf["subject"], leaf["rating"], leaf["use_case"]) == (RECORD, RECORD, -3, "triage")
    assert rig.ledger.payload(leaf).decode() == "Wrong side: ä" and "Wrong" not in json.dumps(leaf)
    assert reply.headers["x-roadworthy-index"] == "0" and leaf["actor"] == rig.recorder.pseudonym("alice")


@pytest.mark.parametrize(
    "sent",
    [
        b"{",
        b"[]",
        b"{}",
        body(record="x"),
        body(record=RECORD.replace("7abc", "4abc")),
        body(rating=101),
        body(rating=True),
        body(rating=1.5),
        body(comment=7),
        body(comment="x" * 16_385),
        body(other=1),
        body(use_case="elsewhere"),
    ],
)
def test_anything_else_is_refused(sent):
    """400, as an outcome with its reason."""
    rig = Rig(body_bytes=100_000)
    reply = run_call(rig, "POST", "/feedback", sent)
    assert reply.status == 400 and [leaf["reason"] for leaf in rig.ledger.leaves] == ["malformed"]


def test_only_who_may_use_the_use_case_may_judge_it():
    """The policy is asked as for an exchange."""
    rig = Rig()
    rig.authorise.denied.add("triage")
    assert run_call(rig, "POST", "/feedback", body()).status == 403
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.outcome"]


def test_where_a_path_leads_to_several_use_cases_one_is_named():
    """Without a name it is refused; with one, that use case's policy counts."""
    rig = Rig()
    rig.app.replace(rig.stages(Rig(id="other").use))
    assert run_call(rig, "POST", "/feedback", body()).status == 400
    assert run_call(rig, "POST", "/feedback", body(use_case="other")).status == 201
    assert rig.ledger.leaves[-1]["use_case"] == "other"


def test_no_feedback_is_accepted_that_is_not_durable():
    """503 instead of a kind word that gets lost."""
    rig = Rig()
    rig.ledger.fail_kinds.add("exchange.feedback")
    assert run_call(rig, "POST", "/feedback", body()).status == 503


def test_who_judges_too_often_is_told():
    """Each feedback is a leaf, so a caller may give so many a second; the refusals cost one more."""
    rig = Rig()

    async def story():
        return [(await rig.call("POST", "/feedback", body())).status for _ in range(12)]

    statuses = asyncio.run(story())
    assert statuses[:5] == [201] * 5 and statuses[-1] == 429
    kinds = [leaf["kind"] for leaf in rig.ledger.leaves]
    assert kinds.count("exchange.feedback") == statuses.count(201) and kinds.count("exchange.outcome") <= 2
