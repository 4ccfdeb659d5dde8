"""Restocking as a function: the one change of stock that the gateway's role may make.

It runs with its owner's rights (SECURITY DEFINER), so that the caller needs none on the tables: it can bring goods in,
and neither take any out nor touch an order. `search_path` is pinned, as PostgreSQL's manual asks of such functions
("Writing SECURITY DEFINER Functions Safely").
"""

from alembic import op

revision = "0002"
down_revision = "0001"

RESTOCK = """
CREATE FUNCTION shop.restock(the_sku text, added bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over bigint;
BEGIN
    IF added IS NULL OR added NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'restock: 1 to 1000000 pieces, not %', added USING ERRCODE = 'check_violation';
    END IF;
    UPDATE shop.products SET on_hand = on_hand + added WHERE sku = the_sku RETURNING on_hand INTO left_over;
    IF left_over IS NOT NULL THEN
        INSERT INTO shop.stock_movements (sku, delta, cause) VALUES (the_sku, added, 'restock');
    END IF;
    RETURN left_over;
END $$
"""


def upgrade() -> None:
    op.execute(RESTOCK)
    op.execute("REVOKE ALL ON FUNCTION shop.restock(text, bigint) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION shop.restock(text, bigint)")
