from dataclasses import replace

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import from_json, to_json
from roadworthy.base.digest import digest_of
from roadworthy.domain.criterion import QuorumRule, ReadinessDomain
from roadworthy.domain.decision import Decision, Outcome, State
from roadworthy.domain.evidence import Claim
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.domain.waiver import Invalidation
from roadworthy.gates.evaluate import NOT_AN_ENTRY, decision_digest
from unit.gates.gates_world import (
    AT,
    DAY,
    FAIL,
    GATE,
    HEAD,
    HOUR,
    RELEASE,
    SUBJECT,
    USE_CASE,
    approval,
    attestation,
    both_seats,
    criterion,
    judge,
    judge_signed,
    profile,
    request,
    run,
    seal,
    signature,
    signed_criterion,
    waiver,
    word,
)

RULES = profile(criterion(), signed_criterion())
GOOD = [run(criterion(), index=1), word(signed_criterion(), index=2)]


def waived(criterion_id="T1", evidence=GOOD[1], **changes):
    """A request and its approval, for ``judge``."""
    asked = waiver(criterion_id, compensating_evidence=(evidence.digest,), **changes)
    return {"waivers": [request(asked, index=30)], "waiver_approvals": [approval(asked, index=31)]}


def test_everything_met_and_signed_is_open():
    """The whole population may be served until the first thing ends."""
    decision = judge_signed(RULES, GOOD)
    assert decision.outcome is Outcome.OPEN
    assert decision.max_wave_share == 1.0
    assert decision.valid_until == AT + 9 * DAY
    assert (decision.blocking, decision.unblock_order, decision.waiting_for) == ((), (), ())
    assert (decision.refused, decision.obligations, decision.lapsed_from) == ((), (), None)


def test_the_record_says_on_what_it_rests():
    """Gate, subject, rules, instant and checkpoint."""
    decision = judge(RULES, GOOD)
    assert (decision.version, decision.gate_id, decision.use_case_id, decision.tier) == (
        1,
        "go-live",
        "triage",
        Tier.R3,
    )
    assert (decision.release_digest, decision.subject_digest) == (RELEASE, digest_of(to_json(SUBJECT)))
    assert (decision.profile_digest, decision.at, decision.head) == (RULES.digest, AT, HEAD)


def test_a_decision_survives_its_own_record():
    """Written as JSON and read back, it has the same digest."""
    decision = judge_signed(RULES, GOOD)
    again = from_json(Decision, to_json(decision))
    assert again == decision
    assert decision_digest(again) == decision_digest(decision) == digest_of(to_json(decision))


def test_met_but_not_signed_is_closed():
    """Nothing blocks; it waits for people."""
    decision = judge(RULES, GOOD)
    assert decision.outcome is Outcome.CLOSED
    assert decision.blocking == ()
    assert decision.waiting_for == (Role.BUSINESS_OWNER, Role.SYSTEM_OWNER)
    assert decision.max_wave_share == 0.0


def test_signed_but_not_met_is_closed():
    """Signatures are never sufficient."""
    decision = judge_signed(RULES, GOOD[:1])
    assert (decision.outcome, decision.blocking) == (Outcome.CLOSED, ("G1",))
    assert decision.waiting_for == ()


def test_what_does_not_apply_does_not_block():
    """A signed rationale is as good as a pass, for the gate."""
    rule = criterion(may_not_apply=True)
    rationale = word(rule, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE)
    decision = judge_signed(profile(rule), [rationale])
    assert decision.outcome is Outcome.OPEN
    assert decision.score == {}


def test_a_waiver_opens_under_conditions():
    """The obligation is carried, the wave is capped, the state beneath stays visible."""
    decision = judge_signed(RULES, GOOD[1:], **waived())
    assert decision.outcome is Outcome.CONDITIONAL
    assert decision.obligations == ("Watch it daily.",)
    assert decision.max_wave_share == 0.05
    found = decision.readings[0]
    assert (found.state, found.underlying, found.waiver_id) == (State.WAIVED, State.MISSING, "waiver-1")
    assert found.reason == "The check quality has never run for it; waived until 2026-11-26 12:00:00 UTC by waiver-1."
    assert decision.valid_until == found.expires_at == AT + 5 * DAY


def test_conditional_needs_the_quorum_too():
    """A waiver replaces evidence, not people."""
    assert judge(RULES, GOOD[1:], **waived()).outcome is Outcome.CLOSED


@pytest.mark.parametrize(
    ("evidence", "underlying"),
    [
        ([], State.MISSING),
        ([run(criterion(), estimates=FAIL)], State.NOT_SATISFIED),
        ([run(criterion(), estimates=())], State.INDETERMINATE),
        ([run(criterion(), inputs={})], State.STALE),
    ],
)
def test_four_states_can_be_waived(evidence, underlying):
    """Each stays visible beneath."""
    decision = judge(RULES, [*GOOD[1:], *evidence], **waived())
    assert decision.readings[0].underlying is underlying
    assert decision.readings[0].state is State.WAIVED


