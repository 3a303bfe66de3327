"""The person's rights: consent as events, who a delivery speaks of, who was erased, how far retention has come."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ERASING = """
CREATE FUNCTION refuse_change_unless_erasing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('hearback.erasing', true) IS DISTINCT FROM 'yes' THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;

-- The facts stay; what people wrote into a record's texts goes with the person.
DROP TRIGGER event_immutable ON event;
CREATE TRIGGER event_immutable BEFORE UPDATE OR DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse_change_unless_erasing();

ALTER TABLE lead ADD COLUMN erased_at timestamptz;
CREATE INDEX lead_erased ON lead (id) WHERE erased_at IS NOT NULL;
"""

CONSENT = """
CREATE TABLE consent_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lead_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    state text NOT NULL CHECK (state IN ('given', 'refused', 'withdrawn')),
    lawful_basis text NOT NULL,
    text text NOT NULL,
    text_hash bytea NOT NULL,
    form_version text NOT NULL,
    default_state text NOT NULL CHECK (default_state IN ('ticked', 'unticked', 'unknown')),
    source_url text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT hearback_now(),
    ip text NOT NULL,
    user_agent text NOT NULL,
    actor text NOT NULL
);
COMMENT ON COLUMN consent_event.delivery_id IS 'The evidence: the receipt of what the person sent.';
COMMENT ON COLUMN consent_event.default_state IS 'A consent given by a box that was ticked already does not count.';
CREATE INDEX consent_event_lead ON consent_event (lead_id, purpose, id);
CREATE TRIGGER consent_event_immutable BEFORE UPDATE OR DELETE ON consent_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change_unless_erasing();
CREATE TRIGGER consent_event_kept BEFORE TRUNCATE ON consent_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

ERASURE = """
-- Who a delivery speaks of, as keyed hashes: bodies are sealed and cannot be searched.
CREATE TABLE delivery_mark (
    mark bytea NOT NULL,
    delivery_id uuid NOT NULL,
    position smallint NOT NULL,
    PRIMARY KEY (mark, delivery_id, position)
);
CREATE INDEX delivery_mark_delivery ON delivery_mark (delivery_id);

-- Who must not come back, as keyed hashes. A `person` counts for what was said up to `erased_at`; a `submission`
-- or a `record` of a CRM whenever it comes, up to `until` where that is set.
CREATE TABLE suppression (
    mark bytea PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('person', 'submission', 'record')),
    erased_at timestamptz NOT NULL,
    until timestamptz
);

-- Who asked and what went, in numbers. `subject` and `found` (hashes, ids) last until it is finished.
CREATE TABLE erasure (
    id uuid PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    subject bytea[] NOT NULL,
    found jsonb,
    counts jsonb NOT NULL DEFAULT '{}',
    by_hand jsonb NOT NULL DEFAULT '[]',
    finished_at timestamptz
);
CREATE INDEX erasure_unfinished ON erasure (asked_at) WHERE finished_at IS NULL;
"""

RETENTION = """
-- Bodies of these sources that came before `done_until` are gone.
CREATE TABLE retention (
    sources text PRIMARY KEY,
    done_until timestamptz NOT NULL
);
CREATE INDEX delivery_body_received ON delivery_body USING brin (received_at);
"""


def upgrade() -> None:
    for part in (ERASING, CONSENT, ERASURE, RETENTION):
        op.get_bind().connection.cursor().execute(part)
