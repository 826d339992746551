"""What was erased, and which entry says so. Owns step 6b of verifying a bundle.

Marking a payload as erased needs no key, so the mark alone proves nothing: without this step anybody could take evidence
out of a bundle. An entry is under the signed root, so only the ledger itself can say that it erased something. Which kinds
may be erased at all is a promise of the store, not a question of form.

Rules kept here:
1. A payload is gone exactly when a later ``payload.erased`` entry names its index.
2. Such an entry counts by its own payload, which therefore must still be there; it may name what is named already.
"""

from collections.abc import Sequence

from roadworthy.base.canonical import parse_canonical
from roadworthy.base.errors import NotCanonical
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.examine import Problem
from roadworthy.ledger.layout import Sealed, payload_name

PAYLOAD_ERASED = "payload.erased"


def erasure_problems(
    entries: Sequence[Entry | None], payloads: Sequence[Sealed | None], erased: Sequence[int]
) -> list[Problem]:
    """Step 6b: the marks of erasure against the entries that speak of them.

    Args:
        entries: None where an entry could not be read.
        payloads: one for each entry; None where it was erased or could not be read.
        erased: indexes whose payload is marked as erased, ascending.
    """
    named: set[int] = set()
    problems: list[Problem] = []
    # 1. Read every erasure; only an earlier entry can have been erased.
    for index, (entry, sealed) in enumerate(zip(entries, payloads, strict=True)):
        if entry is None or sealed is None or entry.kind != PAYLOAD_ERASED:
            continue
        target = _target(sealed.payload)
        if target is None or not 0 <= target < index:
            problems.append(Problem(index, payload_name(index), "The erasure names no earlier entry, or no reason."))
            continue
        named.add(target)
        # 2. What it names must be gone. A payload that cannot be read is a problem of step 6a already.
        if payloads[target] is not None:
            what = f"The payload is still there, though entry {index} says that it was erased."
            problems.append(Problem(target, payload_name(target), what))
    # 3. What is gone must have been named.
    for index in erased:
        if index not in named:
            what = "The payload is marked as erased, but no entry says that it was."
            problems.append(Problem(index, payload_name(index), what))
    return problems


def _target(payload: bytes) -> int | None:
    """The index that an erasure names; None when it has another form."""
    try:
        value = parse_canonical(payload)
    except NotCanonical:
        return None
    if not isinstance(value, dict) or set(value) != {"index", "reason"} or not isinstance(value["reason"], str):
        return None
    index = value["index"]
    return index if isinstance(index, int) and not isinstance(index, bool) else None
