"""Parameters of checks: typed, named with units, and only ever stricter."""

from dataclasses import dataclass

import pytest

from roadworthy.base.errors import LooseningRefused, ParameterError
from roadworthy.kit.params import higher, lower, read_params


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One parameter of each sort."""

    duration_s: float = higher(60.0)
    requests: int = higher(100)
    answer_s: float = lower(5.0)
    name: str = "plain"
    strict: bool = True


def test_nothing_given_means_the_defaults() -> None:
    """The default is the least strict value."""
    assert read_params(Params, {}, where="checks.x") == Params()


def test_stricter_values_are_taken() -> None:
    """Whole numbers fit where reals are asked for, and give the same evidence as reals."""
    read = read_params(Params, {"duration_s": 600, "answer_s": 2.5, "requests": 200, "name": "x"}, where="checks.x")
    assert read == Params(duration_s=600.0, answer_s=2.5, requests=200, name="x")
    assert isinstance(read.duration_s, float)


@pytest.mark.parametrize("given", [{"duration_s": 59.9}, {"requests": 99}, {"answer_s": 5.1}])
def test_looser_values_are_refused(given: dict[str, float]) -> None:
    """A manifest may tighten, never loosen."""
    with pytest.raises(LooseningRefused, match="less strict"):
        read_params(Params, given, where="checks.x")


@pytest.mark.parametrize("given", [{"requests": 150.5}, {"requests": True}, {"duration_s": "60 s"}, {"strict": 1}])
def test_wrong_types_are_refused(given: dict[str, object]) -> None:
    """A count is whole, a flag is a flag, and a unit stands in the name."""
    with pytest.raises(ParameterError, match="is not a"):
        read_params(Params, given, where="checks.x")


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    """A misspelt parameter must not be ignored."""
    with pytest.raises(ParameterError, match="Unknown parameter") as caught:
        read_params(Params, {"duration": 60}, where="checks.x")
    assert "duration_s" in caught.value.remedy
    assert caught.value.where == "checks.x"
