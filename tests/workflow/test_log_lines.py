"""Every line that a workflow writes about an order can be searched for: by order, by key, by workflow."""

import asyncio
import json
import logging
from typing import Any

import pytest

from checkout.errors import PaymentRefused
from runtime.logs import JsonFormatter
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import always, times


@pytest.fixture(autouse=True)
def _from_info_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "temporalio.workflow")


def lines(caplog: pytest.LogCaptureFixture, containing: str) -> list[dict[str, Any]]:
    """As `CHECKOUT_LOG_FORMAT=json` prints them."""
    found = [json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "temporalio.workflow"]
    return [line for line in found if containing in line["message"]]


async def test_the_guides_line_names_order_key_and_workflow(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    handle, order, _ = await lab.paid()
    await handle.result()
    (line,) = lines(caplog, "succeeded!")
    assert line["message"] == f"Checkout with UUID {order.checkout_key} succeeded!"
    assert (line["order_id"], line["checkout_key"], line["workflow_id"]) == (order.order_id, handle.id, handle.id)


async def test_what_the_provider_does_not_know_is_told_by_its_kind(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    await lab.settle("cs_invented")
    assert lines(caplog, "The payment service does not know session cs_invented")
    _, order, session_id = await lab.paid()
    del lab.provider.sessions[session_id]
    await lab.settle(None, order.order_id)
    assert lines(caplog, f"The payment service does not know payment pi_{session_id}")


async def test_a_settlements_lines_name_the_session_until_they_can_name_the_order(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """Its workflow is named after the session, so the order and its key have to be in the fields."""
    handle, order, session_id = await lab.opened()
    await handle.terminate()
    lab.provider.fail["retrieve"] = always(PaymentRefused("401"))
    async with asyncio.TaskGroup() as group:
        group.create_task(lab.settle(session_id))
        await eventually(lambda: bool(lines(caplog, "needs attention")), what="the line")
        lab.provider.fail.clear()
        lab.provider.pay(session_id)
    before, after = lines(caplog, "needs attention")[0], lines(caplog, "succeeded!")[0]
    assert before["session_id"] == session_id
    assert (after["order_id"], after["checkout_key"]) == (order.order_id, order.checkout_key)
    assert before["workflow_id"] == after["workflow_id"] == f"settle:{session_id}"


async def test_a_refund_that_is_refused_is_told_with_its_payment_and_order(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    order_id, session_id = await lab.cancelled()
    lab.provider.force_pay(session_id)
    lab.provider.fail["refund"] = times(1, PaymentRefused("401"))
    await lab.settle(session_id)
    (line,) = lines(caplog, "Give the money back: needs attention")
    assert (line["payment_intent_id"], line["order_id"]) == (f"pi_{session_id}", order_id)
    assert f"pi_{session_id} of order {order_id}" in line["message"]
