"""``python -m roadworthy.ledgerd --settings FILE``: the ledger's process. Owns its arguments, its signals and its exit code.

It prints one line of JSON when it serves, and ends on SIGTERM, on SIGINT, with ``--until-stdin-closes`` when whoever
started it is gone, and when its files can no longer be trusted: then a new start decides what is there. An error goes to standard error as one line, and the exit code says whose turn it is.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.clock import now
from roadworthy.base.errors import RoadworthyError, StoreBroken
from roadworthy.ledgerd.assembly import running
from roadworthy.ledgerd.settings import LedgerSettings, read_settings


async def serve(settings: LedgerSettings, *, until_stdin_closes: bool) -> None:
    """Serve until a signal, or the end of standard input.

    Raises:
        StoreBroken: nothing more can be written; whoever waited was told, and a new start reads everything again (RW-505).
        RoadworthyError: it cannot start.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, stop)
    async with running(settings, now) as server:
        server.commit.when_broken(stop.set)
        print(canonical_bytes(server.welcome()).decode(), flush=True)  # noqa: T201  # whoever started it waits for this
        await stop.wait()
        refusal = server.commit.refusal
    if refusal is not None:
        raise StoreBroken(refusal.text, remedy="Check the disk, then start the ledger again.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roadworthy.ledgerd", description="The ledger of one node.")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="JSON, see LedgerSettings")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(options.settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, until_stdin_closes=options.until_stdin_closes))
    except RoadworthyError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the one line that says why
        return error.exit_code
    return 0


def _stop_at_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
