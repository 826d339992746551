"""What ``import roadworthy`` offers to people with data and a question. Owns the two functions; all else is below.

Both take paths and patterns, Arrow tables, database addresses and windows that were measured before; ``source`` lists them.
"""

from collections.abc import Sequence

from roadworthy.base.errors import ParameterError
from roadworthy.measure.profile.compare import DEFAULT_RULE, Comparison, compare_data
from roadworthy.measure.profile.profile import Profile, profile_source, profile_window
from roadworthy.measure.profile.source import Data, open_data
from roadworthy.measure.profile.window_file import Window
from roadworthy.stats.alarm import AlertRule
from roadworthy.stats.drift import Effect


def profile(data: Data, *, by: str | None = None, reference: Data | None = None) -> Profile:
    """What a table looks like: counts, nulls with interval, mean, range, quartiles, cells, and what deserves a look.

    Args:
        data: a path such as ``"visits.parquet"``, a pattern, an Arrow table, a database address, or a measured window.
        by: a column whose groups are shown apart.
        reference: whose cells to count on, so that both can be joined and compared: a measured window, or data.

    Raises:
        RoadworthyError: nothing there, not readable, no such column; each says what to do.
    """
    opened = open_data(data)
    if isinstance(opened, Window):
        if reference is not None:
            raise ParameterError(
                f"{opened.name} was measured before, on cells of its own.", remedy="Leave the reference out."
            )
        return profile_window(opened, by=by)
    if reference is None:
        return profile_source(opened, by=by)
    on = open_data(reference)
    return profile_source(opened, on=on if isinstance(on, Window) else profile_source(on).window, by=by)


def compare(
    reference: Data,
    current: Data,
    *,
    by: str | None = None,
    effect: str = DEFAULT_RULE.effect.value,
    tolerance: float = DEFAULT_RULE.tolerance,
    windows: int = DEFAULT_RULE.windows,
    columns: Sequence[str] | None = None,
) -> Comparison:
    """What has moved from one window to another, by how much, and what cannot be told.

    Args:
        reference: what is taken for normal; as in ``profile``.
        current: the window.
        by: a column of the window whose groups are judged apart.
        effect: ``psi``, ``jensen_shannon``, ``total_variation``, ``kolmogorov_smirnov`` or ``wasserstein``.
        tolerance: the largest acceptable effect, in its unit; above 0.
        windows: at most one false alarm in that many windows.
        columns: which to compare; all of the reference when None.

    Raises:
        RoadworthyError: nothing there, not readable, no such column or effect; each says what to do.
    """
    rule = AlertRule(effect=effect_of(effect), tolerance=tolerance, windows=windows)
    return compare_data(open_data(reference), open_data(current), rule=rule, columns=columns, by=by)


def effect_of(name: str) -> Effect:
    """The effect of a name.

    Raises:
        ParameterError: not one (RW-114).
    """
    known = {item.value: item for item in Effect}
    if name not in known:
        raise ParameterError(f"There is no effect {name!r}.", remedy=f"Use one of: {', '.join(known)}.")
    return known[name]
