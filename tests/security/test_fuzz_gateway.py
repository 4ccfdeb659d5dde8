"""Schemathesis reads the gateway's own description and sends what it allows, and what it does not.

Nothing may end in a 5xx, and every answer must be one that the description declares: its status, its content type, its
headers and its shape. Seeded (`derandomize`): the same requests in every run. More of them with `FUZZ_EXAMPLES=500`.
"""

import asyncio
import os
import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stack.stack import Stack

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROUTES = [
    "POST /checkout",
    "POST /checkout/{key}",
    "GET /checkout/{key}",
    "GET /products",
    "GET /orders/{order_id}",
    "GET /orders/{order_id}/events",
    "POST /orders/{order_id}/cancel",
    "POST /payment_webhook",
    "POST /admin/restock",
    "POST /admin/write-off",
    "PUT /admin/products/{sku}",
    "POST /admin/products/{sku}/offer",
    "POST /admin/products/{sku}/withdraw",
    "GET /admin/orders",
    "GET /admin/orders/{order_id}",
    "POST /admin/orders/{order_id}/refund",
    "GET /admin/audit",
    "GET /admin/audit/progress",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "POST /codec/decode",
    "POST /codec/session",
    "DELETE /codec/session",
]
ENDLESS = {"GET /admin/events"}  # a stream of what happens to any order, which ends with its reader


@pytest.fixture(scope="module")
async def description(guarded: Stack) -> Any:
    return await asyncio.to_thread(schemathesis.openapi.from_url, f"{guarded.urls['gateway']}/openapi.json")


async def test_every_described_route_is_fuzzed(description: Any) -> None:
    found = [result.ok() for result in description.get_all_operations()]
    assert {f"{operation.method.upper()} {operation.path}" for operation in found} == set(ROUTES) | ENDLESS


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
@pytest.mark.parametrize("route", ROUTES)
async def test_no_request_breaks_a_route_and_every_answer_is_declared(
    guarded: Stack, description: Any, route: str, mode: GenerationMode
) -> None:
    method, _, path = route.partition(" ")
    operation = description[path][method]
    headers = {"Authorization": f"Bearer {guarded.admin_token}"} if "/admin" in path or "/codec" in path else {}
    strategy = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def fuzz(case: Any) -> None:
        response = case.call(headers=headers, timeout=15)
        if response.status_code == 503:  # the machine stood still for longer than the gateway waits; or it's said again
            time.sleep(3)
            response = case.call(headers=headers, timeout=15)
        case.validate_response(response, checks=CHECKS)

    # In a thread: the stack's supervisor works in this event loop.
    try:
        await asyncio.to_thread(fuzz)
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "every route can be asked rightly; of some, nothing could be wrong"
