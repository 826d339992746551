"""``roadworthy log``: the gateway's published ledger, verified offline, and receipts of single entries."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.errors import InputError, MissingFile
from roadworthy.cli.output import JsonOption, console, print_json, write_file
from roadworthy.ledger.checkpoint import parse_vkey
from roadworthy.ledger.cosignature import WitnessPolicy, parse_cosigner_vkey
from roadworthy.ledger.keys import load_key
from roadworthy.ledger.leaf import parse_leaf
from roadworthy.ledger.log import LOG_VKEY, render, verify_log
from roadworthy.ledger.receipt import SUFFIX, parse_receipt, verify_receipt
from roadworthy.wiring.lost_bytes import acknowledge_lost
from roadworthy.wiring.runtime import fetch_proof

app = typer.Typer(help="The gateway's ledger: verify it, take receipts.", no_args_is_help=True, rich_markup_mode=None)
BROKEN = 5
VkeyOption = Annotated[str | None, typer.Option("--vkey", help="The ledger's key line, from a source you trust.")]
WitnessOption = Annotated[
    list[str], typer.Option("--witness", help="Key line of a witness; may be given several times.")
]
QuorumOption = Annotated[int, typer.Option("--quorum", min=0, help="How many witnesses must have cosigned.")]


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="The published log: the folder log/ below the ledger's.")],
    vkey: VkeyOption = None,
    witness: WitnessOption = [],  # noqa: B006  # typer copies it, and knows no other way
    quorum: QuorumOption = 0,
    json: JsonOption = False,
) -> None:
    """Verify every entry, tile and checkpoint, and name what is wrong. Without --vkey, only against the key beside it."""
    line = vkey if vkey is not None else _read(folder / LOG_VKEY, "Give --vkey LINE.").strip()
    report = verify_log(folder, line, policy=_policy(witness, quorum))
    if json:
        problems = [{"index": each.index, "where": each.where, "what": each.what} for each in report.problems]
        size = report.checkpoint.size if report.checkpoint else None
        print_json({"holds": report.holds, "pinned": vkey is not None, "size": size, "problems": problems})
    else:
        out = console()
        out.print(render(report).rstrip())
        if vkey is None:
            out.print("The key came from the folder itself: this shows that the log is whole, not whose it is.")
    if not report.holds:
        raise typer.Exit(BROKEN)


@app.command("proof")
def proof(
    index: Annotated[int, typer.Argument(min=0, help="Of the entry; x-roadworthy-index of an answer.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="gateway.yaml of a gateway that runs.")] = Path(
        "gateway.yaml"
    ),
    out: Annotated[Path, typer.Option("--dir", help="Where to write the receipt and the entry.")] = Path(),
    json: JsonOption = False,
) -> None:
    """Write the receipt of one entry, and the entry itself: all that an auditor needs beside the key."""
    found = fetch_proof(config, index)
    receipt, leaf = out / f"{index}{SUFFIX}", out / f"{index}.json"
    write_file(receipt, found.receipt.encode())
    write_file(leaf, found.leaf.encode())
    if json:
        print_json({"receipt": str(receipt), "entry": str(leaf), "cosigned": found.cosigned})
    else:
        console().print(f"✓ {receipt}\n✓ {leaf}")


@app.command("receipt")
def receipt(
    path: Annotated[Path, typer.Argument(help="The receipt, <index>.tlog-proof.")],
    leaf: Annotated[
        Path | None, typer.Option("--entry", help="The entry; <index>.json beside it if not given.")
    ] = None,
    vkey: VkeyOption = None,
    witness: WitnessOption = [],  # noqa: B006  # typer copies it, and knows no other way
    quorum: QuorumOption = 0,
    json: JsonOption = False,
) -> None:
    """Verify a receipt offline: that the entry stands in the ledger of that key."""
    if vkey is None:
        raise InputError("A receipt is verified against a key.", remedy="Give --vkey LINE, from a source you trust.")
    text = _read(path, "Check the path.")
    entry = _read(leaf or path.with_suffix(".json"), "Give --entry FILE.").encode()
    verified = verify_receipt(text, entry, [parse_vkey(vkey)], _policy(witness, quorum))
    said = parse_leaf(entry)
    size, index = verified.checkpoint.size, parse_receipt(text).index
    if json:
        print_json({"holds": True, "index": index, "size": size, "kind": said.base.kind, "subject": said.base.subject})
        return
    console().print(f"✓ entry {index} of {size}: {said.base.kind}, {said.base.subject}")
    for each in verified.cosignatures:
        console().print(f"  cosigned by {each.name}")


@app.command("acknowledge")
def acknowledge(
    folder: Annotated[Path, typer.Argument(help="Of the ledger, as gateway.yaml names it.")],
    segment: Annotated[str, typer.Option(help="File of the lost bytes, as the refusal to start names it.")],
    offset: Annotated[int, typer.Option(min=0, help="Where they begin.")],
    length: Annotated[int, typer.Option(min=1, help="How many there are.")],
    key: Annotated[Path, typer.Option(help="An operator's private key, PEM.")],
    passphrase: Annotated[Path | None, typer.Option("--passphrase-file", help="Passphrase of the key.")] = None,
    json: JsonOption = False,
) -> None:
    """Sign for bytes of a segment that are lost, so that the ledger starts; what was lost must come from the tiles."""
    words = _read(passphrase, "Check --passphrase-file.").strip().encode() if passphrase else None
    lost = acknowledge_lost(folder, segment, offset, length, load_key(key, passphrase=words))
    if json:
        print_json(lost._asdict())
    else:
        console().print(f"✓ signed for {lost.length} bytes of {lost.segment} at {lost.offset}: {lost.digest}")


def _policy(witnesses: list[str], quorum: int) -> WitnessPolicy | None:
    """The witnesses that must have seen it; None when none is asked for.

    Raises:
        ParameterError: a quorum that the witnesses cannot reach (RW-114).
        SignatureBroken: a malformed key line (RW-502).
    """
    if not witnesses and not quorum:
        return None
    return WitnessPolicy(keys=tuple(parse_cosigner_vkey(each) for each in witnesses), quorum=quorum or len(witnesses))


def _read(path: Path, remedy: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingFile(f"{path} cannot be read.", remedy=remedy) from error
