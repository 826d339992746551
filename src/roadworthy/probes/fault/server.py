"""The fault upstream as a process of its own: ``python -m roadworthy.probes.fault.server``. Owns its commands.

The first line that it prints is its port. Then it takes one command a line, and answers each with one line::

    switch NAME [PATH]    switch a fault on, or off with none   -> ok
    down                  refuse connections, reset open ones   -> ok
    up                    listen again on the same port         -> ok
    seen                  the log                               -> a JSON array, one object a request
    forget                empty the log                         -> ok

A command that is not understood is answered with ``error: ...``. The process ends when its input ends.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from roadworthy.base.clock import format_instant
from roadworthy.base.errors import ParameterError, RoadworthyError
from roadworthy.probes.fault.faults import Fault, Sizes
from roadworthy.probes.fault.upstream import NO_FAULT, FaultUpstream, Seen

_OK = "ok"


def serve(lines: Iterable[str], out: TextIO, sizes: Sizes) -> None:
    """Serve until the commands end.

    Args:
        lines: commands.
        out: where port and answers are printed.
        sizes: how long and how large the faults are.
    """
    with FaultUpstream(sizes=sizes) as upstream:
        _print(out, str(upstream.port))
        for line in lines:
            try:
                _print(out, _obey(upstream, line.split()))
            except RoadworthyError as error:
                _print(out, f"error: {error}")


def _obey(upstream: FaultUpstream, words: list[str]) -> str:
    match words:
        case ["switch", name, *rest] if len(rest) <= 1:
            upstream.switch(_fault(name), path="".join(rest))
        case ["seen"]:
            return json.dumps([_plain(each) for each in upstream.seen])
        case [word] if word in _PLAIN_COMMANDS:
            _PLAIN_COMMANDS[word](upstream)
        case _:
            raise ParameterError(
                f"{' '.join(words)!r} is not a command.", remedy="Use switch, down, up, seen or forget."
            )
    return _OK


_PLAIN_COMMANDS: dict[str, Callable[[FaultUpstream], None]] = {
    "down": FaultUpstream.go_down,
    "up": FaultUpstream.come_back,
    "forget": FaultUpstream.forget,
}


def _fault(name: str) -> Fault | None:
    if name == NO_FAULT:
        return None
    try:
        return Fault(name)
    except ValueError as error:
        names = ", ".join(fault.value for fault in Fault)
        raise ParameterError(f"There is no fault {name!r}.", remedy=f"Use none, {names}.") from error


def _plain(seen: Seen) -> dict[str, object]:
    return {
        "number": seen.number,
        "at": format_instant(seen.at),
        "method": seen.method,
        "path": seen.path,
        "traceparent": seen.traceparent,
        "request_id": seen.request_id,
        "body_digest": seen.body_digest,
        "fault": seen.fault.value if seen.fault else None,
        "whole": seen.whole,
    }


def _print(out: TextIO, line: str) -> None:
    out.write(line + "\n")
    out.flush()


def main() -> None:
    """Serve until the input ends."""
    sizes = Sizes()
    parser = argparse.ArgumentParser(description="Serve an upstream that fails on command.")
    parser.add_argument("--slow-s", type=float, default=sizes.slow_s, help="pause of slow answers")
    parser.add_argument("--stall-s", type=float, default=sizes.stall_s, help="how long a stalled answer is held")
    given = parser.parse_args()
    serve(sys.stdin, sys.stdout, Sizes(slow_s=given.slow_s, stall_s=given.stall_s))


if __name__ == "__main__":
    main()
