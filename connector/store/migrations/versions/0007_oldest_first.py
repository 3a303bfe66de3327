"""Deliveries wait in an order of their own: read by their ids, each batch would step over all that are done."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STORED = """
DROP INDEX delivery_stored;
CREATE INDEX delivery_stored ON delivery (kind, received_at, id) WHERE state = 'stored';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(STORED)
