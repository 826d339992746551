"""Which way a change goes, field by field; and predicates that cannot fail."""

import math
from dataclasses import replace

import pytest

from roadworthy.domain.criterion import Assurance, Comparator, Effort, Kind, PackRef, QuorumRule, ReadinessDomain
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.packs.diff import Effect, diff, loosenings, vacuous
from roadworthy.packs.profile import profile


@pytest.fixture
def base(make_pack):
    """A profile with one criterion."""
    return profile([make_pack()], [], use_case_id="triage", tier=Tier.R3, params={})


def with_criterion(base, **changes):
    """The profile with its criterion changed."""
    return replace(base, criteria=(replace(base.criteria[0], **changes),))


def with_predicate(base, **changes):
    """The profile with its bound changed."""
    return with_criterion(base, acceptance=(replace(base.criteria[0].acceptance[0], **changes),))


def with_gate(base, **changes):
    """The profile with its gate changed."""
    return replace(base, gate=replace(base.gate, **changes))


def test_nothing_changed(base):
    """Equal profiles have no differences, an undefined bound included."""
    assert diff(base, base) == ()
    undefined = with_predicate(base, bound=math.nan)
    assert diff(undefined, with_predicate(base, bound=float("nan"))) == ()


ORDERED = [
    (with_predicate, {"bound": 0.7}, "accept.auc.bound", "0.8", "0.7"),
    (with_predicate, {"n_min": 10}, "accept.auc.n_min", "30", "10"),
    (with_criterion, {"acceptance": ()}, "accept.auc", ">= 0.8 1", "absent"),
    (with_criterion, {"signer_roles": ()}, "signer_roles", "validator", "none"),
    (with_criterion, {"required_from": Tier.R3}, "required_from", "R2", "R3"),
    (with_criterion, {"min_assurance": Assurance.SELF_ATTESTED}, "min_assurance", "third_party", "self_attested"),
    (with_criterion, {"waivable": frozenset({Tier.R1, Tier.R2, Tier.R3})}, "waivable", "R1, R2", "R1, R2, R3"),
    (with_criterion, {"depends_on": frozenset()}, "depends_on", "model", "none"),
    (with_criterion, {"kind": Kind.DOCUMENT}, "kind", "executable", "document"),
    (with_gate, {"independent_from": Tier.R4}, "independent_from", "R3", "R4"),
    (with_gate, {"max_waivers": 9}, "max_waivers", "3", "9"),
    (with_gate, {"conditional_wave_share": 0.1}, "conditional_wave_share", "0.05", "0.1"),
    (with_gate, {"quorum": (QuorumRule(role=Role.BUSINESS_OWNER),)}, "quorum.system_owner", "1", "0"),
    (replace, {"tier": Tier.R2}, "tier", "R3", "R2"),
    (replace, {"criteria": ()}, "criterion", "required", "absent"),
]


@pytest.mark.parametrize(("change", "fields", "field", "old", "new"), ORDERED)
def test_looser_one_way_is_tighter_the_other(base, change, fields, field, old, new):
    """Every field that decides has a direction."""
    changed = change(base, **fields)
    [found] = diff(base, changed)
    assert (found.field, found.old, found.new, found.effect) == (field, old, new, Effect.LOOSER)
    [back] = diff(changed, base)
    assert (back.old, back.new, back.effect) == (new, old, Effect.TIGHTER)
    assert loosenings(diff(base, changed)) == (found,)
    assert loosenings(diff(changed, base)) == ()


def test_a_maximum_is_looser_when_higher(base):
    """The comparator says which way is stricter."""
    at_most = with_predicate(base, comparator=Comparator.AT_MOST)
    higher = with_predicate(base, comparator=Comparator.AT_MOST, bound=0.9)
    assert [each.effect for each in diff(at_most, higher)] == [Effect.LOOSER]
    assert [each.effect for each in diff(higher, at_most)] == [Effect.TIGHTER]


