"""Bounds on what one client may ask for: requests a minute, counted by each gateway for itself, and reservations open
at once, counted in the database for all of them. A checkout that has no order yet is counted only by the gateway that
began it. A client is its address, kept only as a keyed hash."""

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import Problem
from db.order_queries import open_orders
from runtime.settings import Settings

MAX_CLIENTS = 10_000  # remembered at a time; whoever was heard of longest ago is forgotten
_BEGUN_SECONDS = 3600  # after this, a checkout without an order no longer counts against its client


@dataclass
class _Bucket:
    tokens: float
    since: float


class Rate:
    """A token bucket for each client: `per_minute` at once, and as many again in each minute. 0 means no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._bucket = lru_cache(MAX_CLIENTS)(lambda who: _Bucket(per_minute, clock()))

    def check(self, who: str, title: str) -> None:
        """Raises a 429 `Problem` when the bucket is empty."""
        lacking = 1 - self._filled(who).tokens
        if self._per_minute and lacking > 0:
            raise too_many(title, lacking * 60 / self._per_minute)

    def count(self, who: str) -> None:
        """Take one out of the bucket, if there is one."""
        bucket = self._filled(who)
        bucket.tokens = max(bucket.tokens - 1, 0)

    def _filled(self, who: str) -> _Bucket:
        bucket, now = self._bucket(who), self._clock()
        bucket.tokens = min(self._per_minute, bucket.tokens + (now - bucket.since) * self._per_minute / 60)
        bucket.since = now
        return bucket


def too_many(title: str, seconds: float) -> Problem:
    return Problem(429, "too-many-requests", title, headers={"Retry-After": str(max(1, round(seconds + 0.5)))})


def network_of(request: Request) -> str:
    """The client's address (`X-Forwarded-For` counts only from `CHECKOUT_TRUSTED_PROXIES`), or empty. Of IPv6 the /64,
    which is the least that one customer of a provider has (RFC 6177)."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


@dataclass
class _Begun:
    """The keys that one client was admitted with, and when (monotonic seconds). Those without an order yet count as
    reservations."""

    keys: dict[str, float] = field(default_factory=dict)
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class Limits:
    """A token bucket and a reservation cap a client; both off when the setting is 0."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self._requests = Rate(settings.rate_limit_per_minute)
        self._reservations = settings.open_reservations_per_client
        self._counts, self._engine = bool(settings.rate_limit_per_minute or self._reservations), engine
        self._secret = settings.admin_token.get_secret_value().encode()
        self._begun = lru_cache(MAX_CLIENTS)(lambda client: _Begun())

    def client_of(self, request: Request) -> str | None:
        """The client's address as a keyed hash, which says nothing outside this service; None when no limit is set."""
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
        """Count a checkout that begins in the block. Raises a 429 `Problem` when the client has too many open: those
        that have no order yet count too, so that no burst slips through, and nobody hoards while no worker reserves.
        Where the block fails the checkout counts no more, unless it had been admitted before: it may be waiting."""
        if client is None or not self._reservations:
            yield
            return
        begun, admitted_at = await self._admit(client, checkout_key)
        try:
            yield
        except BaseException:
            # A repeat of the key may have begun the checkout meanwhile.
            if admitted_at is not None and begun.keys.get(checkout_key) == admitted_at:
                del begun.keys[checkout_key]
            raise
        begun.keys[checkout_key] = time.monotonic()

    async def _admit(self, client: str, checkout_key: str) -> tuple[_Begun, float | None]:
        """The client's keys, and when this one was admitted: None if it had been before."""
        begun = self._begun(client)
        async with begun.one_at_a_time:
            long_ago = time.monotonic() - _BEGUN_SECONDS
            begun.keys = {key: at for key, at in begun.keys.items() if at > long_ago}
            if checkout_key in begun.keys:
                return begun, None
            async with self._engine.connect() as connection:
                held, with_order = await open_orders(connection, client, list(begun.keys))
            begun.keys = {key: at for key, at in begun.keys.items() if key not in with_order}
            if held + len(begun.keys) >= self._reservations:
                raise too_many("Too many unpaid checkouts; pay or cancel one first", 30)
            begun.keys[checkout_key] = admitted_at = time.monotonic()
            return begun, admitted_at