def test_a_waiver_over_a_pass_changes_nothing():
    """What is satisfied needs no permission."""
    decision = judge_signed(RULES, GOOD, **waived())
    assert decision.outcome is Outcome.OPEN
    assert decision.readings[0].waiver_id is None
    assert decision.obligations == ()


def test_what_a_waiver_covers_may_end_before_the_waiver():
    """The failing run ages, the state beneath changes, and with it what people signed."""
    failing = run(criterion(), estimates=FAIL, until=AT - 8 * DAY, index=3)
    decision = judge_signed(RULES, [*GOOD[1:], failing], **waived())
    assert decision.valid_until == AT + 2 * DAY
    before = judge_signed(RULES, [*GOOD[1:], failing], **waived())
    later = judge(RULES, [*GOOD[1:], failing], at=AT + 3 * DAY, **waived())
    assert later.basis_digest != before.basis_digest


def test_a_waiver_ends_with_what_keeps_the_risk_down():
    """A word that ages out before the waiver does takes the waiver with it, on the day that was told."""
    proof = word(signed_criterion(), until=AT - 8 * DAY, index=2)
    newer = word(signed_criterion(), index=4)
    evidence, permission = [proof, newer], waived(evidence=proof)
    decision = judge_signed(profile(criterion(), signed_criterion()), evidence, **permission)
    assert (decision.outcome, decision.valid_until) == (Outcome.CONDITIONAL, AT + 2 * DAY)
    later = judge(RULES, evidence, at=decision.valid_until, **permission)
    assert later.readings[0].state is State.MISSING
    assert "does not prove another criterion" in later.refused[0].reason


def test_a_stale_leg_beneath_a_waiver_does_not_hide_its_end():
    """Only what is to come counts as an end."""
    rule = criterion(signer_roles=(Role.QUALITY,))
    old = [word(rule, until=AT - 20 * DAY, index=3), run(rule, estimates=FAIL, index=4)]
    decision = judge_signed(profile(rule, signed_criterion()), [*old, GOOD[1]], **waived())
    assert decision.valid_until == AT + 5 * DAY


def test_signatures_of_another_basis_do_not_count():
    """More evidence, another basis: everybody signs again."""
    signatures = both_seats(judge(RULES, GOOD).basis_digest)
    assert judge(RULES, GOOD, signatures=signatures).outcome is Outcome.OPEN
    newer = [*GOOD, run(criterion(), until=AT - HOUR, index=3)]
    decision = judge(RULES, newer, signatures=signatures)
    assert decision.outcome is Outcome.CLOSED
    assert {each.index for each in decision.refused} == {50, 51}


def test_the_basis_is_neither_the_instant_nor_the_words_nor_the_signatures():
    """It changes exactly when something that was decided on does."""
    basis_digest = judge(RULES, GOOD).basis_digest
    assert judge(RULES, GOOD, at=AT + HOUR).basis_digest == basis_digest
    assert judge_signed(RULES, GOOD).basis_digest == basis_digest
    other = replace(SUBJECT, parts=SUBJECT.parts | {Part.PROMPT: digest_of("p")})
    assert judge(RULES, GOOD, subject=other).basis_digest != basis_digest
    assert judge(replace(RULES, gate=replace(GATE, max_waivers=1)), GOOD).basis_digest != basis_digest


def test_an_open_gate_lapses():
    """It points to the decision by which it was open."""
    opened = judge_signed(RULES, GOOD)
    decision = judge_signed(RULES, GOOD, at=opened.valid_until, previous=opened)
    assert decision.outcome is Outcome.LAPSED
    assert decision.lapsed_from == decision_digest(opened)
    assert decision.max_wave_share == 0.0
    assert decision.valid_until is None


def test_an_event_makes_an_open_gate_lapse():
    """An incident does not wait for an expiry."""
    opened = judge_signed(RULES, GOOD)
    incident = Invalidation(happened_at=AT, criterion_ids=(), parts=frozenset({Part.MODEL}), reason="Wrong side read.")
    decision = judge_signed(RULES, GOOD, invalidations=[incident], previous=opened)
    assert decision.outcome is Outcome.LAPSED
    assert "invalidated on 2026-11-21 12:00:00 UTC, Wrong side read." in decision.readings[0].reason


def test_a_gate_that_was_conditional_lapses_too_and_one_that_stands_does_not():
    """Lapsed is what was open in some way, and is not now."""
    conditional = judge_signed(RULES, GOOD[1:], **waived())
    assert judge(RULES, GOOD[1:], previous=conditional).outcome is Outcome.LAPSED
    assert judge_signed(RULES, GOOD, previous=conditional).outcome is Outcome.OPEN


@pytest.mark.parametrize("changes", [{"outcome": Outcome.CLOSED}, {"gate_id": "pilot"}, {"use_case_id": "other"}])
def test_only_an_open_decision_on_this_gate_lapses(changes):
    """What was never open cannot lapse."""
    previous = replace(judge_signed(RULES, GOOD), **changes)
    assert judge(RULES, GOOD, previous=previous).outcome is Outcome.CLOSED


