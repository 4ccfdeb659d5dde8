"""The catalogue for those who look, apart from those who buy.

However many tabs are open, they share a few connections that no checkout waits for, and what they ask for at the same
time is read once.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.shared import Shared
from db import catalogue
from db.catalogue import Product
from db.engine import autocommit

READERS = 2  # connections, whoever looks: `engine` has no more


@dataclass(frozen=True)
class Shelf:
    """A stretch of the catalogue; `has_more` behind it."""

    products: list[Product]
    has_more: bool


class Catalogue:
    """Wants an engine of its own for the life of the process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = autocommit(engine)
        self._shelves: Shared[Shelf] = Shared()

    async def shelf(
        self,
        *,
        search: str | None = None,
        after: str | None = None,
        offset: int = 0,
        limit: int,
        sold_only: bool = True,
    ) -> Shelf:
        """See `db.catalogue.shelf`."""

        async def read(connection: AsyncConnection) -> Shelf:
            found = await catalogue.shelf(
                connection, search=search, after=after, offset=offset, limit=limit + 1, sold_only=sold_only
            )
            return Shelf(found[:limit], len(found) > limit)

        return await self._shared((search, after, offset, limit, sold_only), read)

    async def products_of(self, skus: list[str]) -> Shelf:
        async def read(connection: AsyncConnection) -> Shelf:
            return Shelf(await catalogue.products_of(connection, skus), has_more=False)

        return await self._shared(tuple(sorted(skus)), read)

    async def _shared(self, key: Hashable, read: Callable[[AsyncConnection], Awaitable[Shelf]]) -> Shelf:
        async def over_a_connection() -> Shelf:
            async with self._reads.connect() as connection:
                return await read(connection)

        return await self._shelves.get(key, over_a_connection)
