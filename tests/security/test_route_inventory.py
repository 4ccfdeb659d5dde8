"""Every route of the gateway and the payment service, with the decision who may call it. A new one needs one too."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.staticfiles import StaticFiles

from api.app import create_app
from api.operators import Operators
from api.problems import Problem
from payment_mock.app import create_app as create_payment_app
from payment_mock.settings import load_settings as load_payment_settings
from runtime.settings import load_settings
from stack.stack import Stack
from tests.security.conftest import PAYLOAD_KEYS, GatewayWith
from tests.security.test_caps import request_of

ANYONE = "anyone: it shows nothing that is not public and changes nothing"
CUSTOMER = "anyone, as a customer: bounded by rate and reservation caps, prices are the catalogue's"
ORDER_ID = "whoever knows the order's id, 128 random bits: uniform 404 for all else"
SIGNATURE = "the payment service: HMAC over the raw body"
OPERATOR = "the operator, by bearer token: uniform 401"
CONSOLE = "the operator, by the console's cookie: else to the sign-in page; posts need its CSRF token"
SIGN_IN = "anyone who knows the operator token"
CODEC = "the operator, by bearer token or the codec's cookie; pages only of Temporal's UI"
MONITORING = "monitoring: keep it inside by the proxy; no key, no id and no address is in it"
DEVELOPMENT = "the operator, in development; production has no such route"

GATEWAY = {
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "GET /": ANYONE,
    "GET /products": ANYONE,
    "GET /static/{name:path}": ANYONE,
    "POST /checkout": CUSTOMER,
    "POST /checkout/{key:path}": CUSTOMER,
    "GET /checkout/{key:path}": "whoever knows the key, 160 random bits: uniform 404 for all else",
    "GET /checkout/success": "whoever knows the session's id: leads to the order's page",
    "GET /checkout/cancel": ORDER_ID,
    "GET /orders/{order_id}": ORDER_ID,
    "GET /orders/{order_id}/events": ORDER_ID,
    "GET /orders/{order_id}/view": ORDER_ID,
    "POST /orders/{order_id}/view": ORDER_ID,
    "POST /orders/{order_id}/cancel": ORDER_ID,
    "POST /payment_webhook": SIGNATURE,
    "POST /payment_webhook/": SIGNATURE,
    "POST /admin/restock": OPERATOR,
    "POST /admin/write-off": OPERATOR,
    "PUT /admin/products/{sku}": OPERATOR,
    "POST /admin/products/{sku}/withdraw": OPERATOR,
    "POST /admin/products/{sku}/offer": OPERATOR,
    "GET /admin/orders": OPERATOR,
    "GET /admin/orders/{order_id}": OPERATOR,
    "POST /admin/orders/{order_id}/refund": OPERATOR,
    "GET /admin/audit": OPERATOR,
    "GET /admin/audit/progress": OPERATOR,
    "GET /admin/events": OPERATOR,
    "GET /admin": CONSOLE,
    "GET /admin/console/orders": CONSOLE,
    "GET /admin/console/orders/{order_id}": CONSOLE,
    "GET /admin/console/stock": CONSOLE,
    "GET /admin/console/audit": CONSOLE,
    "GET /admin/console/audit/progress": CONSOLE,
    "POST /admin/console/audit": CONSOLE,
    "GET /admin/console/events": CONSOLE,
    "POST /admin/console/orders/{order_id}/refund": CONSOLE,
    "POST /admin/console/orders/{order_id}/settle": CONSOLE,
    "POST /admin/console/orders/{order_id}/resend": CONSOLE,
    "POST /admin/console/restock": CONSOLE,
    "POST /admin/console/write-off": CONSOLE,
    "POST /admin/console/products/{sku}/{sale}": CONSOLE,
    "POST /admin/logout": CONSOLE,
    "GET /admin/login": ANYONE,
    "POST /admin/login": SIGN_IN,
    "POST /admin/console/processes/{name}/kill": DEVELOPMENT,
    "GET /livez": MONITORING,
    "GET /readyz": MONITORING,
    "GET /metrics": MONITORING,
    "POST /codec/decode": CODEC,
    "POST /codec/session": OPERATOR,
    "DELETE /codec/session": "whoever holds the cookie: ends it",
}

# The payment service is a stand-in for Stripe and refuses to start in production.
KEY = "whoever has the provider's secret key"
PAYER = "the customer at the payment page: whoever knows the session's id"
CONTROL = "whoever reaches the port: the control plane of a simulator, bound to 127.0.0.1"
PAYMENT = {
    **{
        f"{method} {path}": KEY
        for method, path in (
            ("POST", "/v1/checkout/sessions"),
            ("GET", "/v1/checkout/sessions"),
            ("GET", "/v1/checkout/sessions/{id}"),
            ("GET", "/v1/checkout/sessions/{id}/line_items"),
            ("POST", "/v1/checkout/sessions/{id}/expire"),
            ("GET", "/v1/payment_intents/{id}"),
            ("GET", "/v1/charges/{id}"),
            ("POST", "/v1/refunds"),
            ("GET", "/v1/refunds"),
            ("GET", "/v1/refunds/{id}"),
            ("POST", "/v1/refunds/{id}/cancel"),
            ("GET", "/v1/disputes"),
            ("GET", "/v1/disputes/{id}"),
            ("POST", "/v1/disputes/{id}"),
            ("POST", "/v1/disputes/{id}/close"),
            ("GET", "/v1/events"),
            ("GET", "/v1/events/{id}"),
            ("GET", "/v1/{rest:path}"),
            ("POST", "/v1/{rest:path}"),
            ("PUT", "/v1/{rest:path}"),
            ("PATCH", "/v1/{rest:path}"),
            ("DELETE", "/v1/{rest:path}"),
        )
    },
    "GET /payment/static/{name}": ANYONE,
    "GET /payment/{id}": PAYER,
    "POST /payment/{id}/pay": PAYER,
    "POST /payment/{id}/decline": PAYER,
    "POST /payment/{id}/cancel": PAYER,
    "POST /api/create_payment_session": "anyone, as in the guide; webhooks go to this machine only",
    "GET /api/session/{session_id}": PAYER,
    "GET /api/session_info/{session_id}": PAYER,
    "POST /api/submit_payment": PAYER,
    "POST /api/cancel_payment": PAYER,
    "GET /livez": MONITORING,
    "GET /readyz": MONITORING,
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "FILES /docs/static": ANYONE,
    "GET /_faults": CONTROL,
    "PUT /_faults": CONTROL,
    "DELETE /_faults": CONTROL,
    "DELETE /_faults/{rule_id}": CONTROL,
    "POST /_faults/release": CONTROL,
    "POST /_faults/pay": CONTROL,
    "POST /_faults/become": CONTROL,
    "POST /_faults/refund": CONTROL,
    "POST /_faults/dispute": CONTROL,
    "POST /_faults/webhooks": CONTROL,
    "POST /_faults/webhooks/{event_id}/resend": CONTROL,
}


def routes(app: Any) -> set[str]:
    return set(_walk(app.routes))


def _walk(found: Any) -> Iterator[str]:
    for route in found:
        if hasattr(route, "effective_candidates"):  # FastAPI's included routers
            yield from _walk(route.effective_candidates())
        elif hasattr(route, "methods"):
            yield from (f"{method} {route.path}" for method in (route.methods or ()) if method != "HEAD")
        elif isinstance(getattr(route, "app", None), StaticFiles):
            yield f"FILES {route.path}"
        else:
            yield f"unknown kind of route: {route!r}"


def test_every_route_of_the_gateway_has_a_decision_on_who_may_call_it() -> None:
    assert routes(create_app(load_settings(CHECKOUT_PAYLOAD_KEYS=PAYLOAD_KEYS))) == set(GATEWAY)


def test_every_route_of_the_payment_service_has_one_too() -> None:
    assert routes(create_payment_app(load_payment_settings())) == set(PAYMENT)


def called(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    for name in ("order_id", "name", "id", "rest:path", "session_id", "sku"):
        path = path.replace("{" + name + "}", "worker" if name == "name" else "ord_x")
    return method, path


def those(inventory: dict[str, str], decision: str) -> list[str]:
    return [route for route, who in inventory.items() if who == decision]


WRONG = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer development-operator-token"},
    {"Authorization": "Token {token}"},
    {"Authorization": "Basic {token}"},
    {"Authorization": "{token}"},
    {"Authorization": "Bearer {token}x"},
    {"Authorization": "Bearer \u00e4"},
    {"X-Admin-Token": "{token}"},
    {"Cookie": "operator={token}; token={token}"},
]


@pytest.mark.parametrize("route", [*those(GATEWAY, OPERATOR), *those(GATEWAY, CODEC)])
async def test_an_operators_route_answers_401_to_everybody_else_and_always_the_same(
    gateway_with: GatewayWith, guarded: Stack, route: str
) -> None:
    method, path = called(route)
    # One of its own, which has counted no guesses yet.
    async with gateway_with() as client:
        answers = await wrong_answers(client, guarded, method, path)
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert all("www-authenticate" in answer.headers for answer in answers)
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)


async def wrong_answers(client: httpx.AsyncClient, guarded: Stack, method: str, path: str) -> list[httpx.Response]:
    answers = []
    for headers in WRONG:
        filled = {
            name.encode(): value.replace("{token}", guarded.admin_token).encode("latin-1")
            for name, value in headers.items()
        }
        for query in ("", f"?token={guarded.admin_token}", f"?access_token={guarded.admin_token}"):
            body = {"sku": "pen", "quantity": 1}
            answers.append(await client.request(method, path + query, headers=filled, json=body))
    return answers


@pytest.mark.parametrize("route", [*those(GATEWAY, CONSOLE), *those(GATEWAY, DEVELOPMENT)])
async def test_the_console_sends_everybody_else_to_sign_in_and_does_nothing(
    client: httpx.AsyncClient, operator: dict[str, str], route: str
) -> None:
    method, path = called(route)
    for headers in ({}, operator, {"Cookie": "operator-8082=99999999999.x.y"}):
        answer = await client.request(method, path, headers=headers, data={"csrf": "x"} if method == "POST" else None)
        assert answer.status_code in (303, 401, 403), (route, answer.status_code)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/admin/login")


@pytest.mark.parametrize("route", those(PAYMENT, KEY))
async def test_the_provider_asks_for_its_key(guarded: Stack, route: str) -> None:
    method, path = called(route)
    async with httpx.AsyncClient(base_url=guarded.urls["payment"], timeout=20) as payment:
        for headers in ({}, {"Authorization": "Bearer sk_test_wrong"}, {"Authorization": "Basic OnNrX3Rlc3Q="}):
            answer = await payment.request(method, path, headers=headers)
            assert answer.status_code == 401, (route, headers, answer.text)
            assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `hmac.compare_digest`, over the whole of both: the time of `==` tells how many letters were right."""
    compared = []

    def spy(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return False

    monkeypatch.setattr("api.operators.hmac.compare_digest", spy)
    settings = load_settings()
    with pytest.raises(Problem):
        Operators(settings).admit(request_of("192.0.2.1"), settings.admin_token.get_secret_value())
    assert len(compared) == 1


async def test_production_has_no_route_that_kills(gateway_with: GatewayWith) -> None:
    production = load_settings(
        CHECKOUT_ENV="production",
        CHECKOUT_ADMIN_TOKEN="a-token-of-our-own-0123456789",
        STRIPE_SECRET_KEY="sk_live_x",
        STRIPE_WEBHOOK_SECRET="whsec_of_our_own",
        CHECKOUT_PUBLIC_URL="https://shop.example",
    )
    found = routes(create_app(production))
    assert not found & set(those(GATEWAY, DEVELOPMENT))
    assert not {route for route in found if "kill" in route or "_faults" in route or "failpoint" in route}
