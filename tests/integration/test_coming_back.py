"""The two ways back from the payment service: pages that may be opened as often as anybody likes."""

import asyncio

from temporalio.client import WorkflowExecutionDescription

from checkout.ids import settlement_workflow_id
from tests.support.eventually import eventually
from tests.support.rig import Rig


async def described(rig: Rig, workflow_id: str) -> WorkflowExecutionDescription:
    return await rig.temporal.get_workflow_handle(workflow_id).describe()


async def length(rig: Rig, workflow_id: str) -> int:
    """Of the workflow's history, once nothing is going on in it any more."""
    seen = -1

    async def is_quiet() -> bool:
        nonlocal seen
        before, seen = seen, (await described(rig, workflow_id)).history_length
        return before == seen

    await eventually(is_quiet, what="the workflow at rest")
    return seen


async def come_back(rig: Rig, page: str, times: int = 1, **asked: str) -> None:
    answers = await asyncio.gather(*(rig.http.get(page, params=asked) for _ in range(times)))
    assert {answer.status_code for answer in answers} == {303}


async def test_coming_back_again_and_again_is_noted_once_each_way(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    await come_back(rig, "/checkout/cancel", order_id=order_id)
    await come_back(rig, "/checkout/success", session_id=session_id)
    before = await length(rig, key)
    await come_back(rig, "/checkout/cancel", 30, order_id=order_id)
    await come_back(rig, "/checkout/success", 30, session_id=session_id)
    assert await length(rig, key) == before


async def test_coming_back_to_an_order_that_lost_its_checkout_is_noted_by_its_settlement_alike(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    await rig.temporal.get_workflow_handle(key).terminate()
    settlement = settlement_workflow_id(session_id)
    for _ in range(2):  # the one that starts it, and the one that it hears of when it runs
        await come_back(rig, "/checkout/cancel", order_id=order_id)
    before = await length(rig, settlement)
    await come_back(rig, "/checkout/cancel", 30, order_id=order_id)
    assert await length(rig, settlement) == before


async def test_who_comes_back_before_the_event_finds_the_order_paid(rig: Rig) -> None:
    """Looking without having paid takes nothing away from the look that comes after paying."""
    _, order_id, session_id = await rig.bought()
    await rig.http.get("/checkout/cancel", params={"order_id": order_id})
    rig.provider.pay(session_id)
    answer = await rig.http.get("/checkout/success", params={"session_id": session_id})
    assert answer.headers["location"] == f"/orders/{order_id}/view"
    assert (await rig.order(order_id)).status.is_kept
