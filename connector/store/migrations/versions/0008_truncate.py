"""What is append-only cannot be emptied either: TRUNCATE fires no trigger that looks at rows."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "attainment_snapshot",
    "configuration",
    "credit",
    "decision",
    "event",
    "handover",
    "ledger_posting",
    "rule_set",
    "seal",
    "step_rung",
)


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for table in APPEND_ONLY:
        cursor.execute(
            f"CREATE TRIGGER {table}_kept BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
