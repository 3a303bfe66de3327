"""`hearback demo`: the main job on sample input, with nothing but this package."""

from connector.cli.demo.command import demo

__all__ = ["demo"]
