"""Who may use what: grants, denials, and what the credential itself must carry."""

import pytest

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.domain.exchange import Caller
from roadworthy.gateway import policy as policy_module
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.policy import WHAT, load_policy

POLICY = """
policy: 1
grants:
  - {roles: [clinician], use_cases: [heart], purposes: [triage], data_scopes: [cardiology], cohorts: [pilot, ward-3]}
  - {roles: ["*"], use_cases: [search], purposes: ["*"], data_scopes: ["*"], cohorts: ["*"]}
deny:
  - {roles: [suspended]}
  - {cohorts: [ward-3], purposes: [research]}
"""


def caller(roles=("clinician",), cohort="pilot", scopes=("*",), purposes=("*",)):
    return Caller(
        id="a", credential="k", roles=frozenset(roles), cohort=cohort, scopes=frozenset(scopes),
        purposes=frozenset(purposes), expires_at_s=9e9,
    )  # fmt: skip


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return load_policy(path)


def allows(policy, who, use_case="heart", purpose="triage", scope="cardiology"):
    try:
        policy.check(who, use_case, purpose, scope)
    except Refused:
        return False
    return True


def test_every_refusal_is_the_same(policy):
    """Whether the policy or the credential says no: a 403 in the same words."""
    for who in (caller(roles=("clerk",)), caller(scopes=()), caller(roles=("suspended",))):
        with pytest.raises(Refused) as caught:
            policy.check(who, "heart", "triage", "cardiology")
        refused = caught.value
        assert (refused.reason, refused.status, refused.what) == (Reason.FORBIDDEN, 403, WHAT)


def test_all_five_must_fit(policy):
    """Role, cohort, use case, purpose and scope; each alone is not enough."""
    assert allows(policy, caller())
    assert allows(policy, caller(roles=("x", "clinician"), cohort="ward-3"))
    assert not allows(policy, caller(roles=("clerk",)))
    assert not allows(policy, caller(roles=()))
    assert not allows(policy, caller(cohort=""))
    assert not allows(policy, caller(), use_case="lung")
    assert not allows(policy, caller(), purpose="billing")
    assert not allows(policy, caller(), scope="oncology")
    assert not allows(policy, caller(), scope="")


def test_a_star_grants_everything(policy):
    """Any role, also none; also where no scope is named."""
    assert allows(policy, caller(roles=(), cohort=""), "search", "anything", "")


def test_a_denial_wins(policy):
    """Whatever grants stand beside it; what it leaves out means everything."""
    assert not allows(policy, caller(roles=("clinician", "suspended")))
    assert allows(policy, caller(cohort="pilot"), "search", "research")
    assert not allows(policy, caller(cohort="ward-3"), "search", "research")
    assert allows(policy, caller(cohort="ward-3"), "search", "triage")


def test_a_star_is_never_asked_for(policy):
    """Not by a caller who holds every scope, and not by a role of that name."""
    for asked in (("*", "p", "s"), ("search", "*", "s"), ("search", "p", "*")):
        assert not allows(policy, caller(), *asked)
    assert not allows(policy, caller(roles=("*",)))
    assert not allows(policy, caller(cohort="*"))


def test_the_credential_restricts_further(policy):
    """A key asks only for what it carries, whatever the policy grants."""
    assert allows(policy, caller(scopes=("cardiology",), purposes=("triage",)))
    assert not allows(policy, caller(scopes=("oncology",)))
    assert not allows(policy, caller(purposes=("billing",)))
    assert not allows(policy, caller(scopes=()))
    assert not allows(policy, caller(scopes=("a",)), "search", "p", "")


def test_the_version_is_about_content(tmp_path, policy):
    """Order, layout and repetitions do not count; one word does."""
    path = tmp_path / "other.yaml"
    path.write_text(
        POLICY.replace("[pilot, ward-3]", "[ward-3, pilot, ward-3]").replace(
            "\n  - {roles: [sus", "\n\n  - {roles: [sus"
        )
    )
    assert load_policy(path).version == policy.version
    path.write_text(POLICY.replace("[heart]", "[heart, lung]"))
    assert load_policy(path).version != policy.version
    assert policy.version.startswith("sha256:")


def test_who_may_lists_the_matrix(policy):
    """All combinations that pass, and no star."""
    found = policy.who_may(
        roles=["clinician", "clerk", "suspended"], cohorts=["pilot", "x"], use_cases=["heart", "*"],
        purposes=["triage", "billing"], scopes=["cardiology", "*"],
    )  # fmt: skip
    assert list(found) == [("clinician", "pilot", "heart", "triage", "cardiology")]


def test_the_memory_is_bounded(policy, monkeypatch):
    """A caller who may name anything cannot fill it."""
    monkeypatch.setattr(policy_module, "MOST_REMEMBERED", 10)
    for number in range(50):
        allows(policy, caller(), "search", "p", str(number))
    assert len(policy._remembered) <= 10
    assert allows(policy, caller(), "search", "p", "3")


def test_a_name_that_nothing_can_grant_is_not_remembered(policy):
    """Longer than any grant's: refused before it takes memory, also by whoever may name anything."""
    assert allows(policy, caller(), "search", "p" * 256, "s" * 256)
    held = len(policy._remembered)
    assert not allows(policy, caller(), "search", "p" * 257, "s")
    assert not allows(policy, caller(), "search", "p", "s" * 257)
    assert len(policy._remembered) == held


@pytest.mark.parametrize(
    "text",
    [
        "policy: 2\ngrants: []",
        "policy: 1",
        POLICY.replace("purposes: [triage], ", ""),
        POLICY.replace("[triage]", "[]"),
        POLICY.replace("[triage]", "triage"),
        POLICY.replace("roles: [suspended]", "role: [suspended]"),
        POLICY + "grants: []\n",
        "policy: 1\ngrants: &a [*a]\n",
    ],
)
def test_a_policy_with_a_mistake_is_refused(tmp_path, text):
    """Nothing is guessed: version, missing and empty lists, unknown and repeated keys, aliases."""
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError):
        load_policy(path)


def test_a_missing_policy_is_told(tmp_path):
    """By its name."""
    with pytest.raises(MissingFile, match=r"none\.yaml"):
        load_policy(tmp_path / "none.yaml")
