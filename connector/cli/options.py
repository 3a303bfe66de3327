"""Options that several commands share."""

import click

host_option = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
port_option = click.option("--port", default=8650, show_default=True, help="The port to listen on.")
at_least_one = click.IntRange(min=1)
