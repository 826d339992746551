from dataclasses import replace
from datetime import timedelta

import pytest

from roadworthy.domain.criterion import Assurance, Kind
from roadworthy.domain.decision import State
from roadworthy.domain.evidence import Claim, Meaning, RunOutcome
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from unit.gates.gates_world import (
    AT,
    CONTROL,
    DAY,
    FAIL,
    HOUR,
    PARTS,
    PASS,
    USE_CASE,
    auc,
    criterion,
    judge,
    predicate,
    profile,
    run,
    signed_criterion,
    word,
)

RULE = criterion()
BOTH = criterion("T2", signer_roles=(Role.QUALITY,))
OPTIONAL = criterion("T3", may_not_apply=True)


def unsure(estimate, level):
    return replace(estimate, interval=replace(estimate.interval, confidence=level))


def reading(rule, *evidence, **changes):
    (found,) = judge(profile(rule), evidence, **changes).readings
    return found


def state(rule, *evidence, **changes):
    return reading(rule, *evidence, **changes).state


def only_refusal(rule, *evidence):
    (refused,) = judge(profile(rule), evidence).refused
    return refused.reason


def test_a_fresh_pass_satisfies():
    """The lower end of the interval reaches the bound."""
    each = run(RULE)
    found = reading(RULE, each)
    assert found.state is State.SATISFIED
    assert found.evidence == (each.digest,)
    assert found.expires_at == AT + 9 * DAY
    assert found.reason == "Measured auc 0.9 (0.85 to 0.95, n 100) meets >= 0.8."


def test_no_run_is_missing():
    """Absence is never a pass."""
    found = reading(RULE)
    assert (found.state, found.expires_at, found.evidence) == (State.MISSING, None, ())
    assert found.reason == "The check quality has never run for it."


def test_a_miss_is_not_satisfied():
    """Even the better end of the interval misses."""
    found = reading(RULE, run(RULE, estimates=FAIL))
    assert found.state is State.NOT_SATISFIED
    assert found.reason == "The bound is missed, auc 0.55 (0.5 to 0.6, n 100) is not >= 0.8."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"estimates": (auc(0.7, 0.9),)}, "More data is needed: auc 0.8 (0.7 to 0.9, n 100) straddles >= 0.8."),
        ({"estimates": (auc(n=3),)}, "More data is needed: auc 0.9 (0.85 to 0.95, n 3), at least 10 must decide."),
        ({"estimates": ()}, "Nothing can be told: there is not exactly one estimate of auc in 1."),
        ({"estimates": (auc(unit="%"),)}, "Nothing can be told: there is not exactly one estimate of auc in 1."),
        ({"estimates": (auc(float("nan")),)}, "Nothing can be told: auc could not be computed."),
        (
            {"outcome": RunOutcome.ERROR, "problem": "no; route.\n"},
            "The last run of quality did not complete (error): no, route.",
        ),
        (
            {"outcome": RunOutcome.TERMINATED},
            "The last run of quality did not complete (terminated): no reason was given.",
        ),
        ({"control": None}, "The negative control of quality did not fail, so the run proves nothing."),
        (
            {"control": replace(CONTROL, failed=False)},
            "The negative control of quality did not fail, so the run proves nothing.",
        ),
    ],
)
def test_what_cannot_be_told_is_indeterminate(changes, said):
    """Error, terminated, too few, not a number, straddling, no control: each with its sentence."""
    found = reading(RULE, run(RULE, **changes))
    assert found.state is State.INDETERMINATE
    assert found.reason == said


def test_a_criterion_without_a_bound_is_indeterminate():
    """Nothing to judge by is no pass."""
    rule = criterion(acceptance=())
    found = reading(rule, run(rule))
    assert found.reason == "Nothing can be told: the criterion sets no bound."
    assert found.state is State.INDETERMINATE


def test_a_bound_that_is_not_set_is_indeterminate():
    """A parameter that nobody declared leaves its bound open."""
    rule = criterion(acceptance=(predicate(bound=float("nan"), unit="ms", metric="p99"),))
    found = reading(rule, run(rule, estimates=(auc(metric="p99", unit="ms"),)))
    assert found.reason == "Nothing can be told: no bound is set for p99."
    assert found.state is State.INDETERMINATE


