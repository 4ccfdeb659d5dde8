"""Nothing that happened is deleted, and what was written down once is not rewritten.

A deleted reservation, line, movement or event is damage, whoever did it: refused here, for the schema's owner as well.
Who must delete all the same (a court's order, say) has to say so first, by ALTER TABLE … DISABLE TRIGGER.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

KEPT = ("products", "orders", "order_lines", "reservations", "stock_movements", "order_events")
WRITTEN_ONCE = ("order_lines", "stock_movements", "order_events")

REFUSE = """
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'shop.%: % is refused, what happened stays', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'check_violation';
END $$
"""


def upgrade() -> None:
    op.execute(REFUSE)
    for table in KEPT:
        what = "UPDATE OR DELETE OR TRUNCATE" if table in WRITTEN_ONCE else "DELETE OR TRUNCATE"
        op.execute(
            f"CREATE TRIGGER is_kept BEFORE {what} ON shop.{table} FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse()"
        )


def downgrade() -> None:
    for table in KEPT:
        op.execute(f"DROP TRIGGER is_kept ON shop.{table}")
    op.execute("DROP FUNCTION shop.refuse()")
