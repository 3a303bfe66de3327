"""Cards keyed by hand: in which batch, by whom, and what still has to be keyed a second time or settled."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KEYING = """
CREATE TABLE keying_batch (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    key_code text NOT NULL,
    received_on date NOT NULL,
    cards integer CHECK (cards > 0),
    opened_by uuid NOT NULL REFERENCES console_user,
    opened_at timestamptz NOT NULL DEFAULT hearback_now()
);
CREATE UNIQUE INDEX keying_batch_name ON keying_batch (lower(name));
CREATE INDEX keying_batch_newest ON keying_batch (opened_at, id);
COMMENT ON COLUMN keying_batch.cards IS 'How many the stack holds, counted before it is keyed.';

-- What was keyed is sealed with the delivery. `twice` names the fields a second person keys, `differing` those the
-- two of them read differently.
CREATE TABLE keyed_card (
    delivery_id uuid PRIMARY KEY,
    batch_id uuid NOT NULL REFERENCES keying_batch,
    number integer NOT NULL,
    twice text[] NOT NULL,
    differing text[] NOT NULL DEFAULT '{}',
    step text NOT NULL CHECK (step IN ('second', 'settle', 'done')),
    taken_by uuid REFERENCES console_user,
    taken_until timestamptz,
    UNIQUE (batch_id, number)
);
CREATE INDEX keyed_card_open ON keyed_card (batch_id, step, number) WHERE step <> 'done';

CREATE TABLE keying (
    delivery_id uuid NOT NULL REFERENCES keyed_card,
    step text NOT NULL CHECK (step IN ('first', 'second', 'settle')),
    user_id uuid NOT NULL REFERENCES console_user,
    at timestamptz NOT NULL DEFAULT hearback_now(),
    took_ms integer,
    PRIMARY KEY (delivery_id, step)
);
COMMENT ON COLUMN keying.took_ms IS 'From the page being shown to the card being sent; NULL when that cannot be.';
CREATE TRIGGER keying_immutable BEFORE UPDATE OR DELETE ON keying
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER keying_kept BEFORE TRUNCATE ON keying
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(KEYING)
