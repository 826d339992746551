"""The schema of a pack: what it refuses, and in which words."""

import pytest
from pydantic import ValidationError

from roadworthy.domain.criterion import Comparator
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import (
    AcceptModel,
    DaysByTier,
    PackModel,
    ParamKind,
    ParamRef,
    QuorumByTier,
    TightenDays,
    TightenQuorum,
)

HEAD = {"id": "mine", "version": 1, "title": "Mine", "status": "active"}
ACCEPT = {"metric": "auc", "op": ">=", "bound": 0.8, "unit": "1", "n_min": 30, "provenance": "test"}


def messages(model, content):
    """What the schema says of some content."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return [(each["loc"], each["msg"]) for each in caught.value.errors()]


def test_a_head_alone_is_a_pack():
    """Criteria, gates and overlays may each be absent."""
    assert PackModel.model_validate(HEAD).criteria == ()


@pytest.mark.parametrize(
    "change",
    [
        {"titel": "x"},
        {"version": True},
        {"version": 0},
        {"id": "Mine"},
        {"status": "withdrawn"},
        {"sources": [{"document": "d"}]},
        {"sources": [{"document": "d", "url": "ftp://x", "checked_on": "2026-01-01"}]},
        {"overlays": [{"op": "loosen", "criterion": "D1"}]},
        {"overlays": [{"op": "require_at_tier", "criterion": "D1", "tier": "R0"}]},
    ],
)
def test_what_the_schema_does_not_know_is_refused(change):
    """Unknown keys, wrong types, loosening and R0 are errors."""
    assert len(messages(PackModel, HEAD | change)) == 1


def test_a_bound_without_provenance_is_refused():
    """Nobody may forget where a number comes from."""
    assert messages(AcceptModel, {k: v for k, v in ACCEPT.items() if k != "provenance"})[0][0] == ("provenance",)
    assert messages(AcceptModel, ACCEPT | {"provenance": ""})[0][0] == ("provenance",)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bound", True, "Write a finite number, or {param: name}"),
        ("bound", float("nan"), "Write a finite number, or {param: name}"),
        ("bound", "0.8", "Write a finite number, or {param: name}"),
        ("op", ">", 'Write ">=" or "<=", or {param: name}'),
        ("n_min", 0, "Write a whole number from 1 on, or {param: name}"),
        ("n_min", {"parm": "x"}, "A reference reads {param: name}"),
    ],
)
def test_a_value_that_may_be_a_parameter_gives_one_message(key, value, said):
    """Not one message for each branch of the union."""
    assert messages(AcceptModel, ACCEPT | {key: value}) == [((key,), said)]


def test_parameters_are_listed_with_what_they_must_stand_for():
    """A comparator cannot be filled from a number."""
    accept = AcceptModel.model_validate(
        ACCEPT | {"op": {"param": "a"}, "bound": {"param": "b"}, "n_min": {"param": "c"}}
    )
    assert [*accept.params()] == [
        ("op", "a", ParamKind.COMPARATOR),
        ("bound", "b", ParamKind.NUMBER),
        ("n_min", "c", ParamKind.NUMBER),
    ]
    assert accept.bound == ParamRef(param="b")
    literal = AcceptModel.model_validate(ACCEPT)
    assert [*literal.params()] == []
    assert literal.op is Comparator.AT_LEAST


def test_ages_and_quorums_are_read_by_tier():
    """All four tiers, or for an overlay those that it names."""
    assert DaysByTier(R1=4, R2=3, R3=2, R4=1).by_tier() == {Tier.R1: 4, Tier.R2: 3, Tier.R3: 2, Tier.R4: 1}
    assert TightenDays(R3=2).by_tier() == {Tier.R3: 2}
    one = [{"role": "quality", "count": 2}]
    assert QuorumByTier(R1=one, R2=one, R3=one, R4=one).at(Tier.R4)[0].role is Role.QUALITY
    assert TightenQuorum(R2=one).at(Tier.R1) == ()
    assert TightenQuorum(R2=one).at(Tier.R2)[0].count == 2


def test_an_age_of_zero_is_refused():
    """Evidence that is never valid cannot be asked for."""
    assert messages(DaysByTier, {"R1": 1, "R2": 1, "R3": 1, "R4": 0})[0][0] == ("R4",)
