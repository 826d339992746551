from dataclasses import replace

import pytest

from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.case_file import CaseFile, RecordedDecision
from roadworthy.domain.decision import Outcome
from roadworthy.gates.case import decide_case
from roadworthy.gates.evaluate import decision_digest
from unit.gates.gates_world import (
    AT,
    HEAD,
    PEOPLE,
    SUBJECT,
    TRUST,
    USE_CASE,
    both_seats,
    criterion,
    judge,
    judge_signed,
    profile,
    run,
)

RULES = profile()
EVIDENCE = [run(criterion(), index=1)]


def case(**changes):
    values = {"use_case": USE_CASE, "subject": SUBJECT, "profile": RULES, "people": PEOPLE, "evidence": EVIDENCE}
    return CaseFile(**(values | changes))


def test_everything_on_record_is_decided_on():
    """As if one had called decide oneself."""
    signatures = both_seats(judge(RULES, EVIDENCE).basis_digest)
    decision = decide_case(case(signatures=signatures), HEAD, AT, TRUST)
    assert decision.outcome is Outcome.OPEN
    assert decision == judge(RULES, EVIDENCE, signatures=signatures)


@pytest.mark.parametrize("member", ["use_case", "subject", "profile"])
def test_without_use_case_release_or_policy_there_is_no_decision(member):
    """The error says which is lacking."""
    names = {"use_case": "use case", "subject": "release", "profile": "policy"}
    with pytest.raises(NoWorkspace, match=f"Not on record yet: {names[member]}") as caught:
        decide_case(case(**{member: None}), HEAD, AT, TRUST)
    assert caught.value.code == "RW-115"


def test_the_newest_open_decision_on_this_gate_lapses():
    """Closed ones, those of other gates and older ones are passed over."""
    opened = judge_signed(RULES, EVIDENCE)
    recorded = [
        opened,
        replace(opened, at=AT, valid_until=AT),
        replace(opened, outcome=Outcome.CLOSED),
        replace(opened, gate_id="pilot"),
        replace(opened, use_case_id="other"),
    ]
    decisions = [RecordedDecision(index=n, decision=each) for n, each in enumerate(recorded)]
    decision = decide_case(case(decisions=decisions), HEAD, AT, TRUST)
    assert decision.outcome is Outcome.LAPSED
    assert decision.lapsed_from == decision_digest(recorded[1])
    assert decide_case(case(decisions=decisions[2:]), HEAD, AT, TRUST).outcome is Outcome.CLOSED
