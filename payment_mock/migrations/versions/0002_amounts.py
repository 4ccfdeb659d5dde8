"""Some currencies have larger amounts (`payment_mock.domain.money`)."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payments.sessions DROP CONSTRAINT sessions_amount_total_check")
    op.execute(
        "ALTER TABLE payments.sessions ADD CONSTRAINT sessions_amount_total_check "
        "CHECK (amount_total BETWEEN 0 AND 999999999999)"
    )


def downgrade() -> None:
    raise NotImplementedError("larger amounts may be there")
