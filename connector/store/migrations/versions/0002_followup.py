"""The way back: follow-up plans, credits, attainment, surveys."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FOLLOWUP = """
-- A won deal. Its row is the lock under which everything after the sale changes.
CREATE TABLE sale (
    connection text NOT NULL,
    deal text NOT NULL,
    correlation uuid NOT NULL,
    lead_id uuid,
    open_mandatory integer,
    overdue integer,
    PRIMARY KEY (connection, deal)
);

-- Deals with events not yet taken in; the events themselves stand in `event`.
CREATE TABLE deal_news (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection text NOT NULL,
    deal text NOT NULL,
    type text NOT NULL,
    step_id uuid
);
CREATE INDEX deal_news_deal ON deal_news (connection, deal);
CREATE INDEX event_deal ON event (source, (attributes ->> 'deal')) WHERE attributes ? 'deal';

CREATE TABLE plan_instance (
    id uuid PRIMARY KEY,
    connection text NOT NULL,
    deal text NOT NULL,
    plan_key text NOT NULL,
    plan_version integer NOT NULL,
    configuration text NOT NULL REFERENCES configuration,
    owner text NOT NULL,
    started_at timestamptz NOT NULL,
    UNIQUE (connection, deal, plan_key),
    FOREIGN KEY (connection, deal) REFERENCES sale
);

CREATE TABLE step_instance (
    id uuid PRIMARY KEY,
    plan_instance uuid NOT NULL REFERENCES plan_instance,
    step_key text NOT NULL,
    first_owner text NOT NULL,
    owner text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'open', 'done', 'cancelled')),
    activated_at timestamptz,
    due_original timestamptz,
    due_current timestamptz,
    due_basis text,
    done_at timestamptz,
    overdue_at timestamptz,
    refusals integer NOT NULL DEFAULT 0,
    next_rung_at timestamptz,
    UNIQUE (plan_instance, step_key),
    CHECK (state <> 'open' OR (activated_at IS NOT NULL AND due_current IS NOT NULL)),
    CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CHECK (next_rung_at IS NULL OR state = 'open')
);
CREATE INDEX step_next_rung ON step_instance (next_rung_at) WHERE next_rung_at IS NOT NULL;
CREATE INDEX step_open ON step_instance (owner) WHERE state = 'open';

CREATE FUNCTION keep_due_original() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the original due instant of a step is never overwritten' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER step_due_original BEFORE UPDATE ON step_instance FOR EACH ROW
    WHEN (OLD.due_original IS NOT NULL AND NEW.due_original IS DISTINCT FROM OLD.due_original)
    EXECUTE FUNCTION keep_due_original();

CREATE TABLE step_rung (
    step_instance uuid NOT NULL REFERENCES step_instance,
    rung smallint NOT NULL,
    due timestamptz NOT NULL,
    actions text[] NOT NULL,
    fired_at timestamptz NOT NULL,
    PRIMARY KEY (step_instance, rung, due)
);
CREATE TRIGGER step_rung_immutable BEFORE UPDATE OR DELETE ON step_rung
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE handover (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step_instance uuid NOT NULL REFERENCES step_instance,
    from_person text NOT NULL,
    to_person text,
    reason text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX handover_step ON handover (step_instance);
CREATE TRIGGER handover_immutable BEFORE UPDATE OR DELETE ON handover
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE evidence_use (
    connection text NOT NULL,
    call_id text NOT NULL,
    step_instance uuid NOT NULL REFERENCES step_instance,
    PRIMARY KEY (connection, call_id)
);
CREATE INDEX evidence_use_step ON evidence_use (step_instance);

CREATE TABLE accountability_item (
    step_instance uuid NOT NULL REFERENCES step_instance,
    person text NOT NULL,
    since timestamptz NOT NULL,
    reason text NOT NULL,
    cleared_at timestamptz,
    PRIMARY KEY (step_instance, person)
);
CREATE INDEX accountability_open ON accountability_item (person) WHERE cleared_at IS NULL;
"""

ATTAINMENT = """
CREATE TABLE credit (
    id uuid PRIMARY KEY,
    connection text NOT NULL,
    deal text NOT NULL,
    person text NOT NULL,
    state text NOT NULL CHECK (state IN ('provisional', 'confirmed', 'void')),
    amount numeric NOT NULL,
    currency text NOT NULL,
    base numeric,
    base_currency text NOT NULL,
    rate numeric,
    effective_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    corrects uuid UNIQUE REFERENCES credit
);
CREATE UNIQUE INDEX credit_first ON credit (connection, deal) WHERE corrects IS NULL;
CREATE INDEX credit_person ON credit (person);
CREATE TRIGGER credit_immutable BEFORE UPDATE OR DELETE ON credit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- People whose credits changed since their attainment was last worked out.
CREATE TABLE attainment_due (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person text NOT NULL
);

CREATE TABLE attainment_snapshot (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person text NOT NULL,
    metric text NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    numerator numeric NOT NULL,
    denominator numeric NOT NULL,
    provisional numeric NOT NULL,
    currency text NOT NULL,
    as_of timestamptz NOT NULL
);
CREATE INDEX attainment_snapshot_person ON attainment_snapshot (person, id);
CREATE TRIGGER attainment_snapshot_immutable BEFORE UPDATE OR DELETE ON attainment_snapshot
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""

FEEDBACK = """
CREATE TABLE survey_invitation (
    id uuid PRIMARY KEY,
    connection text NOT NULL,
    deal text NOT NULL,
    legal_basis text NOT NULL CHECK (legal_basis IN ('consent', 'none')),
    state text NOT NULL CHECK (state IN ('scheduled', 'suppressed', 'answered')),
    suppressed_reason text NOT NULL DEFAULT '',
    token_hash bytea UNIQUE,
    language text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    UNIQUE (connection, deal),
    FOREIGN KEY (connection, deal) REFERENCES sale,
    CHECK ((state = 'suppressed') = (token_hash IS NULL)),
    CHECK ((state = 'suppressed') = (suppressed_reason <> ''))
);
CREATE TABLE survey_answer (
    invitation uuid PRIMARY KEY REFERENCES survey_invitation,
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 10),
    text text NOT NULL,
    submitted_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    for part in (FOLLOWUP, ATTAINMENT, FEEDBACK):
        execute(part)


def execute(script: str) -> None:
    """Run a script of many statements as it stands, without SQLAlchemy's parameter marks."""
    op.get_bind().connection.cursor().execute(script)
