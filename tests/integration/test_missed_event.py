"""Events that are fetched from the payment service."""

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.hints import SessionEvent
from api.missed_event import last_event
from api.problems import Problem
from runtime.settings import load_settings
from tests.integration.payment_mock.serving import KEY, serve

SESSION = {"id": "cs_1", "client_reference_id": "k"}
EVENT = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": SESSION}}


async def last_of(event: dict[str, Any]) -> SessionEvent | None:
    """The last event of `cs_1`, of a payment service that knows only this one."""

    async def answer(request: Request) -> Response:
        return Response(json.dumps({"data": [event], "has_more": False}), media_type="application/json")

    async with serve(Starlette(routes=[Route("/v1/events", answer)])) as url:
        return await last_event(load_settings(STRIPE_API_BASE=url, STRIPE_SECRET_KEY=KEY), "cs_1")


async def test_the_last_event_of_a_session_is_fetched() -> None:
    assert await last_of(EVENT) == SessionEvent("evt_1", "checkout.session.completed", "cs_1", "k")


@pytest.mark.parametrize(
    "wrong", [{"id": 1}, {"id": None}, {"id": "evt_1\n"}, {"id": "x" * 300}, {"type": {}}, {"type": None}], ids=repr
)
async def test_an_event_that_is_none_is_never_taken_again(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        await last_of(EVENT | wrong)
    assert (refused.value.status, refused.value.code) == (502, "payment-unreachable")
