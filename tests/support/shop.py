"""A customer and an operator over HTTP, against the running stack."""

import secrets
from functools import partial
from typing import Any, Self

import httpx

from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.patience import answered
from tests.support.payment import PaymentService


class Shop:
    """`async with`: the gateway and the payment service of a stack, without faults."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        # `verify`: there is no TLS here, and to read who may sign for it takes 15 ms.
        self.http = httpx.AsyncClient(base_url=stack.urls["gateway"], timeout=30, verify=False)
        self.payment = PaymentService(stack.urls["payment"])

    async def __aenter__(self) -> Self:
        await self.payment.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> None:
        await self.payment.__aexit__(*how)
        await self.http.aclose()

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.stack.admin_token}"}

    @staticmethod
    def key() -> str:
        return f"t-{secrets.token_hex(8)}"

    async def post(self, key: str | None = None, *, sku: str = "pen", quantity: int = 1, **more: Any) -> httpx.Response:
        path = "/checkout" if key is None else f"/checkout/{key}"
        return await self.http.post(path, json={"items": [{"sku": sku, "quantity": quantity}]}, **more)

    async def buy(self, key: str | None = None, *, sku: str = "pen", quantity: int = 1) -> dict[str, Any]:
        key = key or self.key()
        answer = await answered(lambda: self.post(key, sku=sku, quantity=quantity))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def order(self, order_id: str) -> dict[str, Any]:
        answer = await answered(lambda: self.http.get(f"/orders/{order_id}"))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, order_id: str, *statuses: str, within: float = 20.0) -> dict[str, Any]:
        """The order, once it has one of the statuses."""

        async def look() -> dict[str, Any] | None:
            order = await self.order(order_id)
            return order if order["status"] in statuses else None

        order = await eventually(look, within=within, what=f"order {order_id} being {' or '.join(statuses)}")
        assert order is not None
        return order

    async def paid(self, method: str | None = None, **cart: Any) -> dict[str, Any]:
        """A bought and paid order's checkout answer, once it is fulfilled."""
        body = await self.buy(**cart)
        await self.payment.pay(body["session_id"], method)
        await self.until(body["order_id"], "fulfilled", "dispatched")
        return body

    async def refund(self, order_id: str, key: str | None = None, **wanted: Any) -> httpx.Response:
        """What an operator asks for: nothing said, all that is left."""
        headers = self.operator | ({"Idempotency-Key": key} if key else {})
        path = f"/admin/orders/{order_id}/refund"
        return await answered(lambda: self.http.post(path, json=wanted or None, headers=headers))

    async def seen_by_operator(self, order_id: str) -> dict[str, Any]:
        answer = await answered(lambda: self.http.get(f"/admin/orders/{order_id}", headers=self.operator))
        return dict(answer.raise_for_status().json())

    async def available(self, sku: str) -> int:
        products = (await answered(lambda: self.http.get("/products"))).json()["products"]
        return int(next(product["available"] for product in products if product["sku"] == sku))

    async def restock(self, sku: str, quantity: int) -> None:
        body = {"sku": sku, "quantity": quantity}
        (await self.http.post("/admin/restock", json=body, headers=self.operator)).raise_for_status()

    async def audit(self) -> dict[str, Any]:
        """The auditor's verdict on everything, without any grace: the system must be quiet."""
        ask = partial(self.http.get, "/admin/audit", params={"grace": 0, "whole": True}, headers=self.operator)
        answer = await answered(ask)
        answer.raise_for_status()
        return dict(answer.json())

    async def is_clean(self) -> bool:
        return bool((await self.audit())["ok"])
