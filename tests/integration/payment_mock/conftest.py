"""One payment service and one webhook receiver for all these tests; every test makes sessions of its own."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.integration.payment_mock.serving import KEY, Receiver, in_process, serve
from tests.support.databases import DatabaseServer
from tests.support.eventually import eventually


@dataclass
class Merchant:
    """A client of the payment service: the official library, plain HTTP, and a look at its tables."""

    url: str
    stripe: stripe.StripeClient
    http: httpx.AsyncClient
    engine: AsyncEngine

    @property
    def sessions(self) -> Any:
        return self.stripe.v1.checkout.sessions

    async def create(self, key: str | None = None, **changes: Any) -> Any:
        options: Any = {"idempotency_key": key} if key else {}
        return await self.sessions.create_async(order(**changes), options)

    async def retrieve(self, session_id: str) -> Any:
        return await self.sessions.retrieve_async(session_id)

    async def look(self, session_id: str) -> httpx.Response:
        """The session without the library, which would raise and repeat."""
        return await self.http.get(f"/v1/checkout/sessions/{session_id}")

    async def pay(self, session_id: str) -> int:
        return (await self.http.post("/api/submit_payment", data={"session_id": session_id})).status_code

    async def paid(self, **changes: Any) -> Any:
        session = await self.create(**changes)
        assert await self.pay(session.id) == 204
        return await self.retrieve(session.id)

    async def plant(self, point: str, action: str, **rule: Any) -> int:
        answer = await self.http.put("/_faults", json={"point": point, "action": action, **rule})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def rule(self, rule_id: int) -> dict[str, Any]:
        rules = (await self.http.get("/_faults")).json()["rules"]
        return next(rule for rule in rules if rule["id"] == rule_id)

    async def until_holding(self, rule_id: int) -> None:
        """Until a request has reached the barrier of a `hold` rule."""
        await eventually(lambda: self._holds(rule_id))

    async def _holds(self, rule_id: int) -> bool:
        return bool((await self.rule(rule_id))["holding"])

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(statement), parameters)).all())

    async def ledger(self, session_id: str) -> list[tuple[str, int]]:
        rows = await self.rows(
            "SELECT kind, amount FROM payments.ledger WHERE session_id = :id ORDER BY kind", id=session_id
        )
        return [(row.kind, row.amount) for row in rows]


def order(**changes: Any) -> Any:
    """A pair of pens and a notebook: 24.50 USD."""
    return {
        "mode": "payment",
        "success_url": "http://localhost:8082/checkout/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://localhost:8082/checkout/cancel",
        "client_reference_id": "abcde-12345",
        "metadata": {"order_id": f"order-{uuid.uuid4()}"},
        "line_items": [line("Pen", 1000, 2), line("Notebook", 450, 1)],
        **changes,
    }


def line(name: str, unit_amount: int, quantity: int, currency: str = "usd") -> Any:
    price = {"currency": currency, "unit_amount": unit_amount, "product_data": {"name": name}}
    return {"price_data": price, "quantity": quantity}


@pytest.fixture(scope="session")
async def payments_database_url(database_server: DatabaseServer) -> AsyncIterator[str]:
    """An empty database: the service migrates it by itself."""
    async with database_server.empty() as url:
        yield url


@pytest.fixture(scope="session")
async def _receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serve(receiver) as url:
        receiver.url = f"{url}/payment_webhook"
        yield receiver


@pytest.fixture
async def receiver(_receiver: Receiver) -> AsyncIterator[Receiver]:
    yield _receiver
    _receiver.answer = lambda _: 200
    _receiver.gate = None


@pytest.fixture(scope="session")
async def service_url(payments_database_url: str, _receiver: Receiver) -> AsyncIterator[str]:
    async with in_process(
        payments_database_url, _receiver.url, PAYMENT_WEBHOOK_RETRY_CAP=0.5, PAYMENT_LATER=0.3
    ) as url:
        yield url


@pytest.fixture(scope="session")
async def payments_engine(payments_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(payments_database_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def merchant(service_url: str, payments_engine: AsyncEngine) -> AsyncIterator[Merchant]:
    """A merchant that talks to the service. What it planted is gone afterwards."""
    async with merchant_at(service_url, payments_engine) as merchant:
        yield merchant
        await merchant.http.delete("/_faults")


@asynccontextmanager
async def merchant_at(url: str, engine: AsyncEngine) -> AsyncIterator[Merchant]:
    """A `Merchant` for a service at any address."""
    client = stripe.StripeClient(
        KEY, base_addresses={"api": url}, http_client=stripe.HTTPXClient(), max_network_retries=0
    )
    headers = {"authorization": f"Bearer {KEY}"}
    # `verify`: there is no TLS here, and to read who may sign for it takes 15 ms.
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20, verify=False) as http:
        yield Merchant(url, client, http, engine)


def in_seconds(seconds: float) -> int:
    return int(time.time() + seconds)
