"""The strictest of several definitions of one thing. Owns composition; the order of the definitions never matters.

What can be ordered is taken at its strictest: the bound, the age, the roles, the tiers. What cannot be ordered, such as
the metric's unit or the title, must be the same everywhere, or the packs contradict each other.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from roadworthy.base.errors import PackError
from roadworthy.domain.criterion import Comparator, Criterion, Effort, Gate, Predicate, QuorumRule
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier

_SAME = ("domain", "title", "kind", "check", "owner_role")


def strictest(versions: Sequence[Criterion]) -> Criterion:
    """One criterion that is at least as strict as each of its versions; at least one is given.

    Raises:
        PackError: the versions contradict each other (RW-109).
    """
    first = versions[0]
    for field in _SAME:
        _one(first.id, field, [getattr(each, field) for each in versions])
    return Criterion(
        id=first.id,
        domain=first.domain,
        title=first.title,
        kind=first.kind,
        check=first.check,
        acceptance=_strictest_predicates(first.id, [each for version in versions for each in version.acceptance]),
        depends_on=frozenset().union(*(each.depends_on for each in versions)),
        max_age_days={tier: min(each.max_age_days[tier] for each in versions) for tier in first.max_age_days},
        waivable=first.waivable.intersection(*(each.waivable for each in versions)),
        min_assurance=max((each.min_assurance for each in versions), key=lambda assurance: assurance.rank),
        signer_roles=_in_order(role for each in versions for role in each.signer_roles),
        may_not_apply=all(each.may_not_apply for each in versions),
        required_from=_lowest(each.required_from for each in versions),
        effort=Effort(
            low_days=max(each.effort.low_days for each in versions),
            likely_days=max(each.effort.likely_days for each in versions),
            high_days=max(each.effort.high_days for each in versions),
        ),
        owner_role=first.owner_role,
        gap_depends_on=tuple(sorted({name for each in versions for name in each.gap_depends_on})),
        sources=tuple(
            sorted({source for each in versions for source in each.sources}, key=lambda s: (s.document, s.clause))
        ),
    )


def strictest_gate(versions: Sequence[Gate]) -> Gate:
    """One gate that is at least as strict as each of its versions; at least one is given.

    Raises:
        PackError: the versions contradict each other (RW-109).
    """
    first = versions[0]
    _one(first.id, "title", [each.title for each in versions])
    counts: dict[Role, int] = {}
    for rule in (rule for each in versions for rule in each.quorum):
        counts[rule.role] = max(rule.count, counts.get(rule.role, 0))
    return Gate(
        id=first.id,
        title=first.title,
        quorum=tuple(QuorumRule(role=role, count=counts[role]) for role in _in_order(counts)),
        independent_from=_lowest(each.independent_from for each in versions),
        waiver_days={tier: min(each.waiver_days[tier] for each in versions) for tier in first.waiver_days},
        max_waivers=min(each.max_waivers for each in versions),
        conditional_wave_share=min(each.conditional_wave_share for each in versions),
    )


def strictest_bound(comparator: Comparator, bounds: Sequence[float]) -> float:
    """The bound that is hardest to meet; nothing meets an undefined one, so nothing is stricter than NaN."""
    if any(math.isnan(bound) for bound in bounds):
        return math.nan
    return max(bounds) if comparator is Comparator.AT_LEAST else min(bounds)


def _strictest_predicates(criterion_id: str, predicates: Sequence[Predicate]) -> tuple[Predicate, ...]:
    metrics = sorted({each.metric for each in predicates})
    return tuple(
        _strictest_predicate(criterion_id, [p for p in predicates if p.metric == metric]) for metric in metrics
    )


def _strictest_predicate(criterion_id: str, versions: Sequence[Predicate]) -> Predicate:
    first = versions[0]
    _one(criterion_id, f"{first.metric} comparator", [each.comparator for each in versions])
    _one(criterion_id, f"{first.metric} unit", [each.unit for each in versions])
    bound = strictest_bound(first.comparator, [each.bound for each in versions])
    deciding = {each.provenance for each in versions if each.bound == bound or math.isnan(bound)}
    return Predicate(
        metric=first.metric,
        comparator=first.comparator,
        bound=bound,
        unit=first.unit,
        n_min=max(each.n_min for each in versions),
        provenance=" ".join(sorted(deciding)),
    )


def _one(name: str, field: str, values: Sequence[Any]) -> None:
    for value in values[1:]:
        if value != values[0]:
            raise PackError(
                f"Two packs contradict each other: {field} is {_shown(values[0])} and {_shown(value)}.",
                remedy="Give one of the two another id, or leave it out of one pack.",
                where=name,
            )


def _shown(value: Any) -> str:
    return repr(getattr(value, "value", value))


def _in_order(roles: Iterable[Role]) -> tuple[Role, ...]:
    wanted = set(roles)
    return tuple(role for role in Role if role in wanted)


def _lowest(tiers: Iterable[Tier]) -> Tier:
    return min(tiers, key=lambda tier: tier.rank)
