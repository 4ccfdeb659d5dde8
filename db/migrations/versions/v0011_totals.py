"""At COMMIT an order's total is what its lines add up to. Neither ever changes after that."""

from alembic import op

revision = "0011"
down_revision = "0010"

CHECK_TOTAL = """
CREATE FUNCTION shop.check_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT amount_total FROM shop.orders WHERE id = NEW.order_id)
       <> (SELECT sum(quantity * unit_amount) FROM shop.order_lines WHERE order_id = NEW.order_id) THEN
        RAISE EXCEPTION 'order %: its total is not what its lines add up to', NEW.order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'total_agrees';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(CHECK_TOTAL)
    op.execute(
        "CREATE CONSTRAINT TRIGGER total_agrees AFTER INSERT ON shop.order_lines"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.check_total()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER total_agrees ON shop.order_lines")
    op.execute("DROP FUNCTION shop.check_total()")
