from dataclasses import replace

import pytest

from roadworthy.base.errors import DependencyCycle
from roadworthy.domain.criterion import Effort
from roadworthy.domain.decision import State
from roadworthy.domain.evidence import Claim, Finding, RunOutcome
from roadworthy.domain.gap import Assignment, GapKind
from roadworthy.domain.people import Role
from roadworthy.domain.waiver import Deferral
from roadworthy.gates.gaps import open_gaps
from unit.gates.gates_world import (
    AT,
    DAY,
    FAIL,
    approval,
    auc,
    criterion,
    judge,
    profile,
    request,
    run,
    signed_criterion,
    waiver,
    word,
)

RULE = criterion()
BOTH = criterion("T2", signer_roles=(Role.QUALITY,))
FINDINGS = {"T1": (Finding(what="too low", remedy="Retrain it."), Finding(what="b", remedy="c"))}


def gaps(rules, evidence=(), *, assignments=None, deferrals=None, findings=None, owners=None, **changes):
    decision = judge(rules, evidence, **changes)
    return open_gaps(rules, decision, assignments or {}, deferrals or {}, findings or {}, owners=owners)


def assignment(criterion_id="T1", **changes):
    base = Assignment(
        criterion_id=criterion_id,
        owner=None,
        effort=None,
        depends_on=None,
        deadline_at=None,
        assigned_by="sam",
        assigned_at=AT,
    )
    return {criterion_id: replace(base, **changes)}


@pytest.mark.parametrize(
    ("rule", "evidence", "kind"),
    [
        (RULE, [], GapKind.RUN),
        (RULE, [run(RULE, inputs={})], GapKind.RUN),
        (RULE, [run(RULE, outcome=RunOutcome.ERROR)], GapKind.RUN),
        (RULE, [run(RULE, control=None)], GapKind.RUN),
        (RULE, [run(RULE), run(RULE, estimates=FAIL)], GapKind.RUN),
        (RULE, [run(RULE, estimates=())], GapKind.RUN),
        (RULE, [run(RULE, estimates=FAIL)], GapKind.FIX),
        (RULE, [run(RULE, estimates=(auc(n=1),))], GapKind.DATA),
        (RULE, [run(RULE, estimates=(auc(0.1, 0.9),))], GapKind.DATA),
        (criterion(check=None), [], GapKind.BUILD),
        (signed_criterion(), [], GapKind.SIGN),
        (signed_criterion(), [word(signed_criterion(), inputs={})], GapKind.SIGN),
        (signed_criterion(), [word(signed_criterion(), claim=Claim.NOT_MET)], GapKind.FIX),
        (BOTH, [], GapKind.RUN),
        (BOTH, [run(BOTH)], GapKind.SIGN),
        (BOTH, [run(BOTH, inputs={})], GapKind.RUN),
    ],
)
def test_the_kind_says_what_it_takes(rule, evidence, kind):
    """Run, fix, data, sign or build."""
    (gap,) = gaps(profile(rule), evidence)
    assert gap.kind is kind


def test_satisfied_and_not_applicable_leave_no_gap():
    """Evidence closes a gap, and nothing else does."""
    optional = criterion("T3", may_not_apply=True)
    rationale = word(optional, who="dana", role=Role.DATA_OWNER, claim=Claim.NOT_APPLICABLE)
    assert gaps(profile(RULE, optional), [run(RULE), rationale]) == ()


def test_a_waived_criterion_keeps_its_gap():
    """Permission is not repair, and its kind is that of what lies beneath."""
    proof = word(signed_criterion())
    asked = waiver(compensating_evidence=(proof.digest,))
    (gap,) = gaps(
        profile(RULE, signed_criterion()),
        [proof, run(RULE, estimates=FAIL)],
        waivers=[request(asked)],
        waiver_approvals=[approval(asked)],
        findings=FINDINGS,
    )
    assert (gap.state, gap.kind, gap.remedy) == (State.WAIVED, GapKind.FIX, "Retrain it.")


def test_defaults_come_from_the_pack():
    """Owner by role, effort by kind, what to do first from the finding."""
    (gap,) = gaps(
        profile(RULE), [run(RULE, estimates=FAIL)], findings=FINDINGS, owners={Role.DATA_OWNER: "Dana's team"}
    )
    assert (gap.criterion_id, gap.title, gap.owner) == ("T1", "Title of T1", "Dana's team")
    assert (gap.effort, gap.remedy) == (RULE.effort, "Retrain it.")
    assert (gap.deadline_at, gap.deferred, gap.depends_on) == (None, None, ())


def test_a_role_that_nobody_has_owns_by_name():
    """A gap is never without an owner."""
    assert gaps(profile(RULE))[0].owner == "data_owner"


def test_an_assignment_overrides_field_by_field():
    """What is not set stays at its default."""
    rules = profile(criterion("T1", gap_depends_on=("T2",)), BOTH, signed_criterion())
    effort = Effort(low_days=3, likely_days=4, high_days=5)
    given = assignment(owner="Sam", effort=effort, depends_on=("G1", "X9"), deadline_at=AT + DAY)
    first = gaps(rules, assignments=given)[0]
    assert (first.owner, first.effort, first.depends_on, first.deadline_at) == ("Sam", effort, ("G1",), AT + DAY)
    kept = gaps(rules, assignments=assignment())[0]
    assert (kept.owner, kept.depends_on) == ("data_owner", ("T2",))
    assert gaps(rules, assignments=assignment(depends_on=()))[0].depends_on == ()


def test_running_and_signing_are_small_whatever_the_criterion_is():
    """A tenth and a quarter of a day."""
    found = gaps(profile(RULE, signed_criterion()))
    assert [gap.effort.likely_days for gap in found] == [0.1, 0.25]


def test_dependencies_on_closed_gaps_are_gone():
    """Only open gaps come first."""
    rules = profile(criterion("T1", gap_depends_on=("T2",)), criterion("T2"))
    assert gaps(rules, [run(criterion("T2"))])[0].depends_on == ()


def test_a_deferral_is_shown_and_closes_nothing():
    """The decision to do it later, with the stage."""
    deferral = Deferral(
        criterion_id="T1",
        reason="No data yet.",
        work="collect",
        cost_days=5,
        target_stage="launch",
        decided_by="olga",
        decided_at=AT,
    )
    assert gaps(profile(RULE), deferrals={"T1": deferral})[0].deferred == "Until launch: No data yet."


@pytest.mark.parametrize(
    ("rule", "evidence", "remedy"),
    [
        (RULE, [], "Run quality: roadworthy inspect."),
        (RULE, [run(RULE, inputs={})], "Run quality: roadworthy inspect."),
        (signed_criterion(), [], "Have G1 signed as quality: roadworthy sign G1."),
        (
            signed_criterion(),
            [word(signed_criterion(), claim=Claim.NOT_MET)],
            "Change what was found wanting, then run roadworthy inspect again.",
        ),
    ],
)
def test_the_remedy_fits_the_kind(rule, evidence, remedy):
    """Findings of a stale run are history and are not offered."""
    findings = FINDINGS if rule is RULE else {}
    assert gaps(profile(rule), evidence, findings=findings)[0].remedy == remedy


def test_gaps_in_a_circle_are_an_error():
    """Assignments can close one."""
    rules = profile(criterion("T1", gap_depends_on=("T2",)), criterion("T2"))
    with pytest.raises(DependencyCycle):
        gaps(rules, assignments=assignment("T2", depends_on=("T1",)))
