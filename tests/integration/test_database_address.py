"""`DATABASE_URL` is read as every PostgreSQL tool reads it."""

import asyncpg
import pytest
from sqlalchemy import text

from db.engine import create_engine
from payment_mock.database import Database
from payment_mock.settings import load_settings

# The embedded PostgreSQL speaks no TLS: `disable` and `prefer` reach it, `require` must refuse to.
REACHES = ("", "?sslmode=disable", "?sslmode=prefer")


@pytest.mark.parametrize("query", REACHES)
async def test_the_shop_connects_with_or_without_an_sslmode(database_url: str, query: str) -> None:
    engine = create_engine(database_url + query, pool_size=1)
    try:
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT current_setting('lock_timeout')"))).scalar() == "1500ms"
    finally:
        await engine.dispose()


@pytest.mark.parametrize("query", REACHES)
async def test_the_payment_service_connects_with_or_without_an_sslmode(database_url: str, query: str) -> None:
    async with Database.open(load_settings(DATABASE_URL=database_url + query)) as database:
        [(name,)] = await database.run("SELECT current_setting('application_name')")
    assert name == "payment_mock"


async def test_a_demanded_tls_is_not_done_without(database_url: str) -> None:
    engine = create_engine(database_url + "?sslmode=require", pool_size=1)
    try:
        with pytest.raises((ConnectionError, OSError, asyncpg.PostgresError), match="SSL"):
            async with engine.connect():
                pass
    finally:
        await engine.dispose()