def test_one_miss_among_predicates_decides():
    """Every predicate must be met; the sentence is about the one that decides."""
    rule = criterion(acceptance=(predicate(), predicate("recall", unit="ms")))
    found = reading(rule, run(rule, estimates=(auc(), auc(0.1, 0.2, metric="recall", unit="ms"))))
    assert found.state is State.NOT_SATISFIED
    assert "recall 0.15 ms (0.1 to 0.2 ms, n 100) is not >= 0.8 ms" in found.reason


def test_the_verdict_inside_is_not_trusted():
    """Evidence that calls itself met is judged by its numbers."""
    failing = run(RULE, estimates=FAIL)
    assert b'"verdict":"met"' in failing.body
    assert state(RULE, failing) is State.NOT_SATISFIED


def test_old_evidence_is_stale():
    """With the reason, and the evidence kept."""
    found = reading(RULE, run(RULE), at=AT + 30 * DAY)
    assert found.state is State.STALE
    assert found.reason.startswith("The newest run of quality is stale: too old")
    assert len(found.evidence) == 1


def test_the_newest_run_decides():
    """Newer failure beats older success, and newer success older failure."""
    old, new = AT - 2 * DAY, AT - DAY
    assert state(RULE, run(RULE, until=old), run(RULE, until=new, estimates=FAIL)) is State.NOT_SATISFIED
    assert state(RULE, run(RULE, until=old, estimates=FAIL), run(RULE, until=new)) is State.SATISFIED


def test_a_newer_stale_run_is_not_covered_by_an_older_one():
    """The newest run read another model: there is no going back to the run before it."""
    other = run(RULE, until=AT - DAY, inputs={})
    assert state(RULE, run(RULE, until=AT - 2 * DAY), other) is State.STALE


def test_opposite_runs_in_one_window_contradict():
    """Neither can be believed, and both are named."""
    one, two = run(RULE, span=2 * HOUR), run(RULE, until=AT - DAY - HOUR, estimates=FAIL)
    found = reading(RULE, one, two)
    assert found.state is State.INDETERMINATE
    assert found.evidence == (two.digest, one.digest)
    assert found.reason == "Two runs of quality over the same window contradict each other."
    assert (
        state(RULE, run(RULE, span=2 * HOUR, estimates=FAIL), run(RULE, until=AT - DAY - HOUR)) is State.INDETERMINATE
    )


def test_opposite_runs_of_one_instant_contradict():
    """Equal windows share what they observed, even when they are empty."""
    pair = [run(RULE, span=timedelta(0)), run(RULE, span=timedelta(0), estimates=FAIL, index=1)]
    assert state(RULE, *pair) is State.INDETERMINATE


def test_ends_are_exclusive_in_contradictions_too():
    """What was seen at the very end of a window is not inside it, whichever of the two came later."""
    for point, span in ((0, 1), (1, 0)):
        pair = [run(RULE, index=span), run(RULE, span=timedelta(0), estimates=FAIL, index=point)]
        assert state(RULE, *pair) is (State.NOT_SATISFIED if point else State.SATISFIED)


def test_what_does_not_contradict():
    """A neighbouring window, an equal verdict, an unfinished run, another model: none is a contradiction."""
    rivals = [
        run(RULE, until=AT - DAY - HOUR, estimates=FAIL),
        run(RULE, until=AT - DAY - HOUR / 2),
        run(RULE, until=AT - DAY - HOUR / 2, outcome=RunOutcome.ERROR),
        run(RULE, until=AT - DAY - HOUR / 2, estimates=FAIL, inputs={}),
    ]
    for rival in rivals:
        assert state(RULE, run(RULE), rival) is State.SATISFIED


def test_waiting_does_not_settle_a_contradiction():
    """The older of the two expires first; the gate must not open by it."""
    pair = [run(RULE, span=8 * DAY), run(RULE, until=AT - 8 * DAY, estimates=FAIL)]
    assert state(RULE, *pair) is State.INDETERMINATE
    assert state(RULE, *pair, at=AT + 3 * DAY) is State.INDETERMINATE


def test_no_instrument_can_never_be_satisfied():
    """A signature alone does not prove what has to be run."""
    rule = criterion(check=None, signer_roles=(Role.QUALITY,))
    found = reading(rule, word(rule), run(rule))
    assert found.state is State.MISSING
    assert found.reason == "No instrument of this version can prove it."


