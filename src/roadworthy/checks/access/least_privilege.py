"""Least privilege, tested: what the gateway lets pass against what the data owner approved, over all combinations."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from roadworthy.base.interval import exact
from roadworthy.checks.declared import required_file
from roadworthy.checks.rehearsed import Rehearsed, rehearsed, required_gateway, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher
from roadworthy.probes.rehearsal.access import (
    Approved,
    Case,
    matrix_cases,
    matrix_identities,
    other_cases,
    other_identities,
    passes,
    read_approved,
    universe,
)
from roadworthy.probes.rehearsal.declared import Declared, read_declared
from roadworthy.probes.rehearsal.identities import Identity
from roadworthy.probes.rehearsal.requests import tagged
from roadworthy.probes.rehearsal.small import OTHER_ROLE, PURPOSE, ROLE, SCOPE, grant, small_gateway

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        most_combinations: that are asked; of a larger universe, evenly spread ones.
    """

    most_combinations: int = higher(5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A gateway, what was approved, and the keys with which that is tried.

    Attributes:
        gateway: to ask.
        approved: by the data owner.
        matrix: keys of the matrix.
        others: keys that must not count.
    """

    gateway: Rehearsed
    approved: Approved
    matrix: tuple[Identity, ...]
    others: tuple[Identity, ...]


class LeastPrivilegeCheck(Check[Subject, Params]):
    """Rehearse the gateway with the operator's policy and ask it for every combination of role, purpose, scope and cohort.

    The names are those of the approved list, of the policy and of the use case, and some that nobody knows. What passes
    though it was not approved is a false grant; what was approved and does not pass is a false denial. Keys that expired,
    are disabled, wrong, cut short or carry less than the request takes are asked as well. Tokens of an identity provider
    are not tried: a rehearsal has none.
    """

    id: ClassVar[str] = "access.least_privilege"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Access as approved, and not more"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a policy with one grant that nobody approved"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """A rehearsal of the declared gateway beside the approved list."""
        gateway = required_gateway(context)
        approved = read_approved(required_file(gateway.access, "access"))
        matrix, others = _keys(read_declared(gateway.config, gateway.use_case), approved)
        with rehearsed(context, extra=(*matrix, *others)) as found:
            yield Subject(gateway=found, approved=approved, matrix=matrix, others=others)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A small gateway whose policy grants what was approved."""
        with _small(context, [grant(ROLE)]) as subject:
            yield subject

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same with one more grant."""
        with _small(context, [grant(ROLE), grant(OTHER_ROLE)]) as subject:
            yield subject

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Ask for everything."""
        rig, declared = subject.gateway.rig, subject.gateway.rig.declared
        names = universe(declared, subject.approved)
        matrix = list(matrix_cases(declared, subject.approved, names, subject.matrix))
        step = -(-len(matrix) // params.most_combinations)
        # What was approved is asked in any case; of the rest, every step-th.
        chosen = [case for number, case in enumerate(matrix) if case.allowed or number % step == 0]
        cases = [*chosen, *other_cases(rig, subject.others)]
        request = tagged(subject.gateway.forwarded[0], "access")
        wrong: list[Case] = []
        asked = 0
        for case in cases:
            if run.cancelled():
                break
            asked += 1
            if passes(rig, request, case) is not case.allowed:
                wrong.append(case)
        grants = [case.what for case in wrong if not case.allowed]
        denials = [case.what for case in wrong if case.allowed]
        return Observation(
            estimates=(
                Estimate(metric="false_grants", interval=exact(len(grants), asked), unit="combination"),
                Estimate(metric="false_denials", interval=exact(len(denials), asked), unit="combination"),
                Estimate(metric="combinations", interval=exact(asked, asked), unit="combination"),
            ),
            facts={
                "changes": list(rig.changes),
                "names": {column: list(values) for column, values in names.items()},
                "universe": len(matrix),
                "approved": sum(case.allowed for case in chosen),
                "false_grants": grants[:_SHOWN],
                "false_denials": denials[:_SHOWN],
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Who may too much, and who too little."""
        facts = observation.facts
        return (
            *(
                Finding(
                    what=f"Nobody approved this, and it passes: {what}.", remedy="Take the grant out of the policy."
                )
                for what in facts["false_grants"]
            ),
            *(
                Finding(
                    what=f"This was approved, and it is refused: {what}.",
                    remedy="Grant it in the policy, or let the data owner take it off the list.",
                )
                for what in facts["false_denials"]
            ),
        )


def _keys(declared: Declared, approved: Approved) -> tuple[tuple[Identity, ...], tuple[Identity, ...]]:
    return matrix_identities(universe(declared, approved)), other_identities(declared.granted()[0])


@contextmanager
def _small(context: CheckContext, grants: Sequence[dict[str, Any]]) -> Iterator[Subject]:
    config = small_gateway(context.workdir / "operator", grants=grants)
    approved = read_approved(_list(context.workdir / "access.json"))
    matrix, others = _keys(read_declared(config, "specimen"), approved)
    with specimen(context, config, extra=(*matrix, *others)) as found:
        yield Subject(gateway=found, approved=approved, matrix=matrix, others=others)


def _list(path: Path) -> Path:
    """An approved list of one line, and a role that stands in none."""
    line = {"role": ROLE, "purpose": PURPOSE, "data_scope": SCOPE, "cohort": "*"}
    path.write_text(json.dumps({"access": 1, "approved": [line], "names": {"roles": [OTHER_ROLE]}}), encoding="utf-8")
    return path
