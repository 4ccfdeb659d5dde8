"""A customer with a memory: does what customers do, tries again when told to, and checks that nobody lied to them."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.campaigns.chaos.verdicts import Violated, in_time
from tests.campaigns.chaos.world import World

ENDS = frozenset({"dispatched", "rejected", "cancelled", "refunded"})
_SOLD = frozenset({"fulfilled", "dispatched", "refunded"})
# What an order may be once a customer has seen the status on the left.
AFTER = {
    "pending": frozenset({"pending", "awaiting_payment", "payment_processing", "rejected", *_SOLD, "cancelled"}),
    "awaiting_payment": frozenset({"awaiting_payment", "payment_processing", *_SOLD, "cancelled"}),
    "payment_processing": frozenset({"payment_processing", *_SOLD, "cancelled"}),
    "fulfilled": _SOLD,
    "dispatched": frozenset({"dispatched", "refunded"}),
    "rejected": frozenset({"rejected", "refunded"}),
    "cancelled": frozenset({"cancelled", "refunded"}),
    "refunded": frozenset({"refunded"}),
}
PATIENCE = 60.0  # seconds a customer goes on asking; a loaded machine with a dead server needs some


class Customer:
    """One key, one cart. `answers` are the bodies of every 200 to Buy, `seen` the statuses in the order of seeing."""

    def __init__(
        self, world: World, *, cart: dict[str, int] | None = None, gateway: str | None = None, within: float = PATIENCE
    ) -> None:
        self._world = world
        self._cart = {"items": [{"sku": sku, "quantity": n} for sku, n in (cart or {"pen": 1}).items()]}
        self._gateway = gateway or world.gateway
        self._within = within
        self.key = f"chaos-{secrets.token_hex(8)}"
        self.answers: list[bytes] = []
        self.refusal: int | None = None
        self.seen: list[str] = []
        self.has_paid = False

    @property
    def checkout(self) -> dict[str, Any]:
        """The answer to Buy."""
        return dict(json.loads(self.answers[0]))

    @property
    def order_id(self) -> str:
        return str(self.checkout["order_id"])

    @property
    def session_id(self) -> str:
        return str(self.checkout["session_id"])

    async def buy(self) -> bool:
        """Press Buy until the answer is final. True: there is a session; False: refused, see `refusal`."""
        while True:
            answer = await self._insist(lambda: self._post(f"{self._gateway}/checkout/{self.key}", json=self._cart))
            if answer.status_code == 200:
                self.answers.append(answer.content)
                return True
            if answer.status_code in (409, 502):
                self.refusal = answer.status_code
                return False
            if answer.status_code != 202:
                raise Violated(f"Buy was answered {answer.status_code}: {answer.text}")

    async def pay(self) -> bool:
        """Submit the payment until its fate is known. True: charged, for which the order is owed."""
        body = {"session_id": self.session_id}
        answer = await self._insist(lambda: self._post(f"{self._world.payment}/api/submit_payment", data=body))
        if answer.status_code not in (204, 402, 409):
            raise Violated(f"the payment page answered {answer.status_code}: {answer.text}")
        self.has_paid = self.has_paid or answer.status_code == 204
        return answer.status_code == 204

    async def leave(self) -> None:
        """Cancel on the payment page."""
        body = {"session_id": self.session_id}
        await self._insist(lambda: self._post(f"{self._world.payment}/api/cancel_payment", data=body))

    async def cancel(self) -> bool:
        """Give the order up at the shop until it says yes (True) or that it is too late (False)."""
        answer = await self._insist(lambda: self._post(f"{self._gateway}/orders/{self.order_id}/cancel"))
        if answer.status_code == 200:
            self.seen.append("cancelled")
        return answer.status_code == 200

    async def ask_for_refund(self) -> None:
        """The operator gives the money back, trying again until it is done."""
        url = f"{self._gateway}/admin/orders/{self.order_id}/refund"
        answer = await self._insist(lambda: self._world.http.post(url, headers=self._world.operator, timeout=15))
        if answer.status_code != 200:
            raise Violated(f"the refund was answered {answer.status_code}: {answer.text}")

    async def shop(self) -> None:
        """Buy, pay, and wait for the parcel to leave."""
        if not (await self.buy() and await self.pay()):
            raise Violated("expected a session that can be paid")
        await self.until("dispatched")

    def move_to(self, gateway: str) -> None:
        """From now on at another gateway: the one used so far is closed."""
        self._gateway = gateway

    async def look(self) -> dict[str, Any]:
        """The order page."""
        answer = await self._insist(lambda: self._world.http.get(f"{self._gateway}/orders/{self.order_id}"))
        if answer.status_code != 200:
            raise Violated(f"the order page answered {answer.status_code}: {answer.text}")
        order = dict(answer.json())
        self.seen.append(order["status"])
        return order

    async def until(self, *statuses: str) -> dict[str, Any]:
        """Look until the order is in one of the statuses; by default, until it has ended."""

        async def ask() -> dict[str, Any] | None:
            order = await self.look()
            return order if order["status"] in (statuses or ENDS) else None

        wanted = " or ".join(statuses or ENDS)
        return await in_time(ask, self._within, f"order {self.answers and self.order_id} did not become {wanted}")

    async def check(self) -> None:
        """Everything this customer was told is still true. Raises `Violated`."""
        if not self.answers:
            return
        await self.buy()
        if len(set(self.answers)) > 1:
            raise Violated(f"key {self.key} has several answers: {set(self.answers)}")
        order = await self.look()
        for before, after in zip(self.seen, self.seen[1:], strict=False):
            if after not in AFTER[before]:
                raise Violated(f"order {self.order_id} was {before} and then {after}")
        if self.has_paid and order["status"] not in ("fulfilled", "dispatched", "refunded"):
            raise Violated(f"order {self.order_id} was paid and is {order['status']}")
        if not self.has_paid and order["status"] in ("fulfilled", "dispatched") and not await self._was_paid():
            raise Violated(f"order {self.order_id} was not paid and is {order['status']}")

    async def _was_paid(self) -> bool:
        """The provider's word, for a payment whose answer was lost."""
        answer = await self._world.http.get(f"{self._world.payment}/api/session/{self.session_id}")
        return bool(answer.json()["payment_status"] == "paid")

    async def _post(self, url: str, **body: Any) -> httpx.Response:
        return await self._world.http.post(url, **body, timeout=8)

    async def _insist(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Send the same request until there is an answer that is not "try again"."""
        deadline = time.monotonic() + self._within
        while True:
            problem = ""
            try:
                answer = await ask()
                if answer.status_code not in (429, 500, 502, 503) or b"payment-unavailable" in answer.content:
                    return answer
                if answer.status_code == 500 and b"internal-error" in answer.content:
                    raise Violated(f"an internal error: {answer.text}")
                problem = answer.text
            except httpx.TransportError as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise Violated(f"no answer within {self._within:g} s, the last one: {problem}")
            await asyncio.sleep(0.1)
