"""``roadworthy passport``: what is known of a data set, in the formats in which others read it. Decides nothing."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import ManifestError, ParameterError
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    console,
    opened,
    print_json,
    require_folder,
    write_file,
)
from roadworthy.measure.passport.documents import passport_documents
from roadworthy.measure.passport.openlineage import Name
from roadworthy.wiring.case import data_sources


def passport(
    data: Annotated[
        str, typer.Argument(help="Which data set of the manifest: pilot, production or training.")
    ] = "pilot",
    croissant: Annotated[
        Path | None, typer.Option("--croissant", help="Write a Croissant 1.1 description, as JSON-LD.")
    ] = None,
    openlineage: Annotated[
        Path | None, typer.Option("--openlineage", help="Write an OpenLineage run event with what the tests found.")
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Describe a data set for others: its files, fields, terms and limits, and which rules and claims hold."""
    if croissant is None and openlineage is None:
        raise ParameterError("Nothing would be written.", remedy="Give --croissant FILE, --openlineage FILE, or both.")
    for path in filter(None, (croissant, openlineage)):
        require_folder(path)
    with opened(manifest) as workspace:
        sources, at = data_sources(workspace.manifest, workspace.root), workspace.clock()
        namespace = f"roadworthy/{workspace.manifest.use_case.id}"
    source = sources.get(data)
    if source is None:
        raise ParameterError(
            f"There is no data set {data!r}.", remedy=f"The manifest has: {', '.join(sorted(sources))}."
        )
    if source.contract is None:
        raise ManifestError(
            f"The data set {data} has no contract.",
            remedy=f"Name an ODCS 3.1 file: data.{data}.contract.",
            where=f"data.{data}",
        )
    found = passport_documents(
        source.pattern,
        source.contract,
        fallback=Name(namespace=namespace, name=data),
        job=Name(namespace=namespace, name="roadworthy passport"),
        at=at,
    )
    documents = [(croissant, found.croissant), (openlineage, found.event)]
    written = [(path, document) for path, document in documents if path is not None]
    for path, document in written:
        write_file(path, canonical_bytes(document) + b"\n")
    if json:
        print_json(
            {
                "dataset": found.dataset.text,
                "version": found.version,
                "rows": found.rows,
                "tested": found.tested,
                "broken": found.broken,
            }
        )
    else:
        out = console()
        out.print(f"{found.dataset.text}: {found.rows} rows, {found.version}")
        out.print(f"{found.tested} rules and claims tested, {found.broken} of them broken")
        for path, _ in written:
            out.print(f"✓ {path}")
