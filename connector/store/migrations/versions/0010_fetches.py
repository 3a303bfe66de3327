"""Deliveries that wait for a vendor's answer are leased, and a source whose vendor asks for it rests."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FETCHES = """
ALTER TABLE delivery ADD COLUMN fetch_at timestamptz;
COMMENT ON COLUMN delivery.fetch_at IS 'When a delivery that waits for its vendor is due; in work: its lease.';
CREATE INDEX delivery_fetch ON delivery (fetch_at, id) WHERE state = 'waiting' AND fetch_at IS NOT NULL;

CREATE TABLE source_rest (
    source text PRIMARY KEY,
    until timestamptz NOT NULL,
    failures integer NOT NULL,
    reason text NOT NULL
);
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(FETCHES)
