"""The packs that come with Roadworthy: what they promise, read back from the files."""

import pytest

from roadworthy.domain.criterion import Kind, ReadinessDomain
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.packs.diff import vacuous
from roadworthy.packs.load import builtin, builtins
from roadworthy.packs.profile import profile

TITLES = {
    "G1": "Data access scope reviewed and approved by data owner",
    "G2": "Model accountability assigned to a named business owner",
    "G3": "Output audit logging active and tested",
    "G4": "Incident response playbook documented and communicated",
    "G5": "Regulatory obligations mapped and compliance confirmed",
    "T1": "Production environment deployed — not sandbox or development",
    "T2": "Private endpoint and network security configuration verified",
    "T3": "Load testing completed at 150% of expected peak volume",
    "T4": "Integration points tested end-to-end with production systems",
    "T5": "Monitoring and alerting active with defined response SLAs",
    "D1": "Model performance validated against production-representative data",
    "D2": "Output quality threshold defined and currently being met",
    "D3": "Grounding sources approved, scoped, and access-controlled",
    "D4": "Data quality baseline documented and monitoring active",
    "D5": "Fallback behavior tested and functioning as designed",
    "A1": "Change program active — awareness and desire stages complete",
    "A2": "Role-based training delivered to all target user cohorts",
    "A3": "Champion network activated and briefed",
    "A4": "Managers equipped with reinforcement tools and talking points",
    "A5": "Adoption measurement dashboard live and baseline set",
}
BOUNDS = {
    "D1": ("performance.production", [("worst_cohort_quality", ">=", 0.8, "1", 30)]),
    "D2": ("performance.threshold", [("quality", ">=", 0.8, "1", 100)]),
    "D4": (
        "data_quality.contract",
        [("corruptions_found_share", ">=", 0.95, "1", 8), ("rules_broken", "<=", 0, "rule", 1)],
    ),
    "D8": ("drift.alarm", [("detected_share", ">=", 0.9, "1", 35), ("false_alarm_share", "<=", 0.05, "1", 100)]),
    "D7": ("release.reproducible", [("replay_equal_share", ">=", 0.95, "1", 100)]),
    "D9": ("performance.delta", [("quality_loss", "<=", 0.03, "1", 100)]),
    "D10": (
        "slices.worst",
        [("searched_slices_behind", "<=", 0, "slice", 59), ("worst_slice_gap", "<=", 0.03, "1", 59)],
    ),
    "D11": ("uncertainty.calibration", [("calibration_error", "<=", 0.05, "1", 100)]),
    "D12": (
        "attribution.stable",
        [("acquisition_mass_share", "<=", 0.05, "1", 100), ("attribution_alarms", "<=", 0, "figure", 100)],
    ),
    "D13": ("endpoint.messy_input", [("cases_unhandled", "<=", 0, "case", 10)]),
    "D14": ("data_quality.datasheet", [("questions_answered", ">=", 7, "question", 7)]),
    "D15": (
        "leakage.split",
        [("inputs_known_too_late", "<=", 0, "input", 1), ("rows_on_both_sides", "<=", 0, "row", 100)],
    ),
    "D17": ("baseline.simpler", [("gain_over_logistic", ">=", 0.001, "1", 100)]),
    "D18": ("drift.inputs", [("inputs_not_compared", "<=", 0, "input", 1)]),
    "D19": ("performance.estimate", [("estimated_loss", "<=", 0.03, "1", 100)]),
    "D20": ("shortcut.site", [("decisions_flipped_share", "<=", 0.05, "1", 100)]),
    "D5": (
        "fallback.ladder",
        [
            ("recovery_s", "<=", 10, "s", 15),
            ("unhandled_faults", "<=", 0, "fault", 15),
            ("untold_callers", "<=", 0, "caller", 15),
        ],
    ),
    "G1": (
        "access.least_privilege",
        [("false_denials", "<=", 0, "combination", 20), ("false_grants", "<=", 0, "combination", 20)],
    ),
    "G3": (
        "audit.logging",
        [
            ("answers_without_sink", "<=", 0, "answer", 4),
            ("clock_skew_s", "<=", 2, "s", 73),
            ("recorded_share", ">=", 0.95, "1", 73),
            ("sink_recovery_s", "<=", 30, "s", 2),
            ("undetected_tampers", "<=", 0, "tamper", 8),
            ("unrecorded_canaries", "<=", 0, "canary", 73),
        ],
    ),
    "T20": (
        "switch.stop",
        [
            ("answered_while_off", "<=", 0, "answer", 50),
            ("not_resumed", "<=", 0, "switch", 1),
            ("stop_s", "<=", 60, "s", 20),
            ("unrecorded_switches", "<=", 0, "switch", 2),
        ],
    ),
    "T3": (
        "load.peak",
        [
            ("error_share", "<=", 0.01, "1", 500),
            ("offered_share_of_peak", ">=", 1.5, "1", 1),
            ("p99_ms", "<=", 50, "ms", 500),
        ],
    ),
    "T1": ("release.runtime", [("differences", "<=", 0, "difference", 6)]),
    "T2": (
        "network.exposure",
        [
            ("undeclared_connections", "<=", 0, "connection", 1),
            ("undeclared_ports", "<=", 0, "port", 1),
            ("weak_tls", "<=", 0, "port", 1),
        ],
    ),
    "T4": ("integration.end_to_end", [("duplicated", "<=", 0, "place", 1), ("lost", "<=", 0, "place", 1)]),
    "T5": (
        "alert.fires",
        [
            ("alerts_silent", "<=", 0, "alert", 1),
            ("alerts_stuck", "<=", 0, "alert", 1),
            ("alerts_unacknowledged", "<=", 0, "alert", 1),
            ("causes_without_alert", "<=", 0, "cause", 1),
            ("false_alarms", "<=", 0, "alert", 1),
        ],
    ),
    "T18": (
        "load.recorded",
        [
            ("error_share", "<=", 0.01, "1", 500),
            ("offered_share_of_peak", ">=", 1.5, "1", 1),
            ("p99_ms", "<=", 50, "ms", 500),
        ],
    ),
    "T19": (
        "restore.drill",
        [
            ("log_faults", "<=", 0, "fault", 1),
            ("lost_payloads", "<=", 0, "payload", 1),
            ("lost_records", "<=", 0, "record", 50),
            ("restore_s", "<=", 600, "s", 1),
        ],
    ),
    "T14": ("release.pinned", [("parts_changed", "<=", 0, "part", 1), ("parts_unpinned", "<=", 0, "part", 1)]),
    "T16": ("endpoint.health", [("probes_failed", "<=", 0, "probe", 3)]),
}
FROM_R2 = {"D8", "D10", "D11", "D12", "D15", "D17", "D18", "D19", "D20", "T18", "T19", "T20"}
PARAMS = {"quality.bound": 0.8, "quality.op": ">=", "quality.margin": 0.03, "slo.p99_ms": 50, "slo.error_share": 0.01}


