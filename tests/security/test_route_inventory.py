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
from tests.security.clients import request_of
from tests.security.conftest import PAYLOAD_KEYS, GatewayWith
from tests.security.inventory import CODEC, CONSOLE, DEVELOPMENT, GATEWAY, KEY, OPERATOR, PAYMENT


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
