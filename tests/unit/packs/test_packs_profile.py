"""Composition: packs, overlays and parameters into what a gate requires."""

import math

import pytest

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import DependencyCycle, PackError, ProhibitedUse
from roadworthy.domain.criterion import Assurance, Comparator, Profile
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.packs.profile import profile


def compose(packs, overlays=(), *, tier=Tier.R3, params=None, **more):
    """A profile of one use case."""
    return profile(packs, overlays, use_case_id="triage", tier=tier, params=params or {}, **more)


def refusal(packs, overlays=(), **more):
    """The error that a composition draws."""
    with pytest.raises(PackError) as caught:
        compose(packs, overlays, **more)
    return caught.value


def test_a_criterion_is_required_from_its_tier_on(make_pack):
    """Below it, it is not in the profile at all."""
    assert [each.id for each in compose([make_pack()], tier=Tier.R2).criteria] == ["D1"]
    assert compose([make_pack()], tier=Tier.R1).criteria == ()


def test_a_profile_survives_its_json(make_pack):
    """It is written to the ledger and read back."""
    composed = compose([make_pack()])
    assert from_json(Profile, to_json(composed)) == composed
    assert composed.packs == (make_pack().ref,)


def test_criteria_stand_by_domain_and_as_people_count(make_pack, make_criterion):
    """Governance first; D2 before D10."""
    names = [("D10", "data"), ("A1", "adoption"), ("G1", "governance"), ("D2", "data"), ("RG-3", "data")]
    pack = make_pack(criteria=[make_criterion(id=name, domain=domain) for name, domain in names])
    assert [each.id for each in compose([pack]).criteria] == ["G1", "D2", "D10", "RG-3", "A1"]


def test_the_strictest_of_two_definitions_wins(make_pack, make_criterion):
    """Field by field, whichever pack says it."""
    accept = make_criterion()["accept"][0]
    other = make_criterion(
        accept=[accept | {"bound": 0.7, "n_min": 50, "provenance": "Weaker."}, accept | {"metric": "recall"}],
        depends_on=["prompt"],
        max_age_days={"R1": 120, "R2": 30, "R3": 30, "R4": 7},
        waivable_at=["R2", "R3"],
        min_assurance="executed",
        signer_roles=["quality", "business_owner"],
        may_not_apply=False,
        required_from="R1",
        effort={"low": 2, "likely": 2, "high": 3},
        gap_depends_on=["D2"],
        sources=[{"document": "House rules", "clause": "2"}],
    )
    second = make_pack(id="other", gates=[], criteria=[other, make_criterion(id="D2")])
    merged = compose([make_pack(), second]).criteria[0]
    assert [(p.metric, p.bound, p.n_min, p.provenance) for p in merged.acceptance] == [
        ("auc", 0.8, 50, "House rule."),
        ("recall", 0.8, 30, "House rule."),
    ]
    assert merged.depends_on == {Part.MODEL, Part.PROMPT}
    assert merged.max_age_days == {Tier.R1: 90, Tier.R2: 30, Tier.R3: 30, Tier.R4: 7}
    assert merged.waivable == {Tier.R2}
    assert merged.min_assurance is Assurance.EXECUTED
    assert merged.signer_roles == (Role.BUSINESS_OWNER, Role.VALIDATOR, Role.QUALITY)
    assert merged.may_not_apply is False
    assert merged.required_from is Tier.R1
    assert (merged.effort.low_days, merged.effort.likely_days, merged.effort.high_days) == (2, 2, 4)
    assert merged.gap_depends_on == ("D2",)
    assert [source.clause for source in merged.sources] == ["1", "2"]
    assert compose([second, make_pack()]) == compose([make_pack(), second])


def test_a_maximum_is_stricter_when_lower(make_pack, make_criterion):
    """And both provenances are kept where both say the same."""
    accept = make_criterion()["accept"][0] | {"op": "<=", "bound": 5}
    packs = [
        make_pack(id=name, gates=[], criteria=[make_criterion(accept=[accept | {"bound": bound, "provenance": why}])])
        for name, bound, why in [("a", 5, "A."), ("b", 3, "B."), ("c", 3, "C.")]
    ]
    predicate = compose([make_pack(criteria=[]), *packs]).criteria[0].acceptance[0]
    assert (predicate.bound, predicate.provenance) == (3, "B. C.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"domain": "technical"}, "domain is 'data' and 'technical'"),
        ({"title": "Otherwise"}, "title is 'Good enough' and 'Otherwise'"),
        ({"kind": "measured"}, "kind is 'executable' and 'measured'"),
        ({"check": "other.check"}, "check is 'performance.production' and 'other.check'"),
        ({"owner_role": "quality"}, "owner_role is 'validator' and 'quality'"),
    ],
)
def test_packs_that_contradict_each_other_are_refused(make_pack, make_criterion, change, said):
    """What cannot be ordered must be the same everywhere."""
    other = make_pack(id="other", gates=[], criteria=[make_criterion(**change)])
    assert said in refusal([make_pack(), other]).what


@pytest.mark.parametrize(
    ("change", "said"), [({"op": "<="}, "auc comparator is '>=' and '<='"), ({"unit": "%"}, "auc unit is '1' and '%'")]
)
def test_bounds_that_cannot_be_compared_are_refused(make_pack, make_criterion, change, said):
    """A minimum and a maximum, or two units, have no strictest."""
    accept = make_criterion()["accept"][0] | change
    other = make_pack(id="other", gates=[], criteria=[make_criterion(accept=[accept])])
    assert said in refusal([make_pack(), other]).what


