"""`python -m connector.adapters.sandbox`: run the sandbox CRM."""

import argparse
import logging
import os
import sys

import psycopg

from connector.adapters.sandbox.crm.server import Options, serve
from connector.processes import die_with_parent


def main() -> int:
    """Serve until told to stop; secrets come from the environment alone."""
    arguments = _parser().parse_args()
    if arguments.die_with_parent is not None:
        die_with_parent(arguments.die_with_parent)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        serve(_options(arguments))
    except KeyError as err:
        return _complain(f"the environment variable {err.args[0]} is missing: set it and start again")
    except psycopg.OperationalError:
        return _complain("the database in SANDBOX_DATABASE_URL does not answer: start it, or correct the address")
    return 0


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        database_url=os.environ["SANDBOX_DATABASE_URL"],
        token=os.environ["SANDBOX_TOKEN"],
        host=arguments.host,
        port=arguments.port,
        webhook_url=arguments.webhook_url,
        webhook_secret=os.environ["SANDBOX_WEBHOOK_SECRET"] if arguments.webhook_url else "",
        search_lag=arguments.search_lag,
        link_duplicates=arguments.duplicate_email == "link",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m connector.adapters.sandbox",
        description="A small CRM over HTTP, to try Hearback without any account.",
        epilog="Environment: SANDBOX_DATABASE_URL, SANDBOX_TOKEN and, with webhooks, SANDBOX_WEBHOOK_SECRET.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--webhook-url", default="", help="where changes are posted; without it, nowhere")
    parser.add_argument("--search-lag", type=float, default=2.0, help="seconds the search index trails behind")
    parser.add_argument(
        "--duplicate-email",
        choices=("allow", "link"),
        default="allow",
        help="link: a new lead with a known address is answered with the lead that has it",
    )
    parser.add_argument("--die-with-parent", type=int, metavar="PID", help="end when this parent process does")
    return parser


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
