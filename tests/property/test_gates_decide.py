"""What holds of every decision, whatever is on record."""

from datetime import timedelta

from gates_strategies import IDS, JUNK, events, evidence, profiles, runs, signatures, support, waivers, windows, words
from hypothesis import assume, event, given
from hypothesis import strategies as st

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Claim
from roadworthy.domain.risk import Tier
from unit.gates.gates_world import AT, FAIL, PASS, TRUST, both_seats, criterion, judge, judge_signed, profile, run

RANK = {Outcome.OPEN: 2, Outcome.CONDITIONAL: 1, Outcome.CLOSED: 0, Outcome.LAPSED: 0}
GOOD = {State.SATISFIED, State.NOT_APPLICABLE}


@st.composite
def cases(draw):
    """A profile, evidence about it, and the rest as keyword arguments."""
    rules = draw(profiles())
    given_evidence = draw(evidence(rules))
    return rules, given_evidence, draw(waivers(rules, given_evidence)) | {"invalidations": draw(events())}


def some_signatures(basis_digest):
    return st.one_of(st.just(both_seats(basis_digest)), signatures(basis_digest))


def in_bytes(decision):
    return canonical_bytes(to_json(decision))


def good(decision):
    return {r.criterion_id for r in decision.readings if r.state in GOOD}


@given(cases(), st.data())
def test_it_is_total_and_its_parts_agree(case, data):
    """Any record gives a decision, and the decision does not contradict itself."""
    rules, given_evidence, rest = case
    signed = data.draw(some_signatures(judge(rules, given_evidence, **rest).basis_digest))
    decision = judge(rules, given_evidence, signatures=signed, **rest)
    event(decision.outcome.value)
    assert [r.criterion_id for r in decision.readings] == [c.id for c in rules.criteria]
    assert sorted(decision.unblock_order) == sorted(decision.blocking)
    assert set(decision.blocking).isdisjoint(good(decision))
    assert (decision.outcome in {Outcome.OPEN, Outcome.CONDITIONAL}) == (decision.max_wave_share > 0)
    assert decision.outcome is not Outcome.OPEN or (good(decision) == {c.id for c in rules.criteria})
    assert decision.outcome is Outcome.CLOSED or not (decision.blocking or decision.waiting_for)
    assert decision.valid_until is None or decision.valid_until > AT
    assert all(r.reason.endswith(".") and r.reason[0].isupper() for r in decision.readings)


@given(cases(), st.data())
def test_equal_inputs_in_any_order_give_equal_bytes(case, data):
    """Deterministic, and blind to the order in which things are handed over."""
    rules, given_evidence, rest = case
    signed = data.draw(some_signatures(judge(rules, given_evidence, **rest).basis_digest))
    shuffled = {name: data.draw(st.permutations(values)) for name, values in rest.items()}
    one = judge(rules, given_evidence, signatures=signed, **rest)
    two = judge(
        rules, data.draw(st.permutations(given_evidence)), signatures=data.draw(st.permutations(signed)), **shuffled
    )
    assert in_bytes(one) == in_bytes(two)


@given(cases(), st.sets(st.sampled_from(IDS), min_size=1))
def test_absence_never_passes(case, dropped):
    """Without evidence on a criterion, that criterion is not satisfied, whatever anybody signs."""
    rules, given_evidence, rest = case
    kept = [e for e in given_evidence if not any(f'"id":"{id_}"'.encode() in e.body for id_ in dropped)]
    before, after = judge_signed(rules, given_evidence, **rest), judge_signed(rules, kept, **rest)
    assert good(after) <= good(before) - dropped
    assert after.outcome is not Outcome.OPEN or before.outcome is Outcome.OPEN


@given(st.data())
def test_removing_a_pass_never_opens(data):
    """In a world of runs that do not overlap, less good evidence never opens a gate that is closed."""
    rules = data.draw(profiles())
    whole = [each for rule in rules.criteria for each in support(rule, **data.draw(windows(apart=True)))]
    passing = [*whole, *data.draw(st.lists(runs(rules, estimates=PASS, plain=True, apart=True), max_size=4))]
    others = data.draw(
        st.lists(st.one_of(runs(rules, apart=True), words(rules, claims=(Claim.MET, Claim.NOT_MET))), max_size=3)
    )
    kept = data.draw(st.lists(st.sampled_from(passing), unique=True))
    # One instant with two verdicts is an overlap too.
    assume(len({_window(e) for e in [*passing, *others]}) == len({e.body for e in [*passing, *others]}))
    before, after = judge_signed(rules, [*passing, *others]), judge_signed(rules, [*kept, *others])
    assert good(after) <= good(before)
    assert RANK[after.outcome] <= RANK[before.outcome]
    event(f"{before.outcome.value} to {after.outcome.value}")


