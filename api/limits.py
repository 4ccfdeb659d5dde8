"""Bounds on what one client may ask for: requests a minute, reservations open at once.

A client is its address (`api.clients`), kept only as a keyed hash. The counts live in the process: several gateways
each allow the rate, while open reservations are counted in the database, for all of them. Checkouts that have no order
yet, because no worker runs, each gateway knows of its own.
"""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clients import network_of
from api.rates import MAX_CLIENTS, Rate, too_many
from db.views import open_orders
from runtime.settings import Settings

_BEGUN_SECONDS = 3600  # how long a checkout that nobody works on counts: its workflow may have been ended by hand


class Limits:
    """A token bucket and a reservation cap a client; both off when the setting is 0."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self._requests = Rate(settings.rate_limit_per_minute)
        self._reservations = settings.open_reservations_per_client
        self._counts = bool(settings.rate_limit_per_minute or self._reservations)
        self._engine = engine
        self._secret = settings.admin_token.get_secret_value().encode()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()

    def client_of(self, request: Request) -> str | None:
        """Who asks, as a hash that tells nothing outside this service; None when nothing is counted."""
        if not self._counts or request.client is None:
            return None
        return hmac.new(self._secret, network_of(request).encode(), hashlib.sha256).hexdigest()[:32]

    def take(self, client: str | None) -> None:
        """Count one request. Raises a 429 `Problem` when the client's bucket is empty."""
        if client is not None:
            self._requests.check(client, "Too many requests")
            self._requests.count(client)

    @asynccontextmanager
    async def admitted(self, client: str | None, checkout_key: str) -> AsyncIterator[None]:
        """Count a checkout that begins in the block. Raises a 429 `Problem` when the client has too many open.

        Those that were admitted and have no order yet are counted too: a burst cannot slip through between the look
        and the leap, and nobody hoards while no worker is there to reserve. Where the block fails the checkout counts
        no more, unless it had begun before: then it may still be waiting for a worker.
        """
        if client is None or not self._reservations:
            yield
            return
        begun = self._begun_by(client)
        async with begun.one_at_a_time:
            begun.forget_before(time.monotonic() - _BEGUN_SECONDS)
            if checkout_key not in begun.keys:
                await self._admit(client, begun, checkout_key)
        try:
            yield
        except BaseException:
            if checkout_key not in begun.started:
                begun.forget({checkout_key})
            raise
        begun.keys.setdefault(checkout_key, time.monotonic())
        begun.started.add(checkout_key)

    async def _admit(self, client: str, begun: "_Begun", checkout_key: str) -> None:
        async with self._engine.connect() as connection:
            held, with_order = await open_orders(connection, client, list(begun.keys))
        begun.forget(with_order)
        if held + len(begun.keys) >= self._reservations:
            raise too_many("Too many unpaid checkouts; pay or cancel one first", 30)
        begun.keys[checkout_key] = time.monotonic()

    def _begun_by(self, client: str) -> "_Begun":
        begun = self._begun.setdefault(client, _Begun())
        self._begun.move_to_end(client)
        if len(self._begun) > MAX_CLIENTS:
            self._begun.popitem(last=False)
        return begun


@dataclass
class _Begun:
    """The keys of one client that were admitted, and when; those without an order yet are still to reserve. Of those
    that `started`, Temporal has a workflow."""

    keys: dict[str, float] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget_before(self, moment: float) -> None:
        self.forget({key for key, at in self.keys.items() if at <= moment})

    def forget(self, keys: set[str]) -> None:
        for key in keys:
            self.keys.pop(key, None)
        self.started -= keys
