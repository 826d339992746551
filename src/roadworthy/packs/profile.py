"""The profile of one use case at one tier. Owns composition of packs, overlays and parameters into what a gate requires.

The order of packs and overlays never matters, and naming one twice changes nothing: the profile, and so its digest, is
the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roadworthy.base.errors import DependencyCycle, PackError, ProhibitedUse
from roadworthy.domain.criterion import Criterion, Gate, Profile, ReadinessDomain
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import (
    TIERS,
    AddOperation,
    GateModel,
    Operation,
    RequireOperation,
    TightenGateOperation,
    TightenOperation,
)
from roadworthy.kit.schema_problems import nearest
from roadworthy.packs.load import Pack
from roadworthy.packs.overlay import tighten_criteria, tighten_gates
from roadworthy.packs.references import dependency_cycle
from roadworthy.packs.resolve import Params, criterion_of, gate_of, require_known
from roadworthy.packs.strictest import strictest, strictest_gate

_DOMAINS = tuple(ReadinessDomain)


def profile(
    packs: Iterable[Pack],
    overlays: Iterable[Pack],
    *,
    use_case_id: str,
    tier: Tier,
    params: Params,
    gate_id: str = "go-live",
) -> Profile:
    """Compose what a gate requires.

    1. every pack once, in one version;
    2. all criteria with their parameters; where two packs define the same one, the strictest of both;
    3. overlays, which can only tighten;
    4. the criteria that this tier requires; gaps wait only for criteria that are required too;
    5. the gate, as it stands at this tier.

    Args:
        packs: what the use case chose.
        overlays: what its organisation adds.
        use_case_id: whose profile.
        tier: R1 to R4, as computed from the answers.
        params: what the use case declares; an absent one leaves its bound undefined, so that nothing meets it.
        gate_id: which gate.

    Raises:
        PackError: packs contradict each other, an overlay loosens, or something is not known (RW-109).
        DependencyCycle: gaps of different packs wait for each other (RW-112).
        ProhibitedUse: the tier is R0 (RW-308).
    """
    if tier not in TIERS:
        raise ProhibitedUse("No profile makes a prohibited use ready.", remedy="Do not deploy it.", where=use_case_id)
    require_known(params)
    # 1
    sources = _sources([*packs, *overlays])
    operations = [operation for pack in sources for operation in pack.model.overlays]
    # 2
    stated = _stated(sources, operations, params)
    # 3
    wanted = [each for each in operations if isinstance(each, TightenOperation | RequireOperation)]
    criteria = tighten_criteria(stated, wanted, declared=_declared(sources, operations))
    _require_resolved(criteria)
    gates = tighten_gates(_gates(sources), [each for each in operations if isinstance(each, TightenGateOperation)])
    # 4
    required = {name: each for name, each in criteria.items() if each.required_from.rank <= tier.rank}
    trimmed = [
        replace(each, gap_depends_on=tuple(name for name in each.gap_depends_on if name in required))
        for each in required.values()
    ]
    # 5
    if gate_id not in gates:
        remedy = nearest(gate_id, [*gates]) if gates else "Name a pack that defines one, for example enterprise@2."
        raise PackError(f"No pack defines the gate {gate_id!r}.", remedy=remedy, where="packs")
    return Profile(
        use_case_id=use_case_id,
        tier=tier,
        gate=gates[gate_id][tier],
        criteria=tuple(sorted(trimmed, key=_place)),
        packs=tuple(pack.ref for pack in sources),
    )


def _sources(packs: Iterable[Pack]) -> tuple[Pack, ...]:
    by_id: dict[str, Pack] = {}
    for pack in packs:
        known = by_id.setdefault(pack.ref.id, pack)
        if known.ref != pack.ref:
            raise PackError(
                f"The pack {pack.ref.id} is named in two versions.",
                remedy="Keep one of them.",
                where="packs",
            )
    return tuple(by_id[name] for name in sorted(by_id))


def _stated(sources: Sequence[Pack], operations: Sequence[Operation], params: Params) -> dict[str, Criterion]:
    """What packs define and overlays add, by id, the strictest of each."""
    versions: dict[str, list[Criterion]] = defaultdict(list)
    for pack in sources:
        for model in pack.model.criteria:
            versions[model.id].append(criterion_of(model, params))
    defined = set(versions)
    for operation in operations:
        if isinstance(operation, AddOperation):
            if operation.criterion.id in defined:
                raise PackError(
                    f"The overlay adds {operation.criterion.id}, which a pack defines.",
                    remedy="Use the operation tighten, or give it another id.",
                    where="overlays",
                )
            versions[operation.criterion.id].append(criterion_of(operation.criterion, params))
    return {name: strictest(every) for name, every in versions.items()}


def _declared(sources: Sequence[Pack], operations: Sequence[Operation]) -> frozenset[tuple[str, str]]:
    """Criterion and metric of every bound that comes from the use case."""
    models = [model for pack in sources for model in pack.model.criteria]
    models.extend(each.criterion for each in operations if isinstance(each, AddOperation))
    return frozenset((model.id, accept.metric) for model in models for accept in model.accept if [*accept.params()])


def _require_resolved(criteria: Mapping[str, Criterion]) -> None:
    for criterion in criteria.values():
        for name in criterion.gap_depends_on:
            if name not in criteria:
                raise PackError(
                    f"The gap of {criterion.id} depends on {name!r}, which no pack defines.",
                    remedy=nearest(name, [*criteria]),
                    where=criterion.id,
                )
    circle = dependency_cycle({name: criteria[name].gap_depends_on for name in sorted(criteria)})
    if circle:
        raise DependencyCycle(
            f"These gaps wait for each other: {' -> '.join(circle)}.",
            remedy="Remove one of these dependencies from its pack.",
            where="packs",
        )


def _gates(sources: Sequence[Pack]) -> dict[str, dict[Tier, Gate]]:
    models: dict[str, list[GateModel]] = defaultdict(list)
    for pack in sources:
        for model in pack.model.gates:
            models[model.id].append(model)
    return {
        name: {tier: strictest_gate([gate_of(model, tier) for model in every]) for tier in TIERS}
        for name, every in models.items()
    }


def _place(criterion: Criterion) -> tuple[int, str, int]:
    """By domain, then as people count: D2 before D10."""
    letters = criterion.id.rstrip("0123456789")
    return _DOMAINS.index(criterion.domain), letters, int(criterion.id[len(letters) :] or 0)
