"""The way in: ``roadworthy`` and ``python -m roadworthy``. Owns nothing; the command line belongs to ``cli``."""

from roadworthy.cli.app import run


def main() -> None:
    """Run the command line; it ends the process with the documented exit code."""
    run()


if __name__ == "__main__":
    main()
