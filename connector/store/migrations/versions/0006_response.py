"""What happens after an assignment: what each owner was given, when their customer spoke, corrections of the ledger."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RESPONSE = """
ALTER TABLE lead ADD COLUMN event_at timestamptz, ADD COLUMN received_at timestamptz,
    ADD COLUMN moved_at timestamptz;
COMMENT ON COLUMN lead.event_at IS 'When the customer spoke: the date on the card, not that of its batch.';

-- One row for each lead whose owner was given a time to respond; the next owner takes the row over.
CREATE TABLE response (
    lead_id uuid PRIMARY KEY,
    assign_seq integer NOT NULL,
    owner text NOT NULL,
    earlier text[] NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN ('offered', 'accepted', 'rejected', 'touched', 'closed')),
    verdict text NOT NULL DEFAULT '',
    pinned boolean NOT NULL DEFAULT false,
    moves integer NOT NULL DEFAULT 0,
    max_moves integer,
    offered_at timestamptz NOT NULL,
    accept_due timestamptz,
    touch_due timestamptz NOT NULL,
    reminders timestamptz[] NOT NULL DEFAULT '{}',
    reminded integer NOT NULL DEFAULT 0,
    breached_at timestamptz,
    touched_at timestamptz,
    next_at timestamptz
);
CREATE INDEX response_next ON response (next_at, lead_id) WHERE next_at IS NOT NULL;

-- Corrections beside the postings of decisions; `decisions` were taken before it.
CREATE TABLE ledger_posting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    decisions bigint NOT NULL,
    lead_id uuid NOT NULL,
    assign_seq integer NOT NULL,
    person text NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL
);
CREATE INDEX ledger_posting_lead ON ledger_posting (lead_id, assign_seq, id);
CREATE TRIGGER ledger_posting_immutable BEFORE UPDATE OR DELETE ON ledger_posting
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(RESPONSE)
