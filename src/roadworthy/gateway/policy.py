"""Who may use what for which purpose: the policy file and its decision. Owns both; who the caller is belongs to ``identity``.

Algorithm of a decision:

1. What is asked for is literal: the name ``*`` can be granted, never asked for; nor can a name longer than any grant's.
2. The credential itself must carry the purpose and the data scope, or ``*``.
3. A rule under ``deny`` that matches ends it.
4. A rule under ``grants`` that matches allows it.
5. Everything else is denied.

A rule matches when each of its five lists holds ``*`` or the value at hand; of the roles, one is enough.

Rules kept here:
1. A grant spells out all five lists. What a denial leaves out means everything: forgetting a word never allows more.
2. ``version`` is the digest of the rules, whatever their order and layout; it stands in every leaf.
3. Steps 3 to 5 are decided once for each combination and remembered, within a bound.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from roadworthy.base.digest import digest_of
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.kit.yaml_file import parse_model, read_text

ANY = "*"
MOST_REMEMBERED = 65_536
MOST_NAME_CHARS = 256
WHAT = "The caller may not use this for that purpose and data scope."

_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARS)]], Field(min_length=1)]
_EVERY: list[str] = [ANY]


class Grant(BaseModel):
    """One rule that allows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: _Names
    use_cases: _Names
    purposes: _Names
    data_scopes: _Names
    cohorts: _Names


class Denial(BaseModel):
    """One rule that forbids; a list that is left out means everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: _Names = _EVERY
    use_cases: _Names = _EVERY
    purposes: _Names = _EVERY
    data_scopes: _Names = _EVERY
    cohorts: _Names = _EVERY


class PolicyFile(BaseModel):
    """The policy file, version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Literal[1]
    grants: list[Grant]
    deny: list[Denial] = []


class _Rule(NamedTuple):
    """None stands for everything."""

    roles: frozenset[str] | None
    cohorts: frozenset[str] | None
    use_cases: frozenset[str] | None
    purposes: frozenset[str] | None
    scopes: frozenset[str] | None


class _Asked(NamedTuple):
    roles: frozenset[str]
    cohort: str
    use_case: str
    purpose: str
    scope: str


class Allowed(NamedTuple):
    """A combination that the policy allows to a holder of the one role."""

    role: str
    cohort: str
    use_case: str
    purpose: str
    scope: str


class Authorise:
    """The stage that decides whether the caller may.

    Args:
        file: the policy.

    Attributes:
        version: digest of the policy in force.
    """

    def __init__(self, file: PolicyFile) -> None:
        self.version = digest_of(_canonical(file))
        self._grants = tuple(_compiled(rule) for rule in file.grants)
        self._denials = tuple(_compiled(rule) for rule in file.deny)
        self._remembered: dict[_Asked, bool] = {}

    def check(self, caller: Caller, use_case: str, purpose: str, scope: str) -> None:
        """Let the caller pass, or not.

        Args:
            caller: who asks.
            use_case: whose route was asked.
            purpose: that the caller names.
            scope: data scope that the caller names; "" when it names none.

        Raises:
            Refused: the policy or the credential does not allow it (403).
        """
        # 1, 2
        if max(len(purpose), len(scope)) > MOST_NAME_CHARS:
            raise Refused(Reason.FORBIDDEN, 403, WHAT)
        if ANY in (use_case, purpose, scope) or not _carries(caller, purpose, scope):
            raise Refused(Reason.FORBIDDEN, 403, WHAT)
        asked = _Asked(caller.roles, caller.cohort, use_case, purpose, scope)
        allowed = self._remembered.get(asked)
        if allowed is None:
            allowed = self._decide(asked)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[asked] = allowed
        if not allowed:
            raise Refused(Reason.FORBIDDEN, 403, WHAT)

    def who_may(
        self,
        *,
        roles: Iterable[str],
        cohorts: Iterable[str],
        use_cases: Iterable[str],
        purposes: Iterable[str],
        scopes: Iterable[str],
    ) -> Iterator[Allowed]:
        """Every combination that the policy allows, whatever the credential carries; for a check of the whole matrix."""
        for role, cohort, use_case, purpose, scope in product(roles, cohorts, use_cases, purposes, scopes):
            literal = ANY not in (use_case, purpose, scope)
            if literal and self._decide(_Asked(frozenset({role}), cohort, use_case, purpose, scope)):
                yield Allowed(role, cohort, use_case, purpose, scope)

    def _decide(self, asked: _Asked) -> bool:
        # 3
        if any(_matches(rule, asked) for rule in self._denials):
            return False
        # 4, 5
        return any(_matches(rule, asked) for rule in self._grants)


def load_policy(path: Path) -> Authorise:
    """Read the policy file.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not such a file; all problems are listed (RW-101).
    """
    return Authorise(parse_model(read_text(path), path.name, PolicyFile))


def _carries(caller: Caller, purpose: str, scope: str) -> bool:
    if purpose not in caller.purposes and ANY not in caller.purposes:
        return False
    return scope in caller.scopes or ANY in caller.scopes


def _matches(rule: _Rule, asked: _Asked) -> bool:
    return (
        (rule.use_cases is None or asked.use_case in rule.use_cases)
        and (rule.purposes is None or asked.purpose in rule.purposes)
        and (rule.scopes is None or asked.scope in rule.scopes)
        and (rule.cohorts is None or asked.cohort in rule.cohorts)
        and (rule.roles is None or not rule.roles.isdisjoint(asked.roles))
    )


def _compiled(rule: Grant | Denial) -> _Rule:
    def names(values: list[str]) -> frozenset[str] | None:
        return None if ANY in values else frozenset(values)

    return _Rule(
        names(rule.roles), names(rule.cohorts), names(rule.use_cases), names(rule.purposes), names(rule.data_scopes)
    )


def _canonical(file: PolicyFile) -> dict[str, object]:
    def content(rules: list[Grant] | list[Denial]) -> list[dict[str, list[str]]]:
        plain = [{key: sorted(set(names)) for key, names in rule.model_dump().items()} for rule in rules]
        return sorted(plain, key=repr)

    return {"policy": file.policy, "grants": content(file.grants), "deny": content(file.deny)}
