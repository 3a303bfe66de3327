"""What speaks against a delivery; captchas to be verified; how often an address was sent lately."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCREENING = """
ALTER TABLE delivery ADD COLUMN score smallint, ADD COLUMN signals text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN delivery.score IS 'What its signals added up to; NULL: nothing spoke against it, or nobody looked.';

-- One for each delivery with a captcha. It is waiting as long as there is no outcome.
CREATE TABLE captcha (
    delivery_id uuid PRIMARY KEY,
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT hearback_now(),
    leased_until timestamptz,
    outcome text,
    settled_at timestamptz,
    CHECK ((outcome IS NULL) = (settled_at IS NULL))
);
CREATE INDEX captcha_due ON captcha (due_at) WHERE outcome IS NULL;
CREATE INDEX captcha_settled ON captcha (settled_at) WHERE outcome IS NOT NULL;

-- Token buckets by a keyed hash of the address: what was left at `seen_at`; below zero, so many were too many.
CREATE TABLE address_rate (
    hash bytea PRIMARY KEY,
    left_over real NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX address_rate_seen ON address_rate (seen_at);
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(SCREENING)
