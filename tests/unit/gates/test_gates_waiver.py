from dataclasses import replace

import pytest

from roadworthy.base.digest import digest_of
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.gates.esign import barred_builders
from roadworthy.gates.waiver import waivers_in_force
from unit.gates.gates_world import (
    AT,
    DAY,
    GATE,
    HOUR,
    PEOPLE,
    RELEASE,
    SUBJECT,
    TRUST,
    USE_CASE,
    approval,
    criterion,
    envelope,
    person,
    profile,
    request,
    waiver,
)

RULES = profile(criterion(), criterion("T2"), criterion("T3"), criterion("T4", waivable=frozenset({Tier.R1})))
PROVEN = {"sha256:x": {"G1": AT + 40 * DAY}, "sha256:idle": {}, "sha256:own": {"T1": AT + 40 * DAY}}


def standing(requests, approvals, *, rules=RULES, at=AT, people=PEOPLE, proven=PROVEN):
    return waivers_in_force(
        requests,
        approvals,
        profile=rules,
        subject=SUBJECT,
        people=people,
        barred=barred_builders(rules, USE_CASE),
        trust=TRUST,
        proven_by=proven.get,
        at=at,
    )


def refusals(asked, *, signers=(), people=PEOPLE, at=AT, rules=RULES, **changes):
    """Reasons by index: 1 for the request, 2 for the approval."""
    found = standing(
        [request(asked, *signers, index=1)], [approval(asked, index=2, **changes)], at=at, people=people, rules=rules
    )
    assert bool(found.waivers) == (not found.refused)
    return {each.index: each.reason for each in found.refused}


def test_asked_by_one_and_approved_by_another_is_in_force():
    """Everything that a waiver needs."""
    assert refusals(waiver()) == {}
    assert standing([request(waiver())], [approval(waiver())]).waivers == {"T1": waiver()}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"use_case_id": "other"}, "use case 'other'"),
        ({"gate_id": "pilot"}, "gate 'pilot'"),
        ({"release_digest": digest_of("other")}, "another release"),
        ({"criterion_id": "X9"}, "no criterion 'X9'"),
        ({"criterion_id": "T4"}, "T4 may not be waived at tier R3"),
        ({"requester": "inspector"}, "registered person"),
        ({"reason": " "}, "lacks"),
        ({"risk_owner": ""}, "lacks"),
        ({"obligation": "\t"}, "lacks"),
        ({"compensating_evidence": ()}, "nothing shows"),
        ({"risk_owner": "the team"}, "'the team' is not a registered person"),
        ({"compensating_evidence": ("sha256:x", "sha256:y")}, "not among the admitted"),
        ({"compensating_evidence": ("sha256:x", "sha256:idle")}, "does not prove another criterion"),
        ({"compensating_evidence": ("sha256:own",)}, "does not prove another criterion"),
        ({"requested_at": AT + HOUR}, "future"),
        ({"expires_at": AT}, "expired on"),
        ({"expires_at": AT + 30 * DAY}, "longer than the 30 days"),
    ],
)
def test_every_condition_is_needed(changes, why):
    """One field wrong, and it does not count."""
    asked = waiver(**changes)
    reasons = refusals(asked, approved_at=AT - 2 * DAY)
    assert why in reasons[1]
    assert list(reasons) == [1]


def test_the_longest_life_is_allowed():
    """Thirty days are not longer than thirty days."""
    assert refusals(waiver(expires_at=AT + 29 * DAY)) == {}


def test_a_tier_without_days_allows_none():
    """The gate must say how long."""
    rules = profile(criterion(), gate=replace(GATE, waiver_days={}))
    assert "longer than the 0 days" in refusals(waiver(), rules=rules)[1]


def test_it_cannot_be_dated_after_it_was_received():
    """A date ahead would lengthen its life."""
    asked = waiver(requested_at=AT - HOUR / 2, expires_at=AT + DAY)
    assert "future" in refusals(asked, people=PEOPLE)[1]


