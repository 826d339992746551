"""What changed between two profiles, and which way. Owns the direction of every field; who may loosen belongs to ``actions``.

Rules kept here:
1. every field that decides has a stricter direction, and a change against it is looser;
2. what cannot be ordered (another check, another unit, another gate) counts as looser, since nobody can show that it is not;
3. an undefined bound accepts nothing, so defining it is looser: else deleting a bound and stating a lower one would pass
   as two harmless steps.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from roadworthy.domain.criterion import Comparator, Criterion, Gate, Kind, Predicate, Profile
from roadworthy.domain.risk import Tier

_PROVEN_BY_CHECK = (Kind.EXECUTABLE, Kind.MEASURED)
_ABSENT = "absent"


class Effect(Enum):
    """Which way a change goes."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        criterion_id: of the criterion; of the gate for a rule of the gate; ``profile`` for the tier and the packs.
        field: what changed.
        old, new: for people.
        effect: which way it goes.
    """

    criterion_id: str
    field: str
    old: str
    new: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacuous:
    """A predicate that cannot fail."""

    criterion_id: str
    predicate: Predicate
    why: str


def diff(old: Profile, new: Profile) -> tuple[Change, ...]:
    """Every difference between two profiles: the tier, the packs, the gate, then each criterion by id."""
    changes = [*_ordered("profile", "tier", old.tier.rank, new.tier.rank, higher=True, names=_tier_names(old, new))]
    if set(old.packs) != set(new.packs):
        changes.append(_change("profile", "packs", _names(old), _names(new), Effect.NEUTRAL))
    changes.extend(gate_changes(old.gate, new.gate))
    before, after = {each.id: each for each in old.criteria}, {each.id: each for each in new.criteria}
    for criterion_id in sorted({*before, *after}):
        if criterion_id not in after:
            changes.append(_change(criterion_id, "criterion", "required", _ABSENT, Effect.LOOSER))
        elif criterion_id not in before:
            changes.append(_change(criterion_id, "criterion", _ABSENT, "required", Effect.TIGHTER))
        else:
            changes.extend(criterion_changes(before[criterion_id], after[criterion_id]))
    return tuple(changes)


def loosenings(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Those that make something looser."""
    return tuple(change for change in changes if change.effect is Effect.LOOSER)


def criterion_changes(old: Criterion, new: Criterion) -> tuple[Change, ...]:
    """Every difference between two versions of one criterion."""
    name = old.id
    return (
        *_nature(old, new),
        *_acceptance(old, new),
        *_several(name, "depends_on", old.depends_on, new.depends_on, more=True),
        *_days(name, "max_age_days", old.max_age_days, new.max_age_days),
        *_several(name, "waivable", old.waivable, new.waivable, more=False),
        *_ordered(
            name,
            "min_assurance",
            old.min_assurance.rank,
            new.min_assurance.rank,
            higher=True,
            names=(old.min_assurance.value, new.min_assurance.value),
        ),
        *_several(name, "signer_roles", old.signer_roles, new.signer_roles, more=True),
        *_ordered(name, "may_not_apply", old.may_not_apply, new.may_not_apply, higher=False),
        *_ordered(
            name,
            "required_from",
            old.required_from.rank,
            new.required_from.rank,
            higher=False,
            names=(old.required_from.value, new.required_from.value),
        ),
        *(
            _change(name, field, str(getattr(old, field)), str(getattr(new, field)), Effect.NEUTRAL)
            for field in ("title", "effort", "owner_role", "gap_depends_on", "sources")
            if getattr(old, field) != getattr(new, field)
        ),
    )


def gate_changes(old: Gate, new: Gate) -> tuple[Change, ...]:
    """Every difference between two versions of a gate."""
    if old.id != new.id:
        return (_change("profile", "gate", old.id, new.id, Effect.LOOSER),)
    before, after = {rule.role: rule.count for rule in old.quorum}, {rule.role: rule.count for rule in new.quorum}
    quorum = [
        change
        for role in sorted({*before, *after}, key=lambda role: role.value)
        for change in _ordered(old.id, f"quorum.{role.value}", before.get(role, 0), after.get(role, 0), higher=True)
    ]
    return (
        *quorum,
        *_ordered(
            old.id,
            "independent_from",
            old.independent_from.rank,
            new.independent_from.rank,
            higher=False,
            names=(old.independent_from.value, new.independent_from.value),
        ),
        *_days(old.id, "waiver_days", old.waiver_days, new.waiver_days),
        *_ordered(old.id, "max_waivers", old.max_waivers, new.max_waivers, higher=False),
        *_ordered(
            old.id,
            "conditional_wave_share",
            old.conditional_wave_share,
            new.conditional_wave_share,
            higher=False,
        ),
    )


def vacuous(profile: Profile) -> tuple[Vacuous, ...]:
    """Predicates that hold whatever is measured.

    Shares and scores, which have unit ``1``, lie in [0, 1]; counts, durations and sizes are never negative. A signed
    difference is therefore stated as a loss with a maximum, never as a gain with a minimum of zero.
    """
    found = []
    for criterion in profile.criteria:
        for predicate in criterion.acceptance:
            why = _cannot_fail(predicate)
            if why:
                found.append(Vacuous(criterion_id=criterion.id, predicate=predicate, why=why))
    return tuple(found)


