"""Options that several commands share."""

import re
from datetime import timedelta

import click

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def window(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Read how far back to go.

    Raises:
        BadParameter: it is no number of hours, days or weeks.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"'{text}' is no length of time: write hours, days or weeks, like 36h, 90d or 12w")
    return int(found[1]) * _UNITS[found[2]]


host_option = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
port_option = click.option("--port", default=8650, show_default=True, help="The port to listen on.")
since_option = click.option(
    "--since", default="90d", show_default=True, callback=window, help="How far back: hours, days or weeks."
)
at_least_one = click.IntRange(min=1)
