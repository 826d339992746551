"""Who may do what, asked of a running gateway: every combination of names, and keys that must not count.

Owns the list that the data owner approved, the universe of names around it, and asking. Leaves alone which answers would be
wrong (the check). The file::

    access: 1
    approved:
      - {role: clinician, purpose: care, data_scope: site-a, cohort: pilot}
    names:
      roles: [clerk]

Rules kept here:
1. ``*`` in an approved line stands for every name, also for none. Nothing else is approved.
2. The universe holds every name of the list, of the policy and of the use case, those under ``names``, one that nobody
   knows for each column, and no data scope at all.
3. A key of the matrix carries every purpose and scope, so that only the policy decides. Keys that carry less are asked
   apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from roadworthy.base.errors import ManifestError, TargetAnswer
from roadworthy.probes.rehearsal.declared import ANY, Combination, Declared, read_mapping
from roadworthy.probes.rehearsal.identities import Identity, new_identity
from roadworthy.probes.rehearsal.requests import Request
from roadworthy.probes.rehearsal.rig import Rig

UNKNOWN = "nobody-knows"
COLUMNS = {"role": "roles", "purpose": "purposes", "data_scope": "data_scopes", "cohort": "cohorts"}
_DENIED = frozenset({401, 403})
_PASSED = frozenset({200, 202, 422})
"""422 is the input filter's answer, which comes after the policy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The approved list.

    Attributes:
        lines: each with a name or ``*`` in every column.
        names: further names by column, as the file calls the columns.
    """

    lines: tuple[Combination, ...]
    names: Mapping[str, frozenset[str]]

    def allows(self, asked: Combination) -> bool:
        """Whether a line covers the combination."""
        return any(all(name in (ANY, value) for name, value in zip(line, asked, strict=True)) for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question about access.

    Attributes:
        what: in words.
        identity: who asks; None for headers of its own.
        headers: in place of the identity's; None for its own.
        allowed: whether the approved list lets it pass.
    """

    what: str
    identity: Identity | None
    allowed: bool
    headers: Mapping[str, str] | None = None


def read_approved(path: Path) -> Approved:
    """Read the approved list.

    Raises:
        MissingFile: it is not there (RW-102).
        ManifestError: it is no such file (RW-101).
    """
    file = read_mapping(path)
    lines, names = file.get("approved"), file.get("names") or {}
    if file.get("access") != 1 or not isinstance(lines, list) or not isinstance(names, dict) or not lines:
        remedy = "Write access: 1 and approved: [{role, purpose, data_scope, cohort}]."
        raise ManifestError(f"{path.name} is no list of approved access.", remedy=remedy, where=str(path))
    if not all(isinstance(line, dict) and set(line) == set(COLUMNS) for line in lines):
        remedy = f"Give each line exactly {', '.join(COLUMNS)}."
        raise ManifestError("An approved line lacks a column.", remedy=remedy, where=str(path))
    return Approved(
        lines=tuple(Combination(**{column: str(line[column]) for column in COLUMNS}) for line in lines),
        names={column: frozenset(map(str, names.get(column) or ())) for column in COLUMNS.values()},
    )


def universe(declared: Declared, approved: Approved) -> dict[str, tuple[str, ...]]:
    """Every name to try, by column of the approved list."""
    found: dict[str, tuple[str, ...]] = {}
    for place, (column, key) in enumerate(COLUMNS.items()):
        names = {line[place] for line in approved.lines} | declared.policy.names(key)
        names |= approved.names.get(key, frozenset())
        if column == "purpose":
            names |= set(declared.purposes)
        found[column] = (*sorted(names - {ANY}), UNKNOWN)
    found["data_scope"] += ("",)
    return found


def matrix_identities(names: Mapping[str, Sequence[str]]) -> tuple[Identity, ...]:
    """One key for each role in each cohort, carrying everything else."""
    pairs = product(names["role"], names["cohort"])
    return tuple(new_identity(f"matrix-{number}", role, cohort) for number, (role, cohort) in enumerate(pairs))


def other_identities(approved: Combination) -> tuple[Identity, ...]:
    """Keys of an approved combination that must not count, or carry less than it takes."""
    role, purpose, scope, cohort = approved
    return (
        new_identity("expired", role, cohort, asks=(purpose, scope), expired=True),
        new_identity("disabled", role, cohort, asks=(purpose, scope), disabled=True),
        new_identity("no-scope", role, cohort, asks=(purpose, scope), scopes=("another-scope",)),
        new_identity("no-purpose", role, cohort, asks=(purpose, scope), purposes=("another-purpose",)),
    )


def matrix_cases(
    declared: Declared, approved: Approved, names: Mapping[str, Sequence[str]], identities: Sequence[Identity]
) -> Iterator[Case]:
    """Every combination of the universe."""
    for identity, purpose, scope in product(identities, names["purpose"], names["data_scope"]):
        asked = Combination(identity.roles[0], purpose, scope, identity.cohort)
        yield Case(
            what=f"role {asked.role}, purpose {purpose}, data scope {scope or '(none)'}, cohort {asked.cohort or '(none)'}",
            identity=identity.asking(purpose, scope),
            allowed=purpose in declared.purposes and approved.allows(asked),
        )


def other_cases(rig: Rig, others: Sequence[Identity]) -> Iterator[Case]:
    """Keys that must not count, and headers that say too little; nothing of this may pass."""
    for identity in others:
        yield Case(what=f"key: {identity.id}", identity=identity, allowed=False)
    good = rig.headers(rig.caller)
    key = good["authorization"]
    for what, value in (
        ("no key", ""),
        ("a key that is none", "Bearer nonsense"),
        ("an unknown key", f"Bearer rw_unknown_{'0' * 64}"),
        ("a key with a wrong secret", f"{key[:-64]}{'0' * 64}"),
        ("a key cut short", key[:-1]),
        ("another scheme", key.replace("Bearer", "Basic")),
    ):
        headers = {name: each for name, each in good.items() if name != "authorization"}
        yield Case(
            what=what, identity=None, allowed=False, headers={**headers, **({"authorization": value} if value else {})}
        )
    if len(rig.declared.purposes) > 1:  # where there is only one, it need not be named
        silent = {name: each for name, each in good.items() if name != rig.declared.purpose_header}
        yield Case(what="no purpose named", identity=None, allowed=False, headers=silent)


def passes(rig: Rig, request: Request, case: Case) -> bool:
    """Whether the gateway lets it pass.

    Raises:
        TargetAnswer: the answer says neither (RW-402).
    """
    reply = rig.ask(request, case.identity, headers=case.headers)
    if reply.status in _DENIED:
        return False
    if reply.status in _PASSED:
        return True
    what = f"Whether {case.what} may pass cannot be told from {reply.status} {reply.fault}."
    raise TargetAnswer(what, remedy="Look at the gateway's log.", where=request.path)
