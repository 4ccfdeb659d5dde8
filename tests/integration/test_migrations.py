"""A shop that was opened by the first version goes on, with its orders, under today's schema."""

from alembic import command
from sqlalchemy import Connection, text

from db.engine import create_engine
from db.setup import _alembic_config, migrate, seed
from tests.support.databases import DatabaseServer
from tests.support.orders import fulfil, open_order, scalar, violations

FIRST = "0003"
OLD_ORDER = (
    """
    INSERT INTO shop.orders (id, checkout_key, fingerprint, status, email, amount_total, currency, payment_session_id,
                             payment_url, expires_at, event_count)
    VALUES ('ord_old', 'Old-Key', repeat('f', 64), 'awaiting_payment', 'Ada@Example.com', 2450, 'usd', 'cs_old',
            'https://pay.example', now(), 2)
    """,
    "INSERT INTO shop.order_lines (order_id, sku, quantity, unit_amount)"
    " VALUES ('ord_old', 'pen', 2, 1000), ('ord_old', 'notebook', 1, 450)",
    "INSERT INTO shop.reservations (order_id, sku, quantity, state)"
    " VALUES ('ord_old', 'pen', 2, 'held'), ('ord_old', 'notebook', 1, 'held')",
    "UPDATE shop.products SET on_hand = on_hand - 2 WHERE sku = 'pen'",
    "UPDATE shop.products SET on_hand = on_hand - 1 WHERE sku = 'notebook'",
    "INSERT INTO shop.stock_movements (sku, delta, cause, order_id)"
    " VALUES ('pen', -2, 'reserve', 'ord_old'), ('notebook', -1, 'reserve', 'ord_old')",
    "INSERT INTO shop.order_events (order_id, seq, kind, data) VALUES ('ord_old', 1, 'reserved', '{}'),"
    """ ('ord_old', 2, 'awaiting_payment', '{"session_id": "cs_old"}')""",
)


def _first_version(connection: Connection) -> None:
    command.upgrade(_alembic_config(connection), FIRST)


async def test_an_order_of_the_first_version_is_fulfilled_under_todays_schema(database_server: DatabaseServer) -> None:
    async with database_server.empty() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA shop"))
            await connection.run_sync(_first_version)
        await seed(engine)
        async with engine.begin() as connection:
            for statement in OLD_ORDER:
                await connection.execute(text(statement))
        before = await scalar(engine, "SELECT updated_at FROM shop.orders")
        await migrate(engine)
        assert await scalar(engine, "SELECT updated_at FROM shop.orders") == before
        assert await scalar(engine, "SELECT email_folded FROM shop.orders") == "ada@example.com"
        told = "SELECT string_agg(name || ' ' || currency, ', ' ORDER BY sku) FROM shop.order_lines"
        assert await scalar(engine, told) == "Notebook usd, Pen usd"
        old = await open_order(engine, "Old-Key")
        assert (await fulfil(engine, old)).status == "fulfilled"
        assert (await open_order(engine, "new")).status == "pending"
        assert [line for line in await violations(engine) if "due for dispatch" not in line] == []
        await engine.dispose()
