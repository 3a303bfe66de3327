"""Leads from forms and vendors: size cap, token, raw bytes, verify, store, answer (requirement I2)."""

from webhooks.intake.endpoints import routes

__all__ = ["routes"]