def test_days_are_compared_tier_by_tier(base):
    """Also at tiers that are not at hand; a tier without an age accepts nothing."""
    days = base.criteria[0].max_age_days
    [found] = diff(base, with_criterion(base, max_age_days={**days, Tier.R4: 31}))
    assert (found.field, found.old, found.new, found.effect) == ("max_age_days.R4", "30", "31", Effect.LOOSER)
    without = with_criterion(base, max_age_days={tier: age for tier, age in days.items() if tier is not Tier.R4})
    assert [each.effect for each in diff(base, without)] == [Effect.TIGHTER]
    longer = with_gate(base, waiver_days={**base.gate.waiver_days, Tier.R1: 91})
    assert [each.field for each in loosenings(diff(base, longer))] == ["waiver_days.R1"]


def test_may_not_apply_is_shown_as_a_word(base):
    """True and False are for programs."""
    [found] = diff(base, with_criterion(base, may_not_apply=False))
    assert (found.old, found.new, found.effect) == ("yes", "no", Effect.TIGHTER)


def test_defining_an_undefined_bound_is_looser(base):
    """Else deleting a bound and stating a lower one would pass as two harmless steps."""
    undefined = with_predicate(base, bound=math.nan)
    [shut], [opened] = diff(base, undefined), diff(undefined, with_predicate(base, bound=0.1))
    assert (shut.effect, shut.new) == (Effect.TIGHTER, "undefined")
    assert opened.effect is Effect.LOOSER


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (with_predicate, {"unit": "%"}),
        (with_predicate, {"comparator": Comparator.AT_MOST}),
        (with_criterion, {"check": "other.check"}),
        (with_criterion, {"signer_roles": (Role.QUALITY,)}),
        (with_gate, {"id": "other"}),
    ],
)
def test_what_cannot_be_ordered_counts_as_looser(base, change, fields):
    """Nobody can show that it is not, in either direction."""
    changed = change(base, **fields)
    assert [each.effect for each in diff(base, changed)] == [Effect.LOOSER]
    assert [each.effect for each in diff(changed, base)] == [Effect.LOOSER]


@pytest.mark.parametrize(
    ("change", "fields", "field"),
    [
        (with_predicate, {"provenance": "Elsewhere."}, "accept.auc.provenance"),
        (with_criterion, {"check": None}, "check"),
        (with_criterion, {"kind": Kind.MEASURED}, "kind"),
        (with_criterion, {"domain": ReadinessDomain.TECHNICAL}, "domain"),
        (with_criterion, {"title": "Otherwise"}, "title"),
        (with_criterion, {"owner_role": Role.QUALITY}, "owner_role"),
        (with_criterion, {"gap_depends_on": ("X1",)}, "gap_depends_on"),
        (with_criterion, {"effort": Effort(low_days=1, likely_days=1, high_days=1)}, "effort"),
        (with_criterion, {"sources": ()}, "sources"),
        (replace, {"packs": (PackRef(id="x", version=2, digest="sha256:" + "0" * 64),)}, "packs"),
    ],
)
def test_what_decides_nothing_is_shown_but_neutral(base, change, fields, field):
    """A person still sees it."""
    assert [(each.field, each.effect) for each in diff(base, change(base, **fields))] == [(field, Effect.NEUTRAL)]


@pytest.mark.parametrize(
    ("fields", "cannot_fail"),
    [
        ({"bound": 0.0}, True),
        ({"bound": -1.0}, True),
        ({"bound": 0.01}, False),
        ({"bound": math.nan}, False),
        ({"bound": 0.0, "unit": "case"}, True),
        ({"comparator": Comparator.AT_MOST, "bound": 1.0}, True),
        ({"comparator": Comparator.AT_MOST, "bound": 0.99}, False),
        ({"comparator": Comparator.AT_MOST, "bound": 0.0}, False),
        ({"comparator": Comparator.AT_MOST, "bound": 1.0, "unit": "case"}, False),
    ],
)
def test_a_predicate_that_cannot_fail_is_found(base, fields, cannot_fail):
    """A share of at least nothing, or of at most everything."""
    found = vacuous(with_predicate(base, **fields))
    assert bool(found) is cannot_fail
    assert all(each.criterion_id == "D1" and "always holds" in each.why for each in found)


def test_two_kinds_of_parts_do_not_trade(base):
    """Gaining one and losing another is looser."""
    assert [each.effect for each in diff(base, with_criterion(base, depends_on=frozenset({Part.PROMPT})))] == [
        Effect.LOOSER
    ]
