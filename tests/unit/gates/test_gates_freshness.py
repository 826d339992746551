from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roadworthy.base.digest import digest_of
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.domain.waiver import Invalidation
from roadworthy.gates.freshness import validity
from unit.gates.gates_world import AT, DAY, HOUR, PARTS, SUBJECT, criterion, observation

RULE = criterion()
EVIDENCE = observation(RULE)


def check(evidence=EVIDENCE, rule=RULE, *, subject=SUBJECT, tier=Tier.R3, at=AT, events=()):
    return validity(evidence, rule, subject=subject, tier=tier, at=at, invalidations=events)


def event(**changes):
    values = {"happened_at": AT - HOUR, "criterion_ids": (), "parts": frozenset(), "reason": "an incident"}
    return Invalidation(**(values | changes))


def test_fresh_evidence_counts_until_its_age():
    """Age counts from the end of what was observed."""
    found = check()
    assert found.reason is None
    assert found.expires_at == EVIDENCE.observed_until + 10 * DAY


def test_the_end_is_exclusive():
    """At the very instant of expiry it no longer counts."""
    end = EVIDENCE.observed_until + 10 * DAY
    assert check(at=end - timedelta(microseconds=1)).reason is None
    assert check(at=end).reason.startswith("too old")


def test_a_changed_part_is_named():
    """Evidence about another model says nothing of this one."""
    subject = replace(SUBJECT, parts=PARTS | {Part.MODEL: digest_of("new")})
    assert check(subject=subject).reason == "changed since: model"


@pytest.mark.parametrize("side", ["subject", "evidence"])
def test_a_part_on_one_side_only_is_changed(side):
    """Something was added or taken away."""
    rule = criterion(depends_on=frozenset({Part.INDEX}))
    wider = PARTS | {Part.INDEX: digest_of("index")}
    subject = replace(SUBJECT, parts=wider) if side == "subject" else SUBJECT
    evidence = observation(rule, inputs=wider if side == "evidence" else PARTS)
    assert check(evidence, rule, subject=subject).reason == "changed since: index"


def test_a_part_on_neither_side_is_equal():
    """A use case without an index has not changed it."""
    rule = criterion(depends_on=frozenset({Part.INDEX}))
    assert check(observation(rule), rule).reason is None


def test_another_release_with_equal_parts_still_counts():
    """A new release that leaves the model alone leaves evidence about the model alone."""
    evidence = replace(EVIDENCE, release_digest=digest_of("older release"))
    assert check(evidence).reason is None


def test_a_revised_criterion_makes_it_stale():
    """What was shown was shown against the old words."""
    assert check(rule=criterion(title="Stricter")).reason == "the criterion was revised since"


@pytest.mark.parametrize(
    ("hit", "changes"),
    [
        (True, {"criterion_ids": ("T1",)}),
        (True, {"parts": frozenset({Part.MODEL})}),
        (False, {"criterion_ids": ("T2",)}),
        (False, {"parts": frozenset({Part.PROMPT})}),
        (False, {"criterion_ids": ("T1",), "happened_at": EVIDENCE.observed_from}),
        (True, {"criterion_ids": ("T1",), "happened_at": AT + DAY}),
    ],
)
def test_an_event_voids_what_was_observed_before_it(hit, changes):
    """By criterion or by part; an event that is dated ahead closes at once."""
    reason = check(events=[event(**changes)]).reason
    assert (reason is not None) == hit


def test_the_latest_event_is_named_whatever_the_order():
    """Two events, one sentence."""
    pair = [event(parts=frozenset({Part.MODEL})), event(criterion_ids=("T1",), happened_at=AT, reason="a drift alarm")]
    assert "a drift alarm" in check(events=pair).reason
    assert check(events=pair) == check(events=pair[::-1])


def test_a_tier_without_an_age_grants_nothing():
    """The profile must say how long evidence counts."""
    assert "no validity at tier R0" in check(tier=Tier.R0).reason


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan")])
def test_an_age_that_is_not_positive_grants_nothing(days):
    """A slip in a pack must not make evidence eternal."""
    rule = criterion(max_age_days={Tier.R3: days})
    assert check(observation(rule), rule).reason.startswith("too old")


def test_an_age_beyond_the_calendar_never_ends():
    """No overflow, whatever the pack says."""
    rule = criterion(max_age_days={Tier.R3: float("inf")})
    assert check(observation(rule), rule).expires_at == datetime.max.replace(tzinfo=UTC)
