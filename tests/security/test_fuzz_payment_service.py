"""The payment service under attack: nested forms, odd keys, JSON of any shape. Never a 500, never a second charge.

Its own description covers the guide's endpoints and the control plane (schemathesis); Stripe's form-encoded API is
fuzzed by a grammar of its bracketed parameters.
"""

import asyncio
import secrets
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from stack.stack import Stack
from tests.security.odd_forms import FORMS, IDS, PATHS
from tests.support.stacks import environment_of

FUZZED = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Control-plane calls that plant faults, wait for a moment to come, or forge events by the thousand: their own tests.
NOT_FUZZED = {"/_faults", "/_faults/pay", "/_faults/webhooks"}


@pytest.fixture
def payment(guarded: Stack) -> Any:
    headers = {"Authorization": f"Bearer {environment_of(guarded)['STRIPE_SECRET_KEY']}"}
    return lambda: httpx.Client(base_url=guarded.urls["payment"], headers=headers, timeout=20)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
async def test_no_request_breaks_the_guides_endpoints(guarded: Stack, mode: GenerationMode) -> None:
    address = f"{guarded.urls['payment']}/openapi.json"
    description: Any = await asyncio.to_thread(schemathesis.openapi.from_url, address)
    fuzzed = 0
    for result in description.get_all_operations():
        operation = result.ok()
        if operation.path in NOT_FUZZED:
            continue

        @settings(FUZZED, max_examples=6)
        @given(case=operation.as_strategy(generation_mode=mode))
        def fuzz(case: Any) -> None:
            case.call_and_validate(checks=[not_a_server_error], timeout=15)

        try:
            await asyncio.to_thread(fuzz)
        except Unsatisfiable:
            continue
        fuzzed += 1
    assert fuzzed >= 3


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_no_form_breaks_stripes_endpoints(payment: Any, method: str, path: str) -> None:
    with payment() as client:

        @FUZZED
        @given(
            form=FORMS, identifier=IDS, key=st.none() | st.binary(max_size=20), raw=st.none() | st.binary(max_size=60)
        )
        def fuzz(form: list[tuple[str, str]], identifier: str, key: bytes | None, raw: bytes | None) -> None:
            encoded = raw if raw is not None else urlencode(form).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            if key is not None:
                headers["Idempotency-Key"] = "".join(chr(each) for each in key if 32 <= each < 127) or "k"
            target = path.format(quote(identifier, safe=""))
            if method == "GET":
                answer = client.get(f"{target}?{quote(encoded, safe='=&%')}", headers=headers)
            else:
                answer = client.post(target, content=encoded, headers=headers)
            assert answer.status_code < 500, (answer.status_code, answer.text, answer.request.url)

        await asyncio.to_thread(fuzz)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"session_id": 7}',
        b'{"session_id": "\\u0000"}',
        b'{"session_id": "\\ud800"}',
        b'{"session_id": {"a": 1}}',
        b"[" * 15_000,
        b'{"a":' * 3_000,
        b"session_id=%00",
        b"session_id=%ff",
        b"session_id=" + b"x" * 10_000,
        b" " * 20_000,
    ],
    ids=lambda body: repr(body)[:24],
)
async def test_no_json_breaks_the_guides_two_buttons(payment: Any, body: bytes) -> None:
    def press() -> list[int]:
        with payment() as client:
            return [
                client.post(f"/api/{call}", content=body).status_code for call in ("submit_payment", "cancel_payment")
            ]

    assert all(400 <= status < 500 for status in await asyncio.to_thread(press))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:5433/",
        "//x",
        "http://127.0.0.1@evil.example/",
        "http://evil.example#@127.0.0.1/",
        "http://localhost.evil.example/",
        "http://[::]/",
        "http://0.0.0.0/",
        "http://127.0.0.1.nip.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.0.0.1\t/",
    ],
)
async def test_a_session_cannot_send_events_into_somebody_elses_network(payment: Any, url: str) -> None:
    """Server-side request forgery (OWASP): only this machine's own names and the configured endpoint."""
    body = {
        "webhook": url,
        "success_url": "https://shop.example/",
        "cancel_url": "https://shop.example/",
        "items": [{"description": "pen", "quantity": 1, "price": 1000}],
    }

    def create() -> httpx.Response:
        with payment() as client:
            answer: httpx.Response = client.post("/api/create_payment_session", json=body)
            return answer

    answer = await asyncio.to_thread(create)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == "webhook"


async def test_fifty_presses_at_once_are_one_charge(guarded: Stack) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        order = (await client.post(f"{guarded.urls['gateway']}/checkout/{secrets.token_hex(8)}")).json()
        paying = f"{guarded.urls['payment']}/api/submit_payment"
        presses = [client.post(paying, data={"session_id": order["session_id"]}) for _ in range(50)]
        assert {answer.status_code for answer in await asyncio.gather(*presses)} == {204}
        info = await client.get(f"{guarded.urls['payment']}/api/session_info/{order['session_id']}")
    assert info.json()["payment_status"] == "paid"
    connection = await asyncpg.connect(guarded.database_url)
    try:
        counted = "SELECT count(*) FROM payments.ledger WHERE session_id = $1"
        assert await connection.fetchval(counted, order["session_id"]) == 1
    finally:
        await connection.close()
