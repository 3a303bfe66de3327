"""Rolling caps, catching up after a leave, and when a waiting lead is worth another look."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CAPACITY = """
CREATE TABLE assignment (
    person text NOT NULL,
    at timestamptz NOT NULL,
    lead_id uuid NOT NULL,
    tags text[] NOT NULL
);
CREATE INDEX assignment_person ON assignment (person, at);
CREATE INDEX assignment_lead ON assignment (lead_id);
CREATE INDEX assignment_at ON assignment USING brin (at);

INSERT INTO assignment (person, at, lead_id, tags)
SELECT owner, decided_at, lead_id, '{}' FROM decision WHERE owner IS NOT NULL AND outcome = 'assigned';

ALTER TABLE ledger_entry
    ADD COLUMN grant_units bigint NOT NULL DEFAULT 0 CHECK (grant_units >= 0),
    ADD COLUMN grant_until timestamptz;

ALTER TABLE lead ADD COLUMN wake_at timestamptz;
CREATE INDEX lead_wake ON lead (wake_at) WHERE status = 'held' AND wake_at IS NOT NULL;
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(CAPACITY)
