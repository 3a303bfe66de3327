CREATE SCHEMA IF NOT EXISTS sandbox;

-- Drawn and committed under one lock, so that a reader who saw n has seen everything below n.
CREATE SEQUENCE IF NOT EXISTS sandbox.change_seq;

CREATE TABLE IF NOT EXISTS sandbox.record (
    id text PRIMARY KEY,
    object text NOT NULL,
    fields jsonb NOT NULL,
    hearback_key text GENERATED ALWAYS AS (fields ->> 'x_hearback_key') STORED,
    email text GENERATED ALWAYS AS (lower(fields ->> 'Email')) STORED,
    seq bigint NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    -- The wall clock, which /control/clock does not move: the search index lags in real time.
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS record_unique_key ON sandbox.record (object, hearback_key)
    WHERE object IN ('leads', 'deals') AND deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS record_key ON sandbox.record (object, hearback_key);
CREATE INDEX IF NOT EXISTS record_email ON sandbox.record (object, email);
CREATE INDEX IF NOT EXISTS record_page ON sandbox.record (object, id);

CREATE TABLE IF NOT EXISTS sandbox.request_log (
    id text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    method text NOT NULL,
    path text NOT NULL,
    status integer NOT NULL,
    fault text
);

CREATE TABLE IF NOT EXISTS sandbox.effect_log (
    request_id text NOT NULL,
    object text NOT NULL,
    record_id text,
    trace text NOT NULL,
    effect text NOT NULL
);

CREATE TABLE IF NOT EXISTS sandbox.webhook_outbox (
    seq bigint PRIMARY KEY,
    object text NOT NULL,
    record_id text NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    occurred_at timestamptz NOT NULL,
    fields jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS sandbox.setting (name text PRIMARY KEY, value jsonb NOT NULL);
