"""The plan of a profile. Owns what is counted of a column of each kind, and how to find it again in a state."""

from collections.abc import Iterable

from roadworthy.measure.volume.accumulators import (
    Accumulator,
    Cells,
    Extremes,
    Lengths,
    Moments,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.plan import Kind, Plan, Split, make_plan
from roadworthy.measure.volume.reference import NumberReference, Reference, ValueReference


def profile_plan(reference: Reference, *, also: Iterable[Accumulator] = (), split: Split | None = None) -> Plan:
    """Everything that a profile and a comparison of a table need, and whatever else one scan shall count.

    Args:
        reference: frozen edges, units and known values.
        also: for example the rules of a contract.
        split: to count groups apart.

    Raises:
        ParameterError: something reads a column that the reference does not have (RW-114).
    """
    wanted: list[Accumulator] = [Rows(), *(Special(column=item.name) for item in reference.columns)]
    for number in reference.numbers:
        wanted.extend(number_accumulators(number))
    for value in reference.values:
        wanted.extend(value_accumulators(value))
    return make_plan(reference.columns, [*wanted, *also], split)


def number_accumulators(item: NumberReference) -> tuple[Accumulator, ...]:
    """Extremes, moments (numbers only) and, where there are edges, cells."""
    found: list[Accumulator] = [Extremes(column=item.column)]
    if item.kind is Kind.NUMBER:
        found.append(moments_of(item))
    if item.edges:
        found.append(Cells(column=item.column, edges=item.edges))
    return tuple(found)


def value_accumulators(item: ValueReference) -> tuple[Accumulator, ...]:
    """Known values, and lengths of texts."""
    known = Values(column=item.column, known=item.known)
    return (known,) if item.kind is Kind.FLAG else (known, Lengths(column=item.column))


def moments_of(item: NumberReference) -> Moments:
    """The moments in the units that the reference froze."""
    return Moments(column=item.column, centre=item.centre, unit_exponent=item.unit_exponent)
