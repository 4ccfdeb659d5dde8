"""Bounds on what one client may ask for: requests a minute, reservations open at once.

A client is its address, kept only as a keyed hash. The counts live in the process: several gateways each allow the
rate, while open reservations are counted in the database, for all of them. Checkouts that have no order yet, because no
worker runs, each gateway knows of its own.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import Problem
from db.views import open_orders
from runtime.settings import Settings

MAX_CLIENTS = 10_000  # remembered at a time; whoever was heard of longest ago is forgotten


class Rate:
    """A token bucket for each: `per_minute` at once, and as many again in each minute. 0 is no bound.

    `clock` counts seconds, from any time on.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, who: str, title: str) -> None:
        """Raises a 429 `Problem` when the bucket is empty."""
        tokens = self._tokens(who)
        if self._per_minute and tokens < 1:
            raise too_many(title, (1 - tokens) * 60 / self._per_minute)

    def count(self, who: str) -> None:
        """Take one out of the bucket, if there is one."""
        if not self._per_minute:
            return
        self._buckets[who] = (max(self._tokens(who) - 1, 0), self._clock())
        self._buckets.move_to_end(who)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)

    def _tokens(self, who: str) -> float:
        now = self._clock()
        tokens, since = self._buckets.get(who, (float(self._per_minute), now))
        return min(self._per_minute, tokens + (now - since) * self._per_minute / 60)


def too_many(title: str, seconds: float) -> Problem:
    return Problem(429, "too-many-requests", title, headers={"Retry-After": str(max(1, round(seconds + 0.5)))})


def network_of(request: Request) -> str:
    """The client's address (`X-Forwarded-For` counts only from `CHECKOUT_TRUSTED_PROXIES`); empty if there is none.

    Of an IPv6 address the /64, which is the least that one customer of a provider has (RFC 6177).
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


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
