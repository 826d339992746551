"""From what a pack states to the vocabulary. Owns the place where parameters of the use case become numbers.

A parameter that the use case did not declare leaves its bound undefined (NaN): nothing can meet it, and the check that
measures says why. It never becomes a default.
"""

import math
from collections.abc import Mapping

from roadworthy.base.errors import PackError
from roadworthy.domain.criterion import Comparator, Criterion, Effort, Gate, Predicate, QuorumRule, Source
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import KNOWN_PARAMS, AcceptModel, CriterionModel, GateModel, ParamKind, ParamRef
from roadworthy.kit.schema_problems import nearest

Params = Mapping[str, float | int | str]


def require_known(params: Params) -> None:
    """Refuse parameters that no pack can name, and values that they cannot have.

    Raises:
        PackError: an unknown name, or a value of the wrong kind (RW-109).
    """
    for name, value in params.items():
        if name not in KNOWN_PARAMS:
            raise PackError(f"Unknown parameter {name!r}.", remedy=nearest(name, [*KNOWN_PARAMS]), where="params")
        if KNOWN_PARAMS[name] is ParamKind.COMPARATOR:
            good = value in {each.value for each in Comparator}
        else:
            good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good:
            kind = KNOWN_PARAMS[name].value
            raise PackError(f"{name} is {value!r}.", remedy=f"Give a {kind}.", where="params")


def criterion_of(model: CriterionModel, params: Params) -> Criterion:
    """The criterion with its parameters filled in.

    Raises:
        PackError: ``n_min`` is a parameter that is not a whole number from 1 on (RW-109).
    """
    return Criterion(
        id=model.id,
        domain=model.domain,
        title=model.title,
        kind=model.kind,
        check=model.check,
        acceptance=tuple(_predicate(accept, params) for accept in model.accept),
        depends_on=frozenset(model.depends_on),
        max_age_days=model.max_age_days.by_tier(),
        waivable=frozenset(model.waivable_at),
        min_assurance=model.min_assurance,
        signer_roles=model.signer_roles,
        may_not_apply=model.may_not_apply,
        required_from=model.required_from,
        effort=Effort(low_days=model.effort.low, likely_days=model.effort.likely, high_days=model.effort.high),
        owner_role=model.owner_role,
        gap_depends_on=model.gap_depends_on,
        sources=tuple(Source(document=each.document, clause=each.clause) for each in model.sources),
    )


def gate_of(model: GateModel, tier: Tier) -> Gate:
    """The gate as it stands at one tier."""
    return Gate(
        id=model.id,
        title=model.title,
        quorum=tuple(QuorumRule(role=rule.role, count=rule.count) for rule in model.quorum.at(tier)),
        independent_from=model.independent_from,
        waiver_days=model.waiver_days.by_tier(),
        max_waivers=model.max_waivers,
        conditional_wave_share=model.conditional_wave_share,
    )


def _predicate(accept: AcceptModel, params: Params) -> Predicate:
    absent = any(name not in params for _, name, _ in accept.params())
    # One absent parameter makes the whole predicate undefined: half a predicate must not decide.
    bound = math.nan if absent else float(_value(accept.bound, params))
    return Predicate(
        metric=accept.metric,
        comparator=_comparator(accept.op, params),
        bound=bound,
        unit=accept.unit,
        n_min=_count(accept, params),
        provenance=accept.provenance,
    )


def _value(value: float | ParamRef, params: Params) -> float | int | str:
    return params[value.param] if isinstance(value, ParamRef) else value


def _comparator(op: Comparator | ParamRef, params: Params) -> Comparator:
    if isinstance(op, Comparator):
        return op
    return Comparator(params.get(op.param, Comparator.AT_LEAST.value))


def _count(accept: AcceptModel, params: Params) -> int:
    if not isinstance(accept.n_min, ParamRef):
        return accept.n_min
    value = float(params.get(accept.n_min.param, 1))
    if not value.is_integer() or value < 1:
        raise PackError(
            f"{accept.n_min.param} is {value:g}, which is no number of units.",
            remedy="Give a whole number from 1 on.",
            where=f"{accept.metric}.n_min",
        )
    return int(value)
