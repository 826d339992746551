"""Orders of gaps. Owns circles among dependencies, and the cheapest order to unblock; durations belong to ``plan``."""

from collections.abc import Iterable, Mapping

from roadworthy.base.errors import DependencyCycle


def cheapest_order(cost_days: Mapping[str, float], depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """All gaps, dependencies before dependents and cheap progress first; greedy and deterministic.

    1. eligible are the gaps whose dependencies are all placed; should a circle leave none, all that remain are;
    2. place the one with the least effort for each criterion that it unblocks: itself, and every gap that waits for
    nothing else; ties go to the smaller id.

    Args:
        cost_days: likely effort in person-days, by gap.
        depends_on: gaps that come first; those that are not in ``cost_days`` are closed already.
    """
    waits = {gap: {other for other in depends_on.get(gap, ()) if other in cost_days} for gap in cost_days}
    placed: list[str] = []
    while waits:
        # 1
        eligible = [gap for gap, others in waits.items() if not others] or list(waits)
        # 2
        freed = {gap: 1 + sum(others == {gap} for others in waits.values()) for gap in eligible}
        chosen = min(eligible, key=lambda gap: (cost_days[gap] / freed[gap], gap))
        placed.append(chosen)
        del waits[chosen]
        for others in waits.values():
            others.discard(chosen)
    return tuple(placed)


def require_acyclic(depends_on: Mapping[str, Iterable[str]]) -> None:
    """Refuse circles.

    Raises:
        DependencyCycle: gaps wait for each other (RW-112), with the circle by name.
    """
    circle = find_circle(depends_on)
    if circle:
        raise DependencyCycle(
            f"These gaps wait for each other: {' waits for '.join((*circle, circle[0]))}.",
            remedy="Take one of these dependencies away: roadworthy gaps assign ID --depends-on.",
        )


def find_circle(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A circle, from its smallest member on; empty when there is none.

    1. strike out gaps that wait for nothing that is left, until none can be struck; 2. whoever is left waits for
    somebody who is left: following the smallest such name must come back to a gap that was met before.
    """
    # 1
    left = {gap: set(others) for gap, others in depends_on.items()}
    while free := [gap for gap, others in left.items() if others.isdisjoint(left)]:
        for gap in free:
            del left[gap]
    if not left:
        return ()
    # 2
    path = [min(left)]
    while (following := min(left[path[-1]] & left.keys())) not in path:
        path.append(following)
    circle = path[path.index(following) :]
    first = circle.index(min(circle))
    return tuple(circle[first:] + circle[:first])
