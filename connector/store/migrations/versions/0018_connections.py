"""How fast connections write, writes that are only shown, and open leads of a CRM's own."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

CONNECTIONS = """
CREATE TABLE crm_written (
    connection text NOT NULL,
    minute timestamptz NOT NULL,
    writes integer NOT NULL,
    PRIMARY KEY (connection, minute)
);
COMMENT ON TABLE crm_written IS 'Writes that took effect in the last hours, to tell how fast a backlog drains.';

-- A command that would be written if its connection were not only observed.
ALTER TABLE command DROP CONSTRAINT command_state_check,
    ADD CONSTRAINT command_state_check CHECK (state IN ('pending', 'done', 'dead', 'parked', 'observed'));
CREATE INDEX command_observed ON command (key, connection) WHERE state = 'observed';
CREATE INDEX command_shown ON command (connection, seq) WHERE state = 'observed';

CREATE TABLE crm_open_lead (
    connection text NOT NULL,
    user_id text NOT NULL,
    person text NOT NULL,
    leads integer NOT NULL DEFAULT 0,
    counted_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (user_id, connection)
);
COMMENT ON TABLE crm_open_lead IS 'How many open leads of the CRM''s own each user has: they count for their caps.';
CREATE INDEX mirror_open_lead ON mirror_record (owner, connection, email)
    WHERE object_type = 'lead' AND open AND NOT deleted AND owner <> '';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(CONNECTIONS)