def test_gates_are_composed_too(make_pack, make_gate):
    """More seats, shorter waivers, earlier independence."""
    seats = [{"role": "system_owner", "count": 2}, {"role": "quality", "count": 1}]
    gate = make_gate(
        quorum=dict.fromkeys(["R1", "R2", "R3", "R4"], seats),
        independent_from="R2",
        waiver_days={"R1": 100, "R2": 10, "R3": 30, "R4": 14},
        max_waivers=1,
        conditional_wave_share=0.01,
    )
    merged = compose([make_pack(), make_pack(id="other", gates=[gate], criteria=[])]).gate
    assert [(rule.role, rule.count) for rule in merged.quorum] == [
        (Role.BUSINESS_OWNER, 1),
        (Role.SYSTEM_OWNER, 2),
        (Role.QUALITY, 1),
    ]
    assert merged.independent_from is Tier.R2
    assert merged.waiver_days == {Tier.R1: 90, Tier.R2: 10, Tier.R3: 30, Tier.R4: 14}
    assert (merged.max_waivers, merged.conditional_wave_share) == (1, 0.01)


def test_a_gate_that_no_pack_defines(make_pack):
    """The nearest one is named, or where to find one."""
    assert refusal([make_pack()], gate_id="golive").remedy == "Did you mean go-live?"
    assert "enterprise@2" in refusal([make_pack(gates=[])]).remedy


def test_one_pack_in_two_versions_is_refused(make_pack):
    """Naming the same one twice is harmless."""
    assert "two versions" in refusal([make_pack(), make_pack(version=2)]).what
    assert compose([make_pack(), make_pack()]) == compose([make_pack()])


def declared(make_pack, make_criterion, **change):
    """A pack whose bound the use case declares."""
    accept = make_criterion()["accept"][0] | {"bound": {"param": "quality.bound"}} | change
    return make_pack(criteria=[make_criterion(accept=[accept])])


def test_parameters_fill_in_bounds(make_pack, make_criterion):
    """Number, comparator and count."""
    pack = declared(make_pack, make_criterion, op={"param": "quality.op"}, n_min={"param": "slo.p99_ms"})
    params = {"quality.bound": 0.2, "quality.op": "<=", "slo.p99_ms": 50.0}
    predicate = compose([pack], params=params).criteria[0].acceptance[0]
    assert (predicate.bound, predicate.comparator, predicate.n_min) == (0.2, Comparator.AT_MOST, 50)


@pytest.mark.parametrize("present", [{}, {"quality.bound": 0.5}, {"quality.op": "<="}])
def test_a_parameter_that_is_absent_leaves_the_bound_undefined(make_pack, make_criterion, present):
    """Half a predicate must not decide; there is no default."""
    pack = declared(make_pack, make_criterion, op={"param": "quality.op"}, n_min={"param": "slo.p99_ms"})
    assert math.isnan(compose([pack], params=present).criteria[0].acceptance[0].bound)


def test_an_undefined_bound_is_the_strictest(make_pack, make_criterion):
    """Another pack's number does not open what is shut."""
    pack = declared(make_pack, make_criterion)
    other = make_pack(id="other", gates=[], criteria=[make_criterion()])
    assert math.isnan(compose([pack, other]).criteria[0].acceptance[0].bound)


@pytest.mark.parametrize(
    "params",
    [
        {"quality.bond": 0.8},
        {"quality.bound": "0.8"},
        {"quality.bound": True},
        {"quality.bound": math.nan},
        {"quality.op": ">"},
    ],
)
def test_wrong_parameters_are_refused(make_pack, params):
    """Unknown names and values of another kind."""
    assert refusal([make_pack()], params=params).where == "params"


@pytest.mark.parametrize("value", [0.5, 2.5])
def test_a_count_must_be_whole(make_pack, make_criterion, value):
    """Half a unit cannot be counted."""
    pack = declared(make_pack, make_criterion, n_min={"param": "slo.p99_ms"})
    assert "no number of units" in refusal([pack], params={"quality.bound": 0.5, "slo.p99_ms": value}).what


def test_a_prohibited_use_has_no_profile(make_pack):
    """R0 is not to be made ready."""
    with pytest.raises(ProhibitedUse):
        compose([make_pack()], tier=Tier.R0)


def test_gaps_wait_only_for_what_is_required(make_pack, make_criterion):
    """A criterion that the tier does not ask for has no gap."""
    pack = make_pack(
        criteria=[
            make_criterion(gap_depends_on=["D2", "D3"]),
            make_criterion(id="D2", required_from="R4"),
            make_criterion(id="D3"),
        ]
    )
    assert compose([pack]).criteria[0].gap_depends_on == ("D3",)
    assert compose([pack], tier=Tier.R4).criteria[0].gap_depends_on == ("D2", "D3")


def test_a_circle_over_two_packs_is_named(make_pack, make_criterion):
    """Neither file shows it alone."""
    first = make_pack(criteria=[make_criterion(gap_depends_on=["D2"]), make_criterion(id="D2")])
    second = make_pack(
        id="other", gates=[], criteria=[make_criterion(), make_criterion(id="D2", gap_depends_on=["D1"])]
    )
    with pytest.raises(DependencyCycle, match="-> D1"):
        compose([first, second])
