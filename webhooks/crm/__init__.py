"""Webhooks of the CRMs: verify, keep, acknowledge."""

from webhooks.crm.routes import routes

__all__ = ["routes"]
