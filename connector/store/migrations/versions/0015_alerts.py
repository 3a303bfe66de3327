"""Alerts with their notices, since when a connection rests, and the last delivery of each source."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ALERTS = """
CREATE TABLE alert (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}',
    raised_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    ended_at timestamptz
);
COMMENT ON TABLE alert IS 'What needs a person. Holds keys of the configuration and numbers, nothing personal.';
CREATE UNIQUE INDEX alert_lasting ON alert (kind, subject) WHERE ended_at IS NULL;

CREATE TABLE alert_notice (
    id uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert,
    news text NOT NULL CHECK (news IN ('raised', 'lasting', 'over')),
    channel text NOT NULL CHECK (channel IN ('mail', 'webhook')),
    facts jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    sent_at timestamptz,
    error text NOT NULL DEFAULT ''
);
CREATE INDEX alert_notice_alert ON alert_notice (alert_id, id);
CREATE INDEX alert_notice_pending ON alert_notice (due_at) WHERE state = 'pending';

ALTER TABLE connection_state ADD COLUMN paused_since timestamptz;
COMMENT ON COLUMN connection_state.paused_since IS 'The first pause since a command last took effect.';

"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(ALERTS)
