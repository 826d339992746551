"""Overlays: operations that can only tighten. Owns applying them; loosening is a waiver, or a signed policy revision.

Every operation is compared with what the packs say, not with what another overlay made of it; the result is the
strictest of all. So overlays may come in any order, and one that is applied twice changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roadworthy.base.errors import PackError
from roadworthy.domain.criterion import Criterion, Gate, Predicate, QuorumRule
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import RequireOperation, TightenAccept, TightenGateOperation, TightenOperation, TightenQuorum
from roadworthy.kit.schema_problems import nearest
from roadworthy.packs.diff import Change, criterion_changes, gate_changes, loosenings
from roadworthy.packs.strictest import strictest, strictest_bound, strictest_gate

CriterionOperation = TightenOperation | RequireOperation
Declared = frozenset[tuple[str, str]]
GatesByTier = Mapping[str, Mapping[Tier, Gate]]


def tighten_criteria(
    base: Mapping[str, Criterion], operations: Sequence[CriterionOperation], *, declared: Declared
) -> dict[str, Criterion]:
    """Criteria by id, after all operations.

    Args:
        base: as packs define and overlays add them.
        operations: of all overlays, in any order.
        declared: criterion and metric of the bounds that the use case declares itself. For these an overlay sets a
            floor: a stricter declaration stands, a missing one stays undefined.

    Raises:
        PackError: an operation loosens something, or names what is not there; all are listed (RW-109).
    """
    versions = {name: [criterion] for name, criterion in base.items()}
    problems: list[str] = []
    for operation in operations:
        found = base.get(operation.criterion)
        if found is None:
            problems.append(f"Unknown criterion {operation.criterion!r}. {nearest(operation.criterion, [*base])}")
            continue
        problems.extend(_unknown_metrics(found, operation))
        candidate = _candidate(found, operation, declared)
        problems.extend(_refusals(loosenings(criterion_changes(found, candidate))))
        versions[found.id].append(candidate)
    _raise(problems)
    return {name: strictest(every) for name, every in versions.items()}


def tighten_gates(base: GatesByTier, operations: Sequence[TightenGateOperation]) -> dict[str, dict[Tier, Gate]]:
    """Gates by id and tier, after all operations.

    Raises:
        PackError: an operation loosens something, or names what is not there; all are listed (RW-109).
    """
    versions = {name: {tier: [gate] for tier, gate in by_tier.items()} for name, by_tier in base.items()}
    problems: list[str] = []
    for operation in operations:
        if operation.gate not in base:
            problems.append(f"Unknown gate {operation.gate!r}. {nearest(operation.gate, [*base])}")
            continue
        for tier, gate in base[operation.gate].items():
            candidate = _gate_candidate(gate, operation.quorum, tier)
            problems.extend(f"At {tier.value}: {text}" for text in _refusals(loosenings(gate_changes(gate, candidate))))
            versions[gate.id][tier].append(candidate)
    _raise(problems)
    return {
        name: {tier: strictest_gate(every) for tier, every in by_tier.items()} for name, by_tier in versions.items()
    }


def _candidate(base: Criterion, operation: CriterionOperation, declared: Declared) -> Criterion:
    """What the operation alone makes of the criterion."""
    if isinstance(operation, RequireOperation):
        return replace(base, required_from=operation.tier)
    wanted = {each.metric: each for each in operation.accept}
    return replace(
        base,
        acceptance=tuple(
            _predicate(each, wanted[each.metric], floor=(base.id, each.metric) in declared)
            if each.metric in wanted
            else each
            for each in base.acceptance
        ),
        max_age_days={**base.max_age_days, **operation.max_age_days.by_tier()},
        waivable=base.waivable.difference(operation.not_waivable_at),
        min_assurance=base.min_assurance if operation.min_assurance is None else operation.min_assurance,
        signer_roles=tuple(dict.fromkeys((*base.signer_roles, *operation.add_signer_roles))),
    )


def _predicate(base: Predicate, wanted: TightenAccept, *, floor: bool) -> Predicate:
    bound = base.bound if wanted.bound is None else wanted.bound
    if floor:
        # What the use case declares may be stricter already; what it has not declared accepts nothing, and stays so.
        bound = strictest_bound(base.comparator, (base.bound, bound))
    n_min = base.n_min if wanted.n_min is None else wanted.n_min
    return replace(base, bound=bound, n_min=n_min, provenance=wanted.provenance)


def _gate_candidate(base: Gate, wanted: TightenQuorum, tier: Tier) -> Gate:
    counts = {rule.role: rule.count for rule in base.quorum} | {rule.role: rule.count for rule in wanted.at(tier)}
    return replace(base, quorum=tuple(QuorumRule(role=role, count=count) for role, count in counts.items()))


def _unknown_metrics(base: Criterion, operation: CriterionOperation) -> list[str]:
    known = [each.metric for each in base.acceptance]
    wanted = operation.accept if isinstance(operation, TightenOperation) else ()
    return [
        f"{base.id} has no bound on {each.metric!r}. {nearest(each.metric, known) if known else 'It has no bound at all.'}"
        for each in wanted
        if each.metric not in known
    ]


def _refusals(changes: Iterable[Change]) -> list[str]:
    return [f"{each.criterion_id} {each.field}: {each.old} would become {each.new}." for each in changes]


def _raise(problems: Sequence[str]) -> None:
    if problems:
        listed = "\n".join(f"  {problem}" for problem in dict.fromkeys(problems))
        raise PackError(
            f"Overlays may only tighten, and only what is there:\n{listed}",
            remedy="Give a stricter number; to pass a gate with less, ask for a waiver: roadworthy waive.",
            where="overlays",
        )
