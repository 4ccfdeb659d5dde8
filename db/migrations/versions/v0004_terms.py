"""An order line keeps what was agreed: the name it was sold under and its currency, which is its order's.

The catalogue may change the next minute; a line never does. Orders from before get what their products are called
today, which is the best that is known.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE shop.order_lines ADD COLUMN name text, ADD COLUMN currency text",
    """
    UPDATE shop.order_lines l SET name = p.name, currency = o.currency
      FROM shop.orders o, shop.products p WHERE o.id = l.order_id AND p.sku = l.sku
    """,
    "ALTER TABLE shop.orders ADD CONSTRAINT orders_id_currency_key UNIQUE (id, currency)",
    # In place of the foreign key to the order alone: a line in another currency has no order to belong to.
    """
    ALTER TABLE shop.order_lines
        ALTER COLUMN name SET NOT NULL,
        ALTER COLUMN currency SET NOT NULL,
        ADD CONSTRAINT order_lines_currency_is_the_orders
            FOREIGN KEY (order_id, currency) REFERENCES shop.orders (id, currency),
        DROP CONSTRAINT order_lines_order_id_fkey
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("This would forget what was agreed. Restore a backup instead.")
