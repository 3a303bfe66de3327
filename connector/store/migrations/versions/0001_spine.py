"""The spine: configuration, deliveries, leads, ledger, decisions, commands, mirror, events, jobs."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CLOCK = """
CREATE TABLE clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    shift interval NOT NULL DEFAULT '0'
);
INSERT INTO clock DEFAULT VALUES;
COMMENT ON TABLE clock IS 'The demo moves this clock ahead; everywhere else the shift is zero.';
CREATE FUNCTION hearback_now() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT clock_timestamp() + shift FROM clock $$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""

CONFIGURATION = """
CREATE TABLE configuration (
    hash text PRIMARY KEY,
    document bytea NOT NULL,
    rule_set text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE rule_set (
    hash text PRIMARY KEY,
    document bytea NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE active_configuration (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    hash text NOT NULL REFERENCES configuration,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER configuration_immutable BEFORE UPDATE OR DELETE ON configuration
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rule_set_immutable BEFORE UPDATE OR DELETE ON rule_set
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""

DELIVERY = """
CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('lead', 'crm')),
    source text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT hearback_now(),
    content_type text NOT NULL,
    size integer NOT NULL,
    sha256 bytea NOT NULL,
    verified text NOT NULL,
    state text NOT NULL DEFAULT 'stored' CHECK (state IN ('stored', 'waiting', 'quarantined', 'done')),
    fate text CHECK (fate IN ('leads', 'updated', 'duplicate', 'applied', 'rejected', 'erased')),
    reason text NOT NULL DEFAULT '',
    first_delivery uuid,
    is_test boolean NOT NULL DEFAULT false,
    attempts smallint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    CHECK ((state = 'done') = (fate IS NOT NULL))
);
CREATE INDEX delivery_stored ON delivery (kind, id) WHERE state = 'stored';
CREATE INDEX delivery_waiting ON delivery (id) WHERE state IN ('waiting', 'quarantined');

-- Bodies alone are partitioned: retention is a DROP of a month.
CREATE TABLE delivery_body (
    delivery_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (delivery_id, received_at)
) PARTITION BY RANGE (received_at);
CREATE TABLE delivery_body_default PARTITION OF delivery_body DEFAULT;

CREATE TABLE dedupe_key (
    source text NOT NULL,
    key text NOT NULL,
    delivery_id uuid NOT NULL,
    lead_id uuid,
    version bigint NOT NULL DEFAULT 1,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (source, key)
);
CREATE TABLE idempotency_key (
    client text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    delivery_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client, key)
);
"""

LEAD = """
CREATE TABLE lead (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    source text NOT NULL,
    correlation uuid NOT NULL,
    data jsonb NOT NULL,
    domain text NOT NULL DEFAULT '',
    salt bytea NOT NULL,
    is_test boolean NOT NULL DEFAULT false,
    status text NOT NULL CHECK (status IN ('held', 'assigned', 'closed')),
    owner text,
    connection text,
    pool text,
    reason text NOT NULL DEFAULT '',
    assign_seq integer NOT NULL DEFAULT 1,
    assigned_at timestamptz,
    held_until timestamptz,
    closed_at timestamptz,
    CHECK (status <> 'held' OR (owner IS NULL AND held_until IS NOT NULL)),
    CHECK (status <> 'assigned' OR owner IS NOT NULL)
);
CREATE INDEX lead_domain ON lead (domain, created_at DESC) WHERE domain <> '';
CREATE INDEX lead_held ON lead (pool, created_at, id) WHERE status = 'held';
CREATE INDEX lead_owner ON lead (owner) WHERE status = 'assigned';

CREATE TABLE submission (
    delivery_id uuid NOT NULL,
    position smallint NOT NULL,
    lead_id uuid NOT NULL,
    relation text NOT NULL CHECK (relation IN ('created', 'attached', 'updated')),
    PRIMARY KEY (delivery_id, position)
);
CREATE INDEX submission_lead ON submission (lead_id);

