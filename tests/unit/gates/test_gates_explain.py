from dataclasses import replace

import pytest

from roadworthy.domain.decision import Outcome, Refused, Seat, State
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.gates.explain import headline, sentences
from unit.gates.gates_world import AT, DAY, criterion, judge, judge_signed, profile, run, signed_criterion

RULES = profile(criterion(), criterion("T2", check="other"), signed_criterion())
CLOSED = judge(RULES)
OPEN = judge_signed(profile(), [run(criterion())])


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (CLOSED, "Not yet. Three criteria block the go-live gate."),
        (replace(CLOSED, blocking=("T1",)), "Not yet. One criterion blocks the go-live gate."),
        (replace(CLOSED, blocking=("T",) * 13), "Not yet. 13 criteria block the go-live gate."),
        (replace(CLOSED, outcome=Outcome.LAPSED), "No longer. Three criteria block the go-live gate."),
        (replace(CLOSED, blocking=()), "Not yet. Two signatures are all that the go-live gate waits for."),
        (
            replace(CLOSED, blocking=(), waiting_for=(Role.QUALITY,)),
            "Not yet. One signature is all that the go-live gate waits for.",
        ),
        (
            replace(CLOSED, blocking=(), readings=()),
            "Not yet. The profile requires nothing, so nothing was shown to the go-live gate.",
        ),
        (
            replace(CLOSED, blocking=(), waiting_for=(), quorum=()),
            "Not yet. Nobody is asked to sign at the go-live gate.",
        ),
        (
            replace(
                CLOSED, blocking=(), waiting_for=(), quorum=(Seat(role=Role.QUALITY, count=1, signed_by=("quinn",)),)
            ),
            "Not yet. The policy in force does not fit this use case, so the go-live gate cannot open.",
        ),
        (replace(CLOSED, tier=Tier.R0), "No. The use is prohibited, and the go-live gate stays closed."),
        (OPEN, "Yes. The go-live gate is open."),
        (
            replace(OPEN, outcome=Outcome.CONDITIONAL, readings=(replace(OPEN.readings[0], state=State.WAIVED),)),
            "Yes, with conditions. One criterion is waived at the go-live gate.",
        ),
    ],
)
def test_the_headline_answers_the_question(decision, said):
    """Yes or no first, then why."""
    assert headline(decision) == said


def test_a_closed_gate_says_what_is_next_and_on_whom_it_waits():
    """Cheapest order, then signatures."""
    assert sentences(CLOSED) == (
        "The cheapest way to open it: T1, T2, G1.",
        "It waits for the signature of: business_owner, system_owner.",
    )


def test_an_open_gate_says_how_long_it_holds():
    """And nothing else when nothing else is to be said."""
    assert sentences(OPEN) == ("This holds until 2026-11-30 12:00:00 UTC, unless something changes before.",)
    assert sentences(replace(OPEN, valid_until=None)) == ()


def test_conditions_lapse_and_refusals_are_told():
    """Obligations and cap; since when it no longer holds; what could not count."""
    decision = replace(
        OPEN,
        outcome=Outcome.CONDITIONAL,
        obligations=("Watch it daily.",),
        max_wave_share=0.05,
        lapsed_from="sha256:abc",
        refused=(Refused(digest="d", index=1, reason="r"),),
        valid_until=AT + DAY,
    )
    assert sentences(decision) == (
        "Obligation: Watch it daily.",
        "At most 0.05 of the population, as a share, may be served.",
        "This holds until 2026-11-22 12:00:00 UTC, unless something changes before.",
        "It was open by decision sha256:abc, which no longer holds.",
        "One record could not count; each is listed with its reason.",
    )
