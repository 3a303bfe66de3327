"""The `hearback` command."""

from connector.cli.app import main

__all__ = ["main"]
