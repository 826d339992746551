"""What ``import roadworthy`` offers, and that it is loaded only when it is named."""

import subprocess
import sys

import pytest

import roadworthy
from roadworthy.measure.profile import public


def test_the_two_functions_are_the_public_ones() -> None:
    """With their own documentation, and listed."""
    assert roadworthy.profile is public.profile
    assert roadworthy.compare is public.compare
    assert {"profile", "compare", "__version__"} <= set(dir(roadworthy))
    assert "compare" in (roadworthy.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'profil'"):
        _ = roadworthy.profil


def test_naming_one_loads_what_it_needs_and_not_before() -> None:
    """In a fresh interpreter."""
    code = "import sys, roadworthy; a = 'duckdb' in sys.modules; roadworthy.compare; print(a, 'duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