def test_the_requester_signs():
    """Nobody asks in another's name."""
    assert "requester" in refusals(waiver(), signers=("olga",))[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waiver_id": "waiver-9"}, "no waiver 'waiver-9'"),
        ({"waiver_digest": digest_of("edited")}, "of that digest"),
        ({"approver": "sam", "role": Role.SYSTEM_OWNER}, "asked for this waiver"),
        ({"approver": "olga"}, "does not hold the role quality"),
        ({"approver": "nobody"}, "does not hold the role quality"),
        ({"approver": "dana", "role": Role.DATA_OWNER}, "may not approve"),
        ({"approver": "bob", "role": Role.BUSINESS_OWNER}, "bob built this system"),
        ({"reason": " "}, "gives no reason"),
        ({"approved_at": AT + HOUR}, "future"),
    ],
)
def test_every_condition_on_the_approval_is_needed(changes, why):
    """One field wrong, and nobody has approved it."""
    reasons = refusals(waiver(), **changes)
    assert why in reasons[2]
    assert "nobody has validly approved it" in reasons[1]


def test_the_approver_signs():
    """Nobody approves in another's name."""
    found = standing([request(waiver(), index=1)], [approval(waiver(), "sam", index=2)])
    assert found.waivers == {}
    assert "did not sign" in found.refused[0].reason


def test_approving_what_has_expired_is_void():
    """An approval cannot revive."""
    asked = waiver(expires_at=AT - 2 * HOUR)
    assert "after it had expired" in refusals(asked)[2]


@pytest.mark.parametrize("role", [Role.BUSINESS_OWNER, Role.QUALITY, Role.SPONSOR])
def test_roles_that_may_carry_a_risk(role):
    """These three may approve."""
    people = PEOPLE | {"quinn": person("quinn", role)}
    assert refusals(waiver(), people=people, role=role) == {}


def test_what_cannot_be_read_is_refused():
    """Requests and approvals alike."""
    found = standing([envelope("text/plain", {}, index=1)], [envelope("text/plain", {}, index=2)])
    assert [each.index for each in found.refused] == [1, 2]


def test_a_second_request_under_one_id_is_refused():
    """An extension is a new request, with a new id and a new approval."""
    longer = waiver(expires_at=AT + 20 * DAY)
    found = standing(
        [request(longer, index=3), request(waiver(), index=1)], [approval(longer, index=4), approval(waiver(), index=2)]
    )
    assert found.waivers == {"T1": waiver()}
    assert [each.index for each in found.refused] == [3, 4]
    assert "new request" in found.refused[0].reason


def test_no_more_than_the_maximum_at_once():
    """The first in the ledger come first, whatever the order given."""
    asked = [waiver(f"T{n}", id=f"waiver-{n}") for n in (1, 2, 3)]
    requests = [request(each, index=10 - n) for n, each in enumerate(asked)]
    approvals = [approval(each, index=20 + n) for n, each in enumerate(asked)]
    found = standing(requests, approvals)
    assert set(found.waivers) == {"T2", "T3"}
    assert "2 waivers are in force already" in found.refused[0].reason
    assert found == standing(requests[::-1], approvals[::-1])


def test_of_two_for_one_criterion_the_one_that_ends_last_covers():
    """Both are in force; the longer one is shown."""
    short, long = waiver(id="w-1"), waiver(id="w-2", expires_at=AT + 9 * DAY)
    for first, second in ((short, long), (long, short)):
        pair = [request(first, index=1), request(second, index=2)]
        assert standing(pair, [approval(short), approval(long, index=1)]).waivers == {"T1": long}


def test_a_builder_may_approve_below_the_tier_of_independence():
    """As at the gate itself."""
    rules = replace(RULES, tier=Tier.R2)
    assert refusals(waiver(), rules=rules, approver="bob", role=Role.BUSINESS_OWNER) == {}


def test_it_ends_with_what_keeps_the_risk_down():
    """Each piece of evidence must hold; one piece holds for as long as it proves any other criterion."""
    proven = {
        "sha256:x": {"T1": AT + 9 * DAY, "T2": AT + 2 * DAY, "T3": AT + 3 * DAY},
        "sha256:y": {"T2": AT + 4 * DAY},
    }
    asked = waiver(compensating_evidence=tuple(proven))
    assert standing([request(asked)], [approval(asked)], proven=proven).ends == {"T1": AT + 3 * DAY}
    assert standing([request(waiver())], [approval(waiver())]).ends == {"T1": AT + 5 * DAY}


def test_the_release_is_the_one_at_hand():
    """The builder of this test world names it so."""
    assert waiver().release_digest == RELEASE == SUBJECT.release_digest