def composed(tier=Tier.R3):
    """Both packs at one tier."""
    return profile(builtins(), [], use_case_id="triage", tier=tier, params=PARAMS)


def models():
    """Every criterion of every pack."""
    return [model for pack in builtins() for model in pack.model.criteria]


def test_the_twenty_titles_stand_word_for_word():
    """As the article has them, dashes and signs included."""
    assert {model.id: model.title for model in builtin("enterprise", 2).model.criteria} == TITLES


def test_ids_say_the_domain():
    """G, T, D and A."""
    letters = {"G": "governance", "T": "technical", "D": "data", "A": "adoption"}
    assert all(model.domain is ReadinessDomain(letters[model.id[0]]) for model in models())


def test_the_bounds_are_those_that_were_agreed():
    """Check, metric, comparator, bound, unit and smallest n; nothing else has a check."""
    found = {
        each.id: (each.check, [(p.metric, p.comparator.value, p.bound, p.unit, p.n_min) for p in each.acceptance])
        for each in composed().criteria
        if each.check is not None
    }
    assert found == BOUNDS


def test_no_signature_can_replace_an_instrument():
    """Only two of the twenty are proven by signatures alone."""
    alone = {
        each.id: (each.kind, each.signer_roles) for each in models() if each.kind in {Kind.SIGNATURE, Kind.DOCUMENT}
    }
    assert alone == {"G2": (Kind.SIGNATURE, (Role.BUSINESS_OWNER,)), "A4": (Kind.DOCUMENT, (Role.CHANGE_LEAD,))}


