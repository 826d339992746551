"""The compiled policy decides like a reading of its rules, word by word."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.domain.exchange import Caller
from roadworthy.gateway.exchange import Refused
from roadworthy.gateway.policy import Authorise, Denial, Grant, PolicyFile

NAMES = st.sampled_from(["a", "b", "c", "*"])
LISTS = st.lists(NAMES, min_size=1, max_size=3)
FIELDS = ("roles", "use_cases", "purposes", "data_scopes", "cohorts")
GRANTS = st.fixed_dictionaries(dict.fromkeys(FIELDS, LISTS)).map(lambda rule: Grant(**rule))
DENIALS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, LISTS)).map(lambda rule: Denial(**rule))
FILES = st.builds(
    PolicyFile, policy=st.just(1), grants=st.lists(GRANTS, max_size=4), deny=st.lists(DENIALS, max_size=2)
)
SETS = st.frozensets(NAMES, max_size=3)
CALLERS = st.builds(
    Caller, id=st.just("i"), credential=st.just("k"), roles=SETS, cohort=st.sampled_from(["a", "b", "", "*"]),
    scopes=SETS, purposes=SETS, expires_at_s=st.just(9e9),
)  # fmt: skip
ASKED = st.tuples(*[st.sampled_from(["a", "b", "c", "", "*"])] * 3)


def holds(rule, caller, asked):
    """One rule, read aloud."""
    use_case, purpose, scope = asked
    return (
        ("*" in rule.roles or any(role in rule.roles for role in caller.roles if role != "*"))
        and ("*" in rule.use_cases or use_case in rule.use_cases)
        and ("*" in rule.purposes or purpose in rule.purposes)
        and ("*" in rule.data_scopes or scope in rule.data_scopes)
        and ("*" in rule.cohorts or caller.cohort in rule.cohorts)
    )


def naive(file, caller, asked):
    """The whole decision, without any preparation."""
    _, purpose, scope = asked
    if "*" in asked:
        return False
    if not ("*" in caller.purposes or purpose in caller.purposes):
        return False
    if not ("*" in caller.scopes or scope in caller.scopes):
        return False
    if any(holds(rule, caller, asked) for rule in file.deny):
        return False
    return any(holds(rule, caller, asked) for rule in file.grants)


def decided(stage, caller, asked):
    try:
        stage.check(caller, *asked)
    except Refused:
        return False
    return True


@given(FILES, CALLERS, st.lists(ASKED, min_size=1, max_size=5))
def test_compiled_and_naive_agree(file, caller, questions):
    """Also the second time, when the answer is remembered."""
    stage = Authorise(file)
    for asked in questions + questions:
        assert decided(stage, caller, asked) == naive(file, caller, asked)


@given(FILES, CALLERS, ASKED, GRANTS, DENIALS)
def test_rules_only_move_one_way(file, caller, asked, grant, denial):
    """One more grant never forbids, one more denial never allows, and no grant at all allows nothing."""
    before = decided(Authorise(file), caller, asked)
    wider = PolicyFile(policy=1, grants=[*file.grants, grant], deny=file.deny)
    narrower = PolicyFile(policy=1, grants=file.grants, deny=[*file.deny, denial])
    assert decided(Authorise(wider), caller, asked) >= before
    assert decided(Authorise(narrower), caller, asked) <= before
    assert not decided(Authorise(PolicyFile(policy=1, grants=[], deny=file.deny)), caller, asked)


@given(FILES, st.sampled_from(["a", "b"]), ASKED)
def test_the_matrix_says_what_check_says(file, role, asked):
    """For a holder of one role whose credential carries everything."""
    stage = Authorise(file)
    use_case, purpose, scope = asked
    caller = Caller(
        id="i", credential="k", roles=frozenset({role}), cohort="a", scopes=frozenset("*"), purposes=frozenset("*"),
        expires_at_s=9e9,
    )  # fmt: skip
    listed = list(stage.who_may(roles=[role], cohorts=["a"], use_cases=[use_case], purposes=[purpose], scopes=[scope]))
    assert bool(listed) == decided(stage, caller, asked)
