"""The console: what admins, managers and keyers see. Every page declares who may open it."""

from webhooks.console.endpoints import routes
from webhooks.console.sessions import install

__all__ = ["install", "routes"]
