"""Ways in which gates elsewhere came to say yes when they should not have. One test for each, named after it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.domain.criterion import Assurance, Comparator, QuorumRule
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Claim, CriterionRef, Meaning, RunOutcome
from roadworthy.domain.people import Role
from roadworthy.domain.use_case import Part
from roadworthy.gates.admit import admit
from unit.gates.gates_world import (
    AT,
    CONTROL,
    DAY,
    FAIL,
    GATE,
    HOUR,
    PASS,
    RELEASE,
    SUBJECT,
    TRUST,
    approval,
    auc,
    both_seats,
    criterion,
    judge,
    judge_signed,
    observation,
    person,
    predicate,
    profile,
    request,
    run,
    seal,
    signature,
    signed_criterion,
    waiver,
    word,
)

RULE = criterion()


def state(rule, *evidence, **changes):
    return judge(profile(rule), evidence, **changes).readings[0].state


def test_every_measurement_failed_and_the_run_was_called_successful():
    """A rollout controller summed up a run of nothing but errors as a success."""
    assert state(RULE, run(RULE, outcome=RunOutcome.ERROR, problem="no route")) is State.INDETERMINATE


def test_a_terminated_run_counted_as_successful():
    """A measurement that was stopped half-way was taken for one that went well."""
    assert state(RULE, run(RULE, outcome=RunOutcome.TERMINATED)) is State.INDETERMINATE


def test_no_traffic_passed_by_accident():
    """Without requests there were no errors either, and the release went through."""
    assert state(RULE, run(RULE, estimates=(auc(1.0, 1.0, n=0),))) is State.INDETERMINATE


def test_no_results_at_all_and_green():
    """The evaluation could not log in, returned an empty list, and the build was green."""
    assert state(RULE, run(RULE, estimates=())) is State.INDETERMINATE


def test_no_rule_applied_and_no_violation_was_found():
    """A policy matched none of its branches, so it reported no violation instead of having skipped."""
    assert state(criterion(acceptance=()), run(criterion(acceptance=()))) is State.INDETERMINATE
    assert judge_signed(replace(profile(), criteria=())).outcome is Outcome.CLOSED


def test_a_metric_of_an_older_run_answered_for_this_one():
    """The metric was not measured this time, and the registry compared the one from last time."""
    rule = criterion(acceptance=(predicate(), predicate("recall")))
    older = run(rule, until=AT - 2 * DAY, estimates=(auc(), auc(metric="recall")))
    newer = run(rule, estimates=PASS)
    assert state(rule, older, newer) is State.INDETERMINATE


def test_one_report_satisfied_every_gate():
    """A single report was accepted wherever any report was asked for."""
    rules = profile(RULE, criterion("T2"))
    states = [reading.state for reading in judge(rules, [run(RULE)]).readings]
    assert states == [State.SATISFIED, State.MISSING]


def test_attestations_under_a_wrong_key_were_written_and_never_scored():
    """Three were on record, two counted, and nobody noticed."""
    decision = judge(profile(), [run(criterion("T1-typo"), index=4)])
    assert [(each.index, each.reason) for each in decision.refused] == [(4, "matches no criterion")]
    assert decision.readings[0].state is State.MISSING


def test_a_threshold_followed_the_numbers_down():
    """The bound was lowered to what had been observed. Evidence and signatures for the old bound do not pass over."""
    loose = criterion(acceptance=(predicate(bound=0.45),))
    evidence = [run(RULE, estimates=FAIL)]
    signatures = both_seats(judge(profile(), evidence).basis_digest)
    decision = judge(profile(loose), evidence, signatures=signatures)
    assert decision.readings[0].state is State.STALE
    assert decision.outcome is Outcome.CLOSED
    assert decision.waiting_for


def test_a_vacuous_bound_is_not_decided_by_a_missing_number():
    """A tolerance of nought was met by a metric that could not be computed."""
    rule = criterion(acceptance=(predicate("loss", 0.0, Comparator.AT_LEAST),))
    unknown = auc(float("nan"), float("nan"), metric="loss")
    assert state(rule, run(rule, estimates=(unknown,))) is State.INDETERMINATE


def test_stale_evidence():
    """Last quarter's report went on passing."""
    assert state(RULE, run(RULE, until=AT - 10 * DAY)) is State.STALE


def test_a_skipped_run_is_no_run():
    """A job that was skipped had the same colour as one that passed."""
    assert state(RULE) is State.MISSING


