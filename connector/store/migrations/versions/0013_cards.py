"""Response cards: whom a mailing goes to, and what each of them answered by card or page."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CARDS = """
-- `sealed` holds name and address, NULL where the card is anonymous or its recipient was erased. Of the erased the
-- row stays for what still comes by their card, under its id instead of the sender's reference.
CREATE TABLE recipient (
    id uuid PRIMARY KEY,
    token text NOT NULL UNIQUE,
    campaign text NOT NULL,
    reference text NOT NULL,
    sealed bytea,
    loaded_at timestamptz NOT NULL DEFAULT hearback_now(),
    erased_at timestamptz,
    UNIQUE (campaign, reference)
);

-- Who a recipient is, as keyed hashes: what is sealed cannot be searched.
CREATE TABLE recipient_mark (
    mark bytea NOT NULL,
    recipient_id uuid NOT NULL REFERENCES recipient,
    PRIMARY KEY (mark, recipient_id)
);
CREATE INDEX recipient_mark_recipient ON recipient_mark (recipient_id);

-- One row for each card or page that was read. Its lead stands in `submission`, what became of that with the lead.
CREATE TABLE card_answer (
    delivery_id uuid NOT NULL,
    position smallint NOT NULL,
    campaign text NOT NULL,
    recipient_id uuid REFERENCES recipient,
    channel text NOT NULL CHECK (channel IN ('card', 'page')),
    answered_at timestamptz NOT NULL,
    keyed_at timestamptz,
    PRIMARY KEY (delivery_id, position)
);
CREATE INDEX card_answer_campaign ON card_answer (campaign);
CREATE INDEX card_answer_recipient ON card_answer (recipient_id) WHERE recipient_id IS NOT NULL;
CREATE TRIGGER card_answer_immutable BEFORE UPDATE OR DELETE ON card_answer
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER card_answer_kept BEFORE TRUNCATE ON card_answer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Calls about a lead: its first contact is looked for.
CREATE INDEX event_lead ON event ((attributes ->> 'lead')) WHERE attributes ? 'lead';
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(CARDS)
