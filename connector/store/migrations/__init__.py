"""Alembic migrations; `apply` is what `hearback migrate` runs."""

from connector.store.migrations.run import apply

__all__ = ["apply"]
