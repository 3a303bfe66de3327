"""Webhooks of the CRMs: verify, keep, acknowledge."""

from webhooks.crm.endpoints import routes

__all__ = ["routes"]
