"""Cases as the report meets them, decided by the real gate: closed with every state, open, and with nothing on record."""

from datetime import timedelta

from reports_world import (
    ADOPTION,
    AT,
    DATA,
    GOVERNANCE,
    PARTS,
    RELEASE,
    TECHNICAL,
    World,
    count,
    measured,
)

from roadworthy.base.codec import to_json
from roadworthy.domain.criterion import Effort
from roadworthy.domain.evidence import Attachment, Claim, Finding
from roadworthy.domain.gap import Assignment
from roadworthy.domain.people import Role
from roadworthy.domain.record import RecordKind
from roadworthy.domain.waiver import Deferral

LATENCY = {"edges": [1, 2, 4, 8, 16, 32, 64], "counts": [40, 900, 2400, 1300, 260, 12], "unit": "ms"}
RULES = [
    {"rule": "radius in mm", "dimension": "validity", "verdict": "not_met", "broken": 61, "checked": 369},
    {"rule": "age present", "dimension": "completeness", "verdict": "not_met", "broken": 14, "checked": 369},
    {"rule": "key unique", "dimension": "uniqueness", "verdict": "met", "broken": 0, "checked": 369},
]


def run_everything(world, *, messy_findings):
    """One inspection of the pilot as it is."""
    digest = world.run("endpoint.health", [count("probes_failed", 0, 6, "probe")], seconds=0.8)
    world.run(
        "load.peak",
        [
            measured("p99_ms", 31.4, 29.8, 34.1, 9120, "ms"),
            measured("error_share", 0.0004, 0.0001, 0.0011, 9120),
            count("offered_share_of_peak", 1.5, 1, "1"),
        ],
        facts={"latency": LATENCY, "generator": {"send_lag_p99_ms": 0.21, "cpu_share": 0.34}},
        seconds=61,
    )
    world.run(
        "performance.production",
        [
            measured("worst_cohort_quality", 0.687, 0.611, 0.762, 123),
            measured("quality", 0.941, 0.902, 0.968, 369, cohort="site A"),
            measured("quality", 0.687, 0.611, 0.762, 123, cohort="site C <north>"),
        ],
        findings=[
            Finding(
                what="Quality at site C is 0.687, far below the pilot: radius and perimeter look ten times too large.",
                remedy="Convert site C's lengths to the unit of the contract before they reach the model.",
            ),
            Finding(what="Site B sends 9 % of rows without a texture.", remedy="Ask site B, or impute and flag."),
        ],
        facts={"worst cohort": "site C <north>", "cohorts": 3},
    )
    world.run("performance.threshold", [measured("quality", 0.9, 0.864, 0.938, 369)])
    world.run(
        "data_quality.contract",
        [count("rules_broken", 2, 11, "rule"), count("corruptions_found_share", 1.0, 8, "1")],
        findings=[Finding(what="radius in mm: 61 of 369 rows break it.", remedy="Have site C send the agreed unit.")],
        facts={"rows": 369, "rules": RULES, "undeclared columns": []},
        attachments=(
            Attachment(name="flagged-rows.csv", media_type="text/csv", digest="sha256:" + "77" * 32, size_bytes=4312),
        ),
    )
    world.run(
        "endpoint.messy_input",
        [count("cases_unhandled", len(messy_findings), 24, "case")],
        findings=messy_findings,
        seconds=3.4,
    )
    return digest


MESSY = (
    Finding(what="A null in features answers 500.", remedy="Switch validation on in serving.yaml."),
    Finding(what="A number beyond a double answers 500.", remedy="Refuse what is not finite with 400."),
)


def closed_world():
    """Every state but one in one closed gate, after a fix: a new release, some checks run again, some not yet."""
    world = World(*GOVERNANCE, *TECHNICAL, *DATA, *ADOPTION)
    world.at = AT - timedelta(days=6)
    digest = run_everything(world, messy_findings=MESSY)
    world.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.MET, "I answer for this system and for what it costs.")
    world.attest("D3", "dan", Role.DATA_OWNER, Claim.NOT_APPLICABLE, "The model reads no documents.")
    world.add(
        RecordKind.GAP_ASSIGNED,
        {
            "assignment": to_json(
                Assignment(
                    criterion_id="D4",
                    owner="Dan O'Neill <data>",
                    effort=Effort(low_days=1, likely_days=2, high_days=4),
                    depends_on=None,
                    deadline_at=AT + timedelta(days=1),
                    assigned_by="ada",
                    assigned_at=world.at,
                )
            )
        },
    )
    world.add(
        RecordKind.GAP_DEFERRED,
        {
            "deferral": to_json(
                Deferral(
                    criterion_id="A4",
                    reason="managers change in January",
                    work="briefings",
                    cost_days=3.0,
                    target_stage="adopt",
                    decided_by="ada",
                    decided_at=world.at,
                )
            )
        },
    )
    world.settle()
    world.at = AT
    world.release(RELEASE, PARTS)
    world.run("endpoint.messy_input", [count("cases_unhandled", 0, 24, "case")], seconds=3.1)
    world.run("data_quality.datasheet", [count("questions_answered", 7, 7, "question")], signer="dan")
    world.waive("G5", digest)
    return world


def open_world():
    """Three criteria, all satisfied, signed by everybody who has to."""
    world = World(TECHNICAL[3], DATA[4], GOVERNANCE[1])
    world.at = AT
    world.release(RELEASE, PARTS)
    world.run("endpoint.health", [count("probes_failed", 0, 6, "probe")])
    world.run("endpoint.messy_input", [count("cases_unhandled", 0, 24, "case")])
    world.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.MET, "I answer for this system.")
    world.sign("ada", Role.BUSINESS_OWNER)
    world.sign("sam", Role.SYSTEM_OWNER)
    world.sign("val", Role.VALIDATOR)
    return world


def bare_world(*criteria):
    """A policy on record and nothing else."""
    world = World(*criteria)
    world.at = AT
    return world