def test_evidence_of_another_commit():
    """The report was good; it was about something else."""
    other = {Part.MODEL: digest_of("another model")}
    assert state(RULE, run(RULE, release_digest=digest_of("another release"), inputs=other)) is State.STALE


def test_evidence_dated_in_the_future():
    """A date ahead of the clock bought extra life."""
    decision = judge(profile(), [run(RULE, until=AT + HOUR)])
    assert "future" in decision.refused[0].reason
    assert decision.readings[0].state is State.MISSING


def test_the_day_of_upload_taken_for_the_day_of_observation():
    """An old document became fresh by being uploaded again."""
    old = observation(RULE, until=AT - 20 * DAY)
    for fresh in (seal(old, received_at=AT), seal(replace(old, produced_at=AT - HOUR), received_at=AT)):
        assert state(RULE, fresh) is State.STALE


def test_produced_after_it_was_received():
    """Evidence cannot be dated after its entry in the ledger, beyond the skew of two clocks."""
    found = admit([seal(observation(RULE), received_at=AT - 3 * DAY)], TRUST, at=AT, use_case_id="triage")
    assert "after it was received" in found.refused[0].reason


def test_an_expiry_that_only_sent_a_mail():
    """Something expired, people were told, and the gate stayed open."""
    opened = judge_signed(profile(), [run(RULE)])
    later = judge_signed(profile(), [run(RULE)], at=opened.valid_until, previous=opened)
    assert (opened.outcome, later.outcome) == (Outcome.OPEN, Outcome.LAPSED)


def test_an_approval_that_was_not_bound_to_what_was_approved():
    """The request was edited after it had been approved, and the approval stood."""
    evidence = [run(RULE)]
    signatures = both_seats(judge(profile(), evidence).basis_digest)
    assert judge(profile(), evidence, signatures=signatures).outcome is Outcome.OPEN
    edited = replace(SUBJECT, parts=SUBJECT.parts | {Part.PROMPT: digest_of("new prompt")})
    decision = judge(profile(), evidence, signatures=signatures, subject=edited)
    assert decision.readings[0].state is State.SATISFIED
    assert decision.outcome is Outcome.CLOSED


def test_a_signature_moved_to_another_decision():
    """What was signed for the pilot gate was pasted into this one."""
    basis_digest = judge(profile(), [run(RULE)]).basis_digest
    moved = [signature(basis_digest, gate_id="pilot"), both_seats(basis_digest)[1]]
    decision = judge(profile(), [run(RULE)], signatures=moved)
    assert decision.outcome is Outcome.CLOSED
    assert "pilot" in decision.refused[0].reason


PROOF = word(signed_criterion(), index=8)


def waived(asked, *, index=30):
    return [request(asked, index=index)], [approval(asked, index=index + 1)]


def outcome(asked, **changes):
    requests, approvals = waived(asked)
    return judge_signed(
        profile(RULE, signed_criterion()), [PROOF], waivers=requests, waiver_approvals=approvals, **changes
    ).outcome


def test_an_acceptance_without_an_end():
    """A risk was accepted for good, which is to say forgotten."""
    asked = waiver(compensating_evidence=(PROOF.digest,))
    assert outcome(asked) is Outcome.CONDITIONAL
    assert outcome(replace(asked, expires_at=AT + 3650 * DAY)) is Outcome.CLOSED
    assert outcome(asked, at=asked.expires_at) is Outcome.CLOSED


def test_a_lapsed_acceptance_extended_in_place():
    """The date of an expired acceptance was moved, and nobody had to agree again."""
    expired = waiver(compensating_evidence=(PROOF.digest,), expires_at=AT - timedelta(minutes=1))
    longer = replace(expired, expires_at=AT + 5 * DAY)
    requests = [request(expired, index=30), request(longer, index=32)]
    approvals = [approval(expired, index=31, approved_at=AT - 12 * HOUR), approval(longer, index=33)]
    rules = profile(RULE, signed_criterion())
    decision = judge_signed(rules, [PROOF], waivers=requests, waiver_approvals=approvals)
    assert decision.outcome is Outcome.CLOSED
    assert any("extension is a new request" in each.reason for each in decision.refused)


def test_requester_and_approver_were_one_person():
    """Whoever asked also said yes."""
    asked = waiver(compensating_evidence=(PROOF.digest,), requester="quinn")
    assert outcome(asked) is Outcome.CLOSED


