"""The gateway as ``roadworthy gateway -c FILE`` runs it, for who must not leave one behind: ``--until-stdin-closes``.

Owns nothing but the watch on the pipe; the gateway is that of ``wiring.runtime``, with the same processes below it.
"""

import argparse
import sys
from pathlib import Path

from roadworthy.base.errors import RoadworthyError
from roadworthy.demo.asgi import end_with_stdin
from roadworthy.wiring.runtime import run_gateway


def main() -> None:
    """Run until told to stop; the addresses are printed as the first line."""
    parser = argparse.ArgumentParser(description="Run a gateway that ends with the process that started it.")
    parser.add_argument("--config", type=Path, required=True, help="gateway.yaml")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    given = parser.parse_args()
    if given.until_stdin_closes:
        end_with_stdin()
    try:
        run_gateway(given.config, _say)
    except RoadworthyError as error:
        sys.exit(str(error))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
