"""The plan of a linkage in the words of Splink. Owns every call to that library; nobody imports this module directly.

Rules kept here:
1. The database lives in memory and is locked: rules of a plan are SQL, and must reach nothing but the tables.
2. One thread, because the order in which doubles are summed would change the last bits of the model.
3. Whatever the library raises is about the plan or the data, and leaves as one of our errors.
"""

import logging
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
import splink
from splink import DuckDBAPI, Linker, SettingsCreator
from splink import comparison_library as ladders

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates.clusters import ScoredPairs, scored_pairs
from roadworthy.measure.duplicates.linkage_plan import FieldComparison, Likeness, LinkagePlan
from roadworthy.measure.table import ROW

# The library reports progress to its loggers; without a handler the warnings would land on the terminal.
logging.getLogger("splink").addHandler(logging.NullHandler())


def train_and_score(
    tables: Sequence[pa.Table], plan: LinkagePlan, least_probability: float
) -> tuple[ScoredPairs, dict[str, Any], str]:
    """Fit the model and score the blocked pairs.

    Args:
        tables: one or two, each with the row numbers in the column ``ROW``.
        plan: what to compare.
        least_probability: pairs below are dropped.

    Returns:
        The pairs by row number, the trained settings as plain JSON, and the library's name and release.

    Raises:
        ParameterError: the library cannot run the plan on these data (RW-114).
    """
    connection = duckdb.connect(":memory:")
    try:
        _lock(connection)
        linker = Linker(_registered(connection, tables), settings_of(plan, tables=len(tables)), log_level=None)
        _train(linker, plan)
        scored = linker.inference.predict(threshold_match_probability=least_probability).as_duckdbpyrelation()
        columns = scored.select(f"{ROW}_l, {ROW}_r, least(match_probability, 1.0) AS score").to_arrow_table()
        pairs = scored_pairs(*(columns.column(place).to_numpy() for place in range(3)))
        return pairs, linker.misc.save_model_to_json(), f"splink {splink.__version__}"
    except Exception as error:
        raise ParameterError(
            f"Splink cannot run the plan: {_reason(error)}.",
            remedy="Correct the rules of the plan; each must yield pairs of which some match.",
        ) from error
    finally:
        connection.close()


def settings_of(plan: LinkagePlan, *, tables: int) -> dict[str, Any]:
    """The untrained settings of the library as plain JSON."""
    creator = SettingsCreator(
        link_type="dedupe_only" if tables == 1 else "link_only",
        unique_id_column_name=ROW,
        blocking_rules_to_generate_predictions=[{"blocking_rule": rule} for rule in plan.blocking],
        comparisons=[_ladder(field) for field in plan.fields],
        retain_matching_columns=False,
        # The library would draw a random one, and no two models would be equal.
        linker_uid="roadworthy",
    )
    return creator.create_settings_dict("duckdb")


def _ladder(field: FieldComparison) -> Any:
    if field.how is Likeness.DATE_OF_BIRTH:
        return ladders.DateOfBirthComparison(
            field.column, input_is_string=True, datetime_format=field.date_format, invalid_dates_as_null=True
        )
    if field.how is Likeness.NAME:
        ladder: Any = ladders.NameComparison(field.column)
    elif field.how is Likeness.EDITS:
        ladder = ladders.DamerauLevenshteinAtThresholds(field.column, [1, 2])
    else:
        ladder = ladders.ExactMatch(field.column)
    return ladder.configure(term_frequency_adjustments=field.by_frequency)


def _train(linker: Linker, plan: LinkagePlan) -> None:
    linker.training.estimate_probability_two_random_records_match(list(plan.certain), recall=plan.certain_recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=plan.sample_pairs, seed=plan.seed)
    for rule in plan.training_blocks:
        linker.training.estimate_parameters_using_expectation_maximisation(rule, estimate_without_term_frequencies=True)


def _registered(connection: duckdb.DuckDBPyConnection, tables: Sequence[pa.Table]) -> list[Any]:
    database = DuckDBAPI(connection=connection)
    # The names order the tables, and so which row of a pair is the left one.
    return [database.register(table, dataset_display_name=f"table_{place}") for place, table in enumerate(tables)]


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET threads = 1")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _reason(error: Exception) -> str:
    """One line; the database's own words where the library quotes its whole statement around them."""
    lines = str(error.__cause__ or error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