def _cannot_fail(predicate: Predicate) -> str:
    bound = f"{predicate.metric} {predicate.comparator.value} {_shown(predicate.bound)}"
    if predicate.comparator is Comparator.AT_LEAST and predicate.bound <= 0:
        return f"{bound} always holds: it is never negative."
    if predicate.comparator is Comparator.AT_MOST and predicate.unit == "1" and predicate.bound >= 1:
        return f"{bound} always holds: a share or score never exceeds 1."
    return ""


def _nature(old: Criterion, new: Criterion) -> Iterator[Change]:
    """Kind, check and domain: what the criterion is."""
    if old.kind is not new.kind:
        was, now = old.kind in _PROVEN_BY_CHECK, new.kind in _PROVEN_BY_CHECK
        effect = Effect.LOOSER if was and not now else Effect.TIGHTER if now and not was else Effect.NEUTRAL
        yield _change(old.id, "kind", old.kind.value, new.kind.value, effect)
    if old.check != new.check:
        # An instrument that arrives, or is withdrawn, proves or disproves nothing by itself; another one may prove less.
        effect = Effect.NEUTRAL if old.check is None or new.check is None else Effect.LOOSER
        yield _change(old.id, "check", str(old.check), str(new.check), effect)
    if old.domain is not new.domain:
        yield _change(old.id, "domain", old.domain.value, new.domain.value, Effect.NEUTRAL)


def _acceptance(old: Criterion, new: Criterion) -> Iterator[Change]:
    before, after = {each.metric: each for each in old.acceptance}, {each.metric: each for each in new.acceptance}
    for metric in sorted({*before, *after}):
        if metric not in after:
            yield _change(old.id, f"accept.{metric}", _bound(before[metric]), _ABSENT, Effect.LOOSER)
        elif metric not in before:
            yield _change(old.id, f"accept.{metric}", _ABSENT, _bound(after[metric]), Effect.TIGHTER)
        else:
            yield from _predicate(old.id, before[metric], after[metric])


def _predicate(name: str, old: Predicate, new: Predicate) -> Iterator[Change]:
    field = f"accept.{old.metric}"
    if (old.comparator, old.unit) != (new.comparator, new.unit):
        yield _change(name, field, _bound(old), _bound(new), Effect.LOOSER)
    else:
        higher = old.comparator is Comparator.AT_LEAST
        yield from _ordered(name, f"{field}.bound", old.bound, new.bound, higher=higher)
    yield from _ordered(name, f"{field}.n_min", old.n_min, new.n_min, higher=True)
    if old.provenance != new.provenance:
        yield _change(name, f"{field}.provenance", old.provenance, new.provenance, Effect.NEUTRAL)


def _days(name: str, field: str, old: Mapping[Tier, float], new: Mapping[Tier, float]) -> Iterator[Change]:
    for tier in sorted({*old, *new}, key=lambda tier: tier.rank):
        # A tier without an age accepts no evidence at all, which an age of zero says too.
        yield from _ordered(name, f"{field}.{tier.value}", old.get(tier, 0), new.get(tier, 0), higher=False)


def _ordered(
    name: str, field: str, old: float, new: float, *, higher: bool, names: tuple[str, str] | None = None
) -> Iterator[Change]:
    """A number whose higher (or lower) values are stricter; NaN is the strictest of all."""
    if old == new or (math.isnan(old) and math.isnan(new)):
        return
    tighter = math.isnan(new) or (not math.isnan(old) and (new > old) is higher)
    shown = names or (_shown(old), _shown(new))
    yield _change(name, field, *shown, Effect.TIGHTER if tighter else Effect.LOOSER)


def _several(name: str, field: str, old: Collection[Any], new: Collection[Any], *, more: bool) -> Iterator[Change]:
    """A set of which more (or fewer) members are stricter; gaining and losing at once is looser."""
    gained, lost = set(new) - set(old), set(old) - set(new)
    if gained or lost:
        looser = lost if more else gained
        yield _change(name, field, _members(old), _members(new), Effect.LOOSER if looser else Effect.TIGHTER)


def _members(values: Collection[Any]) -> str:
    return ", ".join(sorted(value.value for value in values)) or "none"


def _bound(predicate: Predicate) -> str:
    return f"{predicate.comparator.value} {_shown(predicate.bound)} {predicate.unit}"


def _shown(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "undefined" if math.isnan(value) else f"{value:.12g}"


def _tier_names(old: Profile, new: Profile) -> tuple[str, str]:
    return old.tier.value, new.tier.value


def _names(profile: Profile) -> str:
    return ", ".join(f"{pack.id}@{pack.version} {pack.digest[7:15]}" for pack in profile.packs)


def _change(name: str, field: str, old: str, new: str, effect: Effect) -> Change:
    return Change(criterion_id=name, field=field, old=old, new=new, effect=effect)
