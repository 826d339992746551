"""A measured window as a file: what was counted, and on which frozen cells. Owns the format; measures nothing.

The file lets later windows be counted on the same cells, be joined, and be judged again under another tolerance, all
without the data. It is canonical JSON, so the same window always has the same bytes.

Rules kept here:
1. Doubles of the reference are hexadecimal text: no bit is lost, whatever reads the file.
2. Reference and state carry their digests, and both are checked: a file that was edited, or cut short, is refused.
3. Counts of the rows are all that leaves the data, next to extremes, edges and the most frequent texts, which are values
   of it: the file deserves the care that such values deserve.
"""

from dataclasses import dataclass
from typing import Any

from roadworthy.base.canonical import canonical_bytes, parse_json
from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import MalformedEvidence, NotCanonical, ParameterError
from roadworthy.measure.volume.plan import Split
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import Reference
from roadworthy.measure.volume.state import State, read_state

_FORMAT = 1
_MEMBERS = frozenset({"roadworthy_window", "name", "reference", "reference_digest", "split", "state", "state_digest"})


@dataclass(frozen=True, kw_only=True)
class Window:
    """Counts of one window, or of several that were joined.

    Attributes:
        name: how people call it.
        reference: the frozen edges, units and values that it was counted on.
        state: the counts; its plan is that of the reference's profile, split or not.
    """

    name: str
    reference: Reference
    state: State

    def join(self, other: "Window") -> "Window":
        """The counts of both.

        Raises:
            ParameterError: they were counted on different cells, or split differently (RW-114).
        """
        return Window(name=f"{self.name} + {other.name}", reference=self.reference, state=self.state.join(other.state))


def window_bytes(window: Window) -> bytes:
    """The file.

    Raises:
        ParameterError: the state counts something else than a profile of its reference (RW-114).
    """
    split = window.state.plan.split
    if profile_plan(window.reference, split=split).digest != window.state.plan.digest:
        raise ParameterError(
            f"{window.name} was not counted by the plan of its reference's profile.",
            remedy="Write the state of a profile.",
        )
    value = {
        "roadworthy_window": _FORMAT,
        "name": window.name,
        "reference": reference_json(window.reference),
        "reference_digest": window.reference.digest,
        "split": None if split is None else to_json(split),
        "state": parse_json(window.state.to_bytes()),
        "state_digest": window.state.digest,
    }
    return canonical_bytes(value) + b"\n"


def read_window(data: bytes, where: str) -> Window:
    """The window of a file.

    Args:
        data: the bytes.
        where: they came from, for messages.

    Raises:
        MalformedEvidence: not such a file, or its digests do not fit (RW-201).
    """
    try:
        value = parse_json(data)
    except NotCanonical as error:
        raise _malformed(f"it is not JSON: {error.what}", where) from error
    if not isinstance(value, dict) or set(value) != _MEMBERS or value["roadworthy_window"] != _FORMAT:
        raise _malformed("it is not a window that profile --state wrote", where)
    reference = read_reference(value["reference"], where)
    if reference.digest != value["reference_digest"]:
        raise _malformed("its reference does not have the digest that it states", where)
    split = from_json(Split, value["split"], path="$.split") if value["split"] is not None else None
    state = read_state(canonical_bytes(value["state"]), profile_plan(reference, split=split))
    if state.digest != value["state_digest"]:
        raise _malformed("its counts do not have the digest that it states", where)
    if not state.rows:
        raise _malformed("it counted no rows", where)
    return Window(name=str(value["name"]), reference=reference, state=state)


def reference_json(reference: Reference) -> dict[str, Any]:
    """A reference as plain JSON, its doubles as hexadecimal text."""
    value: dict[str, Any] = to_json(reference)
    for plain, item in zip(value["numbers"], reference.numbers, strict=True):
        plain |= {
            "edges": [edge.hex() for edge in item.edges],
            "centre": item.centre.hex(),
            "spread": item.spread.hex(),
        }
    return value


def read_reference(value: Any, where: str) -> Reference:
    """The reference of ``reference_json``.

    Raises:
        MalformedEvidence: not one (RW-201).
    """
    try:
        numbers = [
            item
            | {
                "edges": [float.fromhex(edge) for edge in item["edges"]],
                "centre": float.fromhex(item["centre"]),
                "spread": float.fromhex(item["spread"]),
            }
            for item in value["numbers"]
        ]
        plain = value | {"numbers": numbers}
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise _malformed("its reference is damaged", where) from error
    return from_json(Reference, plain, path="$.reference")


def _malformed(why: str, where: str) -> MalformedEvidence:
    return MalformedEvidence(
        f"{where} cannot be used as a measured window: {why}.",
        remedy="Write it again with roadworthy profile --state.",
        where=where,
    )
