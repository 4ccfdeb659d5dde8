"""Operators: guesses at the token are slowed, a session that was signed out opens nothing any more, on any gateway."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from api.operator_sessions import LIFETIME, Sessions
from api.operators import ALL_GUESSES_PER_MINUTE, GUESSES_PER_MINUTE, Operators
from api.problems import Problem
from db.operator_sessions import end_session, has_ended
from runtime.settings import load_settings
from tests.security.clients import request_of, somebody_new
from tests.security.conftest import GatewayWith

OURS = {"Sec-Fetch-Site": "same-origin"}


async def signed_in(client: httpx.AsyncClient, token: str) -> tuple[str, str]:
    """The session's cookie and CSRF token; the client itself forgets the cookie."""
    answer = await client.post("/admin/login", data={"token": token}, headers=OURS)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].partition(";")[0]
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/admin/console/stock")).text)
    assert csrf is not None
    client.cookies.clear()
    return cookie, csrf[1]


async def test_whoever_signs_out_ends_the_session_on_every_gateway(
    gateway_with: GatewayWith, operator: dict[str, str]
) -> None:
    token = operator["Authorization"].split()[1]
    async with gateway_with() as one, gateway_with() as other:
        cookie, csrf = await signed_in(one, token)
        still, _ = await signed_in(one, token)
        page = "/admin/console/stock"
        assert (await other.get(page, headers={"Cookie": cookie})).status_code == 200
        ended = await one.post("/admin/logout", data={"csrf": csrf}, headers=OURS | {"Cookie": cookie})
        assert ended.status_code == 303
        for client in (one, other):
            client.cookies.clear()
            assert (await client.get(page, headers={"Cookie": cookie})).headers["location"].startswith("/admin/login")
            assert (await client.get(page, headers={"Cookie": still})).status_code == 200, "another one goes on"


def signer_of(age: float) -> type[TimestampSigner]:
    """Signs as one would have so many seconds ago."""

    class Aged(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time() - age)

    return Aged


async def test_only_a_genuine_cookie_younger_than_its_lifetime_is_one(engine: AsyncEngine) -> None:
    settings = load_settings()
    sessions = Sessions(settings, engine)
    name = f"operator-{settings.api_port}"

    def cookie(key: str, salt: str = "operator-session", age: float = 0) -> str:
        signing = URLSafeTimedSerializer(
            key, salt, signer=signer_of(age), signer_kwargs={"digest_method": hashlib.sha256}
        )
        return str(signing.dumps("s" * 22))

    token = settings.admin_token.get_secret_value()
    genuine = cookie(token)
    for value, is_one in (
        (genuine, True),
        (genuine[:-1] + ("A" if genuine[-1] != "A" else "E"), False),  # of this sign two bits mean nothing: not "B"
        ("x" + genuine, False),
        (cookie("another token"), False),
        (cookie(token, "operator-csrf"), False),
        (cookie(token, age=LIFETIME.total_seconds() - 60), True),
        (cookie(token, age=LIFETIME.total_seconds() + 60), False),
        ("", False),
        ("..", False),
        ("\u00b2\u00b3.a.b", False),
    ):
        found = await sessions.find(request_of("192.0.2.1", cookie=f"{name}={value}"))
        assert (found is not None) == is_one, value


def test_the_cookie_is_for_the_console_alone_and_in_production_for_tls_alone(engine: AsyncEngine) -> None:
    production = load_settings(
        CHECKOUT_ENV="production",
        CHECKOUT_ADMIN_TOKEN="a-token-of-our-own-0123456789",
        STRIPE_SECRET_KEY="sk_live_x",
        STRIPE_WEBHOOK_SECRET="whsec_of_our_own_0123456789",
        CHECKOUT_PUBLIC_URL="https://shop.example",
    )
    for settings, is_secure in ((production, True), (load_settings(), False)):
        response = Response()
        Sessions(settings, engine).open(response)
        [cookie] = response.headers.getlist("set-cookie")
        assert settings.admin_token.get_secret_value() not in cookie
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/admin"))
        assert ("Secure" in cookie) == is_secure


async def test_what_has_ended_is_kept_until_it_would_be_over(engine: AsyncEngine) -> None:
    """So the list stays as short as the sign-outs of one lifetime."""
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        await end_session(connection, "a" * 22, now + LIFETIME)
        await end_session(connection, "a" * 22, now + LIFETIME)
        await end_session(connection, "b" * 22, now - timedelta(seconds=1))
        await end_session(connection, "c" * 22, now + LIFETIME)
        kept = (await connection.execute(text("SELECT id FROM shop.ended_sessions ORDER BY id"))).scalars().all()
        assert kept == ["a" * 22, "c" * 22]
        assert await has_ended(connection, "a" * 22)
        assert not await has_ended(connection, "d" * 22)


async def test_guessing_is_slowed_at_every_door(gateway_with: GatewayWith, operator: dict[str, str]) -> None:
    token = operator["Authorization"].split()[1]
    async with gateway_with(peer=somebody_new()) as client:
        for number in range(GUESSES_PER_MINUTE):
            wrong = {"Authorization": f"Bearer wrong-{number}"}
            assert (await client.get("/admin/orders", headers=wrong)).status_code == 401
        doors = [
            await client.get("/admin/orders", headers={"Authorization": "Bearer wrong"}),
            await client.post("/admin/login", data={"token": "wrong"}, headers=OURS),
            await client.post("/codec/decode", content=b"{}", headers={"Authorization": "Bearer wrong"}),
            # The right one, too: else who guesses on would hear which it is.
            await client.get("/admin/orders", headers=operator),
            await client.post("/admin/login", data={"token": token}, headers=OURS),
        ]
        assert [door.status_code for door in doors] == [429] * len(doors)
        assert all(1 <= int(door.headers["retry-after"]) <= 60 for door in doors)
        assert (await client.get("/admin/orders")).status_code == 401, "no token is no guess"


def test_guesses_from_everywhere_are_slowed_together_and_do_not_lock_out_a_known_operator() -> None:
    settings = load_settings()
    operators, right = Operators(settings), settings.admin_token.get_secret_value()
    operators.admit(request_of("192.0.2.9"), right)
    for number in range(ALL_GUESSES_PER_MINUTE):
        with pytest.raises(Problem) as refusal:
            operators.admit(request_of(f"10.0.{number // 200}.{number % 200}"), "wrong")
        assert refusal.value.status == 401
    with pytest.raises(Problem) as refusal:
        operators.admit(request_of("10.1.1.1"), right)
    assert refusal.value.status == 429
    operators.admit(request_of("192.0.2.9"), right)
