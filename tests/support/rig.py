"""Gateway, worker and a payment service in memory, all in this process, over a real PostgreSQL and a real Temporal.

What the whole stack would take ten seconds to start, this has in two: for tests of the gateway's and the sweep's
guards, which planted bugs run again and again (`tests/campaigns/mutants`).
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from api.app import create_app
from checkout.contracts import SweepResult
from checkout.orders import Order, OrderStatus
from db import order_queries
from runtime.connection import connect
from runtime.settings import Settings, load_settings
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.patience import answered
from tests.support.provider import FakeProvider
from worker.activities.settlements import BATCH, SettlementActivities
from worker.app import Dependencies, create_worker
from worker.looked_after import running_workflows
from worker.starting import Starter

SECRET = "whsec_of_the_rig"
TOKEN = "operator-of-the-rig"


@dataclass
class Rig:
    settings: Settings
    engine: AsyncEngine
    temporal: Client
    http: httpx.AsyncClient
    provider: FakeProvider = field(default_factory=FakeProvider)

    async def press(self, key: str | None = None, **cart: Any) -> httpx.Response:
        """Press Buy, once."""
        path = f"/checkout/{key}" if key else "/checkout"
        return await self.http.post(path, json=cart) if cart else await self.http.post(path)

    async def buy(self, key: str, **cart: Any) -> httpx.Response:
        """Press Buy until there is an answer."""
        return await answered(lambda: self.press(key, **cart))

    async def cancel(self, order_id: str) -> httpx.Response:
        return await answered(lambda: self.http.post(f"/orders/{order_id}/cancel"))

    async def bought(self) -> tuple[str, str, str]:
        """A checkout that waits for its payment: key, order id, session id."""
        answer = await self.buy(secrets.token_hex(8))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return body["checkout_key"], body["order_id"], body["session_id"]

    async def tell(self, session_id: str, key: str | None = None, *, once: bool = False) -> httpx.Response:
        """A signed webhook: the session is complete. As the payment service does, until it is taken; or `once`."""
        subject = {"id": session_id, "object": "checkout.session", "client_reference_id": key}
        return await self._tell("checkout.session.completed", subject, once)

    async def tell_refund(self, payment_intent_id: str, amount_refunded: int = 1000) -> httpx.Response:
        """A signed webhook: so much of a payment was given back by now."""
        charge = {"id": "ch_1", "payment_intent": payment_intent_id, "amount_refunded": amount_refunded}
        return await self._tell("charge.refunded", charge, once=False)

    async def tell_money(self, kind: str, payment_intent_id: str, **subject: Any) -> httpx.Response:
        """A signed webhook of a refund or a dispute."""
        return await self._tell(kind, {"id": "x_1", "payment_intent": payment_intent_id, **subject}, once=False)

    async def _tell(self, kind: str, subject: dict[str, Any], once: bool) -> httpx.Response:
        event = {"id": f"evt_{secrets.token_hex(8)}", "type": kind, "data": {"object": subject}}
        body = json.dumps(event).encode()
        headers = {"Stripe-Signature": signature(body, SECRET)}

        async def send() -> httpx.Response:
            return await self.http.post("/payment_webhook", content=body, headers=headers)

        return await (send() if once else answered(send))

    async def order(self, order_id: str) -> Order:
        async with self.engine.connect() as connection:
            return await order_queries.get_order(connection, order_id)

    async def until(self, order_id: str, *statuses: OrderStatus) -> Order:
        async def look() -> Order | None:
            order = await self.order(order_id)
            return order if order.status in statuses else None

        # A step that was refused for a while is tried again every 15 seconds.
        order = await eventually(look, within=60, what=f"the order being {' or '.join(statuses)}")
        assert order is not None
        return order

    async def sweep(self, grace: float = 0.0, batch: int = BATCH) -> SweepResult:
        """Look once for what nobody looks after, as the schedule does every few seconds."""
        activities = SettlementActivities(
            self.engine, self.temporal, Starter(self.temporal).settlement, grace=grace, batch=batch
        )
        return await ActivityEnvironment().run(activities.sweep_orders)

    async def terminate(self, key: str) -> None:
        """Until Temporal's listing, which lags, has noticed: first that it began, then that it ended."""

        async def is_listed() -> bool:
            return key in await running_workflows(self.temporal)

        async def is_gone() -> bool:
            return not await is_listed()

        await eventually(is_listed, what="the workflow in the listing")
        await self.temporal.get_workflow_handle(key).terminate()
        await eventually(is_gone, what="the listing without the terminated workflow")

    async def is_known(self, workflow_id: str) -> bool:
        """Whether Temporal has ever heard of the workflow, as far as it remembers."""
        try:
            await self.temporal.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True


def signature(body: bytes, secret: str, at: float | None = None) -> str:
    """Stripe's header over the body; `at` is unix seconds, by default now."""
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={hmac.new(secret.encode(), b'%d.%b' % (stamp, body), hashlib.sha256).hexdigest()}"


def settings_for(database_url: str, temporal_port: int, **changes: Any) -> Settings:
    ours = {
        "DATABASE_URL": database_url,
        "CHECKOUT_TEMPORAL_PORT": temporal_port,
        "CHECKOUT_ADMIN_TOKEN": TOKEN,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    return load_settings(**(ours | changes))


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway in this process; a bug of its own shows as 500, as it would to a customer."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=20) as client,
    ):
        yield client


@asynccontextmanager
async def assembled(database_url: str, engine: AsyncEngine, stack: Stack) -> AsyncIterator[Rig]:
    """`stack` needs to run no more than Temporal. The sweep has no grace here, and a parcel takes 0.2 s."""
    settings = settings_for(database_url, stack.config.settings.temporal_port)
    temporal, provider = await connect(settings), FakeProvider()
    dependencies = Dependencies(engine, provider, temporal, dispatch_duration=0.2, sweep_grace=0.0)
    async with create_worker(dependencies), gateway(settings) as http:
        yield Rig(settings, engine, temporal, http, provider)
