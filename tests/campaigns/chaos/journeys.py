"""What customers and operators do, each to its end, and what that end must be. One journey for every step there is."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.failpoints import Step
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.interventions import ended, force_payment, give_back, pay_again, terminate
from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.chaos.world import World


@dataclass
class Trip:
    """A journey under way: who is on it, and what came of it."""

    world: World
    hasty: str
    """Address of the gateway whose customers have little time to pay."""
    customers: list[Customer] = field(default_factory=list)

    def customer(self, **options: object) -> Customer:
        customer = Customer(self.world, **options)  # type: ignore[arg-type] # its own keywords, passed on
        self.customers.append(customer)
        return customer

    async def check(self) -> None:
        for customer in self.customers:
            await customer.check()


Journey = Callable[[Trip], Awaitable[str]]
"""Answers what came of it. Raises `Violated` when that is wrong."""


async def pay(trip: Trip) -> str:
    customer = trip.customer(cart={"pen": 1, "notebook": 2})
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    return str((await customer.until("dispatched"))["status"])


async def cancel(trip: Trip) -> str:
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.cancel(), "the order to be cancelled")
    expect(not await customer.pay(), "the closed session to refuse the payment")
    order = await customer.until("cancelled")
    return f"{order['status']}:{order['reason']}"


async def leave(trip: Trip) -> str:
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    await customer.leave()
    order = await customer.until("cancelled")
    return f"{order['status']}:{order['reason']}"


async def abandon(trip: Trip) -> str:
    customer = trip.customer(gateway=trip.hasty)
    expect(await customer.buy(), "a session")
    order = await customer.until("cancelled")
    expect(not await customer.pay(), "the closed session to refuse the payment")
    return f"{order['status']}:{order['reason']}"


async def late_money(trip: Trip) -> str:
    """Money comes after the cancel, by an error of the provider's: it must go back, once."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.cancel(), "the order to be cancelled")
    # Else the checkout might hear of it in its last moment, and no settlement would be needed.
    await ended(trip.world, customer.key)
    await force_payment(trip.world, customer)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def refund(trip: Trip) -> str:
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    url = f"{trip.world.gateway}/admin/orders/{customer.order_id}/refund"

    async def ask() -> str | None:
        answer = await trip.world.http.post(url, headers=trip.world.operator, timeout=15)
        return str(answer.json()["status"]) if answer.status_code == 200 else None

    expect(await in_time(ask, 60, "no refund") == "refunded", "the refund")
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def refused_refund(trip: Trip) -> str:
    """The provider refuses an operator's refund: nothing moves, and asked again it is made."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    rule = await trip.world.plant("refund.before", "error", status=400)
    url = f"{trip.world.gateway}/admin/orders/{customer.order_id}/refund"

    async def ask() -> bool | None:
        answer = await trip.world.http.post(url, headers=trip.world.operator, timeout=15)
        return True if answer.status_code == 200 and answer.json()["status"] == "refunded" else None

    await in_time(ask, 60, "no refund")
    await trip.world.planted(rule)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def refund_without_news(trip: Trip) -> str:
    """A refund is on its way, succeeds, and no webhook tells: the sweep has it looked at."""
    world, customer = trip.world, trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    body = {"session_id": customer.session_id, "status": "pending"}
    made = (await world.http.post(f"{world.payment}/_faults/refund", json=body)).raise_for_status().json()

    async def is_known() -> bool | None:
        looked = f"SELECT count(*) FROM shop.refunds WHERE provider_refund_id = '{made['id']}'"
        return True if int((await world.query(looked))[0][0]) else None

    await in_time(is_known, 60, "the refund is not known")
    rule = await world.plant("webhook", "lose", times=10)
    become = {"id": made["id"], "status": "succeeded"}
    (await world.http.post(f"{world.payment}/_faults/become", json=become)).raise_for_status()
    due = "UPDATE shop.payments SET look_at = clock_timestamp() WHERE order_id = $1 AND look_at > clock_timestamp()"

    async def is_found_out() -> dict[str, Any] | None:
        await world.query(due, customer.order_id)  # nobody waits for half a minute, or a whole one
        order = await customer.look()
        return order if order["status"] == "refunded" else None

    order = await in_time(is_found_out, 60, "nobody looked at the refund")
    await world.planted(rule)
    return f"{order['status']}:{order['reason']}"


async def bank_debit(trip: Trip) -> str:
    """The customer orders a payment that takes days; days later the money is there."""
    world, customer = trip.world, trip.customer()
    expect(await customer.buy(), "a session")
    form = {"session_id": customer.session_id, "payment_method": "pm_usBankAccount_processing"}
    (await world.http.post(f"{world.payment}/api/submit_payment", data=form)).raise_for_status()
    await customer.until("payment_processing")
    become = {"id": customer.session_id, "status": "succeeded"}
    (await world.http.post(f"{world.payment}/_faults/become", json=become)).raise_for_status()
    return str((await customer.until("dispatched"))["status"])


async def refund_elsewhere(trip: Trip) -> str:
    """Somebody gives the money back in the payment service's dashboard: the order must follow."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    await give_back(trip.world, customer)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def stuck(trip: Trip) -> str:
    """The provider stores a 500 under our idempotency key. Once it is known that no session came of it, the next key
    has one."""
    rule = await trip.world.plant("create.before", "sticky_error", status=500)
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    await trip.world.planted(rule)
    expect(await customer.pay(), "the payment to be taken")
    return str((await customer.until("dispatched"))["status"])


