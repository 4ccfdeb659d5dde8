"""One stack for all security tests, with payloads encrypted; and gateways in this process with other settings."""

import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from api.app import create_app
from runtime.connection import connect
from runtime.settings import Settings, load_settings
from stack.config import StackConfig
from stack.stack import Stack
from tests.support.stacks import brisk, environment_of

PAYLOAD_KEYS = f"tests:{base64.b64encode(os.urandom(32)).decode()}"
OWN = ("CHECKOUT_", "STRIPE_", "DATABASE_URL")

GatewayWith = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="package")
async def guarded(scratch: Path) -> AsyncIterator[Stack]:
    """The whole stack, with encryption and JSON logs on."""
    config = StackConfig.for_tests(
        scratch / "guarded",
        adapt=brisk,
        extra_env={
            "CHECKOUT_PAYLOAD_KEYS": PAYLOAD_KEYS,
            "CHECKOUT_DISPATCH_DURATION": "1",
            "CHECKOUT_PAYMENT_TIMEOUT": "7200",  # however long the run: no stock comes back while somebody counts
            "CHECKOUT_LOG_FORMAT": "json",
        },
    )
    async with Stack(config) as stack:
        yield stack


@pytest.fixture(scope="package")
def settings(guarded: Stack) -> Settings:
    return settings_of(guarded)


def settings_of(stack: Stack, **changes: str) -> Settings:
    """The settings of the stack's gateway, for a gateway in this process."""
    return load_settings(
        **({name: value for name, value in environment_of(stack).items() if name.startswith(OWN)} | changes)
    )


@pytest.fixture(scope="package")
async def temporal(settings: Settings) -> Client:
    return await connect(settings)


@pytest.fixture
def gateway_with(guarded: Stack) -> GatewayWith:
    """`async with gateway_with(CHECKOUT_…="…") as client`: a gateway in this process. Its own bugs show as 500."""

    @asynccontextmanager
    async def serve(peer: str = "192.0.2.1", **changes: str) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings_of(guarded, **changes))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 40_000))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=20) as client,
        ):
            yield client

    return serve


@pytest.fixture
async def client(guarded: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the stack's real gateway, over a socket."""
    # `verify`: there is no TLS here, and to read who may sign for it takes 15 ms.
    async with httpx.AsyncClient(base_url=guarded.urls["gateway"], timeout=20, verify=False) as client:
        yield client


@pytest.fixture
def operator(guarded: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {guarded.admin_token}"}
