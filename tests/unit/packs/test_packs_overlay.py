"""Overlays: they tighten, or they are refused."""

import math

import pytest

from roadworthy.base.errors import PackError
from roadworthy.domain.criterion import Assurance
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.packs.profile import profile


def compose(packs, overlays, *, tier=Tier.R3, params=None):
    """A profile of one use case."""
    return profile(packs, overlays, use_case_id="triage", tier=tier, params=params or {})


def refusal(packs, overlays):
    """What a refused overlay is told."""
    with pytest.raises(PackError) as caught:
        compose(packs, overlays)
    return caught.value


def tighten(**fields):
    """An operation on D1."""
    return {"op": "tighten", "criterion": "D1", **fields}


def test_every_field_can_be_tightened(make_pack, make_overlay):
    """Bound, n, ages, roles, assurance, waivers, tier and seats."""
    overlay = make_overlay(
        tighten(
            accept=[{"metric": "auc", "bound": 0.9, "n_min": 60, "provenance": "Stricter here."}],
            max_age_days={"R3": 7},
            add_signer_roles=["quality", "validator"],
            min_assurance="executed",
            not_waivable_at=["R2", "R4"],
        ),
        {"op": "require_at_tier", "criterion": "D1", "tier": "R1"},
        {"op": "tighten_gate", "gate": "go-live", "quorum": {"R3": [{"role": "quality", "count": 2}]}},
    )
    composed = compose([make_pack()], [overlay])
    criterion, predicate = composed.criteria[0], composed.criteria[0].acceptance[0]
    assert (predicate.bound, predicate.n_min, predicate.provenance) == (0.9, 60, "Stricter here.")
    assert criterion.max_age_days == {Tier.R1: 90, Tier.R2: 60, Tier.R3: 7, Tier.R4: 30}
    assert criterion.signer_roles == (Role.VALIDATOR, Role.QUALITY)
    assert criterion.min_assurance is Assurance.EXECUTED
    assert criterion.waivable == {Tier.R1}
    assert criterion.required_from is Tier.R1
    assert (Role.QUALITY, 2) in [(rule.role, rule.count) for rule in composed.gate.quorum]
    assert Role.QUALITY not in [rule.role for rule in compose([make_pack()], [overlay], tier=Tier.R2).gate.quorum]
    assert overlay.ref in composed.packs


def test_a_criterion_can_be_added(make_pack, make_overlay, make_criterion):
    """Then it can be tightened by another overlay."""
    added = make_overlay({"op": "add", "criterion": make_criterion(id="X1", gap_depends_on=["D1"])})
    shorter = make_overlay({"op": "tighten", "criterion": "X1", "max_age_days": {"R3": 1}}, name="later")
    criterion = compose([make_pack()], [shorter, added]).criteria[1]
    assert (criterion.id, criterion.max_age_days[Tier.R3], criterion.gap_depends_on) == ("X1", 1, ("D1",))


def test_an_added_gap_dependency_must_exist(make_pack, make_overlay, make_criterion):
    """References of an overlay are resolved against all packs."""
    added = make_overlay({"op": "add", "criterion": make_criterion(id="X1", gap_depends_on=["D9"])})
    assert "'D9', which no pack defines" in refusal([make_pack()], [added]).what


def test_what_a_pack_defines_cannot_be_added(make_pack, make_overlay, make_criterion):
    """The operation for that is tighten."""
    error = refusal([make_pack()], [make_overlay({"op": "add", "criterion": make_criterion()})])
    assert "adds D1, which a pack defines" in error.what
    assert "tighten" in error.remedy


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (
            tighten(accept=[{"metric": "auc", "bound": 0.7, "provenance": "x"}]),
            "D1 accept.auc.bound: 0.8 would become 0.7.",
        ),
        (tighten(accept=[{"metric": "auc", "n_min": 5, "provenance": "x"}]), "D1 accept.auc.n_min: 30 would become 5."),
        (tighten(max_age_days={"R4": 31}), "D1 max_age_days.R4: 30 would become 31."),
        (tighten(min_assurance="self_attested"), "D1 min_assurance: third_party would become self_attested."),
        ({"op": "require_at_tier", "criterion": "D1", "tier": "R4"}, "D1 required_from: R2 would become R4."),
        (
            {"op": "tighten_gate", "gate": "other", "quorum": {"R4": [{"role": "quality", "count": 1}]}},
            "At R4: other quorum.quality: 2 would become 1.",
        ),
        (tighten(accept=[{"metric": "acu", "provenance": "x"}]), "D1 has no bound on 'acu'. Did you mean auc?"),
        ({"op": "tighten", "criterion": "D2"}, "Unknown criterion 'D2'. Known here: D1."),
        ({"op": "tighten_gate", "gate": "golive", "quorum": {}}, "Unknown gate 'golive'. Did you mean go-live?"),
    ],
)
def test_loosening_is_refused_with_the_number(make_pack, make_overlay, make_gate, operation, said):
    """A waiver is the way, and the message says so; other tiers than the one at hand are guarded too."""
    seats = [{"role": "quality", "count": 2}]
    other = make_gate(id="other", quorum=dict.fromkeys(["R1", "R2", "R3", "R4"], seats))
    error = refusal([make_pack(gates=[make_gate(), other])], [make_overlay(operation)])
    assert said in error.what
    assert "waiver" in error.remedy


def test_everything_that_loosens_is_listed(make_pack, make_overlay):
    """Not only the first."""
    error = refusal(
        [make_pack()],
        [make_overlay(tighten(max_age_days={"R3": 99, "R4": 99}), tighten(min_assurance="self_attested"))],
    )
    assert len(error.what.splitlines()) == 4


def test_a_criterion_without_bounds_has_none_to_tighten(make_pack, make_overlay, make_criterion):
    """The message does not name a nearest one."""
    pack = make_pack(criteria=[make_criterion(check=None, accept=[])])
    error = refusal([pack], [make_overlay(tighten(accept=[{"metric": "auc", "provenance": "x"}]))])
    assert "It has no bound at all." in error.what


@pytest.mark.parametrize(("value", "bound"), [(0.7, 0.9), (0.95, 0.95), (None, math.nan)])
def test_for_a_declared_bound_an_overlay_is_a_floor(make_pack, make_overlay, make_criterion, value, bound):
    """A stricter declaration stands, a missing one stays undefined."""
    accept = make_criterion()["accept"][0] | {"bound": {"param": "quality.bound"}}
    pack = make_pack(criteria=[make_criterion(accept=[accept])])
    overlay = make_overlay(tighten(accept=[{"metric": "auc", "bound": 0.9, "provenance": "Floor."}]))
    params = {} if value is None else {"quality.bound": value}
    found = compose([pack], [overlay], params=params).criteria[0].acceptance[0].bound
    assert found == bound or (math.isnan(found) and math.isnan(bound))


def test_overlays_never_argue_with_each_other(make_pack, make_overlay):
    """Each is held against the packs, and the strictest of them wins, in any order."""
    first = make_overlay(tighten(max_age_days={"R3": 20}))
    second = make_overlay(tighten(max_age_days={"R3": 10}), name="later")
    assert compose([make_pack()], [first, second]) == compose([make_pack()], [second, first])
    assert compose([make_pack()], [first, second]).criteria[0].max_age_days[Tier.R3] == 10
