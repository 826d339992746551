"""Records that mean the same person, site or thing. Owns entity resolution; the engine is Splink, an optional part.

Splink fits the model of Fellegi and Sunter (JASA 64, 1969) without labels. It is imported by ``splink_adapter`` alone,
and that module only when a linkage is asked for. How good the links are is not for the engine to say: ``review``
measures it on pairs that people have judged.

Rules kept here:
1. Texts lose the blanks around them and an empty text is a null, because two empty fields must not agree.
2. Rows of two tables are numbered through; a link joins one row of each. One table is searched in itself.
3. The same tables, plan and release of the engine give the same bits: one thread, one seed, no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roadworthy.base.errors import ContractError, DependencyError, ParameterError
from roadworthy.measure.duplicates.clusters import Clusters, ScoredPairs, clusters_of
from roadworthy.measure.duplicates.linkage_plan import FieldComparison, Likeness, LinkagePlan
from roadworthy.measure.table import ROW

_ADAPTER = "roadworthy.measure.duplicates.splink_adapter"
_MOST_TABLES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """What was found.

    Attributes:
        row_counts: the rows of each table; those of the second are numbered after the first.
        pairs: compared pairs with their match probability, down to ``least_probability``.
        least_probability: pairs below were dropped, and are unknown from here on.
        model: the engine's settings with everything that it learned, as plain JSON; evidence.
        untrained: levels for which the data showed nothing, as ``column: level``; the engine ignores them.
        engine: name and release, for example ``splink 5.0.0``.
    """

    row_counts: tuple[int, ...]
    pairs: ScoredPairs
    least_probability: float
    model: Mapping[str, Any]
    untrained: tuple[str, ...]
    engine: str

    def clusters(self, threshold: float) -> Clusters:
        """The entities, when pairs from this match probability on are the same.

        Raises:
            ParameterError: the threshold is below what was kept (RW-114).
        """
        if not self.least_probability <= threshold <= 1.0:
            raise ParameterError(
                f"A threshold of {threshold} is not in [{self.least_probability}, 1].",
                remedy="Raise the threshold, or link again with a lower least probability.",
            )
        links = self.pairs.at_least(threshold)
        return clusters_of(sum(self.row_counts), links.left, links.right)


def link(tables: Sequence[pa.Table], plan: LinkagePlan, *, least_probability: float = 0.01) -> Linkage:
    """Train the plan's model on the tables and score the pairs that its blocking yields.

    Algorithm:
    1. Check the plan against the tables; clean the texts.
    2. Estimate how probable a match is among all pairs, from the certain rules.
    3. Estimate from random pairs how often strangers agree at each level.
    4. Estimate by expectation maximisation, block by block, how often matches agree at each level.
    5. Score the pairs of the blocking rules.

    Args:
        tables: one table to find duplicates in, or two tables to link.
        plan: what to compare.
        least_probability: pairs below are not kept, in (0, 1).

    Raises:
        DependencyError: Splink is not installed (RW-600).
        ContractError: a column is missing, or no text where the comparison needs one (RW-106).
        ParameterError: not one or two tables, or the engine cannot run the plan on these data (RW-114).
    """
    if not 1 <= len(tables) <= _MOST_TABLES or not 0.0 < least_probability < 1.0:
        raise ParameterError(
            f"{len(tables)} tables and a least probability of {least_probability} make no linkage.",
            remedy="Give one or two tables and a probability in (0, 1).",
        )
    adapter = _adapter()
    prepared = [_prepared(table, plan, place) for place, table in enumerate(_numbered(tables))]  # 1
    pairs, model, engine = adapter.train_and_score(prepared, plan, least_probability)  # 2 to 5
    return Linkage(
        row_counts=tuple(table.num_rows for table in tables),
        pairs=pairs,
        least_probability=least_probability,
        model=model,
        untrained=_untrained(model),
        engine=engine,
    )


def _adapter() -> Any:
    try:
        return import_module(_ADAPTER)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "splink":
            raise
        raise DependencyError(
            "Splink is not installed, so entities cannot be resolved.", remedy="pip install roadworthy[entities]"
        ) from error


def _numbered(tables: Sequence[pa.Table]) -> list[pa.Table]:
    offset, numbered = 0, []
    for table in tables:
        rows = np.arange(offset, offset + table.num_rows, dtype=np.int64)
        numbered.append(table.append_column(ROW, pa.array(rows)))
        offset += table.num_rows
    return numbered


def _prepared(table: pa.Table, plan: LinkagePlan, place: int) -> pa.Table:
    for field in plan.fields:
        _check_field(table, field, place)
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if _is_text(column.type):
            trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
            column = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
        columns[name] = column
    return pa.table(columns)


def _check_field(table: pa.Table, field: FieldComparison, place: int) -> None:
    if field.column not in table.column_names:
        names = ", ".join(name for name in table.column_names if name != ROW)
        raise ContractError(
            f"There is no column {field.column!r} in table {place}.", remedy=f"Compare some of: {names}."
        )
    kind = table.schema.field(field.column).type
    if field.how is not Likeness.EXACT and not _is_text(kind):
        raise ContractError(
            f"Column {field.column!r} of table {place} is {kind}, but {field.how.value} compares texts.",
            remedy="Read the column as text, or compare it exactly.",
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _untrained(model: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{comparison['output_column_name']}: {level['label_for_charts']}"
        for comparison in model["comparisons"]
        for level in comparison["comparison_levels"]
        if not level.get("is_null_level", False) and not {"m_probability", "u_probability"} <= level.keys()
    )