def test_every_role_must_sign():
    """Who is missing is named, all in one clause."""
    rule = signed_criterion("G1", Role.QUALITY, Role.DATA_OWNER, Role.LEGAL)
    assert reading(rule, word(rule)).reason == "Nobody has signed it as data_owner, legal."


def test_signatures_satisfy():
    """A document stands on its signatures, in the words of those who signed."""
    rule = signed_criterion("G1", Role.QUALITY, Role.DATA_OWNER)
    found = reading(rule, word(rule), word(rule, who="dana", role=Role.DATA_OWNER))
    assert found.state is State.SATISFIED
    assert found.reason == "Signed as quality by Quinn: I looked; signed as data_owner by Dana: I looked."


def test_the_newest_word_decides():
    """People may change their mind, either way."""
    rule = signed_criterion()
    yes, no = {"until": AT - DAY}, {"until": AT - HOUR, "claim": Claim.NOT_MET}
    assert state(rule, word(rule, **yes), word(rule, **no)) is State.NOT_SATISFIED
    assert reading(rule, word(rule, **no)).reason == "Not met, says Quinn as quality: I looked."
    assert state(rule, word(rule, **(no | yes)), word(rule, until=AT - HOUR / 2)) is State.SATISFIED


def test_rejected_means_no():
    """Whatever claim stands beside it."""
    assert state(signed_criterion(), word(signed_criterion(), meaning=Meaning.REJECTED)) is State.NOT_SATISFIED


def test_an_old_signature_is_stale():
    """People answer for what is, not for what was."""
    found = reading(signed_criterion(), word(signed_criterion()), at=AT + 30 * DAY)
    assert found.state is State.STALE
    assert found.reason.startswith("The newest signature as quality is stale: too old")


def test_a_signature_beside_a_check_outlives_the_window_of_data():
    """Another delivery of the feed makes the run stale; the threshold that a person signed is still theirs."""
    both = replace(RULE, signer_roles=(Role.QUALITY,), depends_on=frozenset({Part.MODEL, Part.PRODUCTION_DATA}))
    inputs = {Part.MODEL: PARTS[Part.MODEL], Part.PRODUCTION_DATA: "sha256:" + "00" * 32}
    signed = word(both, inputs=inputs)
    assert state(both, signed, run(both)) is State.SATISFIED
    assert state(both, signed, run(both, inputs=inputs)) is State.STALE
    alone = replace(both, check=None, kind=Kind.SIGNATURE, acceptance=())
    assert state(alone, word(alone, inputs=inputs)) is State.STALE


def test_nobody_to_sign_is_missing():
    """A document without a signer proves nothing."""
    rule = replace(signed_criterion(), signer_roles=(), kind=Kind.DOCUMENT)
    assert reading(rule).reason == "Nobody is named to sign it."
    assert state(rule) is State.MISSING


@pytest.mark.parametrize(
    ("runs", "words", "expected"),
    [
        ({}, {}, State.SATISFIED),
        ({"estimates": FAIL}, {}, State.NOT_SATISFIED),
        ({}, {"claim": Claim.NOT_MET}, State.NOT_SATISFIED),
        ({"estimates": ()}, {"claim": Claim.NOT_MET}, State.NOT_SATISFIED),
        ({"estimates": ()}, None, State.INDETERMINATE),
        ({}, None, State.MISSING),
        ({"inputs": {}}, None, State.MISSING),
        ({"inputs": {}}, {}, State.STALE),
        (None, {"inputs": {}}, State.MISSING),
    ],
)
def test_the_worst_leg_decides(runs, words, expected):
    """A check and a signature: both are needed."""
    evidence = [] if runs is None else [run(BOTH, **runs)]
    evidence += [] if words is None else [word(BOTH, **words)]
    assert state(BOTH, *evidence) is expected


def test_every_open_leg_is_told_worst_first():
    """One sentence with a clause for each."""
    found = reading(BOTH, run(BOTH, inputs={}))
    assert found.reason == "Nobody has signed it as quality; the newest run of quality is stale: changed since: model."


def test_not_applicable_needs_a_signed_rationale():
    """From a signer, or from the owner when nobody signs."""
    rationale = word(OPTIONAL, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE)
    found = reading(OPTIONAL, rationale)
    assert found.state is State.NOT_APPLICABLE
    assert found.reason == "Not applicable, says Dana as data_owner: I looked."
    assert found.expires_at == AT + 9 * DAY
    failing = {"until": AT - 2 * DAY, "estimates": FAIL}
    assert state(OPTIONAL, rationale, run(OPTIONAL, **failing)) is State.NOT_SATISFIED
    assert state(OPTIONAL, rationale, run(OPTIONAL, inputs={}, **failing)) is State.NOT_APPLICABLE


