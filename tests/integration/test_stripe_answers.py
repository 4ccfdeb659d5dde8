"""The Stripe adapter and answers that are not Stripe's: a proxy's page, an empty success."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.errors import PaymentRefused, PaymentUnknown, PaymentUnreachable
from checkout.payments import ProviderRefund, Refund, RefundState, RequestedBy
from runtime.settings import load_settings
from tests.integration.payment_mock.serving import KEY, serve
from tests.integration.simulator import Simulator, request
from worker.payments.stripe_adapter import StripeProvider

HTML = "<html><h1>Sorry</h1></html>"
REFUND = {"id": "re_1", "object": "refund", "amount": 2000, "payment_intent": "pi_1"}
NO_REFUNDS = {"object": "list", "data": [], "has_more": False, "url": "/v1/refunds"}
INTENT = {"id": "pi_1", "object": "payment_intent", "amount": 2000, "amount_received": 2000}


@asynccontextmanager
async def answering(status: int, body: str | dict[str, Any]) -> AsyncIterator[StripeProvider]:
    """The adapter, before something that gives one answer to every POST and to every question for a session."""

    async def answer(request: Request) -> Response:
        if request.method == "GET" and request.url.path.endswith("/refunds"):
            return Response(json.dumps(NO_REFUNDS), media_type="application/json")
        if request.method == "GET" and "/payment_intents/" in request.url.path:
            return Response(json.dumps(INTENT), media_type="application/json")
        if isinstance(body, str):
            return Response(body, status, media_type="text/html")
        return Response(json.dumps(body), status, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    async with serve(app) as url:
        yield StripeProvider(load_settings(STRIPE_API_BASE=url, STRIPE_SECRET_KEY=KEY))


async def test_a_redirect_is_not_followed_and_carries_the_key_nowhere() -> None:
    reached: list[str] = []

    async def elsewhere(request: Request) -> Response:
        reached.append(request.headers.get("authorization", ""))
        return Response(json.dumps(INTENT), media_type="application/json")

    methods = ["GET", "POST"]
    async with serve(Starlette(routes=[Route("/{path:path}", elsewhere, methods=methods)])) as other:

        async def redirect(request: Request) -> Response:
            return Response(status_code=307, headers={"location": f"{other}{request.url.path}"})

        async with serve(Starlette(routes=[Route("/{path:path}", redirect, methods=methods)])) as url:
            provider = StripeProvider(load_settings(STRIPE_API_BASE=url, STRIPE_SECRET_KEY=KEY))
            for ask in (retrieve, refund):
                with pytest.raises(PaymentUnreachable):
                    await ask(provider)
    assert reached == []


def retrieve(provider: StripeProvider) -> Awaitable[object]:
    return provider.retrieve_session("cs_1")


def refund(provider: StripeProvider) -> Awaitable[ProviderRefund]:
    return provider.refund(
        Refund("rfd_1", "pi_1", "ord_1", 2000, "usd", RefundState.PENDING, RequestedBy.OPERATOR, datetime.now(UTC))
    )


@pytest.mark.parametrize("ask", [retrieve, refund])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 451, 502])
@pytest.mark.parametrize("body", [HTML, {}, {"error": "nope"}, {"message": "no such route"}])
async def test_an_error_that_is_not_stripes_decides_nothing(
    status: int, body: str | dict[str, Any], ask: Callable[[StripeProvider], Awaitable[object]]
) -> None:
    async with answering(status, body) as provider:
        with pytest.raises(PaymentUnreachable):
            await ask(provider)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(404, "resource_missing", PaymentUnknown), (404, None, PaymentRefused), (400, "resource_missing", PaymentRefused)],
)
async def test_only_stripes_own_word_makes_a_session_unknown(
    status: int, code: str | None, expected: type[Exception]
) -> None:
    error = {"error": {"type": "invalid_request_error", "message": "no", **({"code": code} if code else {})}}
    async with answering(status, error) as provider:
        with pytest.raises(expected) as failure:
            await retrieve(provider)
    assert type(failure.value) is expected


@pytest.mark.parametrize("body", [{}, {"object": "list", "data": []}, REFUND | {"status": "unheard of"}])
async def test_a_success_that_is_no_refund_gives_nothing_back(body: dict[str, Any]) -> None:
    async with answering(200, body) as provider:
        with pytest.raises(PaymentUnreachable):
            await refund(provider)


@pytest.mark.parametrize(
    ("status", "state", "requires_action"),
    [
        ("succeeded", RefundState.SUCCEEDED, False),
        ("pending", RefundState.PENDING, False),
        ("requires_action", RefundState.PENDING, True),
        ("failed", RefundState.FAILED, False),
        ("canceled", RefundState.CANCELLED, False),
    ],
)
async def test_a_refund_is_what_stripe_says_of_it(status: str, state: RefundState, requires_action: bool) -> None:
    async with answering(200, REFUND | {"status": status}) as provider:
        made = await refund(provider)
    assert (made.state, made.requires_action, made.amount) == (state, requires_action, 2000)


async def test_each_bad_answer_becomes_one_of_three_errors(simulator: Simulator) -> None:
    for action, more, expected in (
        ("error", {"status": 500}, PaymentUnreachable),
        ("error", {"status": 429}, PaymentUnreachable),
        ("error", {"status": 409}, PaymentUnreachable),
        ("error", {"status": 400}, PaymentRefused),
        ("error", {"status": 401}, PaymentRefused),
        ("error", {"status": 404}, PaymentRefused),  # without `resource_missing` it is the address that is not known
        ("drop", {}, PaymentUnreachable),
        ("redirect", {}, PaymentUnreachable),
        ("huge_body", {}, PaymentUnreachable),
        ("broken_body", {}, PaymentUnreachable),
    ):
        rule = await simulator.fault("create.before", action, **more)
        with pytest.raises(expected) as failure:
            await simulator.provider.create_session(request())
        assert type(failure.value) is expected, (action, more)
        assert await simulator.fired(rule) == 1, (action, more)
        assert KEY not in str(failure.value), "no error tells the secret key"
