"""Releases and subjects are known by what they are made of."""

import pytest

from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Release, Subject


def test_a_release_is_its_parts() -> None:
    """Another model is another release; other data is not."""
    one = Release(parts={Part.MODEL: "sha256:aa", Part.PILOT_DATA: "sha256:bb"})
    data = Release(parts={Part.MODEL: "sha256:aa", Part.PILOT_DATA: "sha256:cc"})
    model = Release(parts={Part.MODEL: "sha256:ab"})
    assert one.digest == data.digest
    assert one.digest != model.digest


def test_a_subject_covers_everything_that_evidence_may_depend_on() -> None:
    """Same release and other data is another subject."""
    one = Subject(use_case_id="u", release_digest="sha256:aa", parts={Part.PILOT_DATA: "sha256:bb"})
    same = Subject(use_case_id="u", release_digest="sha256:aa", parts={Part.PILOT_DATA: "sha256:bb"})
    other = Subject(use_case_id="u", release_digest="sha256:aa", parts={Part.PILOT_DATA: "sha256:cc"})
    assert one.same(same)
    assert not one.same(other)


@pytest.mark.parametrize(("tier", "other", "expected"), [("R3", "R2", True), ("R2", "R3", False), ("R0", "R4", True)])
def test_tiers_are_ordered_and_prohibition_outranks_all(tier: str, other: str, expected: bool) -> None:
    """R0 is not the mildest tier but the end of the road."""
    assert Tier(tier).at_least(Tier(other)) is expected
