"""The holding queue knows what was announced to it, so that what nobody announced can be told and counted."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HELD_NEWS = """
-- Something happened that may let a waiting lead find an owner; gone once the whole queue was looked at after it.
CREATE TABLE held_news (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);

ALTER TABLE ledger ADD COLUMN sweep_found bigint NOT NULL DEFAULT 0 CHECK (sweep_found >= 0);
COMMENT ON COLUMN ledger.sweep_found IS 'Waiting leads that found an owner though no event had announced it: faults.';

CREATE INDEX lead_held_wake ON lead (pool, wake_at) WHERE status = 'held';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(HELD_NEWS)