def test_waived_findings_were_hidden_and_counted_as_passed():
    """The dashboard showed a hundred per cent."""
    asked = waiver(compensating_evidence=(PROOF.digest,))
    requests, approvals = waived(asked)
    failing = run(RULE, estimates=FAIL, index=9)
    decision = judge(profile(RULE, signed_criterion()), [PROOF, failing], waivers=requests, waiver_approvals=approvals)
    assert decision.readings[0].underlying is State.NOT_SATISFIED
    assert decision.readings[0].evidence == (failing.digest,)
    assert decision.score[RULE.domain] == 0.0


def test_an_expiry_written_into_the_evidence():
    """A producer granted itself ten years. Facts carry no expiry here: one that does is not a fact that can be read."""
    evidence = observation(RULE)
    body = seal(evidence).body.replace(b'"facts":{}', b'"expires_at":"2036-01-01T00:00:00Z","facts":{}')
    decision = judge(profile(), [replace(seal(evidence), body=body, digest=digest_bytes(body))])
    assert "unknown members ['expires_at']" in decision.refused[0].reason


@pytest.mark.parametrize("control", [None, replace(CONTROL, failed=False)])
def test_a_check_that_has_never_failed(control):
    """The test could not have found the fault that it was there to find."""
    assert state(RULE, run(RULE, control=control)) is State.INDETERMINATE


def test_a_verdict_that_was_written_by_hand():
    """The report said met; its own numbers said otherwise."""
    ref = CriterionRef(id="T1", digest=RULE.digest, verdict=observation(RULE).criteria[0].verdict)
    assert state(RULE, run(estimates=FAIL, criteria=(ref,))) is State.NOT_SATISFIED


def test_the_point_passed_and_the_interval_did_not():
    """The estimate was above the bound, and so was half of the doubt below it."""
    assert state(RULE, run(RULE, estimates=(auc(0.75, 0.95),))) is State.INDETERMINATE


def test_the_team_approved_its_own_system():
    """Who built it signed that it was good."""
    basis_digest = judge(profile(), [run(RULE)]).basis_digest
    own = [both_seats(basis_digest)[0], signature(basis_digest, "bob", Role.SYSTEM_OWNER, index=60)]
    decision = judge(profile(), [run(RULE)], signatures=own)
    assert decision.outcome is Outcome.CLOSED
    assert decision.release_digest == RELEASE
    assert "built this system" in decision.refused[0].reason


def test_a_person_signed_a_check_run():
    """A hand-made report looked like one that a program had produced."""
    decision = judge(profile(), [run(RULE, producer="sam")])
    assert decision.readings[0].state is State.MISSING
    assert "this is self_attested" in decision.refused[0].reason


@pytest.mark.parametrize(
    "changes",
    [
        {"said": {"components": ("session",)}},
        {"said": {"authenticated_at": AT - 2 * DAY}},
        {"said": {"printed_name": "Somebody Else"}},
        {"said": {"reason": " "}},
        {"meaning": Meaning.REVIEWED},
        {"outcome": RunOutcome.TERMINATED},
    ],
)
def test_a_session_left_open_signed(changes):
    """The gate asked who was signing, the criteria did not, and a form half filled in was as good as a signature."""
    rule = signed_criterion()
    assert state(rule, word(rule)) is State.SATISFIED
    decision = judge(profile(rule), [word(rule, **changes)])
    assert decision.readings[0].state is State.MISSING
    assert len(decision.refused) == 1


@pytest.mark.parametrize(
    "proof",
    [
        run(RULE, estimates=FAIL, index=7),
        run(RULE, criterion("T2"), estimates=FAIL, index=7),
        run(criterion("T2"), control=None, index=7),
        word(signed_criterion(), claim=Claim.NOT_MET, index=7),
        word(signed_criterion(), until=AT - 10 * DAY, index=7),
    ],
)
def test_the_failure_itself_was_named_as_what_keeps_the_risk_down(proof):
    """Anything on record would do as compensation: the failing run, one that proves nothing, a no, last month's yes."""
    rules = profile(RULE, criterion("T2", max_age_days={}), signed_criterion())
    requests, approvals = waived(waiver(compensating_evidence=(proof.digest,)))
    decision = judge(rules, [proof], waivers=requests, waiver_approvals=approvals)
    assert decision.readings[0].state is not State.WAIVED
    assert "does not prove another criterion" in decision.refused[0].reason


