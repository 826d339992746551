"""``roadworthy profile`` and ``compare``: what is in a table, and what has moved between two. Decide nothing."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.errors import ParameterError
from roadworthy.cli.output import JsonOption, console, print_json, require_folder, write_file
from roadworthy.cli.window_tables import comparison_text, profile_text
from roadworthy.measure.profile import public
from roadworthy.measure.profile.compare import DEFAULT_RULE
from roadworthy.measure.profile.window_file import window_bytes
from roadworthy.reports.window_page import render_comparison, render_profile
from roadworthy.reports.windows import comparison_view, profile_view

ByOption = Annotated[str | None, typer.Option("--by", help="A column whose groups are shown apart.")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write one self-contained page, with pictures.")]
_DRIFTED = 1


def profile(
    data: Annotated[str, typer.Argument(help="Parquet, CSV, a quoted pattern, a database address, or a window.")],
    by: ByOption = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Count on the cells of this window, so that both can be joined.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Write counts and frozen cells as JSON, to compare or join later.")
    ] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a table holds: nulls, means, ranges, quartiles, frequent values, and what deserves a look.

    A database address is postgresql://user@host:port/database?table=schema.name; its password belongs into the password
    file of the database's client. A window is a file that --state wrote.
    """
    if state is not None and state.suffix.lower() != ".json":
        raise ParameterError(
            f"{state} would not be recognised as a window.", remedy="Give it a name that ends in .json."
        )
    for path in filter(None, (state, html)):
        require_folder(path)
    found = public.profile(data, by=by, reference=reference)
    view = profile_view(found)
    if state is not None:
        write_file(state, window_bytes(found.window))
    if html is not None:
        write_file(html, render_profile(view).encode())
    if json:
        print_json(found.to_json())
    else:
        profile_text(console(), view, written=[path for path in (state, html) if path is not None])


def compare(
    reference: Annotated[str, typer.Argument(help="What is taken for normal; as for profile.")],
    current: Annotated[str, typer.Argument(help="The window to compare with it.")],
    by: ByOption = None,
    effect: Annotated[
        str,
        typer.Option("--effect", help="psi, jensen_shannon, total_variation, kolmogorov_smirnov or wasserstein."),
    ] = DEFAULT_RULE.effect.value,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="The largest acceptable effect, in its unit.")
    ] = DEFAULT_RULE.tolerance,
    windows: Annotated[
        int, typer.Option("--windows", help="At most one false alarm in so many windows.")
    ] = DEFAULT_RULE.windows,
    columns: Annotated[
        list[str] | None, typer.Option("--columns", help="Columns to compare, separated by commas; all when none.")
    ] = None,
    html: HtmlOption = None,
    fail_on_drift: Annotated[bool, typer.Option("--fail-on-drift", help="Exit with 1 when a column drifted.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what has moved from one window to another, and what cannot be told.

    Drift opens an investigation; it proves no harm. So the exit code is 0 whatever drifts, unless --fail-on-drift.
    """
    if html is not None:
        require_folder(html)
    chosen = [name for each in columns or () for name in each.split(",") if name]
    found = public.compare(
        reference, current, by=by, effect=effect, tolerance=tolerance, windows=windows, columns=chosen or None
    )
    view = comparison_view(found)
    if html is not None:
        write_file(html, render_comparison(view).encode())
    if json:
        print_json(found.to_json())
    else:
        comparison_text(console(), view, written=[html] if html is not None else [])
    if fail_on_drift and found.drifted:
        raise typer.Exit(_DRIFTED)
