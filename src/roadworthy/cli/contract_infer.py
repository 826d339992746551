"""``roadworthy contract infer``: draft a contract from clean data. Owns the command's words; ``measure`` infers."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from roadworthy.base.clock import parse_instant
from roadworthy.base.errors import InputError
from roadworthy.cli.output import PAGE_WIDTH, JsonOption, PlainConsole, console, print_json, require_folder, write_file
from roadworthy.measure.export_odcs import to_odcs_yaml
from roadworthy.measure.infer.dependencies import is_dependency
from roadworthy.measure.infer.draft import infer_contract
from roadworthy.measure.infer.intake import Intake, take_in
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.rule import Contract, Kind, Rule
from roadworthy.reports.words import counted

_VALUES_SHOWN = 6
_STRUCTURE = frozenset({Kind.COLUMN, Kind.TYPE, Kind.ENCODING})


def infer(
    clean: Annotated[
        Path, typer.Argument(metavar="CLEAN", help="Parquet, CSV, or a quoted pattern; known to be clean.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the draft.")] = Path(
        "contract.odcs.yaml"
    ),
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of text files, for example cp1252; detected when none is given.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Instant at which the data was taken; adds rules about freshness.")
    ] = None,
    alarm_share: Annotated[
        float, typer.Option("--alarm-share", help="At most this share of fresh clean rows may break a rule.")
    ] = InferOptions().alarm_share,
    force: Annotated[bool, typer.Option("--force", help="Replace a contract that is already there.")] = False,
    json: JsonOption = False,
) -> None:
    """Draft a contract from data that is known to be clean, for a person to read and approve.

    Every rule says how many rows back it. What is promised is in the draft: which share of fresh rows, drawn like the clean
    ones, will break it.
    """
    require_folder(output)
    if output.exists() and not force:
        raise InputError(
            f"There is already a file {output}.",
            remedy="Choose another with -o, or add --force to replace it.",
            where=str(output),
        )
    options = InferOptions(alarm_share=alarm_share, as_of=None if as_of is None else parse_instant(as_of))
    taken = take_in(clean, encoding=encoding)
    contract = infer_contract(taken.table, options)
    write_file(output, to_odcs_yaml(contract).encode())
    if json:
        print_json(_plain(output, taken, contract))
    else:
        _show(console(), output, taken, contract)


def _plain(output: Path, taken: Intake, contract: Contract) -> dict[str, Any]:
    return {
        "path": str(output),
        "table": taken.table.name,
        "rows": taken.table.row_count,
        "encodings": taken.encodings,
        "status": contract.status,
        "promise": contract.provenance.limitations_text,
        "rules": [
            {
                "rule": rule.rule_id,
                "dimension": rule.dimension.value,
                "says": _says(rule),
                "allowed": _allowed(rule),
                "support": rule.description,
            }
            for rule in contract.rules
        ],
        "notes": list(contract.notes),
    }


def _show(out: PlainConsole, output: Path, taken: Intake, contract: Contract) -> None:
    read = ", ".join(f"{name} as {encoding}" for name, encoding in taken.encodings.items())
    out.print()
    out.print(f" {taken.table.name} · {taken.table.row_count:,} rows{f' · {read}' if read else ''}", soft_wrap=True)
    grid = Table(box=None, padding=(0, 1), header_style="dim", width=min(out.width, PAGE_WIDTH))
    grid.add_column("rule", ratio=3, overflow="fold")
    grid.add_column("says", ratio=3)
    grid.add_column("allowed", ratio=2)
    grid.add_column("support", ratio=4)
    promised = [rule for rule in contract.rules if rule.kind not in _STRUCTURE]
    for rule in promised:
        grid.add_row(rule.rule_id, _says(rule), _allowed(rule), rule.description.removeprefix("Inferred from "))
    out.print(grid)
    out.print()
    for note in contract.notes:
        if "not promised" in note:
            out.print(f" {note}")
    structure = len(contract.rules) - len(promised)
    out.print(f" {contract.provenance.limitations_text}")
    out.print(f" And {counted(structure, 'rule')} about columns, types and encoding.")
    out.print(
        f" ✓ {output}: {counted(len(contract.rules), 'rule')}, status draft. Read it, then approve it.", soft_wrap=True
    )


def _allowed(rule: Rule) -> str:
    if rule.kind is Kind.NEWEST_AGE:
        return f"at most {rule.max_age_s:,.0f} s"
    # A query of ours gives percent, which its bound cannot know.
    return rule.bound.text() if rule.bound.percent else f"{rule.bound.text()} % of rows"


def _says(rule: Rule) -> str:
    if is_dependency(rule):
        return f"{rule.rule_id.partition('.by.')[2]} decides {rule.columns[0]}"
    if rule.comparison is not None:
        return rule.comparison.source
    if rule.kind is Kind.SET:
        shown = ", ".join(str(value) for value in rule.values[:_VALUES_SHOWN])
        return f"{shown}{f', ... ({len(rule.values)} values)' if len(rule.values) > _VALUES_SHOWN else ''}"
    return _WORDS.get(rule.kind, rule.text)


_WORDS = {
    Kind.NULL: "has a value",
    Kind.QUERY: "nulls are no more than usual",
    Kind.DUPLICATE: "never repeats",
    Kind.NEWEST_AGE: "the newest row is recent",
    Kind.COLUMN: "the column is there",
    Kind.ENCODING: "the text is sound",
}
