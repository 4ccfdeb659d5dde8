"""`POST /codec/decode`: Temporal's UI reads encrypted payloads through the gateway, and nobody else does."""

import re
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.middleware.entrance import MAX_CODEC_BYTES
from api.operator_sessions import CODEC_COOKIE
from runtime.checks import parse_payload_keys
from runtime.codec import EncryptingCodec
from stack.stack import Stack
from tests.security.conftest import PAYLOAD_KEYS, GatewayWith

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"ada@example.com"')


def sealed() -> Payload:
    return EncryptingCodec(parse_payload_keys(PAYLOAD_KEYS)).encrypt(PLAIN)


def body(*payloads: Payload) -> bytes:
    return json_format.MessageToJson(Payloads(payloads=payloads)).encode()


def opened(answer: httpx.Response) -> list[Payload]:
    return list(json_format.Parse(answer.content, Payloads()).payloads)


async def test_an_operator_reads_what_is_encrypted_and_what_is_not(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    answer = await client.post("/codec/decode?preserveStorageRefs", content=body(sealed(), PLAIN), headers=operator)
    assert answer.status_code == 200
    assert opened(answer) == [PLAIN, PLAIN]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic d3Jvbmc="},
        {"Cookie": f"{CODEC_COOKIE}=wrong"},
        {"Cookie": f"{CODEC_COOKIE}=99999999999.{'0' * 64}"},
        {"Cookie": f"{CODEC_COOKIE}=."},
    ],
)
async def test_nobody_else_does(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/codec/decode", content=body(sealed()), headers=headers)
    assert answer.status_code == 401
    assert b"payloads" not in answer.content


async def test_a_browser_that_an_operator_let_in_decodes_with_its_cookie(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    assert (await client.post("/codec/session")).status_code == 401
    let_in = await client.post("/codec/session", headers=operator)
    attributes = let_in.headers["set-cookie"].lower()
    assert let_in.status_code == 204
    assert all(word in attributes for word in ("httponly", "samesite=strict", "path=/codec"))
    assert operator["Authorization"].split()[1] not in let_in.headers["set-cookie"]
    answer = await client.post("/codec/decode", content=body(sealed()))
    assert opened(answer) == [PLAIN]


async def test_signing_in_to_the_console_lets_the_browser_decode_and_signing_out_ends_it(
    client: httpx.AsyncClient, guarded: Stack
) -> None:
    ours = {"Origin": str(client.base_url).rstrip("/")}
    signed_in = await client.post("/admin/login", data={"token": guarded.admin_token}, headers=ours)
    assert signed_in.status_code == 303
    kept = {"Cookie": f"{CODEC_COOKIE}={signed_in.cookies[CODEC_COOKIE]}"}
    assert opened(await client.post("/codec/decode", content=body(sealed()))) == [PLAIN]
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/admin/console/stock")).text)
    assert csrf is not None
    ended = await client.post("/admin/logout", data={"csrf": csrf[1]}, headers=ours)
    assert any(name.startswith(f'{CODEC_COOKIE}=""') for name in ended.headers.get_list("set-cookie"))
    # Not only in this browser: whoever kept a copy of the cookie has nothing of it.
    assert (await client.post("/codec/decode", content=body(sealed()), headers=kept)).status_code == 401


async def test_a_browser_that_was_let_in_can_be_shut_out(client: httpx.AsyncClient, operator: dict[str, str]) -> None:
    let_in = await client.post("/codec/session", headers=operator)
    kept = {"Cookie": f"{CODEC_COOKIE}={let_in.cookies[CODEC_COOKIE]}"}
    assert (await client.delete("/codec/session")).status_code == 204
    client.cookies.clear()
    assert (await client.post("/codec/decode", content=body(sealed()), headers=kept)).status_code == 401


async def test_only_pages_of_temporals_ui_may_read_the_answer(
    client: httpx.AsyncClient, guarded: Stack, operator: dict[str, str]
) -> None:
    ours = guarded.urls["temporal_ui"]
    asked = {"Origin": ours, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-namespace"}
    preflight = await client.options("/codec/decode", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ours
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "x-namespace" in preflight.headers["access-control-allow-headers"]
    for origin in ("https://evil.example", "null", f"{ours}.evil.example", ours.replace("http:", "https:")):
        for method in ("OPTIONS", "POST"):
            answer = await client.request(
                method, "/codec/decode", content=body(sealed()), headers=operator | asked | {"Origin": origin}
            )
            assert answer.status_code == (403 if method == "POST" else 400), (origin, method)
            assert "access-control-allow-origin" not in answer.headers


async def test_the_ui_learns_that_it_is_not_let_in(client: httpx.AsyncClient, guarded: Stack) -> None:
    answer = await client.post("/codec/decode", content=body(sealed()), headers={"Origin": guarded.urls["temporal_ui"]})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == guarded.urls["temporal_ui"], "else a page sees no status"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 200),  # protobuf reads it as no payloads
        (b'{"payloads": 1}', 400),
        (b'{"payloads": [{"data": 7}]}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"payloads":' * 2_000, 400),
        (b" " * (MAX_CODEC_BYTES + 1), 413),
        (b"{}", 200),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_junk_is_answered_and_breaks_nothing(
    client: httpx.AsyncClient, operator: dict[str, str], content: bytes, status: int
) -> None:
    assert (await client.post("/codec/decode", content=content, headers=operator)).status_code == status


async def test_a_payload_that_cannot_be_decrypted_comes_back_undecrypted(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    foreign, broken = sealed(), sealed()
    foreign.metadata["encryption-key-id"] = b"gone"
    broken.data = broken.data[:-1]
    answer = await client.post("/codec/decode", content=body(foreign, broken, sealed()), headers=operator)
    assert answer.status_code == 200
    first, second, third = opened(answer)
    assert (first, second.data, third) == (foreign, broken.data, PLAIN)


async def test_there_is_no_endpoint_without_keys_and_none_that_encrypts(
    gateway_with: GatewayWith, operator: Any
) -> None:
    async with gateway_with(CHECKOUT_PAYLOAD_KEYS="") as without:
        assert (await without.post("/codec/decode", content=b"{}", headers=operator)).status_code == 404
    async with gateway_with() as guarded:
        assert (await guarded.post("/codec/encode", content=b"{}", headers=operator)).status_code == 404