def test_a_later_miss_stands_against_a_rationale():
    """What was measured afterwards knows better, and goes on knowing when it is old."""
    rationale = word(OPTIONAL, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE, until=AT - 2 * DAY)
    failing = run(OPTIONAL, estimates=FAIL)
    assert state(OPTIONAL, rationale, failing) is State.NOT_SATISFIED
    assert state(OPTIONAL, rationale, run(OPTIONAL)) is State.NOT_APPLICABLE
    long_rule = replace(OPTIONAL, signer_roles=(Role.DATA_OWNER,))
    pair = [word(long_rule, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE, until=AT - 2 * DAY)]
    pair.append(run(long_rule, estimates=FAIL, until=AT - DAY, inputs={}))
    assert state(long_rule, *pair) is State.MISSING
    assert "does not excuse it: I looked" in reading(long_rule, *pair).reason


def test_somebody_elses_no_stands_against_a_rationale():
    """One signer excuses it, another says nothing, or that it is met, or that it is not."""
    rule = replace(signed_criterion("G1", Role.QUALITY, Role.DATA_OWNER), may_not_apply=True)
    excuse = word(rule, claim=Claim.NOT_APPLICABLE)
    dana = {"who": "dana", "role": Role.DATA_OWNER, "until": AT - 2 * DAY}
    assert state(rule, excuse) is State.MISSING
    assert state(rule, excuse, word(rule, **dana)) is State.MISSING
    assert state(rule, excuse, word(rule, claim=Claim.NOT_MET, **dana)) is State.NOT_SATISFIED
    found = reading(rule, excuse, word(rule, claim=Claim.NOT_APPLICABLE, **dana))
    assert (found.state, found.expires_at, len(found.evidence)) == (State.NOT_APPLICABLE, AT + 8 * DAY, 2)


def test_a_builder_excuses_nothing_from_the_tier_of_independence_on():
    """Bob built it and owns it; below that tier his rationale is as good as another's."""
    rule = replace(OPTIONAL, owner_role=Role.SYSTEM_OWNER)
    own = word(rule, who="bob", role=Role.SYSTEM_OWNER, claim=Claim.NOT_APPLICABLE)
    assert only_refusal(rule, own) == "bob built this system and cannot excuse T3 at tier R3"
    lower = judge(profile(rule, tier=Tier.R2), [own], use_case=replace(USE_CASE, tier=Tier.R2))
    assert lower.readings[0].state is State.NOT_APPLICABLE


@pytest.mark.parametrize("claim", [Claim.MET, Claim.NOT_APPLICABLE])
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": RunOutcome.ERROR}, "it was not completed (error)"),
        ({"said": {"reason": "\n"}}, "it gives no reason"),
        ({"said": {"printed_name": "Q."}}, "it shows the name 'Q.', but quinn is registered as 'Quinn'"),
        ({"said": {"components": ("key file", "key file ", "")}}, "fewer than 2 components proved"),
        ({"said": {"authenticated_at": AT - DAY - timedelta(minutes=15, microseconds=1)}}, "15 minutes"),
        ({"said": {"authenticated_at": AT - DAY + timedelta(microseconds=1)}}, "15 minutes"),
        ({"meaning": Meaning.REVIEWED}, "its meaning is reviewed, which is no yes"),
        ({"meaning": Meaning.AUTHORED}, "its meaning is authored, which is no yes"),
    ],
)
def test_a_yes_needs_due_form(claim, changes, why):
    """One thing wrong, and it is refused with the reason."""
    rule = signed_criterion(may_not_apply=True)
    assert why in only_refusal(rule, word(rule, claim=claim, **changes))
    assert state(rule, word(rule, claim=claim, **changes)) is State.MISSING


def test_a_yes_in_due_form_counts():
    """Approved is as good as responsible, and fifteen minutes are not more than fifteen minutes."""
    said = {"authenticated_at": AT - DAY - timedelta(minutes=15)}
    assert state(signed_criterion(), word(signed_criterion(), meaning=Meaning.APPROVED, said=said)) is State.SATISFIED


