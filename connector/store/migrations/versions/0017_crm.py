"""Records to read again, how many calls each connection made and what for, and what a CRM says of its own limit."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

CRM = """
CREATE TABLE record_reread (
    connection text NOT NULL,
    object_type text NOT NULL,
    record_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    told integer NOT NULL DEFAULT 1,
    due_at timestamptz NOT NULL DEFAULT hearback_now(),
    attempts smallint NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (record_id, object_type, connection)
);
CREATE INDEX record_reread_due ON record_reread (connection, due_at);
COMMENT ON TABLE record_reread IS 'Records a CRM said have changed without saying how.';
COMMENT ON COLUMN record_reread.told IS 'Goes up with each such word: what came while a record was read is read anew.';
COMMENT ON COLUMN record_reread.due_at IS 'When the record is to be read; in work: its lease.';

CREATE TABLE crm_call (
    connection text NOT NULL,
    day date NOT NULL,
    purpose text NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (connection, day, purpose)
);
COMMENT ON COLUMN crm_call.day IS 'In UTC.';

ALTER TABLE connection_state
    ADD COLUMN began_at timestamptz,
    ADD COLUMN caught_up_at timestamptz,
    ADD COLUMN budget_used bigint,
    ADD COLUMN budget_limit bigint,
    ADD COLUMN budget_window text NOT NULL DEFAULT '',
    ADD COLUMN budget_at timestamptz;
COMMENT ON COLUMN connection_state.began_at IS 'Since when the connection is ours: what happened before is no news.';
COMMENT ON COLUMN connection_state.caught_up_at IS 'When the change feed last had nothing more.';
COMMENT ON COLUMN connection_state.budget_at IS 'When the CRM last said how much of its limit is used.';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(CRM)