def test_newer_trouble_with_what_keeps_the_risk_down():
    """It had held when the waiver was asked for; since then it was measured again and failed."""
    rules = profile(RULE, criterion("T2"))
    proof = run(rules.criteria[1], until=AT - 2 * DAY, index=7)
    requests, approvals = waived(waiver(compensating_evidence=(proof.digest,)))
    permission = {"waivers": requests, "waiver_approvals": approvals}
    assert judge(rules, [proof], **permission).readings[0].state is State.WAIVED
    again = run(rules.criteria[1], index=8)
    assert judge(rules, [proof, again], **permission).readings[0].state is State.WAIVED
    worse = run(rules.criteria[1], estimates=FAIL, index=8)
    assert judge(rules, [proof, worse], **permission).readings[0].state is State.MISSING


def test_the_team_accepted_its_own_risk():
    """A builder who also owned the business approved the waiver, without a word, on a risk owner nobody knew."""
    asked = waiver(compensating_evidence=(PROOF.digest,))
    rules = profile(RULE, signed_criterion())

    def covered(request_of, **changes):
        permission = {"waivers": [request(request_of, index=30)]}
        permission["waiver_approvals"] = [approval(request_of, index=31, **changes)]
        return judge(rules, [PROOF], **permission).readings[0].state is State.WAIVED

    assert covered(asked)
    assert not covered(asked, approver="bob", role=Role.BUSINESS_OWNER)
    assert not covered(asked, reason="  ")
    assert not covered(replace(asked, risk_owner="the steering committee"))


def test_one_person_declared_what_failed_not_applicable():
    """The run missed its bound, and the builder, alone of those who must sign, said that it did not matter."""
    rule = criterion(signer_roles=(Role.SYSTEM_OWNER, Role.QUALITY), may_not_apply=True)
    excuses = {
        who: word(rule, who=who, role=role, claim=Claim.NOT_APPLICABLE)
        for who, role in (("sam", Role.SYSTEM_OWNER), ("bob", Role.SYSTEM_OWNER), ("quinn", Role.QUALITY))
    }
    assert state(rule, excuses["sam"], excuses["quinn"]) is State.NOT_APPLICABLE
    assert state(rule, excuses["quinn"]) is State.MISSING
    assert state(rule, excuses["bob"], excuses["quinn"]) is State.MISSING
    failing = run(rule, until=AT - 3 * DAY, estimates=FAIL)
    assert state(rule, excuses["sam"], excuses["quinn"], failing) is State.NOT_SATISFIED


@pytest.mark.parametrize("assurance", [Assurance.THIRD_PARTY, Assurance.SELF_ATTESTED])
@pytest.mark.parametrize("control", [None, replace(CONTROL, failed=False)])
def test_a_check_of_somebody_else_that_has_never_failed(assurance, control):
    """The laboratory's instrument was believed because it was the laboratory's."""
    rule = criterion(min_assurance=Assurance.SELF_ATTESTED)
    assert state(rule, run(rule, assurance=assurance)) is State.SATISFIED
    assert state(rule, run(rule, assurance=assurance, control=control)) is State.INDETERMINATE


@pytest.mark.parametrize("count", [100, 101, 1_000, 10**12])
def test_a_quorum_too_large_to_be_counted(count):
    """A count in a policy, or a crowd of signers, stopped the service that decides."""
    people = {f"p{n}": person(f"p{n}", Role.BUSINESS_OWNER) for n in range(300)}
    rules = profile(gate=replace(GATE, quorum=(QuorumRule(role=Role.BUSINESS_OWNER, count=count),)))
    basis_digest = judge(rules, [run(RULE)], people=people).basis_digest
    signed = [signature(basis_digest, id_, index=n) for n, id_ in enumerate(people)]
    decision = judge(rules, [run(RULE)], people=people, signatures=signed)
    assert decision.outcome is (Outcome.OPEN if count == 100 else Outcome.CLOSED)
    assert any("more than 100 signatures" in each.reason for each in decision.refused) == (count > 100)


def test_an_interval_made_narrow_by_being_unsure_of_it():
    """At ninety-five per cent it straddled the bound; stated at ten, it passed."""
    narrow = auc(0.81, 0.83)
    unsure = replace(narrow, interval=replace(narrow.interval, confidence=0.1))
    assert state(RULE, run(RULE, estimates=(narrow,))) is State.SATISFIED
    found = judge(profile(), [run(RULE, estimates=(unsure,))]).readings[0]
    assert found.state is State.INDETERMINATE
    assert "stated at too low a confidence" in found.reason
