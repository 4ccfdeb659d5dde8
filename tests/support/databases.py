"""Databases for tests: one server, a template migrated once, a copy a test."""

import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import create_engine
from db.setup import migrate, seed

_TEMPLATE = "shop_template"
_LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def patient(engine: AsyncEngine) -> AsyncEngine:
    """The engine, its server's limits lifted: where many contend within this process, one that stands still for a
    second and a half would make the others give up. For an engine that has not connected yet."""

    @event.listens_for(engine.sync_engine, "connect")
    def lift(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for limit in _LIMITS:
            cursor.execute(f"SET {limit} = '60s'")
        cursor.close()
        connection.commit()

    return engine


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


class DatabaseServer:
    """`log` reads what the server has written to its log."""

    def __init__(self, url: str, log: Callable[[], str] = str) -> None:
        self._url, self.log = url, log
        self._numbers = itertools.count(1)

    def url(self, name: str) -> str:
        parts = urlsplit(self._url)
        return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))

    async def prepare(self) -> None:
        """Make the template that tests copy: copying takes a tenth of migrating."""
        await self._execute(f"CREATE DATABASE {_TEMPLATE}")
        engine = create_engine(self.url(_TEMPLATE), pool_size=1, connect_timeout=10, command_timeout=None)
        try:
            await migrate(engine)
            await seed(engine)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def copy(self, template: str = _TEMPLATE, options: str = "") -> AsyncIterator[str]:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        try:
            yield self.url(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """A database without any schema, for tests of migrations."""
        async with self.copy("template1") as url:
            yield url

    @asynccontextmanager
    async def latin(self) -> AsyncIterator[str]:
        """An empty database that cannot hold every text."""
        async with self.copy("template0", "ENCODING 'LATIN1' LOCALE 'C'") as url:
            yield url

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
