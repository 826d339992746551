"""Verify a bundle offline: ``python -m roadworthy.ledger.verify BUNDLE``. Needs the standard library and cryptography.

It answers one question: is this the ledger that was signed, whole and unchanged? What its decisions are worth is left
to the gates. Every step runs even when an earlier one failed, and every problem is listed with its place:

1. The container's bytes are exactly those that its members demand.
2. Every member is as the manifest lists it, is one that a bundle has, and an attachment has the digest that names it;
   the bookmark is well-formed.
3. The checkpoint is signed by the ledger's key; when the auditor pins a key, by that one.
4. The entries can be read, are as many as the checkpoint says, and their instants never go back.
5. The Merkle root of the entries, that of the hash tiles, and the checkpoint's are the same.
6. Every payload is what its entry commits to, or is marked as erased and a later entry says that it was.
7. Every envelope is signed by a key that an earlier entry registered.
8. Evidence is an in-toto statement, and every statement names its subjects by well-formed digests.

Exit codes: 0 everything holds; 5 something is broken; 2 the file or the command line cannot be used.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadworthy.base.errors import IntegrityError, RoadworthyError
from roadworthy.ledger import layout
from roadworthy.ledger.attest import attestation_faults
from roadworthy.ledger.bundle import read_file, unpack
from roadworthy.ledger.checkpoint import Checkpoint
from roadworthy.ledger.erasure import erasure_problems
from roadworthy.ledger.examine import (
    Problem,
    checkpoint_problems,
    manifest_problems,
    member_text,
    read_entries,
    read_leaves,
    read_payloads,
    tree_problems,
)
from roadworthy.ledger.merkle import leaf_hash

TITLES = (
    "the container's bytes are canonical",
    "every member is as the manifest lists it",
    "the checkpoint is signed by the ledger's key",
    "the entries are whole and in order",
    "entries, tiles and checkpoint have the same root",
    "the payloads are what the entries commit to",
    "the envelopes are signed by registered keys",
    "the statements name well-formed digests",
)
SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the verification; it holds when it has no problems."""

    number: int
    title: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome.

    Attributes:
        steps: all eight, in order.
        checkpoint: as it stands in the bundle, trustworthy only when step 3 holds; None if it cannot be read.
        vkey: the key by which step 3 was checked; empty if there was none.
        pinned: whether that key came from the auditor and not from the bundle.
        entries: how many entries were found.
        erased: how many payloads were erased.
        outside: the attachments: they have the digests that name them, but no step asks whether an entry names them.
    """

    steps: tuple[Step, ...]
    checkpoint: Checkpoint | None
    vkey: str
    pinned: bool
    entries: int
    erased: int
    outside: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every step holds."""
        return not self.problems

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of the steps."""
        return tuple(problem for step in self.steps for problem in step.problems)


def verify_bundle(path: Path, *, vkey: str | None = None) -> Report:
    """Verify the bundle in a file.

    Args:
        path: the bundle.
        vkey: the auditor's own copy of the ledger's key line; without it the bundle's own is believed.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102). What is broken is reported, not raised.
    """
    return verify_bytes(read_file(path), vkey=vkey)


def verify_bytes(data: bytes, *, vkey: str | None = None) -> Report:
    """Verify the bytes of a bundle; see ``verify_bundle``."""
    found: list[list[Problem]] = [[] for _ in TITLES]
    # 1. Container.
    members, fault = unpack(data)
    found[0] += [Problem(None, "container", fault)] if fault else []
    # 2. Manifest and bookmark.
    found[1] += manifest_problems(members)
    # 3. Checkpoint.
    key_line = vkey if vkey is not None else member_text(members, layout.VKEY)
    checkpoint, problems = checkpoint_problems(members, key_line)
    found[2] += problems
    # 4. Entries.
    leaves, problems = read_leaves(members)
    found[3] += problems
    entries, problems = read_entries(leaves, checkpoint)
    found[3] += problems
    # 5. Tree.
    found[4] += tree_problems(members, [leaf_hash(leaf) for leaf in leaves], checkpoint)
    # 6. Payloads.
    payloads, erased, problems = read_payloads(members, entries)
    found[5] += problems + erasure_problems(entries, payloads, erased)
    # 7 and 8. Envelopes and statements.
    for attested in attestation_faults(entries, payloads):
        place = layout.payload_name(attested.index)
        found[attested.step - 1].append(Problem(attested.index, place, attested.what))
    outcome = enumerate(zip(TITLES, found, strict=True), 1)
    return Report(
        steps=tuple(Step(number=number, title=title, problems=tuple(listed)) for number, (title, listed) in outcome),
        checkpoint=checkpoint,
        vkey=key_line.strip(),
        pinned=vkey is not None,
        entries=len(leaves),
        erased=len(erased),
        outside=tuple(name for name in sorted(members) if name.startswith(layout.BLOBS)),
    )


def render(report: Report) -> str:
    """The report as a person reads it: one line per step, its problems below, then what was verified."""
    lines: list[str] = []
    for step in report.steps:
        lines.append(f"{'✗' if step.problems else '✓'} {step.number}. {step.title}")
        lines += [f"     {problem.where}: {problem.what}" for problem in step.problems[:SHOWN_PROBLEMS]]
        if len(step.problems) > SHOWN_PROBLEMS:
            lines.append(f"     ... and {len(step.problems) - SHOWN_PROBLEMS} more")
    if report.checkpoint is not None:
        lines += [f"origin   {report.checkpoint.origin}", f"root     {report.checkpoint.root.hex()}"]
    source = "given by you" if report.pinned else "from the bundle itself: compare it with your own copy or give --vkey"
    lines.append(f"size     {report.entries} entries, {report.erased} payloads erased")
    lines.append(f"key      {report.vkey or 'none'} ({source})")
    if report.outside:
        lines.append(f"outside  {len(report.outside)} attachments are not in the ledger, such as {report.outside[0]}")
    lines.append("VERIFIED" if report.holds else f"BROKEN: {len(report.problems)} problems")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roadworthy.ledger.verify", description="Verify a bundle offline.")
    parser.add_argument("bundle", type=Path, help="the bundle to verify")
    parser.add_argument("--vkey", help="your own copy of the ledger's key line: name+8 hex digits+base64")
    options = parser.parse_args(arguments)
    try:
        report = verify_bundle(options.bundle, vkey=options.vkey)
    except RoadworthyError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(render(report))
    return 0 if report.holds else IntegrityError.exit_code


if __name__ == "__main__":
    sys.exit(main())
