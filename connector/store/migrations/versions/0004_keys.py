"""Keys that begin with their selective column: with stale statistics the planner takes any index for a good one."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEYS = """
ALTER TABLE dedupe_key DROP CONSTRAINT dedupe_key_pkey, ADD PRIMARY KEY (key, source);
ALTER TABLE idempotency_key DROP CONSTRAINT idempotency_key_pkey, ADD PRIMARY KEY (key, client);
ALTER TABLE person_key DROP CONSTRAINT person_key_pkey, ADD PRIMARY KEY (value, kind);
ALTER TABLE binding DROP CONSTRAINT binding_pkey, ADD PRIMARY KEY (key, connection);
ALTER TABLE mirror_record DROP CONSTRAINT mirror_record_pkey, ADD PRIMARY KEY (record_id, object_type, connection);
ALTER TABLE event DROP CONSTRAINT event_source_source_id_type_key, ADD UNIQUE (source_id, source, type);

DROP INDEX binding_record;
CREATE INDEX binding_record ON binding (record_id, object_type, connection);
DROP INDEX event_record;
CREATE INDEX event_record ON event (record_id, object_type, source, occurred_at);
DROP INDEX command_key;
CREATE INDEX command_key ON command (key, connection, seq) WHERE state IN ('pending', 'dead');
DROP INDEX command_lead;

-- What housekeeping deletes by.
CREATE INDEX dedupe_seen ON dedupe_key USING brin (seen_at);
CREATE INDEX idempotency_created ON idempotency_key USING brin (created_at);

-- A lease touches no indexed column: with room on its page it is a heap-only update.
ALTER TABLE command SET (fillfactor = 50);
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(KEYS)
