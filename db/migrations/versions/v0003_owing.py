"""Find the cancelled orders for which money came late and is not given back yet, however many have been cancelled."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX orders_owing ON shop.orders (updated_at)"
        " WHERE status = 'cancelled' AND payment_intent_id IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX shop.orders_owing")
