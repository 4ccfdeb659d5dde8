"""Money that comes after an order's end is given back, once, and until then it is owed and told."""

from datetime import timedelta

from api.orders import Orders
from api.waiting import Stopping
from checkout.errors import PaymentRefused, PaymentUnknown
from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus, Reason
from db import insights, orders
from runtime.settings import Settings
from tests.support.eventually import eventually
from tests.support.provider import always, times
from tests.support.rig import Rig


async def test_an_event_of_a_closed_checkout_has_its_money_given_back(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    await rig.cancel(order_id)
    await rig.temporal.get_workflow_handle(key).result()
    rig.provider.force_pay(session_id)
    assert (await rig.tell(session_id, key)).status_code == 200
    order = await rig.until(order_id, OrderStatus.REFUNDED)
    assert (order.reason, rig.provider.refunded) == (Reason.LATE_PAYMENT, [f"pi_{session_id}"])


async def test_money_for_an_ended_order_is_looked_for_though_the_provider_knows_nothing_of_its_session(
    rig: Rig,
) -> None:
    """So it says, too, to whoever asks with another account's key. The event is taken: it is not sent again."""
    key, order_id, session_id = await rig.bought()
    assert (await rig.cancel(order_id)).status_code == 200
    await rig.temporal.get_workflow_handle(key).result()
    rig.provider.force_pay(session_id)
    rig.provider.fail["retrieve"] = times(1, PaymentUnknown("no such session"))
    assert (await rig.tell(session_id, key)).status_code == 200
    await rig.until(order_id, OrderStatus.REFUNDED)
    assert rig.provider.refunded == [f"pi_{session_id}"]


async def test_money_that_is_owed_is_told_to_customer_and_operator(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    assert (await rig.cancel(order_id)).json()["status"] == "cancelled"
    await rig.temporal.get_workflow_handle(key).result()
    rig.provider.fail["refund"] = always(PaymentRefused("no balance"))
    rig.provider.force_pay(session_id)
    await rig.tell(session_id, key)

    async def is_told() -> bool:
        return bool((await rig.http.get(f"/orders/{order_id}")).json()["payment"]["status"] == "refund_due")

    await eventually(is_told, what="the debt")
    page = (await rig.http.get(f"/orders/{order_id}/view", headers={"Accept": "text/html"})).text
    assert "being given back" in page
    assert "Nothing was charged" not in page
    async with rig.engine.connect() as connection:
        stuck = await insights.stuck_orders(connection, timedelta(0))
    assert [(row.id, row.why) for row in stuck] == [(order_id, "owing")]
    # The next test's worker would go on with it: they share the Temporal.
    await rig.temporal.get_workflow_handle(settlement_workflow_id(session_id)).terminate()


async def test_an_operator_has_the_money_of_a_kept_order_looked_at_though_its_checkout_still_runs(rig: Rig) -> None:
    """Its worker died after the commit, say: the checkout will end, and asks nobody any more."""
    _, order_id, session_id = await rig.bought()
    async with rig.engine.begin() as connection:
        await orders.fulfil_order(connection, order_id, f"pi_{session_id}", timedelta(minutes=5))
    await Orders(rig.engine, rig.temporal, Settings(_env_file=None), Stopping()).settle(order_id)
    assert await rig.is_known(settlement_workflow_id(session_id))