def test_a_no_needs_no_form():
    """Or a slip in it would leave the older yes standing."""
    older = word(signed_criterion(), until=AT - 2 * DAY)
    no = word(signed_criterion(), claim=Claim.NOT_MET, said={"reason": "", "printed_name": "Q.", "components": ()})
    assert state(signed_criterion(), older, no) is State.NOT_SATISFIED


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0.8, State.SATISFIED),
        (1.0, State.SATISFIED),
        (0.79, State.INDETERMINATE),
        (1.01, State.INDETERMINATE),
        (float("nan"), State.INDETERMINATE),
    ],
)
def test_an_interval_decides_only_when_it_is_sure(level, expected):
    """A narrow interval that is probably wrong proves nothing, nor does a level that is none."""
    found = reading(RULE, run(RULE, estimates=(unsure(auc(), level),)))
    assert found.state is expected
    low = "Nothing can be told: auc is stated at too low a confidence."
    assert (found.reason == low) == (expected is State.INDETERMINATE)


def test_an_unsure_interval_hides_neither_a_miss_nor_an_ambiguity():
    """A sure miss beside it stays one, and two estimates of one metric stay two."""
    rule = criterion(acceptance=(predicate(), predicate("recall")))
    pair = (unsure(auc(), 0.5), auc(0.1, 0.2, metric="recall"))
    assert state(rule, run(rule, estimates=pair)) is State.NOT_SATISFIED
    assert state(RULE, run(RULE, estimates=(auc(), unsure(auc(), 0.5)))) is State.INDETERMINATE


def test_a_stale_rationale_of_an_owner_is_no_leg():
    """Who need not sign cannot hold a passing check back."""
    stale = word(OPTIONAL, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE, inputs={})
    assert state(OPTIONAL, stale, run(OPTIONAL)) is State.SATISFIED
    assert state(OPTIONAL, stale) is State.MISSING


@pytest.mark.parametrize(
    ("rule", "evidence", "why"),
    [
        (RULE, run(criterion("X9")), "matches no criterion"),
        (RULE, run(RULE, check="other"), "T1 is proven by quality, not by other"),
        (
            RULE,
            run(RULE, assurance=Assurance.THIRD_PARTY),
            "T1 asks for evidence that is executed; this is third_party",
        ),
        (RULE, run(RULE, producer="quinn"), "T1 asks for evidence that is executed; this is self_attested"),
        (signed_criterion(), run(signed_criterion()), "no check run can prove G1"),
        (criterion(check=None), run(criterion(check=None)), "no check run can prove T1"),
        (RULE, word(RULE), "T1 is not signed as quality"),
        (signed_criterion(), word(signed_criterion(), who="sam"), "sam does not hold the role quality"),
        (signed_criterion(), word(signed_criterion(), who="nobody"), "nobody does not hold the role quality"),
        (signed_criterion(), word(signed_criterion(), claim=Claim.NOT_APPLICABLE), "G1 always applies in this profile"),
        (OPTIONAL, word(OPTIONAL, claim=Claim.NOT_APPLICABLE), "T3 is not signed as quality"),
    ],
)
def test_evidence_that_nothing_can_use_is_reported(rule, evidence, why):
    """Never ignored in silence."""
    assert only_refusal(rule, evidence) == why


def test_evidence_is_matched_for_each_criterion_apart():
    """One run may prove one criterion and be unfit for another."""
    pair = [RULE, criterion("T9", check="other")]
    decision = judge(profile(*pair), [run(*pair)])
    assert [r.state for r in decision.readings] == [State.SATISFIED, State.MISSING]
    assert decision.refused == ()
    both = judge(profile(pair[1], criterion("T8", check="third")), [run(pair[1], criterion("T8", check="third"))])
    assert both.refused[0].reason == "T9 is proven by other, not by quality; T8 is proven by third, not by quality"


def test_a_third_party_needs_a_control_too():
    """Where the profile takes third-party evidence."""
    rule = criterion(min_assurance=Assurance.THIRD_PARTY)
    changes = {"assurance": Assurance.THIRD_PARTY, "estimates": PASS}
    assert state(rule, run(rule, **changes)) is State.SATISFIED
    assert state(rule, run(rule, control=None, **changes)) is State.INDETERMINATE
    assert state(rule, run(rule, control=replace(CONTROL, failed=False), **changes)) is State.INDETERMINATE