CREATE TABLE person_key (
    kind text NOT NULL,
    value text NOT NULL,
    lead_id uuid NOT NULL,
    PRIMARY KEY (kind, value)
);
"""

LEDGER = """
CREATE TABLE ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    decisions bigint NOT NULL DEFAULT 0
);
INSERT INTO ledger DEFAULT VALUES;
CREATE TABLE ledger_entry (
    person text PRIMARY KEY,
    balance bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    open_leads integer NOT NULL DEFAULT 0 CHECK (open_leads >= 0)
);

CREATE TABLE decision (
    seq bigint PRIMARY KEY,
    lead_id uuid NOT NULL,
    assign_seq integer NOT NULL,
    decided_at timestamptz NOT NULL,
    rule_set text NOT NULL,
    outcome text NOT NULL,
    owner text,
    record text NOT NULL,
    digest bytea NOT NULL,
    UNIQUE (lead_id, assign_seq)
);
CREATE TRIGGER decision_immutable BEFORE UPDATE OR DELETE ON decision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""

COMMAND = """
CREATE TABLE command (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    connection text NOT NULL,
    object_type text NOT NULL,
    key text NOT NULL,
    record_id text,
    after_key text,
    fields jsonb NOT NULL,
    links jsonb NOT NULL DEFAULT '{}',
    purpose text NOT NULL,
    lead_id uuid,
    correlation uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'dead', 'parked')),
    attempts integer NOT NULL DEFAULT 0,
    unknown boolean NOT NULL DEFAULT false,
    due_at timestamptz NOT NULL DEFAULT '-infinity',
    leased_until timestamptz,
    leased_by uuid,
    outcome text,
    error text,
    finished_at timestamptz
);
-- A lease touches no indexed column, so leasing is a heap-only update.
CREATE INDEX command_pending ON command (connection, object_type, seq) WHERE state = 'pending';
CREATE INDEX command_key ON command (connection, key, seq) WHERE state IN ('pending', 'dead');
CREATE INDEX command_lead ON command (lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX command_dead ON command (seq) WHERE state IN ('dead', 'parked');

CREATE TABLE binding (
    connection text NOT NULL,
    key text NOT NULL,
    object_type text NOT NULL,
    record_id text NOT NULL,
    written jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (connection, key)
);
CREATE INDEX binding_record ON binding (connection, object_type, record_id);

CREATE TABLE connection_state (
    connection text PRIMARY KEY,
    paused_until timestamptz,
    reason text NOT NULL DEFAULT '',
    cursor text NOT NULL DEFAULT '',
    polled_at timestamptz
);
"""

MIRROR = """
CREATE TABLE mirror_record (
    connection text NOT NULL,
    object_type text NOT NULL,
    record_id text NOT NULL,
    email text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    domain text NOT NULL DEFAULT '',
    owner text NOT NULL DEFAULT '',
    open boolean NOT NULL DEFAULT true,
    fields jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (connection, object_type, record_id)
);
CREATE INDEX mirror_email ON mirror_record (email) WHERE email <> '';
CREATE INDEX mirror_phone ON mirror_record (phone) WHERE phone <> '';
CREATE INDEX mirror_domain ON mirror_record (domain) WHERE domain <> '' AND object_type = 'account';

CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type text NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    object_type text NOT NULL,
    record_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT hearback_now(),
    attributes jsonb NOT NULL DEFAULT '{}',
    UNIQUE (source, source_id, type)
);
CREATE INDEX event_record ON event (source, object_type, record_id, occurred_at);
CREATE TRIGGER event_immutable BEFORE UPDATE OR DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    for part in (CLOCK, CONFIGURATION, DELIVERY, LEAD, LEDGER, COMMAND, MIRROR):
        execute(part)
    # A frozen copy of procrastinate's own schema; a version bump adds its migrations here.
    execute((Path(__file__).parent.parent / "procrastinate_schema.sql").read_text())


def execute(script: str) -> None:
    """Run a script of many statements as it stands, without SQLAlchemy's parameter marks."""
    connection = op.get_bind().connection
    connection.cursor().execute(script)
