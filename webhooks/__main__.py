"""`python -m webhooks`: the HTTP half of the service."""

import argparse
from collections.abc import Sequence

from webhooks.serve import run


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m webhooks", description="Serve HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8650)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8, help="requests each process works at once")
    given = parser.parse_args(arguments)
    run(given.host, given.port, given.processes, given.threads)


if __name__ == "__main__":
    main()
