"""Memory: PostgreSQL and only PostgreSQL. SQL stays visible here; no other package writes any."""

from connector.store.database import Store, Transaction

__all__ = ["Store", "Transaction"]