def test_a_prohibited_use_is_closed_whatever_holds():
    """R0: neither evidence nor signatures nor history."""
    rule = signed_criterion(max_age_days={Tier.R0: 9.0})
    rules = profile(rule, tier=Tier.R0)
    prohibited = replace(USE_CASE, tier=Tier.R0)
    decision = judge_signed(rules, [word(rule)], use_case=prohibited, previous=judge_signed(RULES, GOOD))
    assert (decision.outcome, decision.blocking, decision.waiting_for) == (Outcome.CLOSED, (), ())


def test_a_profile_that_requires_nothing_stays_closed():
    """No pass by absence."""
    assert judge_signed(replace(RULES, criteria=())).outcome is Outcome.CLOSED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"use_case": replace(USE_CASE, tier=Tier.R4)}, "the profile is for tier R3, the use case is R4"),
        ({"subject": replace(SUBJECT, use_case_id="other")}, "not both of the use case 'triage'"),
    ],
)
def test_a_profile_or_release_that_does_not_fit_decides_nothing(changes, why):
    """A policy for a lower tier cannot open the gate of a higher one."""
    decision = judge_signed(RULES, GOOD, **changes)
    assert decision.outcome is Outcome.CLOSED
    assert decision.refused[0].index == NOT_AN_ENTRY
    assert why in decision.refused[0].reason


def test_blocking_and_the_cheapest_order():
    """A signature is cheaper than a fix, a dependency comes first."""
    rules = profile(
        criterion("T1", gap_depends_on=("T2",)), criterion("T2", check="other"), signed_criterion(), criterion("T4")
    )
    evidence = [run(rules.criteria[0], estimates=FAIL, index=1), run(rules.criteria[3], index=2)]
    decision = judge(rules, evidence)
    assert decision.blocking == ("T1", "T2", "G1")
    assert decision.unblock_order == ("T2", "G1", "T1")


def test_a_circle_in_a_pack_does_not_stop_a_decision():
    """The order is still one of all that block."""
    rules = profile(criterion("T1", gap_depends_on=("T2",)), criterion("T2", gap_depends_on=("T1",)))
    assert judge(rules).unblock_order == ("T1", "T2")


def test_the_score_is_one_executed_half_attested_nothing_waived():
    """Mean by domain, for display only."""
    data = ReadinessDomain.DATA
    rules = profile(
        criterion("T1"),
        criterion("T2", check="other"),
        signed_criterion(),
        criterion("D1", domain=data, waivable=frozenset({Tier.R3}), check="third"),
    )
    evidence = [run(criterion("T1"), index=1), word(signed_criterion(), index=2)]
    decision = judge(rules, evidence, **waived("D1", evidence[1]))
    assert decision.readings[3].state is State.WAIVED
    assert decision.score == {ReadinessDomain.GOVERNANCE: 0.5, ReadinessDomain.TECHNICAL: 0.5, data: 0.0}


def test_what_could_not_count_is_listed_in_ledger_order():
    """Evidence, waivers and signatures alike, each with its reason."""
    asked = waiver()
    decision = judge(
        RULES,
        [run(criterion("X9"), index=9), seal(attestation(signed_criterion()), signers=("sam",), index=3)],
        waivers=[request(asked, index=5)],
        signatures=[signature(digest_of("other"), index=4)],
    )
    assert [each.index for each in decision.refused] == [3, 4, 5, 9]
    assert decision.refused[-1].reason == "matches no criterion"


def test_a_fault_that_all_criteria_find_is_told_once():
    """One word on two criteria, given without a reason."""
    rules = profile(signed_criterion(), signed_criterion("G2"))
    decision = judge(rules, [word(*rules.criteria, said={"reason": " "})])
    assert [each.reason for each in decision.refused] == ["it gives no reason"]


def test_a_gate_that_asks_for_too_many_is_told():
    """It stays closed, and says why."""
    gate = replace(GATE, quorum=(QuorumRule(role=Role.QUALITY, count=10**12),))
    decision = judge_signed(replace(RULES, gate=gate), GOOD)
    assert decision.outcome is Outcome.CLOSED
    assert "more than 100 signatures, which nobody can fill: 1000000000000 as quality" in decision.refused[0].reason


def test_two_criteria_of_one_id_do_not_stop_a_decision():
    """Both are read, from the same evidence."""
    rules = profile(criterion(), criterion())
    assert [r.state for r in judge(rules, GOOD[:1]).readings] == [State.SATISFIED, State.SATISFIED]


def test_equal_inputs_give_equal_bytes_in_any_order():
    """The decision can be computed again, anywhere."""
    one = judge(RULES, GOOD, signatures=both_seats(judge(RULES, GOOD).basis_digest))
    two = judge(RULES, GOOD[::-1], signatures=both_seats(judge(RULES, GOOD).basis_digest)[::-1])
    assert canonical_bytes(to_json(one)) == canonical_bytes(to_json(two))
