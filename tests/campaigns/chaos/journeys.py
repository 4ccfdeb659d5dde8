"""What customers and operators do, each to its end, and what that end must be. One journey for every step there is."""

from collections.abc import Mapping

from runtime.failpoints import Step
from tests.campaigns.chaos.interventions import ended, force_payment, pay_again, terminate
from tests.campaigns.chaos.refund_journeys import (
    bank_debit,
    refund,
    refund_elsewhere,
    refund_without_news,
    refused_refund,
)
from tests.campaigns.chaos.trip import Journey, Trip
from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.chaos.world import World


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
