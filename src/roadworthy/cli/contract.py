"""``roadworthy contract``: data contracts by hand. Owns the commands' words; rules are read and run by ``measure``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from roadworthy.base.clock import format_instant, now, parse_instant
from roadworthy.base.errors import InputError
from roadworthy.cli.contract_infer import infer
from roadworthy.cli.output import PAGE_WIDTH, JsonOption, PlainConsole, console, print_json, styled
from roadworthy.measure.contract import load_contract
from roadworthy.measure.infer.intake import take_in
from roadworthy.measure.quality import QualityReport, RuleResult, Verdict, assess
from roadworthy.reports.words import counted

app = typer.Typer(
    help="Data contracts (ODCS 3.1): draft one from clean data, hold data against one.", no_args_is_help=True
)
_LOOKS = {
    Verdict.NOT_MET: ("✗ not met", "red"),
    Verdict.UNKNOWN: ("? cannot tell", "yellow"),
    Verdict.MET: ("✓ met", "green"),
}
_BROKEN = 1


@app.callback()
def contract() -> None:
    """Data contracts (ODCS 3.1): draft one from clean data, hold data against one."""


app.command("infer")(infer)


@app.command("check")
def check(
    data: Annotated[Path, typer.Argument(help="Parquet, CSV, or a quoted pattern.")],
    promised: Annotated[Path, typer.Argument(metavar="CONTRACT", help="The ODCS file.")],
    table: Annotated[
        str | None, typer.Option("--table", help="Which table of the contract, when it has several.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="A column by whose values sentinels and units are looked at apart.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Instant that ages are counted to; now when none is given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run every rule of a contract on data.

    Exit code 0 when every rule is met, 1 when one is not or cannot be told. What no rule asks for but looks wrong is
    shown and decides nothing.
    """
    rules = load_contract(promised, table)
    # What is declared as text is read as text: a reader that guesses makes a date of 1/2/03.
    texts = [item.name for item in rules.fields if item.logical_type == "string"]
    report = assess(take_in(data, as_text=texts).table, rules, at=now() if at is None else parse_instant(at), cohort=by)
    broken = [result for result in report.results if result.verdict is not Verdict.MET]
    if not report.results:
        raise InputError(f"{promised} has no rule that can be run.", remedy="Declare columns or quality rules.")
    if json:
        print_json(_plain(report))
    else:
        _show(console(), report, broken)
    if broken:
        raise typer.Exit(_BROKEN)


def _plain(report: QualityReport) -> dict[str, Any]:
    return {
        "table": report.table,
        "rows": report.rows,
        "assessed_at": format_instant(report.assessed_at),
        "met": all(result.verdict is Verdict.MET for result in report.results),
        "rules": [_plain_rule(result) for result in report.results],
        "suspicions": _suspicions(report),
        "undeclared": list(report.undeclared),
        "empty_columns": list(report.empty_columns),
        "notes": list(report.notes),
    }


def _plain_rule(result: RuleResult) -> dict[str, Any]:
    return {
        "rule": result.rule.rule_id,
        "dimension": result.rule.dimension.value,
        "severity": result.rule.severity.value,
        "line": result.rule.line,
        "verdict": result.verdict.value,
        "rows": result.rows,
        "bad_rows": result.bad_rows,
        "what": result.what,
        "examples": [{"row": each.row, "values": list(each.values)} for each in result.examples],
    }


def _suspicions(report: QualityReport) -> list[str]:
    return [*(found.what for found in report.sentinels), *(found.what for found in report.unit_swaps)]


def _show(out: PlainConsole, report: QualityReport, broken: list[RuleResult]) -> None:
    out.print()
    out.print(f" {report.table} · {report.rows:,} rows", soft_wrap=True)
    if broken:
        grid = Table(box=None, padding=(0, 1), header_style="dim", width=min(out.width, PAGE_WIDTH))
        grid.add_column("", no_wrap=True)
        grid.add_column("rule", ratio=2)
        grid.add_column("what was found", ratio=3)
        grid.add_column("for example", ratio=1)
        for result in broken:
            word, style = _LOOKS[result.verdict]
            grid.add_row(styled(word, style), result.rule.rule_id, result.what, _example(result))
        out.print(grid)
    out.print()
    for what in _suspicions(report):
        out.print(styled(f" ! {what}", "yellow"))
    if report.undeclared:
        out.print(styled(f" The contract does not know: {', '.join(report.undeclared)}", "dim"))
    for note in report.notes:
        out.print(styled(f" Not run: {note}", "dim"))
    kept = len(report.results) - len(broken)
    out.print(styled(f" {kept} of {counted(len(report.results), 'rule')} met.", "bold"))


def _example(result: RuleResult) -> str:
    if not result.examples:
        return ""
    first = result.examples[0]
    return f"row {first.row}: {', '.join(each or 'null' for each in first.values)}"
