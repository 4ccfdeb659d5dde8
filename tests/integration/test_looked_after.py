"""Who looks after an order, whatever a newer Temporal says of its workflow and whatever is wrong with another one."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    PauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from api.audit import Auditor
from checkout.contracts import SweepResult
from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus
from checkout.sessions import PaymentSession
from db import orders
from db.order_queries import UnsettledOrder
from runtime.connection import connect
from stack.stack import Stack
from tests.support.orders import awaiting, open_order
from tests.support.rig import TOKEN, Rig, gateway, settings_for
from worker.activities.settlements import SettlementActivities
from worker.looked_after import is_looked_after
from worker.starting import Starter

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


async def pause(client: Client, workflow_id: str) -> None:
    """As with `temporal workflow pause`: its status is then one that the SDK does not know."""
    service, names = client.workflow_service, {"namespace": client.namespace, "workflow_id": workflow_id}
    await service.pause_workflow_execution(PauseWorkflowExecutionRequest(**names, request_id=str(uuid.uuid4())))
    with pytest.raises(ValueError, match="not a valid WorkflowExecutionStatus"):
        await client.get_workflow_handle(workflow_id).describe()


async def unpause(client: Client, workflow_id: str) -> None:
    service, names = client.workflow_service, {"namespace": client.namespace, "workflow_id": workflow_id}
    await service.unpause_workflow_execution(UnpauseWorkflowExecutionRequest(**names, request_id=str(uuid.uuid4())))


async def test_a_workflow_in_a_state_that_our_sdk_does_not_know_is_one_that_runs(rig: Rig) -> None:
    paused, order_id, session_id = await rig.bought()
    lost, lost_id, _ = await rig.bought()
    await rig.terminate(lost)
    await pause(rig.temporal, paused)

    assert (await rig.sweep()).settlements_started == 1
    assert not await rig.is_known(settlement_workflow_id(session_id)), "the paused one has its workflow"

    audit = await rig.http.get("/admin/audit", headers=OPERATOR)
    assert (audit.status_code, audit.json()["invariants"][9]["violations"]) == (200, [])

    await unpause(rig.temporal, paused)
    rig.provider.pay(session_id)
    assert (await rig.tell(session_id, paused)).status_code == 200
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert (await rig.order(lost_id)).status is OrderStatus.AWAITING_PAYMENT


async def test_the_operator_reads_what_the_server_calls_it(rig: Rig) -> None:
    key, order_id, _ = await rig.bought()
    await pause(rig.temporal, key)
    at_home = {"Origin": rig.settings.public_url}
    await rig.http.post("/admin/login", data={"token": TOKEN}, headers=at_home)
    page = await rig.http.get(f"/admin/console/orders/{order_id}")
    assert page.status_code == 200
    assert "paused" in page.text


async def test_a_key_whose_checkout_is_paused_waits_and_still_tells_another_cart_from_its_own(
    database_url: str, temporal_server: Stack
) -> None:
    """It has no order yet, and cannot be asked: only the server can tell what it was started with."""
    settings = settings_for(database_url, temporal_server.config.settings.temporal_port, CHECKOUT_SESSION_WAIT=0.3)
    temporal = await connect(settings)
    async with gateway(settings) as http:
        assert (await http.post("/checkout/paused-at-once")).status_code == 202, "there is no worker"
        await pause(temporal, "paused-at-once")
        assert (await http.post("/checkout/paused-at-once")).status_code == 202
        cart = {"items": [{"sku": "pen", "quantity": 2}]}
        assert (await http.post("/checkout/paused-at-once", json=cart)).status_code == 422


class HalfAway:
    """A Temporal client, of whose server the part that keeps the workflow `unavailable` is away."""

    def __init__(self, client: Client, unavailable: str) -> None:
        self._client, self._unavailable = client, unavailable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    @property
    def workflow_service(self) -> "HalfAway":
        return HalfAway(cast(Any, self._client.workflow_service), self._unavailable)

    async def describe_workflow_execution(self, request: DescribeWorkflowExecutionRequest, **how: Any) -> Any:
        if request.execution.workflow_id == self._unavailable:
            raise RPCError("shard status unknown", RPCStatusCode.UNAVAILABLE, b"")
        return await cast(Any, self._client).describe_workflow_execution(request, **how)


async def test_an_order_that_nobody_can_ask_about_holds_up_no_other(rig: Rig) -> None:
    for key in ("poison", "orphan"):
        await awaiting(rig.engine, key)
    half_away = cast(Client, HalfAway(rig.temporal, "poison"))
    result = await ActivityEnvironment().run(
        SettlementActivities(rig.engine, half_away, Starter(half_away).settlement, grace=0).sweep_orders
    )
    assert (result.live_orders, result.settlements_started) == (2, 1)
    assert await rig.is_known(settlement_workflow_id("cs_orphan"))


async def test_an_order_that_cannot_be_handed_on_holds_up_no_other(rig: Rig) -> None:
    """Its settlement's name would be longer than Temporal takes."""
    order = await open_order(rig.engine, "long")
    async with rig.engine.begin() as connection:
        await orders.record_session(connection, order.order_id, PaymentSession("cs_" + "x" * 1500, "https://pay"))
    await awaiting(rig.engine, "behind")
    result = await rig.sweep()
    assert (result.live_orders, result.settlements_started) == (2, 1)
    assert await rig.is_known(settlement_workflow_id("cs_behind"))


async def test_the_audit_tells_of_an_order_that_nobody_can_ask_about_and_of_the_others(rig: Rig) -> None:
    ids = [(await awaiting(rig.engine, key)).order_id for key in ("poison-2", "orphan-2")]
    async with rig.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE shop.orders SET created_at = now() - interval '1 minute'")
    verdict = await Auditor(rig.engine, cast(Client, HalfAway(rig.temporal, "poison-2"))).recent(timedelta(0))
    [unaskable, orphaned] = verdict.invariants[9].violations
    assert ids[0] in unaskable
    assert "cannot say" in unaskable
    assert ids[1] in orphaned
    assert "no workflow looks after it" in orphaned


async def test_with_temporal_away_the_sweep_fails_as_a_whole_and_is_tried_again(rig: Rig) -> None:
    await awaiting(rig.engine, "orphan")
    nobody = await Client.connect("127.0.0.1:1", lazy=True)
    activities = SettlementActivities(rig.engine, nobody, Starter(nobody).settlement, grace=0, listing=_empty)
    with pytest.raises(RuntimeError, match="Failed client connect"):
        await ActivityEnvironment().run(activities.sweep_orders)


async def _empty(_: Client) -> set[str]:
    return set()


async def test_the_last_of_sixty_orders_is_looked_at_too(rig: Rig) -> None:
    begun = await asyncio.gather(*(rig.bought() for _ in range(60)))
    await rig.terminate(begun[-1][0])
    result: SweepResult = await rig.sweep()
    assert (result.live_orders, result.settlements_started) == (60, 1)


async def test_what_is_listed_is_not_asked_for_one_by_one() -> None:
    """After a loss of Temporal's data thousands of settlements run at once, and a sweep has 20 seconds."""
    nobody = await Client.connect("127.0.0.1:1", lazy=True)
    order = UnsettledOrder("ord_1", "key", "cs_1")
    for running in ({"key"}, {settlement_workflow_id("cs_1")}, {settlement_workflow_id("ord_1")}):
        assert await is_looked_after(nobody, order, running)
