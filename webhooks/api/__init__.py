"""The API for programs: post a lead, ask what became of it and why."""

from webhooks.api.endpoints import routes

__all__ = ["routes"]
