"""Windows as files: every bit comes back, and damage is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, ParameterError
from roadworthy.measure.profile.profile import profile_source, profile_table
from roadworthy.measure.profile.source import open_data, table_source
from roadworthy.measure.profile.window_file import Window, read_window, window_bytes
from roadworthy.measure.table import from_arrow


def rows(seed: int, count: int = 500) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {"x": rng.normal(0, 1e-7, count), "w": rng.choice(["a", "b\u2028"], count), "n": rng.integers(0, 5, count)}
    )


def window(by: str | None = None) -> Window:
    return profile_table(from_arrow(rows(1), "monday"), by=by).window


@pytest.mark.parametrize("by", [None, "w"])
def test_it_reads_back_to_the_same_bytes(by: str | None) -> None:
    """Edges, units, split and counts; the digests say so too."""
    first = window(by)
    again = read_window(window_bytes(first), "file")
    assert window_bytes(again) == window_bytes(first)
    assert (again.reference, again.state.groups, again.name) == (first.reference, first.state.groups, "monday")
    assert again.reference.digest == first.reference.digest


def test_later_windows_join_from_their_files(tmp_path: Path) -> None:
    """A pattern of windows is their sum."""
    first = window("w")
    (tmp_path / "1.json").write_bytes(window_bytes(first))
    second = profile_source(table_source(from_arrow(rows(2), "tuesday")), on=first, by="w").window
    (tmp_path / "2.json").write_bytes(window_bytes(second))
    joined = open_data(tmp_path / "*.json")
    assert isinstance(joined, Window)
    assert joined.state.rows == 1_000 and joined.name == "monday + tuesday"
    (tmp_path / "3.json").write_bytes(window_bytes(window()))
    with pytest.raises(ParameterError, match="do not join"):
        open_data(tmp_path / "*.json")


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda value: value.pop("name"), "not a window"),
        (lambda value: value.update(roadworthy_window=2), "not a window"),
        (lambda value: value["reference"]["numbers"][0].update(centre="0x1p-3"), "its reference does not have"),
        (lambda value: value["reference"]["numbers"][0].update(edges=["x"]), "reference is damaged"),
        (lambda value: value.update(reference=[]), "reference is damaged"),
        (lambda value: value["reference"].update(more=1), "unknown members"),
        (lambda value: value.update(split={"column": "w", "values": ["a"]}), "another plan"),
        (lambda value: value["state"]["groups"][""][0].__setitem__(0, "499"), "its counts do not have"),
    ],
)
def test_damage_is_refused(change: Change, why: str) -> None:
    """Each kind is named; nothing is read in part."""
    value = json.loads(window_bytes(window()))
    change(value)
    with pytest.raises(MalformedEvidence, match=why):
        read_window(json.dumps(value).encode(), "file")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"[1]", b'{"a": 1}'])
def test_other_files_are_refused(data: bytes) -> None:
    """Not a window at all."""
    with pytest.raises(MalformedEvidence, match="profile --state"):
        read_window(data, "file")


def test_a_state_of_another_plan_is_not_written() -> None:
    """It could not be read back."""
    first = window()
    other = profile_table(from_arrow(rows(2), "other")).window
    with pytest.raises(ParameterError, match="was not counted by the plan"):
        window_bytes(Window(name="mixed", reference=other.reference, state=first.state))


def test_a_window_without_rows_is_refused() -> None:
    """Forged with digests that fit: nothing was measured, so nothing can be judged."""
    value = json.loads(window_bytes(window()))
    value["state"]["groups"] = {}
    value["state_digest"] = digest_bytes(canonical_bytes(value["state"]))
    with pytest.raises(MalformedEvidence, match="no rows"):
        read_window(canonical_bytes(value), "file")
