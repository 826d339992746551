"""The error tree: unique codes, complete messages, the exit code of each family."""

from roadworthy.base import errors
from roadworthy.base.errors import LedgerBroken, MissingFile, RoadworthyError

FAMILIES = {"RW-1": 2, "RW-2": 3, "RW-3": 1, "RW-4": 4, "RW-5": 5, "RW-6": 2}


def tree(kind: type[RoadworthyError]) -> list[type[RoadworthyError]]:
    """All classes below ``kind``."""
    return [each for child in kind.__subclasses__() for each in (child, *tree(child))]


def test_every_code_is_unique_and_of_its_family() -> None:
    """A code names one class, never a retired one, and its first digit decides the exit code."""
    kinds = [kind for kind in tree(RoadworthyError) if kind.__module__ == errors.__name__]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes)) > 20
    assert not set(codes) & errors.RETIRED
    assert all(kind.exit_code == FAMILIES[kind.code[:4]] for kind in kinds)
    assert all(kind.__doc__ for kind in kinds)


def test_the_line_for_a_person() -> None:
    """Code, place, what happened, remedy."""
    error = MissingFile("No such file.", remedy="Check the path.", where="a.yaml:3")
    assert str(error) == "RW-102 a.yaml:3: No such file. Remedy: Check the path."
    assert str(MissingFile("Gone.", remedy="Look.")) == "RW-102 Gone. Remedy: Look."


def test_the_document_for_a_program() -> None:
    """The members of a problem document."""
    problem = LedgerBroken("Broken.", remedy="Stop.", where="entry 4").problem()
    assert problem == {
        "type": "https://roadworthy.dev/errors/RW-503",
        "title": "LedgerBroken",
        "status": 500,
        "detail": "Broken.",
        "code": "RW-503",
        "remedy": "Stop.",
        "where": "entry 4",
        "exit_code": 5,
    }
