"""The first order on a cluster by the guide's commands, and what an operator then finds of it in Temporal."""

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from functools import partial

import httpx

from bench.customer import new_key
from checkout.ids import SWEEP_WORKFLOW
from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.cluster.world import ClusterWorld


async def first_order(world: ClusterWorld, say: Callable[[str], None]) -> list[str]:
    """Raises `Violated` at the first thing that is not as the guide says. Answers what was seen, line by line."""
    seen: list[str] = []

    def saw(line: str) -> None:
        seen.append(line)
        say(line)

    key = new_key()
    told = await command(f"curl -s -H 'Accept: text/plain' -X POST {world.shop}/checkout/{key}")
    lines = [line for line in told.splitlines() if line.strip().startswith("curl ")]
    expect("Submit payment:" in told and len(lines) == 2, f"the guide's two lines, not {told!r}")
    saw("curl -X POST /checkout/KEY: both lines of the guide")
    answer = json.loads(await command(f"curl -s -X POST {world.shop}/checkout/{key}"))
    await command(lines[0].strip() + " -s")
    order_id = answer["order_id"]
    await in_time(lambda: _is(world, order_id, "dispatched"), 30, "the order was not dispatched")
    saw("the line that submits the payment: the order is dispatched")

    for query in (f'OrderId = "{order_id}"', f'CheckoutStatus = "fulfilled" AND WorkflowId = "{key}"'):
        await in_time(partial(_finds, world, query, key), 15, f"{query} finds nothing")
    saw("temporal workflow list finds it by OrderId and CheckoutStatus")

    schedule = await world.temporal_cli("schedule describe", "--schedule-id", "sweep/schedule", "-o", "json")
    expect(SWEEP_WORKFLOW in schedule, "the sweep's schedule")
    await in_time(lambda: _has_swept(world), 30, "the schedule never ran")
    saw("the sweep's schedule is there, and runs")

    described = json.loads(await world.temporal_cli("operator search-attribute list", "-o", "json"))
    expect({"CheckoutStatus", "OrderId"} <= described["customAttributes"].keys(), "both search attributes")
    partitions = await world.temporal_cli("task-queue describe", "--task-queue", "checkout")
    pollers = set(re.findall(r"\d+@\S+", partitions))
    expect(len(pollers) == 3, f"three workers that ask for work, not {pollers}")
    saw("three workers poll the task queue, which has the default of four partitions")

    if world.plan.ui:
        await _sees_in_the_ui(world, key, order_id)
        saw("the web UI is served, and its API answers for the workflow that the operator's page links to")
    else:
        saw("no temporal-ui-server was given: the web UI was not tried")
    return seen


async def _is(world: ClusterWorld, order_id: str, status: str) -> bool | None:
    answer = await world.http.get(f"{world.shop}/orders/{order_id}")
    return True if answer.status_code == 200 and answer.json()["status"] == status else None


async def _finds(world: ClusterWorld, query: str, key: str) -> bool | None:
    return True if key in await world.temporal_cli("workflow list", "--query", query, "-o", "json") else None


async def _has_swept(world: ClusterWorld) -> bool | None:
    query = f'WorkflowType = "{SWEEP_WORKFLOW}" AND ExecutionStatus = "Completed"'
    return True if "sweep/run" in await world.temporal_cli("workflow list", "--query", query, "-o", "json") else None


async def _sees_in_the_ui(world: ClusterWorld, key: str, order_id: str) -> None:
    """Follow the operator page's link: its page, and the API that the page then asks."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{world.plan.ui_port}", timeout=10, trust_env=False) as ui:
        page = await ui.get(f"/namespaces/default/workflows/{key}")
        expect(page.status_code == 200 and "<html" in page.text.lower(), f"the UI's page, not {page.status_code}")
        found = await ui.get(f"/api/v1/namespaces/default/workflows/{key}")
        expect(found.status_code == 200 and key in found.text, f"the UI's API to know {key}, not {found.status_code}")
        attributes = found.json()["workflowExecutionInfo"]["searchAttributes"]["indexedFields"]
        expect(order_id in json.dumps(attributes) or "OrderId" in attributes, "the order's id in the UI")


async def command(line: str) -> str:
    """A line of the guide, as somebody types it."""
    process = await asyncio.create_subprocess_exec(*shlex.split(line), stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