def test_every_bound_has_a_provenance():
    """The schema demands one; here it says something."""
    assert all(len(accept.provenance) > 20 for model in models() for accept in model.accept)


@pytest.mark.parametrize("tier", [Tier.R1, Tier.R2, Tier.R3, Tier.R4])
def test_every_tier_composes_and_no_bound_is_vacuous(tier):
    """A predicate that cannot fail proves nothing."""
    assert vacuous(composed(tier)) == ()


def test_higher_tiers_require_more():
    """R1 leaves out what is required from R2 on."""
    required = {tier: {each.id for each in composed(tier).criteria} for tier in (Tier.R1, Tier.R2, Tier.R3, Tier.R4)}
    assert required[Tier.R2] - required[Tier.R1] == {"G4", "A1", "A3", "A4", "D7", *FROM_R2}
    assert required[Tier.R2] == required[Tier.R3] == required[Tier.R4] == {*TITLES, *BOUNDS}


def test_ages_never_grow_with_the_tier():
    """What is more severe is looked at more often."""
    for model in models():
        days = [*model.max_age_days.by_tier().values()]
        assert days == sorted(days, reverse=True), model.id


def test_the_floor_of_what_may_never_be_waived():
    """From R3 on: access, audit log, quality, grounding and fallback."""
    from_r3 = {each.id for each in composed().criteria if Tier.R3 not in each.waivable}
    assert from_r3 == {"G1", "G3", "D2", "D3", "D5"}
    from_r4 = {each.id for each in composed(Tier.R4).criteria if Tier.R4 not in each.waivable}
    assert from_r4 == from_r3 | {"T14", "T20"}


def test_only_grounding_sources_may_not_apply():
    """A system without any has none to approve."""
    assert [each.id for each in models() if each.may_not_apply] == ["D3"]


def test_every_part_that_an_age_cannot_catch_is_named():
    """Evidence about a model is void when the model changes."""
    by_id = {each.id: each.depends_on for each in composed().criteria}
    measured_on = {Part.MODEL, Part.PROMPT, Part.INDEX, Part.DATA_CONTRACT, Part.PRODUCTION_DATA}
    assert by_id["D1"] == measured_on
    assert by_id["D9"] == measured_on | {Part.PILOT_DATA}
    assert by_id["D15"] == measured_on | {Part.PILOT_DATA, Part.TRAINING_DATA}
    assert by_id["D8"] == (measured_on | {Part.PILOT_DATA}) - {Part.PRODUCTION_DATA}
    assert by_id["G2"] == {Part.PEOPLE}
    assert by_id["G5"] == {Part.PACKS}
    assert by_id["T3"] == {Part.MODEL, Part.CONFIG, Part.INFRASTRUCTURE}


def test_the_gate():
    """Who signs, from when builders may not, and how long a waiver lives."""
    seats = {tier: {rule.role for rule in composed(tier).gate.quorum} for tier in (Tier.R1, Tier.R2, Tier.R3, Tier.R4)}
    two = {Role.BUSINESS_OWNER, Role.SYSTEM_OWNER}
    assert seats == {Tier.R1: two, Tier.R2: two, Tier.R3: two | {Role.VALIDATOR}, Tier.R4: two | {Role.VALIDATOR}}
    gate = composed().gate
    assert (gate.independent_from, gate.max_waivers, gate.conditional_wave_share) == (Tier.R3, 3, 0.05)
    assert gate.waiver_days == {Tier.R1: 90, Tier.R2: 60, Tier.R3: 30, Tier.R4: 14}
