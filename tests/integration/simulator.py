"""The payment service in this process, seen through the shop's adapter, by its customer, and in its tables."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from checkout.sessions import ProviderSession, SessionLine, SessionRequest
from runtime.settings import load_settings
from tests.integration.payment_mock.serving import KEY, in_process
from worker.payments.stripe_adapter import StripeProvider


class Simulator:
    def __init__(self, url: str, database_url: str, http: httpx.AsyncClient) -> None:
        self.provider = StripeProvider(load_settings(STRIPE_API_BASE=url, STRIPE_SECRET_KEY=KEY))
        self.http = http
        self.database_url = database_url

    async def fault(self, point: str, action: str, **more: object) -> int:
        """Set a rule; answers its id."""
        answer = await self.http.put("/_faults", json={"point": point, "action": action, **more})
        return int(answer.raise_for_status().json()["id"])

    async def fired(self, rule: int) -> int:
        """How often a rule has fired: a test whose fault never fired proves nothing."""
        rules = (await self.http.get("/_faults")).json()["rules"]
        return sum(found["fired"] for found in rules if found["id"] == rule)

    async def post(self, path: str, form: dict[str, Any], **headers: str) -> httpx.Response:
        """As the shop's account, past its adapter."""
        return await self.http.post(path, data=form, headers={"Authorization": f"Bearer {KEY}"} | headers)

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path, headers={"Authorization": f"Bearer {KEY}"})
        return answer.raise_for_status().json()

    async def pay(self, session_id: str) -> None:
        (await self.http.post("/api/submit_payment", data={"session_id": session_id})).raise_for_status()

    async def become(self, identifier: str, status: str) -> None:
        """What the outside world makes of a payment, a refund or a dispute."""
        body = {"id": identifier, "status": status}
        (await self.http.post("/_faults/become", json=body)).raise_for_status()

    async def paid(self) -> ProviderSession:
        """A session of 20.00 USD that its customer has paid."""
        session = await self.provider.create_session(request())
        await self.pay(session.session_id)
        return await self.provider.retrieve_session(session.session_id)

    async def paid_intent(self) -> str:
        return str((await self.paid()).payment_intent_id)

    async def count(self, statement: str) -> int:
        connection = await asyncpg.connect(self.database_url)
        try:
            return int(await connection.fetchval(statement) or 0)
        finally:
            await connection.close()

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def refunds(self, payment_intent_id: str) -> list[int]:
        """The amounts given back, oldest first."""
        listed = await self.get(f"/v1/refunds?limit=100&payment_intent={payment_intent_id}")
        return [refund["amount"] for refund in reversed(listed["data"])]


def request(**changes: Any) -> SessionRequest:
    now = datetime.now(UTC)
    usual = {
        "order_id": f"ord_{secrets.token_hex(8)}",
        "checkout_key": "key-1",
        "currency": "usd",
        "lines": [SessionLine("Pen", 2, 1000)],
        "created_at": now,
        "pay_by": now + timedelta(minutes=15),
    }
    return SessionRequest(**(usual | changes))


@asynccontextmanager
async def simulating(database_url: str) -> AsyncIterator[Simulator]:
    """Nobody listens to its events."""
    async with (
        in_process(database_url, "http://127.0.0.1:9/payment_webhook") as url,
        httpx.AsyncClient(base_url=url, timeout=20, verify=False) as http,
    ):
        yield Simulator(url, database_url, http)
