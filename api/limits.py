"""Bounds on what one client may ask for: body size, requests a minute, reservations open at once.

A client is its address (`X-Forwarded-For` counts only from `CHECKOUT_TRUSTED_PROXIES`), kept only as a keyed hash. The
counts live in the process: several gateways each allow the rate, while open reservations are counted in the database,
for all of them. Checkouts that have no order yet, because no worker runs, each gateway knows of its own.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem
from db.views import open_orders
from runtime.settings import Settings

MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 512 * 1024
MAX_CODEC_BYTES = 4 * 1024 * 1024  # Temporal's own limit on one message
_MAX_BYTES_BELOW = {"/payment_webhook": MAX_WEBHOOK_BYTES, "/codec/": MAX_CODEC_BYTES}
_MAX_CLIENTS = 10_000
_BEGUN_SECONDS = 3600  # how long a checkout that nobody works on counts: its workflow may have been ended by hand


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body, read no further than `limit` bytes. Raises a 413 `Problem`."""
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if not declared.isdigit() or int(declared) <= limit:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
        else:
            return bytes(body)
    raise Problem(413, "body-too-large", "The body is too large", f"At most {limit} bytes")


class BoundedBodies:
    """No request's body is longer than its route may read. FastAPI reads a model's body whole, before it asks who sent
    it: without this, anybody could fill the memory through an operator's endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        limit = next((most for begin, most in _MAX_BYTES_BELOW.items() if path.startswith(begin)), MAX_BODY_BYTES)
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, "The body is too large")
            return message

        await self._app(scope, bounded, send)


class Limits:
    """A token bucket and a reservation cap a client; both off when the setting is 0."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self._per_minute = settings.rate_limit_per_minute
        self._reservations = settings.open_reservations_per_client
        self._engine = engine
        self._secret = settings.admin_token.get_secret_value().encode()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._begun: OrderedDict[str, _Begun] = OrderedDict()

    def client_of(self, request: Request) -> str | None:
        """Who asks, as a hash that tells nothing outside this service; None when nothing is counted."""
        if not (self._per_minute or self._reservations) or request.client is None:
            return None
        return hmac.new(self._secret, _network(request.client.host).encode(), hashlib.sha256).hexdigest()[:32]

    def take(self, client: str | None) -> None:
        """Count one request. Raises a 429 `Problem` when the client's bucket is empty."""
        if client is None or not self._per_minute:
            return
        now = time.monotonic()
        tokens, since = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - since) * self._per_minute / 60)
        self._buckets[client] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise _too_many("Too many requests", (1 - tokens) * 60 / self._per_minute)

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
            raise _too_many("Too many unpaid checkouts; pay or cancel one first", 30)
        begun.keys[checkout_key] = time.monotonic()

    def _begun_by(self, client: str) -> "_Begun":
        begun = self._begun.setdefault(client, _Begun())
        self._begun.move_to_end(client)
        if len(self._begun) > _MAX_CLIENTS:
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


def _network(host: str) -> str:
    """The address; of an IPv6 one the /64, which is the least that one customer of a provider has (RFC 6177)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _too_many(title: str, seconds: float) -> Problem:
    return Problem(429, "too-many-requests", title, headers={"Retry-After": str(max(1, round(seconds + 0.5)))})
