"""What an operator declared: gateway.yaml and the policy beside it, as far as a rehearsal needs them.

Owns reading both from outside and the words for what is in them. Leaves alone whether the whole is right: the gateway
itself says so when the copy starts, and nothing here is decided twice.

Rules kept here:
1. Files are read, never written; relative paths start at the folder of gateway.yaml.
2. Of a policy, the literal names are told apart from ``*``, which stands for every name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.domain.exchange import RungKind

ANY = "*"
STAND_IN_NAME = "rehearsal"
"""Asked for where a policy grants every name."""
RULE_LISTS = ("roles", "use_cases", "purposes", "data_scopes", "cohorts")
_KINDS = (RungKind.ALTERNATE, RungKind.CACHED, RungKind.RULE, RungKind.HUMAN, RungKind.REFUSE)


class Combination(NamedTuple):
    """Who asks, for what, on which data."""

    role: str
    purpose: str
    data_scope: str
    cohort: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy file.

    Attributes:
        grants: each with its five lists.
        deny: each with the lists that it has; one that is left out means everything.
    """

    grants: tuple[Mapping[str, Sequence[str]], ...]
    deny: tuple[Mapping[str, Sequence[str]], ...]

    def names(self, key: str) -> frozenset[str]:
        """Every literal name in one of the five lists, of grants and of denials."""
        return frozenset(name for rule in (*self.grants, *self.deny) for name in rule.get(key, ())) - {ANY}

    def denies(self, asked: Combination, use_case: str) -> bool:
        """Whether a denial matches the combination."""
        values = (asked.role, use_case, asked.purpose, asked.data_scope, asked.cohort)
        return any(
            all({ANY, value} & set(rule.get(key, (ANY,))) for key, value in zip(RULE_LISTS, values, strict=True))
            for rule in self.deny
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """gateway.yaml, seen from one use case.

    Attributes:
        path: of the file, absolute.
        config: all of it.
        name: of the use case.
        use_case: its block.
        policy: the policy file.
    """

    path: Path
    config: Mapping[str, Any]
    name: str
    use_case: Mapping[str, Any]
    policy: Policy

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Names; the first is the primary."""
        return tuple(self.use_case["upstreams"])

    @property
    def purposes(self) -> tuple[str, ...]:
        """For which it may be asked."""
        return tuple(self.use_case["purposes"])

    @property
    def routes(self) -> tuple[Mapping[str, Any], ...]:
        """Its routes."""
        return tuple(self.use_case["routes"])

    @property
    def ladder(self) -> tuple[RungKind, ...]:
        """Kinds of the declared rungs, in their order."""
        rungs = self.use_case.get("fallback") or ()
        return tuple(kind for rung in rungs for kind in _KINDS if rung.get(kind.value) is not None)

    @property
    def purpose_header(self) -> str:
        """By which a caller names the purpose."""
        return str(self.use_case.get("purpose_header", "x-purpose"))

    @property
    def scope_header(self) -> str:
        """By which a caller names the data scope."""
        return str(self.use_case.get("scope_header", "x-data-scope"))

    def granted(self) -> tuple[Combination, ...]:
        """One combination of each grant that reaches this use case and that no denial takes back.

        Raises:
            ManifestError: nobody may ask at all (RW-101).
        """
        found: list[Combination] = []
        for grant in self.policy.grants:
            if not {ANY, self.name} & set(grant["use_cases"]):
                continue
            purposes = [each for each in self.purposes if {ANY, each} & set(grant["purposes"])]
            columns = [_literal(grant["roles"]), purposes, _literal(grant["data_scopes"]), _literal(grant["cohorts"])]
            allowed = (Combination(*each) for each in product(*columns))
            first = next((each for each in allowed if not self.policy.denies(each, self.name)), None)
            if first is not None and first not in found:
                found.append(first)
        if not found:
            what = f"The policy lets nobody use {self.name}, so nothing can be rehearsed."
            raise ManifestError(what, remedy="Grant it to a role.", where=self.path.name)
        return tuple(found)


def read_declared(config: Path, use_case: str) -> Declared:
    """Read gateway.yaml and its policy.

    Args:
        config: path of gateway.yaml.
        use_case: whose block is meant.

    Raises:
        MissingFile: a file is not there (RW-102).
        ManifestError: a file is not what it should be, or has no such use case (RW-101).
    """
    path = config.resolve()
    whole = read_mapping(path)
    blocks = whole.get("use_cases")
    block = blocks.get(use_case) if isinstance(blocks, dict) else None
    if not isinstance(block, dict) or not all(block.get(key) for key in ("upstreams", "purposes", "routes")):
        what = f"{path.name} has no use case {use_case!r} with upstreams, purposes and routes."
        raise ManifestError(what, remedy="Correct gateway.use_case, or the file.", where=str(path))
    rules = read_mapping(path.parent / str(whole.get("policy")))
    grants, deny = rules.get("grants") or [], rules.get("deny") or []
    if not all(isinstance(grant, dict) and all(grant.get(key) for key in RULE_LISTS) for grant in grants):
        what = "A grant does not spell out its five lists."
        raise ManifestError(what, remedy=f"Give it {', '.join(RULE_LISTS)}.", where=str(whole.get("policy")))
    policy = Policy(grants=tuple(grants), deny=tuple(deny))
    return Declared(path=path, config=whole, name=use_case, use_case=block, policy=policy)


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        MissingFile: it is not there (RW-102).
        ManifestError: it is no such file (RW-101).
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path.name} is not YAML.", remedy="Correct its syntax.", where=str(path)) from error
    if not isinstance(value, dict):
        raise ManifestError(f"{path.name} holds no mapping.", remedy="Write keys and values.", where=str(path))
    return value


def _literal(names: Sequence[str]) -> list[str]:
    return [name for name in names if name != ANY] or [STAND_IN_NAME]
