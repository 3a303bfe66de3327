"""The console: local accounts, what people did there, and deliveries listed newest first."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

CONSOLE = """
CREATE TABLE console_user (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    password text NOT NULL,
    one_time boolean NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'manager', 'keyer')),
    language text NOT NULL,
    timezone text NOT NULL,
    session_version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT hearback_now(),
    disabled_at timestamptz
);
CREATE UNIQUE INDEX console_user_name ON console_user (lower(name));

CREATE TABLE console_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT hearback_now(),
    user_id uuid NOT NULL REFERENCES console_user,
    action text NOT NULL,
    subject text NOT NULL
);
COMMENT ON TABLE console_event IS 'Who did what to what, by ids; never what they saw.';
CREATE INDEX console_event_subject ON console_event (subject, id);
CREATE TRIGGER console_event_immutable BEFORE UPDATE OR DELETE ON console_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER console_event_kept BEFORE TRUNCATE ON console_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Ids of imported cards are not in the order of time.
CREATE INDEX delivery_newest ON delivery (received_at, id);
CREATE INDEX delivery_source ON delivery (source, received_at, id);
-- Most deliveries become leads: those are met soon enough on the way back in time, the others need a way of their own.
CREATE INDEX delivery_outcome ON delivery ((coalesce(fate, state)), received_at, id)
    WHERE state <> 'stored' AND coalesce(fate, state) <> 'leads';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(CONSOLE)