async def orphan(trip: Trip) -> str:
    """Somebody terminates the workflow in Temporal's UI; the sweep finds the order, and it goes on."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    await terminate(trip.world, customer.key)
    expect(await customer.pay(), "the payment to be taken")
    return str((await customer.until("dispatched"))["status"])


async def orphan_without_news(trip: Trip) -> str:
    """The same, and no webhook comes either: the sweep alone must find that the order's time is up."""
    customer = trip.customer(gateway=trip.hasty)
    expect(await customer.buy(), "a session")
    await terminate(trip.world, customer.key)
    order = await customer.until("cancelled")
    return f"{order['status']}:{order['reason']}"


async def second_session(trip: Trip) -> str:
    """A second session under the order's key is paid: its money goes back, and the order goes on."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    other = await pay_again(trip.world, customer)

    async def is_given_back() -> bool | None:
        statement = f"SELECT count(*) FROM payments.ledger WHERE session_id = '{other}' AND kind = 'refund'"
        return True if int((await trip.world.query(statement))[0][0]) == 1 else None

    await in_time(is_given_back, 60, "the second session's money was kept")
    expect(await customer.pay(), "the payment to be taken")
    return str((await customer.until("dispatched"))["status"])


async def restock(trip: Trip) -> str:
    """An operator adds stock, seeing an error or not, and looks before doing it again: the audit counts."""
    world = trip.world
    before = await _movements(world)
    url = f"{world.gateway}/admin/restock"

    async def ask() -> bool | None:
        answer = await world.http.post(url, json={"sku": "pen", "quantity": 7}, headers=world.operator)
        return True if answer.status_code == 200 else None

    await in_time(ask, 60, "no restock")
    expect(await _movements(world) - before in (1, 2), "one restock, or two when the first one's answer was lost")
    return "restocked"


async def withdraw(trip: Trip) -> str:
    """An operator takes a product out of the shop and puts it back; said twice, it is so once."""
    world = trip.world
    for call, sold in (("withdraw", False), ("offer", True)):
        url = f"{world.gateway}/admin/products/tote-bag/{call}"

        async def ask(url: str = url) -> bool | None:
            answer = await world.http.post(url, headers=world.operator)
            return True if answer.status_code == 200 else None

        await in_time(ask, 60, f"no {call}")
        listed = (await world.http.get(f"{world.gateway}/products")).json()["products"]
        expect(any(product["sku"] == "tote-bag" for product in listed) is sold, f"sold: {sold}")
    return "offered again"


async def _movements(world: World) -> int:
    rows = await world.query("SELECT count(*) FROM shop.stock_movements WHERE cause = 'restock'")
    return int(rows[0][0])


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(6)}"


JOURNEY_OF: Mapping[Step, Journey] = {
    Step.BUY: pay,
    Step.START_CHECKOUT: pay,
    Step.TAKE_EVENT: pay,
    Step.SIGNAL_PAYMENT: pay,
    Step.START_SETTLEMENT: late_money,
    Step.ASK_TO_CANCEL: cancel,
    Step.START_REFUND: refund,
    Step.CHANGE_STOCK: restock,
    Step.CHANGE_CATALOGUE: withdraw,
    Step.OPEN_ORDER: pay,
    Step.FIND_ORDER: late_money,
    Step.RECORD_SESSION: pay,
    Step.PROCESS_ORDER: bank_debit,
    Step.FULFIL_ORDER: pay,
    Step.RELEASE_ORDER: cancel,
    Step.RECORD_DEBT: late_money,
    Step.REQUEST_REFUND: refund,
    Step.RECORD_REFUND: late_money,
    Step.GIVE_UP_REFUND: refused_refund,
    Step.RECORD_MONEY: refund_elsewhere,
    Step.DISPATCH_ORDER: pay,
    Step.CREATE_AT_PROVIDER: pay,
    Step.FIND_AT_PROVIDER: stuck,
    Step.RETRIEVE_AT_PROVIDER: pay,
    Step.EXPIRE_AT_PROVIDER: cancel,
    Step.REFUND_AT_PROVIDER: late_money,
    Step.LOOK_AT_PAYMENT: refund_elsewhere,
    Step.SWEEP: orphan_without_news,
    Step.HAND_TO_SETTLEMENT: orphan_without_news,
    Step.FOLLOW_PAYMENT: refund_without_news,
    Step.HAND_ON_SESSION: second_session,
}
