"""The shops that tests are given: as new each time, whatever the test before has done to its own."""

import pytest

from db.engine import create_engine
from tests.support.databases import DatabaseServer, connected, migrate_payments
from tests.support.orders import fulfil, open_order

CONTENTS = """
    SELECT (SELECT json_agg(p ORDER BY sku) FROM shop.products p)::text,
           (SELECT json_agg(m ORDER BY id) FROM shop.stock_movements m)::text,
           (SELECT json_agg(s ORDER BY sku) FROM shop.stock_sums s)::text,
           (SELECT json_agg(a) FROM shop.audit_state a)::text,
           (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop.order_lines),
           (SELECT count(*) FROM shop.reservations), (SELECT count(*) FROM shop.order_events),
           (SELECT count(*) FROM shop.audit_due), (SELECT count(*) FROM shop.ended_sessions),
           nextval('shop.stock_movements_id_seq')
"""
OF_A_TEMPLATE = """
    SELECT (SELECT json_agg(o) FROM shop.orders o)::text,
           (SELECT json_agg(e ORDER BY seq) FROM shop.order_events e)::text,
           (SELECT json_agg(d) FROM shop.audit_due d)::text, (SELECT count(*) FROM payments.events),
           (SELECT json_agg(s ORDER BY sequencename) FROM pg_sequences s)::text
"""


async def test_a_shop_that_was_used_holds_what_a_new_one_holds(database_server: DatabaseServer) -> None:
    async with database_server.copy() as url, connected(url) as database:
        new = await database.fetchrow(CONTENTS)
    async with database_server.fresh() as used:
        engine = create_engine(used)
        await fulfil(engine, await open_order(engine, "left behind"))
        # And is not disposed of: its sessions must not stand in the way.
    async with database_server.fresh() as url, connected(url) as database:
        assert url == used
        assert await database.fetchrow(CONTENTS) == new
    await engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE shop.orders DISABLE TRIGGER guard_order",
        "ALTER TABLE shop.products DROP CONSTRAINT products_on_hand_check",
        "ALTER TABLE shop.order_lines DISABLE TRIGGER ALL",
        "ALTER TABLE shop.orders ALTER COLUMN event_count SET DEFAULT 1",
        "DROP INDEX shop.orders_live",
        "ANALYZE shop.products",
        "CREATE TABLE shop.more ()",
        "CREATE SCHEMA payments",
        "GRANT SELECT ON shop.orders TO PUBLIC",
        "CREATE OR REPLACE FUNCTION shop.set_withdrawn(the_sku text, is_withdrawn boolean) RETURNS void"
        " LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT $$",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 1', current_database()); END $$",
    ],
)
async def test_a_shop_that_was_rebuilt_is_not_used_again(database_server: DatabaseServer, change: str) -> None:
    async with database_server.fresh() as rebuilt, connected(rebuilt) as database:
        await database.execute(change)
    async with database_server.fresh() as url:
        assert url != rebuilt


async def test_one_of_a_template_of_ones_own_is_as_that_one_is(database_server: DatabaseServer) -> None:
    async with database_server.copy() as template:
        engine = create_engine(template)
        await migrate_payments(engine)
        await fulfil(engine, await open_order(engine, "of the template"))
        await engine.dispose()
        async with connected(template) as database:
            await database.execute("SELECT nextval('payments.faults_version')")
            wanted = await database.fetchrow(OF_A_TEMPLATE)
        for _ in range(2):
            async with database_server.fresh(template.rpartition("/")[2]) as url, connected(url) as database:
                assert await database.fetchrow(OF_A_TEMPLATE) == wanted
                await database.execute("SELECT nextval('payments.faults_version')")
                await database.execute("INSERT INTO payments.events (id, type, payload) VALUES ('evt_1', 'x', '{}')")
                await database.execute("DELETE FROM shop.audit_due")


async def test_two_shops_at_a_time_are_two(database_server: DatabaseServer) -> None:
    async with database_server.fresh() as one, database_server.fresh() as other:
        assert one != other
