"""What an audit need not read again, and sums that it need not add up again.

- `audit_due` names every order that was opened or touched since it was last found in order, and how often. Triggers
  write it in the transaction of the change; only `shop.audited` takes from it, and only what has not changed again
  since the auditor's snapshot. So an order that is not in it is as it was when it was audited.
- `stock_sums` is, for each product, the sum of all its movements, and of those that no order made. Every movement is
  written while its product's row is locked, so the sum costs no waiting of its own.
- `audit_state` is how far the payment service's ledger and the patrol through old orders have been read.

Whoever turns triggers off goes unseen by them, until the patrol comes by, or an audit of everything.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = (
    "CREATE TABLE shop.audit_due (order_id text PRIMARY KEY, changes bigint NOT NULL DEFAULT 1) WITH (fillfactor = 50)",
    """
    CREATE TABLE shop.stock_sums (
        sku      text PRIMARY KEY REFERENCES shop.products,
        moved    bigint NOT NULL,
        brought  bigint NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE shop.audit_state (
        only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        ledger_read_to  timestamptz NOT NULL DEFAULT '-infinity',
        patrolled_to    text NOT NULL DEFAULT ''
    )
    """,
    "INSERT INTO shop.audit_state DEFAULT VALUES",
    "CREATE INDEX stock_movements_of_order ON shop.stock_movements (order_id) WHERE order_id IS NOT NULL",
)
# Of several orders in their order, so that two who touch the same ones never wait for each other in turn.
NOTE = """
CREATE FUNCTION shop.note_{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO shop.audit_due (order_id)
    SELECT DISTINCT {column} FROM changed WHERE {column} IS NOT NULL ORDER BY {column}
    ON CONFLICT (order_id) DO UPDATE SET changes = audit_due.changes + 1;
    RETURN NULL;
END $$
"""
SUM_MOVEMENTS = """
CREATE FUNCTION shop.sum_movements() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO shop.stock_sums AS s (sku, moved, brought)
    SELECT sku, CAST(TG_ARGV[0] AS int) * sum(delta),
           CAST(TG_ARGV[0] AS int) * coalesce(sum(delta) FILTER (WHERE order_id IS NULL), 0)
      FROM changed GROUP BY sku ORDER BY sku
    ON CONFLICT (sku) DO UPDATE SET moved = s.moved + excluded.moved, brought = s.brought + excluded.brought;
    RETURN NULL;
END $$
"""
AUDITED = """
CREATE FUNCTION shop.audited(clean text[], seen bigint[], wrong text[], read_to timestamptz, patrolled text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- One that is being changed at this moment is left; one that has been changed meanwhile counts otherwise.
    DELETE FROM shop.audit_due WHERE order_id IN (
        SELECT d.order_id FROM shop.audit_due d JOIN unnest(clean, seen) c(order_id, changes) USING (order_id, changes)
           FOR UPDATE OF d SKIP LOCKED);
    INSERT INTO shop.audit_due (order_id) SELECT DISTINCT unnest(wrong) ON CONFLICT DO NOTHING;
    UPDATE shop.audit_state SET ledger_read_to = coalesce(read_to, ledger_read_to),
                                patrolled_to = coalesce(patrolled, patrolled_to);
END $$
"""
FIRST = (
    "INSERT INTO shop.audit_due (order_id) SELECT id FROM shop.orders",
    """
    INSERT INTO shop.stock_sums (sku, moved, brought)
    SELECT sku, sum(delta), coalesce(sum(delta) FILTER (WHERE order_id IS NULL), 0)
      FROM shop.stock_movements GROUP BY sku
    """,
)


def _trigger(name: str, table: str, event: str, rows: str, function: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} AFTER {event} ON shop.{table} REFERENCING {rows} TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION shop.{function}"
    )


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    op.execute(NOTE.format(name="order", column="id"))
    op.execute(NOTE.format(name="part", column="order_id"))
    op.execute(SUM_MOVEMENTS)
    op.execute(AUDITED)
    op.execute("REVOKE ALL ON FUNCTION shop.audited(text[], bigint[], text[], timestamptz, text) FROM PUBLIC")
    for table in ("orders", "order_lines", "reservations", "stock_movements", "order_events"):
        function = "note_order()" if table == "orders" else "note_part()"
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
            _trigger(f"note_{event.lower()}", table, event, rows, function)
    for event, rows, sign in (("INSERT", "NEW", 1), ("DELETE", "OLD", -1), ("UPDATE", "OLD", -1), ("UPDATE", "NEW", 1)):
        _trigger(f"sum_{event.lower()}_{rows.lower()}", "stock_movements", event, rows, f"sum_movements('{sign}')")
    for statement in FIRST:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("This would forget what was audited. Restore a backup instead.")
