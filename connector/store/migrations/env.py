"""Alembic's entry: one connection through psycopg 3, no SQLAlchemy models."""

import psycopg
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool


def main() -> None:
    """Run the migrations over the URL that `apply` handed over."""
    url = context.config.attributes["url"]
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


main()
