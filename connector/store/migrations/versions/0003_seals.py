"""Seals over decisions, each chained to the one before."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SEAL = """
CREATE TABLE seal (
    last_seq bigint PRIMARY KEY,
    first_seq bigint NOT NULL UNIQUE,
    digest bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT hearback_now(),
    CHECK (first_seq > 0 AND first_seq <= last_seq)
);
CREATE TRIGGER seal_immutable BEFORE UPDATE OR DELETE ON seal
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.get_bind().connection.cursor().execute(SEAL)
