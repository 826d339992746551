"""The load generator as a process of its own.

Owns starting, feeding, stopping and hearing it; sending belongs to ``engine``.

Why its own process: a check computes and prints while it runs, and one long garbage collection or one busy thread would
show as lag. ``python -m roadworthy.probes.load.generator`` reads a specification as JSON on standard input and writes the
result as JSON on standard output.

Rules kept here:
1. Nothing is sent before the target has accepted one connection.
2. An interrupt (SIGINT, SIGTERM) ends the run in an orderly way: what was seen is still reported, as interrupted.
3. Whatever happens to the caller, the process ends: it is bounded by its specification and killed after a grace.
"""

import asyncio
import contextlib
import gc
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import uvloop

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import GeneratorLagged, TargetUnreachable
from roadworthy.probes.load.engine import Engine
from roadworthy.probes.load.result import LoadResult, result_from_json
from roadworthy.probes.load.spec import LoadSpec, spec_from_json

_POLL_S = 0.25
_GRACE_S = 30.0


def run_load(spec: LoadSpec, *, cancelled: Callable[[], bool] | None = None) -> LoadResult:
    """Run a specification in a new process and wait for it.

    Args:
        spec: what to send, where and when.
        cancelled: asked four times a second; once true, the run is interrupted and reports what it saw.

    Raises:
        TargetUnreachable: the target accepts no connection at the start (RW-401).
        GeneratorLagged: the generator's process failed or did not end in time (RW-203).
    """
    _check_reachable(spec)
    command = [sys.executable, "-m", "roadworthy.probes.load.generator"]
    process = subprocess.Popen(  # our own interpreter and module; the specification goes through a pipe
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, complaint = _converse(process, spec, cancelled)
    except BaseException:
        # The caller is going away (Ctrl-C, a failed callback): no load may outlive it.
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        last_line = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise GeneratorLagged(
            f"The load generator ended with {process.returncode}: {last_line}",
            remedy="Check memory and open-file limits of this machine, and run it again.",
        )
    return result_from_json(json.loads(output))


def _converse(
    process: "subprocess.Popen[bytes]", spec: LoadSpec, cancelled: Callable[[], bool] | None
) -> tuple[bytes, bytes]:
    patience_until_s = monotonic_s() + float(spec.times_s[-1]) + spec.timeout_s + _GRACE_S
    asked_to_stop = False
    _tell(process, json.dumps(spec.to_json()).encode("ascii"))
    while True:
        try:
            return process.communicate(timeout=_POLL_S)
        except subprocess.TimeoutExpired as error:
            if monotonic_s() > patience_until_s:
                raise GeneratorLagged(
                    "The load generator did not end in time.", remedy="Free a core for it, and run it again."
                ) from error
            if cancelled is not None and not asked_to_stop and cancelled():
                asked_to_stop = True
                process.send_signal(signal.SIGINT)


def _tell(process: "subprocess.Popen[bytes]", question: bytes) -> None:
    """Write the specification before anything is read.

    ``communicate`` with a timeout loses input that it could not write in its first turn. The process answers only after
    it has read everything, so writing first cannot block for ever.
    """
    if process.stdin is not None:
        # A process that is gone already tells why with its exit code and last words.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(question)
            process.stdin.flush()


def _check_reachable(spec: LoadSpec) -> None:
    try:
        socket.create_connection(spec.address, timeout=spec.timeout_s).close()
    except OSError as error:
        raise TargetUnreachable(
            f"No connection: {error}.", remedy="Start the target, or correct the URL.", where=spec.url
        ) from error


async def _run(spec: LoadSpec) -> LoadResult:
    loop = asyncio.get_running_loop()
    engine = Engine(spec, loop)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.interrupt)
    # Nothing here makes reference cycles per request, and a collection would stop the timer.
    gc.collect()
    gc.freeze()
    gc.disable()
    return await engine.run()


def main() -> None:
    """Standard input to standard output."""
    spec = spec_from_json(json.load(sys.stdin.buffer))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_run(spec))
    sys.stdout.write(json.dumps(result.to_json()))


if __name__ == "__main__":
    main()
