"""Marked secrets, put wherever a customer or an operator can put them, for a search of everything stored."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import httpx

from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.stacks import log_of

CARD = "4000002500003155"


@dataclass(frozen=True)
class Trail:
    """What was done, and what of it must be found or must not."""

    mark: str
    email: str
    keys: list[str]
    order_ids: list[str]


async def leave_trail(guarded: Stack) -> Trail:
    """A paid, a cancelled, a refused and a refunded checkout, and everything a customer may get wrong."""
    mark = secrets.token_hex(6)
    made = Trail(mark, f"ada.{mark}@canary.example", [], [])
    operator = {"Authorization": f"Bearer {guarded.admin_token}"}
    async with (
        httpx.AsyncClient(base_url=guarded.urls["gateway"], timeout=20, verify=False) as gateway,
        httpx.AsyncClient(base_url=guarded.urls["payment"], timeout=20, verify=False) as payment,
    ):
        for end in ("pay", "cancel", "refund", "refuse", "stumble"):
            key = f"canary-{end}-{mark}"
            if end == "refuse":
                rule = {"point": "create.before", "action": "error", "match": {"client_reference_id": key}}
                for reply in ({"status": 429, "times": 2}, {"status": 400, "times": None}):
                    (await payment.put("/_faults", json=rule | reply)).raise_for_status()
            async with held(guarded, key) if end == "stumble" else contextlib.nullcontext():
                answer = await gateway.post(f"/checkout/{key}", json={"email": made.email})
            while answer.status_code == 202:
                answer = await gateway.post(f"/checkout/{key}", json={"email": made.email})
            order = answer.json()
            made.keys.append(key)
            made.order_ids.append(order["order_id"])
            if end in ("pay", "refund"):
                wrong = {"payment_method": CARD, "card_number": CARD}
                await payment.post(f"/payment/{order['session_id']}/pay", data=wrong)
                await payment.post("/api/submit_payment", data={"session_id": order["session_id"]})
            if end in ("cancel", "stumble"):
                await gateway.post(f"/orders/{order['order_id']}/cancel")
        for body in (
            {"card": CARD, "email": made.email},
            {"email": f"{made.email} {CARD}"},
            {"items": [{"sku": CARD}]},
        ):
            await gateway.post("/checkout", json=body)
        await gateway.post("/checkout", data={"sku": "pen", "quantity": "x", "email": made.email})
        await gateway.get("/admin/orders", params={"q": made.email}, headers=operator)
        await gateway.get("/admin/orders", headers={"Authorization": f"Bearer wrong-{mark}"})
        await gateway.post(
            "/payment_webhook", content=made.email.encode(), headers={"Stripe-Signature": f"t=1,v1={mark}"}
        )
        await ended(gateway, made.order_ids)
        (await gateway.post(f"/admin/orders/{made.order_ids[2]}/refund", headers=operator)).raise_for_status()
    return made


@asynccontextmanager
async def held(guarded: Stack, key: str) -> AsyncIterator[None]:
    """Another transaction is about to insert an order of this key: ours waits, and fails for lack of patience."""
    connection = await asyncpg.connect(guarded.database_url)
    order = (
        "INSERT INTO shop.orders (id, checkout_key, fingerprint, status, amount_total, currency, expires_at)"
        f" VALUES ('ord_of_another', '{key}', '{'0' * 64}', 'pending', 1, 'usd', now())"
    )

    async def is_told() -> bool:
        return "lock timeout" in log_of(guarded, "worker")

    async def let_go() -> None:
        await eventually(is_told, what="the failed statement in the worker's log")
        await connection.close()

    await connection.execute("BEGIN")
    await connection.execute(order)
    letting_go = asyncio.create_task(let_go())
    try:
        yield
        await letting_go
    finally:
        letting_go.cancel()
        connection.terminate()


async def ended(gateway: httpx.AsyncClient, order_ids: list[str]) -> None:
    for _ in range(200):
        states = [(await gateway.get(f"/orders/{each}")).json()["status"] for each in order_ids]
        if not {"pending", "awaiting_payment", "fulfilled"} & set(states):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(states)
