"""Laws of composition: order and repetition are irrelevant, and nothing that composes gets looser."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.digest import digest_of
from roadworthy.base.errors import PackError
from roadworthy.domain.criterion import PackRef
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import PackModel
from roadworthy.packs.diff import Effect, diff, loosenings
from roadworthy.packs.load import Pack, builtins
from roadworthy.packs.profile import profile

BUILT_IN = list(builtins())
PARAMS = {"quality.bound": 0.8, "quality.op": ">=", "quality.margin": 0.03, "slo.p99_ms": 50, "slo.error_share": 0.01}
TIERS = st.sampled_from([Tier.R1, Tier.R2, Tier.R3, Tier.R4])
ROLES = st.sampled_from(["quality", "security", "legal", "validator"])
IDS = st.sampled_from(["D4", "D7", "T3", "T14", "G2"])
BOUNDED = st.sampled_from(
    [("D4", "corruptions_found_share"), ("D7", "replay_equal_share"), ("T3", "offered_share_of_peak")]
)


def pack(name, **content):
    """A pack made of content."""
    model = PackModel.model_validate({"id": name, "version": 1, "title": name, "status": "active"} | content)
    ref = PackRef(id=name, version=1, digest=digest_of(model.model_dump(mode="json", exclude_unset=True)))
    return Pack(ref=ref, model=model)


def bound_operation(place, bound, n_min):
    """A bound on a metric of a built-in criterion."""
    accept = {"metric": place[1], "bound": bound, "n_min": n_min, "provenance": "House."}
    return {"op": "tighten", "criterion": place[0], "accept": [accept]}


OPERATIONS = st.one_of(
    st.builds(bound_operation, BOUNDED, st.floats(0, 3), st.integers(1, 2000)),
    st.builds(
        lambda name, days: {"op": "tighten", "criterion": name, "max_age_days": {"R3": days}}, IDS, st.integers(1, 90)
    ),
    st.builds(lambda name, role: {"op": "tighten", "criterion": name, "add_signer_roles": [role]}, IDS, ROLES),
    st.builds(lambda name, tier: {"op": "require_at_tier", "criterion": name, "tier": tier.value}, IDS, TIERS),
    st.builds(
        lambda role, count: {
            "op": "tighten_gate",
            "gate": "go-live",
            "quorum": {"R3": [{"role": role, "count": count}]},
        },
        ROLES,
        st.integers(1, 3),
    ),
)
OVERLAYS = st.lists(st.lists(OPERATIONS, max_size=3), max_size=3).map(
    lambda files: [pack(f"house-{index}", overlays=operations) for index, operations in enumerate(files)]
)


def compose(packs, overlays, tier):
    """The profile, or None where an overlay is refused."""
    try:
        return profile(packs, overlays, use_case_id="triage", tier=tier, params=PARAMS)
    except PackError:
        return None


def looser_versions(model):
    """A second pack that says the same criteria more loosely."""
    days = {tier.value: age * 2 for tier, age in model.max_age_days.by_tier().items()}
    return model.model_dump(mode="json") | {"max_age_days": days, "signer_roles": [], "required_from": "R4"}


@given(st.permutations(BUILT_IN), OVERLAYS, TIERS, st.randoms(use_true_random=False))
def test_order_and_repetition_are_irrelevant(packs, overlays, tier, random):
    """The same profile, so the same digest; or refused in every order."""
    shuffled = overlays * 2
    random.shuffle(shuffled)
    assert compose(packs * 2, shuffled, tier) == compose(BUILT_IN, overlays, tier)


@given(OVERLAYS, TIERS)
def test_an_overlay_that_is_accepted_loosens_nothing(overlays, tier):
    """Against the packs alone, every change is tighter or neutral."""
    bare, composed = compose(BUILT_IN, [], tier), compose(BUILT_IN, overlays, tier)
    if composed is not None:
        assert loosenings(diff(bare, composed)) == ()


@given(OVERLAYS, TIERS)
def test_a_loosening_is_the_mirror_of_a_tightening(overlays, tier):
    """What gets tighter one way gets looser the other."""
    bare, composed = compose(BUILT_IN, [], tier), compose(BUILT_IN, overlays, tier)
    if composed is not None:
        tighter = {(each.criterion_id, each.field) for each in diff(bare, composed) if each.effect is Effect.TIGHTER}
        back = {(each.criterion_id, each.field) for each in loosenings(diff(composed, bare))}
        assert tighter == back


@given(st.sets(st.integers(0, 25), max_size=8), TIERS)
def test_a_looser_pack_changes_nothing_that_decides(chosen, tier):
    """The strictest wins, whoever says it."""
    every = [model for each in BUILT_IN for model in each.model.criteria]
    looser = pack("looser", criteria=[looser_versions(every[index]) for index in sorted(chosen)])
    found = diff(compose(BUILT_IN, [], tier), compose([looser, *BUILT_IN], [], tier))
    assert {each.effect for each in found} <= {Effect.NEUTRAL}
