"""Which cells of a table an inferred contract doubts. Owns the way from rules to cells; the rules run elsewhere.

A cell is flagged when a rule about its column finds its row bad. A rule about several columns flags all of them, since
it cannot tell which is wrong, but a dependency flags only the decided column: the majority of its group speaks for the
deciding one.
"""

from datetime import datetime

from roadworthy.measure.infer.dependencies import disagreeing_rows, is_dependency
from roadworthy.measure.quality import flagged_rows
from roadworthy.measure.rule import Contract
from roadworthy.measure.table import Table


def flagged_cells(table: Table, contract: Contract, *, at: datetime) -> dict[tuple[int, str], tuple[str, ...]]:
    """The doubtful cells, as (row from 0, column), each with the ids of the rules that doubt it.

    Args:
        table: the data.
        contract: inferred, or loaded again; dependencies are recognised by their form.
        at: the instant that ages are counted to, aware.

    Raises:
        ContractError: a query of the contract is not valid for this table (RW-106).
        MissingFile: a referenced file is not there (RW-102).
    """
    columns = {rule.rule_id: rule.columns for rule in contract.rules}
    found: dict[tuple[int, str], list[str]] = {}
    for row in flagged_rows(table, contract, at=at):
        for rule_id in row.rules:
            for name in columns[rule_id]:
                found.setdefault((row.row, name), []).append(rule_id)
    for rule in contract.rules:
        if is_dependency(rule) and all(name in table.column_names for name in rule.columns):
            for number in disagreeing_rows(table, rule):
                found.setdefault((number, rule.columns[0]), []).append(rule.rule_id)
    return {cell: tuple(rules) for cell, rules in sorted(found.items())}
