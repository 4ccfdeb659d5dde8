"""One customer of a shop, over two connections of its own: Buy, and pay. What can go wrong is counted by its kind."""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass

from bench.http import Answer, Connection, HTTPFailed
from bench.target import Target
from bench.watch import GOOD, Watch

NOT_YET = frozenset({202, 429, 503})


class CheckoutFailed(Exception):
    """One checkout did not end as it should. The message is the kind of error: no ids, so that kinds count."""


@dataclass(frozen=True)
class Bought:
    """What is to be paid."""

    key: str
    order_id: str
    session_id: str


class Customer:
    """Speaks the shop's dialect: the answer of Buy names a session, which is paid at the payment service. Deadlines are
    of `time.perf_counter`; what is late or refused raises `CheckoutFailed`."""

    def __init__(self, target: Target, number: int = 0) -> None:
        """`number` picks one of several gateways."""
        gateways = (target.gateway_url, *target.more_gateways)
        self.gateway = Connection(gateways[number % len(gateways)])
        self.payment = Connection(target.payment_url)
        self.retries = 0
        """Answers that meant "not yet": the same key was sent again."""

    async def __aenter__(self) -> "Customer":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gateway.close()
        self.payment.close()

    async def buy(self, key: str, sku: str, deadline: float) -> Bought:
        """Until `deadline`, "not yet" and lost replies are asked again under the same key."""
        body = json.dumps({"items": [{"sku": sku, "quantity": 1}]}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        order = (await self._insist(f"/checkout/{key}", body, headers, deadline)).json()
        return Bought(key, str(order["order_id"]), str(order["session_id"]))

    async def finish(self, bought: Bought, watch: Watch, deadline: float) -> None:
        """Pay, and return when the order is fulfilled."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with watch.expecting(bought.order_id) as ended:
            await self._pay(self.payment, "/api/submit_payment", f"session_id={bought.session_id}".encode(), headers)
            try:
                async with asyncio.timeout(max(0.0, deadline - time.perf_counter())):
                    status = await ended
            except TimeoutError:
                raise CheckoutFailed("paid: not fulfilled in time") from None
        if status not in GOOD:
            raise CheckoutFailed(f"paid: order {status}")

    async def _insist(self, path: str, body: bytes, headers: dict[str, str], deadline: float) -> Answer:
        while True:
            delay = 0.5
            try:
                answer = await self.gateway.request("POST", path, body, headers)
            except HTTPFailed:
                kind = "buy: no answer"
            else:
                if answer.status == 200:
                    return answer
                kind = f"buy: {kind_of(answer)}"
                if answer.status not in NOT_YET:
                    raise CheckoutFailed(kind)
                delay = min(max(float(answer.headers.get("retry-after", "1")), 0.1), 5.0)
            if time.perf_counter() + delay > deadline:
                raise CheckoutFailed(kind)
            self.retries += 1
            await asyncio.sleep(delay)

    async def _pay(self, where: Connection, path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            answer = await where.request("POST", path, body, headers)
        except HTTPFailed:
            raise CheckoutFailed("pay: no answer") from None
        if not 200 <= answer.status < 300:
            raise CheckoutFailed(f"pay: {kind_of(answer)}")


class WidgetCustomer(Customer):
    """DBOS's widget store: no cart, and its own webhook, unsigned, is where one pays and hears of the end."""

    async def buy(self, key: str, sku: str, deadline: float) -> Bought:
        answer = await self._insist(f"/checkout/{key}", b"", {}, deadline)
        return Bought(key, key, answer.body.decode())

    async def finish(self, bought: Bought, watch: Watch, deadline: float) -> None:
        await self._pay(self.gateway, f"/payment_webhook/{bought.session_id}/paid", b"", {})


def customer_of(target: Target, number: int = 0) -> Customer:
    return {"shop": Customer, "widgets": WidgetCustomer}[target.dialect](target, number)


def new_key() -> str:
    return f"bench-{secrets.token_urlsafe(16)}"


def kind_of(answer: Answer) -> str:
    """`HTTP 409 out-of-stock`: the status and, from a problem document, its code."""
    try:
        code = answer.json().get("code", "")
    except (ValueError, AttributeError):
        code = ""
    return f"HTTP {answer.status} {code}".rstrip()
