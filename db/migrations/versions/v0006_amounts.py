"""Prices as large as the payment provider takes them in some currency (checkout.currencies)."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE shop.products
            DROP CONSTRAINT products_unit_amount_check,
            ADD CONSTRAINT products_unit_amount_check CHECK (unit_amount BETWEEN 1 AND 999999999999)
    """)


def downgrade() -> None:
    raise NotImplementedError("Larger prices may be there. Restore a backup instead.")