def _window(each):
    predicate = TRUST.open(each.body).payload["predicate"]
    who = predicate["attestation"] and predicate["attestation"]["role"]
    return predicate["observed_until"], predicate["criteria"][0]["id"], who


@given(cases(), st.data())
def test_adding_failure_never_opens(case, data):
    """However it is dated, and however often."""
    rules, given_evidence, rest = case
    failing = st.one_of(runs(rules, estimates=FAIL, plain=True), words(rules, claims=(Claim.NOT_MET,), plain=True))
    added = data.draw(st.lists(failing, min_size=1, max_size=3))
    before, after = judge_signed(rules, given_evidence, **rest), judge_signed(rules, [*given_evidence, *added], **rest)
    event(f"{before.outcome.value} to {after.outcome.value}")
    assert good(after) <= good(before)
    assert after.outcome is not Outcome.OPEN or before.outcome is Outcome.OPEN


@given(cases(), st.integers(0, 30 * 24).map(lambda hours: timedelta(hours=hours)))
def test_time_only_lapses(case, later):
    """What is not good now does not become good by waiting; what is open holds until its day, and not beyond."""
    rules, given_evidence, rest = case
    signed = both_seats(judge(rules, given_evidence, **rest).basis_digest)
    now = judge(rules, given_evidence, signatures=signed, **rest)
    then = judge(rules, given_evidence, signatures=signed, at=AT + later, previous=now, **rest)
    event(f"{now.outcome.value} to {then.outcome.value}")
    assert good(then) <= good(now)
    if now.outcome is Outcome.OPEN:
        assert then.outcome is (Outcome.OPEN if AT + later < now.valid_until else Outcome.LAPSED)
    else:
        assert then.outcome is not Outcome.OPEN


@given(st.data())
def test_an_open_gate_holds_until_its_day(data):
    """As above, in worlds that are open to begin with."""
    rule = criterion("C1", max_age_days={Tier.R3: data.draw(st.integers(2, 9))})
    rules, given_evidence = profile(rule), [run(rule)]
    signed = both_seats(judge(rules, given_evidence).basis_digest)
    now = judge(rules, given_evidence, signatures=signed)
    assert now.outcome is Outcome.OPEN
    at = AT + timedelta(hours=data.draw(st.integers(0, 300)))
    then = judge(rules, given_evidence, signatures=signed, at=at, previous=now)
    assert then.outcome is (Outcome.OPEN if at < now.valid_until else Outcome.LAPSED)


@given(cases(), cases())
def test_a_signature_on_another_decision_never_counts(case, other):
    """Whatever was decided there, it seats nobody here."""
    rules, given_evidence, rest = case
    moved = both_seats(judge(other[0], other[1], **other[2]).basis_digest)
    decision = judge(rules, given_evidence, signatures=moved, **rest)
    assume(decision.basis_digest != judge(other[0], other[1], **other[2]).basis_digest)
    assert [seat.signed_by for seat in decision.quorum] == [(), ()]
    assert RANK[decision.outcome] == 0


@given(cases())
def test_a_waiver_never_counts_as_a_pass(case):
    """Neither in the score nor among what is good, and the state beneath is the one without it."""
    rules, given_evidence, rest = case
    bare = {"invalidations": rest["invalidations"]}
    with_waivers, without = judge(rules, given_evidence, **rest), judge(rules, given_evidence, **bare)
    assert with_waivers.score == without.score
    assert good(with_waivers) == good(without)
    for covered, plain in zip(with_waivers.readings, without.readings, strict=True):
        assert (covered.underlying or covered.state) is plain.state
        assert covered.evidence == plain.evidence


@given(cases(), st.lists(JUNK, min_size=1, max_size=4))
def test_what_cannot_be_opened_changes_nothing_but_the_list_of_refusals(case, junk):
    """Noise is told, and moves no state."""
    rules, given_evidence, rest = case
    clean, noisy = judge(rules, given_evidence, **rest), judge(rules, [*given_evidence, *junk], **rest)
    assert noisy.basis_digest == clean.basis_digest
    assert noisy.readings == clean.readings
    assert {e.digest for e in junk} <= {e.digest for e in noisy.refused}
